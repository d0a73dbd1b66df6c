//! What monitoring needs to know of models: who is champion, and what training looked like.

use crate::domain::report::AucReference;
use crate::error::MonitoringError;
use std::collections::HashMap;
use std::sync::Arc;
use tidemill_registry::{Registry, TrustedKeys, file, load};
use tidemill_stats::Reference;
use tidemill_storage::Storage;
use tidemill_types::{Classified, Digest, Millis, ProjectName};
use tracing::warn;

/// Alias of the model in service.
pub(crate) const CHAMPION: &str = "champion";
/// AUC on the validation rows, and the lower end of its interval, among the metrics of a manifest.
const AUC: &str = "roc_auc";
const AUC_LOW: &str = "roc_auc_low";

/// Training as one model saw it.
#[derive(Debug, Default)]
pub(crate) struct Training {
    /// Frozen distributions of its features, and of its scores when training kept them.
    pub(crate) references: Vec<Reference>,
    /// AUC on rows that it was not fitted to.
    pub(crate) auc: Option<AucReference>,
    /// Knowledge instant up to which it learned.
    pub(crate) as_of: Option<Millis>,
}

/// The registry and the bundles behind it.
pub(crate) struct Models {
    project: ProjectName,
    registry: Registry,
    storage: Storage,
    trusted: TrustedKeys,
    known: HashMap<String, Arc<Training>>,
}

impl Models {
    pub(crate) fn new(project: &ProjectName, registry: Registry, storage: &Storage, trusted: TrustedKeys) -> Self {
        Self { project: project.clone(), registry, storage: storage.clone(), trusted, known: HashMap::new() }
    }

    /// Whether there is a champion, and the instant as of which it was trained when its bundle tells.
    pub(crate) async fn champion(&mut self) -> Result<Option<Option<Millis>>, MonitoringError> {
        let Some(alias) = self.registry.alias(&self.project, CHAMPION).await? else { return Ok(None) };
        Ok(Some(self.training(alias.entry.digest.as_str()).await?.as_of))
    }

    /// The training of a model. A bundle that cannot be used leaves the report without drift rather than the role
    /// without reports; it is said in the log.
    pub(crate) async fn training(&mut self, digest: &str) -> Result<Arc<Training>, MonitoringError> {
        if let Some(known) = self.known.get(digest) {
            return Ok(Arc::clone(known));
        }
        let training = match self.read(digest).await {
            Ok(training) => training,
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => {
                warn!(model = digest, %error, "no reference to compare with");
                Training::default()
            }
        };
        let training = Arc::new(training);
        self.known.insert(digest.to_owned(), Arc::clone(&training));
        Ok(training)
    }

    async fn read(&self, digest: &str) -> Result<Training, MonitoringError> {
        let damaged = |reason: String| MonitoringError::Stored { path: format!("models/{digest}"), reason };
        let digest = Digest::parse(digest).ok_or_else(|| damaged("the digest is none".to_owned()))?;
        let bundle = load(&self.storage, &digest, &self.trusted).await?;
        let references =
            serde_json::from_slice(bundle.require(file::REFERENCE)?).map_err(|e| damaged(e.to_string()))?;
        let metric = |name: &str| bundle.manifest.about.metrics.get(name).copied();
        let auc = metric(AUC).map(|value| AucReference { value, low: metric(AUC_LOW).unwrap_or(value) });
        // A bundle is dated by the knowledge it was made from, so that making it again gives the same digest.
        Ok(Training { references, auc, as_of: Some(bundle.manifest.about.created_at) })
    }
}
