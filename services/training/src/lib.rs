//! Candidates from feature snapshots.
//!
//! Consumes requests to retrain (notices and gRPC), training sets of the feature service and trial jobs; produces
//! signed bundles with their lineage, run records and notices. Alone writes `models/` and `runs/`. Labels of the
//! sealed test are dropped before anything is fitted; evaluation alone opens them.

mod api;
mod bundle;
mod candidate;
mod config;
mod consumer;
mod cycle;
mod domain;
mod error;
mod features;
mod lineage;
mod notices;
mod protocol;
mod quality;
mod store;
mod worker;

pub use config::Options;
pub use domain::fit::TrialScore;
pub use domain::leaks::{ColumnRole, LeakFinding, LeakKind};
pub use domain::record::{
    Chosen, Failure, RunRecord, RunState, Sealed, SetRef, TrialOutcome, TrialRecord, TrialSummary, WindowRows,
};
pub use domain::windows::Windows;
pub use error::TrainingError;
pub use protocol::{StaticReport, StaticScores, static_protocol};
pub use store::{baseline_folder, run_path, trial_path};

use crate::features::FeatureClient;
use crate::store::Sets;
use std::sync::Arc;
use tidemill_bus::Bus;
use tidemill_contracts::training::training_service_server::TrainingServiceServer;
use tidemill_features::Plan;
use tidemill_registry::{Registry, SigningKey};
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tidemill_telemetry::Metrics;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;

/// What the role needs from the process. The streams `TM_NOTICES`, `TM_WORK` and `TM_DEAD` exist.
pub struct Deps {
    /// The bus.
    pub bus: Bus,
    /// The object store.
    pub storage: Storage,
    /// The applied project.
    pub spec: Arc<Spec>,
    /// Signs bundles.
    pub signing_key: SigningKey,
    /// Settings.
    pub options: Options,
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
    pub(crate) signing_key: SigningKey,
    pub(crate) registry: Registry,
    pub(crate) options: Options,
    pub(crate) metrics: Metrics,
    pub(crate) features: FeatureClient,
    pub(crate) sets: Sets,
}

/// Runs coordinator, trial workers and gRPC until `stop`. A cycle in hand is cut off and goes on at the next start.
///
/// # Errors
/// A plan that does not compile, a bus or store that does not come back.
pub async fn run(deps: Deps, stop: CancellationToken) -> Result<(), TrainingError> {
    let plan = Plan::compile(&deps.spec)?;
    let context = Arc::new(Context {
        registry: Registry::open(&deps.bus).await?,
        features: FeatureClient::new(&deps.options.feature_url, deps.spec.project.as_str())?,
        sets: Sets::new(deps.storage.clone(), Arc::clone(plan.schema())),
        plan,
        bus: deps.bus,
        storage: deps.storage,
        spec: deps.spec,
        signing_key: deps.signing_key,
        options: deps.options,
        metrics: deps.metrics,
    });
    let mut tasks: JoinSet<Result<(), TrainingError>> = JoinSet::new();
    tasks.spawn(consumer::run(Arc::clone(&context), stop.clone()));
    for _ in 0..context.options.workers {
        tasks.spawn(worker::run(Arc::clone(&context), stop.clone()));
    }
    let server = TrainingServiceServer::new(api::Api { context }).max_encoding_message_size(MAX_MESSAGE);
    let stopped = stop.clone();
    tasks.spawn(async move {
        let server = tonic::transport::Server::builder()
            .trace_fn(|request| tidemill_runtime::grpc_span(request.uri().path(), request.headers()))
            .add_service(server);
        Ok(server.serve_with_incoming_shutdown(TcpIncoming::from(deps.listener), stopped.cancelled()).await?)
    });
    let mut first_failure = Ok(());
    while let Some(ended) = tasks.join_next().await {
        let result = ended.unwrap_or_else(|e| Err(TrainingError::Task(e.to_string())));
        if result.is_err() && first_failure.is_ok() {
            stop.cancel();
            first_failure = result;
        }
    }
    first_failure
}

/// Largest answer: a list of run records.
const MAX_MESSAGE: usize = 64 << 20;
