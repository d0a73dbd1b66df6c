//! Data events into raw tables, exactly once; and what nobody publishes, fetched or taken over HTTP as data events.
//!
//! Consumes `tm.events.<project>.<source>`; produces commits of `raw/<project>/<source>`, dead letters and a notice
//! for every commit. Alone writes `raw/`. The promise and its proof stand in `tidemill-intake`. Of sources with an
//! origin it publishes the events itself, see `tidemill-sources`, and over HTTP it publishes for others.

mod alarm;
mod config;
mod consumer;
mod error;
mod lineage;
mod notices;
mod pull;
mod push;
mod refusals;
mod source;
mod upkeep;

pub use config::Options;
pub use consumer::raw_table_path;
pub use error::IngestionError;
pub use upkeep::upkeep;

use std::sync::Arc;
use tidemill_bus::Bus;
use tidemill_intake::Life;
use tidemill_runtime::Teller;
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tidemill_telemetry::Metrics;
use tokio::net::TcpListener;
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
    /// Where events are taken over HTTP; `None` takes none.
    pub http: Option<TcpListener>,
}

impl Deps {
    fn teller(&self) -> Teller<'_> {
        Teller { role: "ingestion", bus: &self.bus, project: &self.spec.project }
    }
}

/// Runs one consumer per source, a puller where the source has an origin, and the HTTP interface, until `stop`; what is
/// in hand is committed before it returns.
///
/// # Errors
/// The first task that cannot go on; the others are stopped.
pub async fn run(mut deps: Deps, stop: CancellationToken) -> Result<(), IngestionError> {
    let listener = deps.http.take();
    let deps = Arc::new(deps);
    let (mut tasks, life) = (JoinSet::new(), Life::begin());
    for name in deps.spec.sources.keys() {
        tasks.spawn(source::run(Arc::clone(&deps), name.clone(), life.clone(), stop.child_token()));
    }
    if let Some(listener) = listener {
        tasks.spawn(push::serve(Arc::clone(&deps), listener, stop.child_token()));
    }
    all(tasks, &stop).await
}

/// Waits for all tasks; the first failure stops the others and is the result.
async fn all(mut tasks: JoinSet<Result<(), IngestionError>>, stop: &CancellationToken) -> Result<(), IngestionError> {
    let mut first_failure = Ok(());
    while let Some(ended) = tasks.join_next().await {
        let result = ended.unwrap_or_else(|e| Err(IngestionError::Task(e.to_string())));
        if result.is_err() {
            stop.cancel();
        }
        first_failure = first_failure.and(result);
    }
    first_failure
}
