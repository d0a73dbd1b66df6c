//! Scorecards, gates, champions.
//!
//! Consumes candidates (notices), run records and bundles; alone opens the sealed test, and notes every opening.
//! Produces scorecards, model cards, verdicts as notices, and moves the aliases `champion` and `first`. Alone writes
//! `scorecards/` and the aliases.

mod api;
mod card;
mod consumer;
mod domain;
mod error;
mod inputs;
mod judgement;
mod lineage;
mod notices;
mod promotion;

pub use card::render;
pub use domain::gates::GateVerdict;
pub use domain::kpi::KpiResult;
pub use domain::scorecard::{AtThreshold, Comparison, LeakNote, NotCompared, Scorecard, Subject};
pub use domain::slices::Slice;
pub use domain::twins::Twins;
pub use error::EvaluationError;
pub use judgement::{card_path, scorecard_path};

use std::sync::Arc;
use tidemill_bus::Bus;
use tidemill_contracts::evaluation::evaluation_service_server::EvaluationServiceServer;
use tidemill_features::Plan;
use tidemill_registry::{Registry, TrustedKeys};
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tidemill_telemetry::Metrics;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;

/// What the role needs from the process. The streams `TM_NOTICES`, `TM_AUDIT` and `TM_DEAD` exist.
pub struct Deps {
    /// The bus.
    pub bus: Bus,
    /// The object store.
    pub storage: Storage,
    /// The applied project.
    pub spec: Arc<Spec>,
    /// Keys whose bundles may be judged and promoted.
    pub trusted: TrustedKeys,
    /// Metrics registry of the process.
    pub metrics: Metrics,
    /// Where gRPC is served.
    pub listener: TcpListener,
}

/// What every part of the role shares.
pub(crate) struct Context {
    pub(crate) bus: Bus,
    pub(crate) storage: Storage,
    pub(crate) spec: Arc<Spec>,
    pub(crate) plan: Plan,
    pub(crate) trusted: TrustedKeys,
    pub(crate) registry: Registry,
    pub(crate) metrics: Metrics,
}

/// Judges candidates and serves gRPC until `stop`. A judgement in hand is cut off and comes again.
///
/// # Errors
/// A plan that does not compile, a bus or store that does not come back.
pub async fn run(deps: Deps, stop: CancellationToken) -> Result<(), EvaluationError> {
    let context = Arc::new(Context {
        plan: Plan::compile(&deps.spec)?,
        registry: Registry::open(&deps.bus).await?,
        bus: deps.bus,
        storage: deps.storage,
        spec: deps.spec,
        trusted: deps.trusted,
        metrics: deps.metrics,
    });
    let mut tasks: JoinSet<Result<(), EvaluationError>> = JoinSet::new();
    tasks.spawn(consumer::run(Arc::clone(&context), stop.clone()));
    let stopped = stop.clone();
    tasks.spawn(async move {
        let service = EvaluationServiceServer::new(api::Api { context });
        let server = tonic::transport::Server::builder()
            .trace_fn(|request| tidemill_runtime::grpc_span(request.uri().path(), request.headers()))
            .add_service(service);
        Ok(server.serve_with_incoming_shutdown(TcpIncoming::from(deps.listener), stopped.cancelled()).await?)
    });
    let mut first_failure = Ok(());
    while let Some(ended) = tasks.join_next().await {
        let result = ended.unwrap_or_else(|e| Err(EvaluationError::Task(e.to_string())));
        if result.is_err() && first_failure.is_ok() {
            stop.cancel();
            first_failure = result;
        }
    }
    first_failure
}
