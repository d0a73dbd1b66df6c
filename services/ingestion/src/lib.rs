//! Data events into raw tables, exactly once.
//!
//! Consumes `tm.events.<project>.<source>`; produces commits of `raw/<project>/<source>`, dead letters and a notice
//! for every commit. Alone writes `raw/`. The promise and its proof stand in `tidemill-intake`.

mod config;
mod consumer;
mod error;

pub use config::Options;
pub use consumer::raw_table_path;
pub use error::IngestionError;

use std::sync::Arc;
use tidemill_bus::Bus;
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
    /// Settings.
    pub options: Options,
    /// Metrics registry of the process.
    pub metrics: Metrics,
}

/// Runs one consumer per source until `stop`; what is in hand is committed before it returns.
///
/// # Errors
/// The first consumer that cannot go on; the others are stopped.
pub async fn run(deps: Deps, stop: CancellationToken) -> Result<(), IngestionError> {
    let deps = Arc::new(deps);
    let mut consumers = JoinSet::new();
    for source in deps.spec.sources.keys() {
        let consumer = consumer::run(Arc::clone(&deps), source.clone(), stop.child_token());
        consumers.spawn(consumer);
    }
    let mut first_failure = Ok(());
    while let Some(ended) = consumers.join_next().await {
        let result = ended.unwrap_or_else(|e| Err(IngestionError::Task(e.to_string())));
        if result.is_err() && first_failure.is_ok() {
            stop.cancel();
            first_failure = result;
        }
    }
    first_failure
}
