//! Outcomes, performance, drift, alerts, retraining.
//!
//! Consumes the prediction log (`tm.predictions.<project>.<deployment>`) and the clean tables; produces reports per
//! calendar window of event time, alerts, and requests for retraining. Alone writes `predictions/`, `monitors/` and `lineage/`.
//! No decision looks at a clock: windows end by the watermark of the outcomes. Alerts on sources that fall silent do, and
//! decide nothing.

mod api;
mod board;
mod config;
pub mod domain;
mod error;
mod follow;
mod intake;
mod lineage;
mod models;
mod monitor;
pub mod openlineage;
mod publish;
mod rows;
mod silence;
mod store;
mod upkeep;
mod windows;

pub use config::Options;
pub use error::MonitoringError;
pub use store::{monitors_path, predictions_table_path};
pub use upkeep::upkeep;

use board::Board;
use std::sync::Arc;
use tidemill_bus::Bus;
use tidemill_contracts::monitoring::monitoring_service_server::MonitoringServiceServer;
use tidemill_registry::{Registry, TrustedKeys};
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tidemill_telemetry::Metrics;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;

/// What the role needs from the process.
pub struct Deps {
    /// The bus.
    pub bus: Bus,
    /// The object store.
    pub storage: Storage,
    /// The registry, for the champion and the references of models.
    pub registry: Registry,
    /// Keys whose bundles are believed.
    pub trusted: TrustedKeys,
    /// The applied project.
    pub spec: Arc<Spec>,
    /// Settings.
    pub options: Options,
    /// Metrics registry of the process.
    pub metrics: Metrics,
    /// Where gRPC is served.
    pub listener: TcpListener,
}

/// The same without the listener, shared by the parts of the role.
pub(crate) struct Role {
    pub(crate) bus: Bus,
    pub(crate) storage: Storage,
    pub(crate) registry: Registry,
    pub(crate) trusted: TrustedKeys,
    pub(crate) spec: Arc<Spec>,
    pub(crate) options: Options,
    pub(crate) metrics: Metrics,
}

/// Runs intake, monitor and API until `stop`; what is in hand is committed before it returns.
///
/// # Errors
/// The first part that cannot go on; the others are stopped.
pub async fn run(deps: Deps, stop: CancellationToken) -> Result<(), MonitoringError> {
    let Deps { bus, storage, registry, trusted, spec, options, metrics, listener } = deps;
    let deps = Arc::new(Role { bus, storage, registry, trusted, spec, options, metrics });
    let (board, committed) = (Board::default(), Arc::new(Notify::new()));
    let (conform, log) = intake::open(&deps).await?;
    let mut parts = JoinSet::new();
    let child = || stop.child_token();
    parts.spawn(intake::run(Arc::clone(&deps), conform, log.clone(), Arc::clone(&committed), child()));
    parts.spawn(monitor::run(Arc::clone(&deps), log, board.clone(), committed, child()));
    parts.spawn(lineage::run(Arc::clone(&deps), child()));
    if let Some(url) = &deps.options.lineage_url {
        let (bus, project, metrics) = (deps.bus.clone(), deps.spec.project.clone(), deps.metrics.clone());
        parts.spawn(openlineage::run(bus, project, url.clone(), metrics, child()));
    }
    let service = MonitoringServiceServer::new(api::Api { project: deps.spec.project.clone(), board });
    let serving = tonic::transport::Server::builder()
        .trace_fn(|request| tidemill_runtime::grpc_span(request.uri().path(), request.headers()))
        .add_service(service)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), child().cancelled_owned());
    parts.spawn(async move { Ok(serving.await?) });
    let mut first_failure = Ok(());
    while let Some(ended) = parts.join_next().await {
        let result = ended.unwrap_or_else(|e| Err(MonitoringError::Task(e.to_string())));
        if result.is_err() && first_failure.is_ok() {
            stop.cancel();
            first_failure = result;
        }
    }
    first_failure
}
