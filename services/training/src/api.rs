//! The gRPC face of training.

use crate::Context;
use crate::error::TrainingError;
use crate::notices::tell;
use crate::store::run_path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tidemill_contracts::events::{RetrainRequested, notice::Fact};
use tidemill_contracts::training::training_service_server::TrainingService;
use tidemill_contracts::training::{
    ListRunsRequest, ListRunsResponse, ShowRunRequest, ShowRunResponse, TrainRequest, TrainResponse,
};
use tidemill_runtime::to_status;
use tidemill_types::{CycleId, Millis};
use tonic::{Request, Response, Status};

/// Newest runs in a list.
const LISTED: usize = 200;

/// The service.
pub(crate) struct Api {
    pub(crate) context: Arc<Context>,
}

#[tonic::async_trait]
impl TrainingService for Api {
    async fn train(&self, request: Request<TrainRequest>) -> Result<Response<TrainResponse>, Status> {
        let request = request.into_inner();
        self.train_cycle(&request).await.map(Response::new).map_err(|e| to_status(&e))
    }

    async fn list_runs(&self, request: Request<ListRunsRequest>) -> Result<Response<ListRunsResponse>, Status> {
        self.list(&request.into_inner().project).await.map(Response::new).map_err(|e| to_status(&e))
    }

    async fn show_run(&self, request: Request<ShowRunRequest>) -> Result<Response<ShowRunResponse>, Status> {
        let request = request.into_inner();
        self.show(&request.project, &request.run_id).await.map(Response::new).map_err(|e| to_status(&e))
    }
}

impl Api {
    fn check_project(&self, project: &str) -> Result<(), TrainingError> {
        let ours = &self.context.spec.project;
        if project == ours.as_str() {
            return Ok(());
        }
        Err(TrainingError::Request(format!("this service runs project {ours}, not \"{project}\"")))
    }

    /// Asks for a cycle as anybody else would: by notice, so that it survives this process.
    async fn train_cycle(&self, request: &TrainRequest) -> Result<TrainResponse, TrainingError> {
        self.check_project(&request.project)?;
        if request.reason.trim().is_empty() {
            return Err(TrainingError::Request("a reason is required".to_owned()));
        }
        let as_of = if request.as_of_ms == 0 { now() } else { Millis(request.as_of_ms) };
        let cycle_id = cycle_name(as_of)?;
        let fact = RetrainRequested { reason: request.reason.clone(), as_of_ms: as_of.0 };
        let context = &self.context;
        let told = tell(
            &context.bus,
            &context.spec.project,
            &cycle_id,
            ("retrain", "requested"),
            Fact::RetrainRequested(fact),
        );
        told.await?;
        Ok(TrainResponse { cycle_id })
    }

    async fn list(&self, project: &str) -> Result<ListRunsResponse, TrainingError> {
        self.check_project(project)?;
        let prefix = format!("runs/{project}");
        let mut paths: Vec<_> = self.context.storage.list(&prefix).await?.into_iter().map(|o| o.path).collect();
        let is_record = |path: &String| {
            let name = path.strip_prefix(&prefix).and_then(|p| p.strip_prefix('/')).unwrap_or_default();
            name.ends_with(".json") && !name.contains('/')
        };
        paths.retain(is_record);
        let mut runs_json = Vec::new();
        for path in paths.iter().rev().take(LISTED) {
            runs_json.push(String::from_utf8_lossy(&self.context.storage.get(path).await?).into_owned());
        }
        Ok(ListRunsResponse { runs_json })
    }

    async fn show(&self, project: &str, run: &str) -> Result<ShowRunResponse, TrainingError> {
        self.check_project(project)?;
        let missing = || TrainingError::NoRun(run.to_owned());
        run.parse::<CycleId>().map_err(|_| missing())?;
        match self.context.storage.get(&run_path(project, run)).await {
            Ok(bytes) => Ok(ShowRunResponse { run_json: String::from_utf8_lossy(&bytes).into_owned() }),
            Err(tidemill_storage::Error::NotFound(_)) => Err(missing()),
            Err(other) => Err(other.into()),
        }
    }
}

/// `m-<yyyymmddhhmmss>` of the instant: asking twice for the same instant asks for the same cycle.
pub(crate) fn cycle_name(as_of: Millis) -> Result<String, TrainingError> {
    let digits = as_of.to_utc().map(|t| t.format("%Y%m%d%H%M%S").to_string());
    let usual = digits.filter(|d| as_of.0 > 0 && d.len() == 14 && d.bytes().all(|b| b.is_ascii_digit()));
    let usual = usual.ok_or_else(|| TrainingError::Request(format!("{} ms is no instant to train as of", as_of.0)))?;
    Ok(format!("m-{usual}"))
}

pub(crate) fn now() -> Millis {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Millis(i64::try_from(elapsed).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_cycle_is_named_after_its_instant() {
        let name = cycle_name(Millis::parse("2013-02-01T00:00:00Z").unwrap()).unwrap();
        assert_eq!(name, "m-20130201000000");
        assert!(name.parse::<CycleId>().is_ok());
        assert!(cycle_name(Millis::MIN).is_err());
    }
}
