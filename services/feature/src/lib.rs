//! Point-in-time training sets and online values, from one engine.
//!
//! Consumes the event streams themselves (online) and the `clean/` tables (offline), both through the same
//! conform and row-rule code and the same operators. Produces feature vectors over gRPC, and training sets under
//! `features/<set>/`. Alone writes `features/`.

mod api;
mod config;
mod error;
mod lineage;
mod offline;
mod online;
mod store;

pub use config::Options;
pub use error::FeatureServiceError;

use std::sync::Arc;
use tidemill_bus::Bus;
use tidemill_contracts::feature::feature_service_server::FeatureServiceServer;
use tidemill_features::Plan;
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tidemill_telemetry::Metrics;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;

/// Largest gRPC message, both ways.
const MAX_MESSAGE: usize = 64 << 20;

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
    /// Where gRPC is served.
    pub listener: TcpListener,
}

/// Runs the role until `stop`.
///
/// # Errors
/// A plan that does not compile, a store or bus that does not come back.
pub async fn run(deps: Deps, stop: CancellationToken) -> Result<(), FeatureServiceError> {
    let plan = Arc::new(Plan::compile(&deps.spec)?);
    let online = online::Online::start(&deps, Arc::clone(&plan), &stop).await?;
    let offline = offline::Offline::new(&deps, Arc::clone(&plan));
    let (project, metrics) = (deps.spec.project.clone(), deps.metrics.clone());
    let service = api::Api { plan, online: online.reader(), offline, project, metrics };
    let server = FeatureServiceServer::new(service)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let serving = tonic::transport::Server::builder()
        .trace_fn(|request| tidemill_runtime::grpc_span(request.uri().path(), request.headers()))
        .add_service(server)
        .serve_with_incoming_shutdown(TcpIncoming::from(deps.listener), stop.cancelled());
    let (served, consumed) = tokio::join!(serving, online.finish());
    served?;
    consumed
}
