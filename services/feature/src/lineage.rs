//! What a training set was made of, for those who ask later.

use crate::error::FeatureServiceError;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tidemill_bus::Bus;
use tidemill_contracts::feature::BuildTrainingSetResponse;
use tidemill_contracts::paths;
use tidemill_features::Plan;
use tidemill_lineage::{Change, Place, Step, columns, names};
use tidemill_runtime::tell_lineage;
use tidemill_spec::Spec;
use tidemill_types::{Classified as _, Millis};

/// The building of one training set.
pub(crate) struct Run<'a> {
    bus: &'a Bus,
    spec: &'a Spec,
    step: Step,
}

impl<'a> Run<'a> {
    /// Tells that it begins.
    pub(crate) async fn begin(bus: &'a Bus, spec: &'a Spec, name: &str, known_by: Millis) -> Self {
        let step = Step::new(&spec.project, names::feature(&spec.features.set), name)
            .owned_by(&spec.problem.owners)
            .about(known_by);
        tell_lineage(bus, &spec.project, &[step.start(now())]).await;
        Self { bus, spec, step }
    }

    /// Tells how it ended.
    pub(crate) async fn end(
        self,
        made: &Result<BuildTrainingSetResponse, FeatureServiceError>,
        plan: &Plan,
        store: &str,
    ) {
        let project = &self.spec.project;
        let event = match made {
            Err(error) => self.step.fail(now(), &format!("{}: {error}", error.code())),
            Ok(made) => {
                let mut step = self.step;
                for source in self.spec.sources.keys() {
                    let version = made.table_versions.get(source.as_str()).and_then(|v| u64::try_from(*v).ok());
                    if let Some(version) = version {
                        step = step.reads(Place::new(paths::clean_table(project, source)).at(version));
                    }
                }
                let set = Place::new(made.path.as_str())
                    .with_rows(made.rows)
                    .changed(Change::Create)
                    .with_schema(Arc::clone(plan.schema()))
                    .lying_at(format!("{store}/{}", made.path))
                    .with_columns(columns::features(self.spec));
                step.writes(set).complete(now())
            }
        };
        tell_lineage(self.bus, project, &[event]).await;
    }
}

fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
