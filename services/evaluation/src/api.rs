//! The gRPC face of evaluation.

use crate::Context;
use crate::error::EvaluationError;
use crate::judgement::{card_path, scorecard_path};
use crate::promotion::{champion, promote, rollback};
use std::sync::Arc;
use tidemill_contracts::evaluation::evaluation_service_server::EvaluationService;
use tidemill_contracts::evaluation::{
    PromoteRequest, PromoteResponse, RollbackRequest, ShowScorecardRequest, ShowScorecardResponse,
};
use tidemill_runtime::to_status;
use tidemill_types::Digest;
use tonic::{Request, Response, Status};

/// The service.
pub(crate) struct Api {
    pub(crate) context: Arc<Context>,
}

#[tonic::async_trait]
impl EvaluationService for Api {
    async fn show_scorecard(
        &self,
        request: Request<ShowScorecardRequest>,
    ) -> Result<Response<ShowScorecardResponse>, Status> {
        self.show(&request.into_inner()).await.map(Response::new).map_err(|e| to_status(&e))
    }

    async fn promote(&self, request: Request<PromoteRequest>) -> Result<Response<PromoteResponse>, Status> {
        self.promote_by_hand(&request.into_inner()).await.map(Response::new).map_err(|e| to_status(&e))
    }

    async fn rollback(&self, request: Request<RollbackRequest>) -> Result<Response<PromoteResponse>, Status> {
        self.roll_back(&request.into_inner()).await.map(Response::new).map_err(|e| to_status(&e))
    }
}

impl Api {
    fn check_project(&self, project: &str) -> Result<(), EvaluationError> {
        let ours = &self.context.spec.project;
        if project == ours.as_str() {
            return Ok(());
        }
        Err(EvaluationError::Request(format!("this service runs project {ours}, not \"{project}\"")))
    }

    async fn show(&self, request: &ShowScorecardRequest) -> Result<ShowScorecardResponse, EvaluationError> {
        self.check_project(&request.project)?;
        let model = digest(&request.model_digest)?;
        let path = scorecard_path(&request.project, model.as_str());
        match self.context.storage.get(&path).await {
            Ok(bytes) => Ok(ShowScorecardResponse {
                scorecard_json: String::from_utf8_lossy(&bytes).into_owned(),
                card_path: card_path(&request.project, model.as_str()),
            }),
            Err(tidemill_storage::Error::NotFound(_)) => {
                Err(EvaluationError::Missing(format!("scorecard of model {}", model.short())))
            }
            Err(other) => Err(other.into()),
        }
    }

    /// A person's decision: gates do not bind it, the reason does.
    async fn promote_by_hand(&self, request: &PromoteRequest) -> Result<PromoteResponse, EvaluationError> {
        self.check_project(&request.project)?;
        let model = digest(&request.model_digest)?;
        signed(&request.by, &request.reason)?;
        // Verified before it may answer anybody.
        tidemill_registry::load(&self.context.storage, &model, &self.context.trusted).await?;
        let before = champion(&self.context).await?.map(|state| state.entry.digest);
        promote(&self.context, &model, before.as_ref(), &request.by, &request.reason).await?;
        Ok(PromoteResponse {
            champion: model.to_string(),
            previous: before.map(|digest| digest.to_string()).unwrap_or_default(),
        })
    }

    async fn roll_back(&self, request: &RollbackRequest) -> Result<PromoteResponse, EvaluationError> {
        self.check_project(&request.project)?;
        signed(&request.by, &request.reason)?;
        let (now, before) = rollback(&self.context, &request.by, &request.reason).await?;
        Ok(PromoteResponse { champion: now.to_string(), previous: before.to_string() })
    }
}

fn digest(text: &str) -> Result<Digest, EvaluationError> {
    Digest::parse(text).ok_or_else(|| EvaluationError::Request(format!("\"{text}\" is no model digest")))
}

fn signed(by: &str, reason: &str) -> Result<(), EvaluationError> {
    if by.trim().is_empty() || reason.trim().is_empty() {
        return Err(EvaluationError::Request("who does it and why are both required".to_owned()));
    }
    Ok(())
}
