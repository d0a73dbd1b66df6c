//! What a candidate was made of, for those who ask later.

use crate::Context;
use crate::domain::record::RunRecord;
use std::time::{SystemTime, UNIX_EPOCH};
use tidemill_lineage::{Change, Place, Step, columns, names};
use tidemill_runtime::tell_lineage;
use tidemill_types::{Digest, Millis};

/// The cycle as a run, as far as it is.
fn step(context: &Context, run: &RunRecord) -> Step {
    let spec = &context.spec;
    let mut step = Step::new(&spec.project, names::TRAINING, &run.cycle)
        .within(names::CYCLE, &run.cycle)
        .owned_by(&spec.problem.owners)
        .about(run.as_of);
    let Some(set) = &run.training_set else { return step };
    step = step.reads(Place::new(set.path.as_str()).with_rows(set.rows));
    let digest = run.model_digest.as_deref().and_then(Digest::parse);
    let Some((digest, chosen)) = digest.zip(run.chosen.as_ref()) else { return step };
    let features: Vec<String> = context.plan.schema().fields().iter().map(|field| field.name().clone()).collect();
    let model = Place::new(names::model(&digest))
        .lying_at(format!("{}/models/{digest}", context.storage.url()))
        .changed(Change::Create)
        .with_columns(columns::score(spec, &set.path, &chosen.learner, &features));
    step.writes(model)
}

/// Tells that a cycle begins.
pub(crate) async fn began(context: &Context, run: &RunRecord) {
    tell_lineage(&context.bus, &context.spec.project, &[step(context, run).start(now())]).await;
}

/// Tells how a cycle ended.
pub(crate) async fn ended(context: &Context, run: &RunRecord) {
    let step = step(context, run);
    let event = match &run.failure {
        Some(failure) => step.fail(now(), &format!("{}: {}", failure.code, failure.text)),
        None => step.complete(now()),
    };
    tell_lineage(&context.bus, &context.spec.project, &[event]).await;
}

fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
