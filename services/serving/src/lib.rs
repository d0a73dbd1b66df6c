//! Predictions by the Open Inference Protocol v2, over gRPC and HTTP.
//!
//! Consumes registry aliases (`champion`, `first`) and prediction requests; produces answers and the prediction log
//! on the bus. Owns nothing but its spool folder. Features of entities come from the feature service; models come
//! from signed bundles and are swapped without a dropped request.

mod api_grpc;
mod api_rest;
pub mod bundle;
pub mod config;
pub mod domain;
pub mod error;
mod features;
mod infer;
pub mod log;
#[cfg(test)]
mod log_test;
mod metadata;
mod metrics;
mod models;
mod rest_body;
mod sender;
pub mod spool;

pub use config::Config;
pub use error::Error;

use crate::bundle::ModelStore;
use crate::features::FeatureClient;
use crate::infer::{Deployment, Serving};
use crate::log::{LogTasks, PredictionLog};
use crate::metrics::ServingMetrics;
use crate::sender::Target;
use futures::FutureExt as _;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tidemill_bus::Bus;
use tidemill_registry::{Registry, TrustedKeys};
use tidemill_runtime::{Backoff, Condition, Readiness, retry};
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tidemill_telemetry::Metrics;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long running requests may take to finish at the end.
const FINISH_WITHIN: Duration = Duration::from_secs(10);

/// What the role needs from its process.
pub struct Deps {
    /// The bus: aliases in, prediction log out.
    pub bus: Bus,
    /// The object store with the bundles.
    pub storage: Storage,
    /// Keys whose bundles may be taken into service.
    pub trusted: TrustedKeys,
    /// The applied projects; each names one deployment.
    pub specs: Vec<Arc<Spec>>,
    /// Feature service, `http://host:port`.
    pub feature_endpoint: String,
    /// Where gRPC is offered.
    pub grpc: TcpListener,
    /// Where HTTP is offered.
    pub http: TcpListener,
    /// Metrics of the process.
    pub metrics: Metrics,
    /// Readiness of the process: met when every deployment has a champion.
    pub readiness: Readiness,
    /// Cancelled when the role is to end.
    pub shutdown: CancellationToken,
    /// Folder for log messages while the bus is away.
    pub spool_dir: PathBuf,
    /// Limits.
    pub config: Config,
}

/// Serves until `shutdown` is cancelled; then finishes running requests and writes the log.
///
/// # Errors
/// A listener fails, the spool folder cannot be used, or a spec does not add up.
pub fn run(deps: Deps) -> impl Future<Output = Result<(), Error>> + Send {
    // Before anything can ask: without conditions a process counts as ready.
    let condition = |spec: &Arc<Spec>| deps.readiness.condition(format!("model of {}", spec.serve.deployment));
    let conditions = deps.specs.iter().map(condition).collect();
    role(deps, conditions)
}

async fn role(deps: Deps, conditions: Vec<Condition>) -> Result<(), Error> {
    let Deps { bus, storage, trusted, specs, feature_endpoint, grpc, http, .. } = deps;
    let Deps { metrics, readiness, shutdown, spool_dir, config, .. } = deps;
    let open = || Registry::open(&bus);
    let Some(registry) = retry("registry", &shutdown, Backoff::default(), open).await.map_err(unusable)? else {
        return Ok(());
    };
    let models = ModelStore { bus: bus.clone(), registry, storage, trusted };
    let (mut deployments, mut logs, mut followed) = (BTreeMap::new(), Vec::new(), Vec::new());
    for (spec, condition) in specs.into_iter().zip(conditions) {
        let name = spec.serve.deployment.clone();
        let target = Target::new(bus.clone(), spec.project.clone(), name.clone());
        let folder = spool_dir.join(spec.project.as_str()).join(name.as_str());
        let (log, tasks) = PredictionLog::open(target, &folder, &config)?;
        let features = FeatureClient::new(&feature_endpoint, spec.project.as_str(), &spec.features.entity.key)?;
        let deployment = Arc::new(Deployment::new(spec, features, log)?);
        followed.push((Arc::clone(&deployment), condition));
        deployments.insert(name.to_string(), deployment);
        logs.push(tasks);
    }
    // Cancelled by the process, or when a part of the role fails.
    let end = shutdown.child_token();
    let metrics = ServingMetrics::new(&metrics);
    let serving = Arc::new(Serving::new(deployments, config, metrics, end.clone()));
    let work = async {
        let follow = |(deployment, condition)| {
            models::follow(deployment, models.clone(), serving.metrics.clone(), condition, end.clone())
        };
        let following = futures::future::join_all(followed.into_iter().map(follow));
        let serve = serve(&serving, grpc, http, readiness, &end);
        let (result, _) = tokio::join!(serve, following);
        for deployment in serving.deployments.values() {
            deployment.log.flush().await;
            serving.metrics.log(&deployment.name, &deployment.log);
        }
        result
    };
    tokio::select! {
        result = work => result,
        // Not before the handles are dropped, which `serving` holds.
        () = futures::future::join_all(logs.into_iter().map(LogTasks::run)).map(|_| ()) => Ok(()),
    }
}

fn unusable(error: tidemill_registry::Error) -> Error {
    Error::Server { what: "registry", reason: error.to_string() }
}

/// Everything but the logs.
async fn serve(
    serving: &Arc<Serving>,
    grpc: TcpListener,
    http: TcpListener,
    readiness: Readiness,
    end: &CancellationToken,
) -> Result<(), Error> {
    let grpc_routes = api_grpc::routes(Arc::clone(serving))?;
    let grpc = async {
        let server = tidemill_runtime::grpc_server("predictions", grpc, grpc_routes, readiness.clone(), end.clone());
        let result = server.await.map_err(|e| Error::Server { what: "gRPC", reason: e.to_string() });
        end.cancel();
        result
    };
    let http = async {
        let server = axum::serve(http, api_rest::routes(Arc::clone(serving)));
        let result = server.with_graceful_shutdown(end.clone().cancelled_owned()).await;
        end.cancel();
        result.map_err(|e| Error::Server { what: "HTTP", reason: e.to_string() })
    };
    let gauges = async {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        while end.run_until_cancelled(tick.tick()).await.is_some() {
            for deployment in serving.deployments.values() {
                serving.metrics.log(&deployment.name, &deployment.log);
            }
        }
    };
    // A client that keeps a stream open must not keep the process from ending.
    let cut_off = async {
        end.cancelled().await;
        tokio::time::sleep(FINISH_WITHIN).await;
    };
    tokio::select! {
        (grpc, http, ()) = async { tokio::join!(grpc, http, gauges) } => grpc.and(http),
        () = cut_off => {
            tracing::warn!("clients were cut off after {} s of draining", FINISH_WITHIN.as_secs());
            Ok(())
        }
    }
}
