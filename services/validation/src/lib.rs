//! Raw rows into clean ones, quarantine and profiles.
//!
//! Rows are first mended as the project decided, then judged.
//!
//! Follows `raw/<project>/<source>` version by version; notices only wake it up, the clean table is the cursor.
//! Alone writes `clean/`, `quarantine/` and `profiles/`. A row of a raw table is afterwards in exactly one of
//! the clean and the quarantine table.

mod classify;
mod consumer;
mod covered;
mod error;
mod lineage;
mod memory;
mod replay;
mod reports;
mod rollup;
pub mod share;
mod store;
mod upkeep;

pub use error::ValidationError;
pub use store::{clean_table_path, profile_path, quarantine_table_path};
pub use upkeep::upkeep;

use std::sync::Arc;
use tidemill_bus::Bus;
use tidemill_runtime::Teller;
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tidemill_telemetry::Metrics;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What the role needs from the process.
pub struct Deps {
    /// The bus.
    pub bus: Bus,
    /// The object store.
    pub storage: Storage,
    /// The applied project.
    pub spec: Arc<Spec>,
    /// Metrics registry of the process.
    pub metrics: Metrics,
}

impl Deps {
    fn teller(&self) -> Teller<'_> {
        Teller { role: "validation", bus: &self.bus, project: &self.spec.project }
    }
}

/// Runs one consumer per source until `stop`.
///
/// # Errors
/// The first consumer that cannot go on; the others are stopped.
pub async fn run(deps: Deps, stop: CancellationToken) -> Result<(), ValidationError> {
    let deps = Arc::new(deps);
    let mut consumers = JoinSet::new();
    for source in deps.spec.sources.keys() {
        consumers.spawn(consumer::run(Arc::clone(&deps), source.clone(), stop.child_token()));
    }
    let mut first_failure = Ok(());
    while let Some(ended) = consumers.join_next().await {
        let result = ended.unwrap_or_else(|e| Err(ValidationError::Task(e.to_string())));
        if result.is_err() && first_failure.is_ok() {
            stop.cancel();
            first_failure = result;
        }
    }
    first_failure
}
