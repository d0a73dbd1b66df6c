//! The other services as the console asks them: JSON texts of their contracts, parsed once.

use crate::answers::{DriftWindow, Window};
use crate::app::App;
use crate::error::{Error, Result};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tidemill_contracts::evaluation::evaluation_service_client::EvaluationServiceClient;
use tidemill_contracts::evaluation::{PromoteRequest, PromoteResponse, RollbackRequest, ShowScorecardRequest};
use tidemill_contracts::feature::feature_service_client::FeatureServiceClient;
use tidemill_contracts::feature::{DescribeRequest, ReadOnlineRequest, ReadOnlineResponse};
use tidemill_contracts::monitoring::monitoring_service_client::MonitoringServiceClient;
use tidemill_contracts::monitoring::{DriftRequest, PerformanceRequest, StatusRequest};
use tidemill_contracts::training::training_service_client::TrainingServiceClient;
use tidemill_contracts::training::{ListRunsRequest, ShowRunRequest};
use tidemill_runtime::errors::status_code_text;
use tidemill_types::ErrorKind;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

/// A page waits no longer than this for another service.
const WITHIN: Duration = Duration::from_secs(5);
/// Answers can hold many windows.
const MAX_ANSWER: usize = 64 << 20;

/// Addresses of the services, as URLs.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// The feature service.
    pub feature: String,
    /// The training service.
    pub training: String,
    /// The evaluation service.
    pub evaluation: String,
    /// The monitoring service.
    pub monitoring: String,
}

/// Clients of the services.
#[derive(Clone, Debug)]
pub struct Services {
    feature: FeatureServiceClient<Channel>,
    training: TrainingServiceClient<Channel>,
    evaluation: EvaluationServiceClient<Channel>,
    monitoring: MonitoringServiceClient<Channel>,
}

impl Services {
    /// Clients that connect when they are first used, and again after a loss.
    ///
    /// # Errors
    /// [`Error::Address`].
    pub fn new(addresses: &Addresses) -> Result<Self> {
        Ok(Self {
            feature: FeatureServiceClient::new(channel(&addresses.feature)?).max_decoding_message_size(MAX_ANSWER),
            training: TrainingServiceClient::new(channel(&addresses.training)?).max_decoding_message_size(MAX_ANSWER),
            evaluation: EvaluationServiceClient::new(channel(&addresses.evaluation)?)
                .max_decoding_message_size(MAX_ANSWER),
            monitoring: MonitoringServiceClient::new(channel(&addresses.monitoring)?)
                .max_decoding_message_size(MAX_ANSWER),
        })
    }
}

fn channel(url: &str) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(url.to_owned())
        .map_err(|e| Error::Address { url: url.to_owned(), reason: tidemill_runtime::errors::chain(&e) })?;
    Ok(endpoint.connect_timeout(WITHIN).timeout(WITHIN).connect_lazy())
}

impl App {
    /// All training runs, newest first: cycle, state, as_of, chosen, model_digest, seconds, reason, failure.
    ///
    /// # Errors
    /// The training service refuses or is away.
    pub async fn runs(&self) -> Result<Arc<Value>> {
        let ask = async {
            let request = ListRunsRequest { project: self.project().to_owned() };
            let answer = self.services.training.clone().list_runs(request).await.map_err(refused("training"))?;
            list("training", &answer.into_inner().runs_json)
        };
        self.remembered("runs", ask).await
    }

    /// One training run, whole.
    ///
    /// # Errors
    /// The training service does not know it, or is away.
    pub async fn run(&self, run: &str) -> Result<Arc<Value>> {
        let ask = async {
            let request = ShowRunRequest { project: self.project().to_owned(), run_id: run.to_owned() };
            let answer = self.services.training.clone().show_run(request).await.map_err(refused("training"))?;
            parsed("training", &answer.into_inner().run_json)
        };
        self.remembered(&format!("run:{run}"), ask).await
    }

    /// The scorecard of a model; fields `scorecard` and `card_path`.
    ///
    /// # Errors
    /// The evaluation service does not know it, or is away.
    pub async fn scorecard(&self, model_digest: &str) -> Result<Arc<Value>> {
        let ask = async {
            let (project, model_digest) = (self.project().to_owned(), model_digest.to_owned());
            let request = ShowScorecardRequest { project, model_digest };
            let answer = self.services.evaluation.clone().show_scorecard(request).await;
            let answer = answer.map_err(refused("evaluation"))?.into_inner();
            Ok(json!({
                "scorecard": parsed("evaluation", &answer.scorecard_json)?,
                "card_path": answer.card_path,
            }))
        };
        self.remembered(&format!("scorecard:{model_digest}"), ask).await
    }

    /// Reports of all windows of a kind (`week`, `month`), oldest first.
    ///
    /// # Errors
    /// The monitoring service is away.
    pub(crate) async fn windows(&self, kind: &str) -> Result<Arc<Vec<Window>>> {
        let ask = async {
            let request = PerformanceRequest { project: self.project().to_owned(), window: kind.to_owned() };
            let answer = self.services.monitoring.clone().performance(request).await.map_err(refused("monitoring"))?;
            typed("monitoring", &answer.into_inner().windows_json)
        };
        self.remembered(&format!("performance:{kind}"), ask).await
    }

    /// Drift of all features in all windows of a kind, oldest first.
    ///
    /// # Errors
    /// The monitoring service is away.
    pub(crate) async fn drift_windows(&self, kind: &str) -> Result<Arc<Vec<DriftWindow>>> {
        let ask = async {
            let request = DriftRequest { project: self.project().to_owned(), window: kind.to_owned() };
            let answer = self.services.monitoring.clone().drift(request).await.map_err(refused("monitoring"))?;
            typed("monitoring", &answer.into_inner().windows_json)
        };
        self.remembered(&format!("drift:{kind}"), ask).await
    }

    /// Counts and alerts: `predictions`, `outcomes`, `joined`, `alerts`.
    ///
    /// # Errors
    /// The monitoring service is away.
    pub async fn monitoring_status(&self) -> Result<Arc<Value>> {
        let ask = async {
            let request = StatusRequest { project: self.project().to_owned() };
            let answer = self.services.monitoring.clone().status(request).await.map_err(refused("monitoring"))?;
            let answer = answer.into_inner();
            Ok(json!({
                "predictions": answer.predictions,
                "outcomes": answer.outcomes,
                "joined": answer.joined,
                "alerts": list("monitoring", &answer.alerts_json)?,
            }))
        };
        self.remembered("monitoring", ask).await
    }

    /// The feature set as it runs online: plan_digest, features, watermark_ms, watermark_by_source_ms, rows_applied,
    /// state_entries, late_rows, waiting_sources, retracted_rows.
    ///
    /// # Errors
    /// The feature service is away.
    pub async fn feature_state(&self) -> Result<Arc<Value>> {
        let ask = async {
            let request = DescribeRequest { project: self.project().to_owned() };
            let answer = self.services.feature.clone().describe(request).await.map_err(refused("feature"))?;
            let answer = answer.into_inner();
            Ok(json!({
                "plan_digest": answer.plan_digest,
                "features": answer.features,
                "watermark_ms": answer.watermark_ms,
                "watermark_by_source_ms": answer.watermark_by_source_ms,
                "rows_applied": answer.rows_applied,
                "state_entries": answer.state_entries,
                "late_rows": answer.late_rows,
                "waiting_sources": answer.waiting_sources,
                "retracted_rows": answer.retracted_rows,
            }))
        };
        self.remembered("feature", ask).await
    }

    /// Feature vectors, online. Keys and rows are Arrow streams, see the contract.
    ///
    /// # Errors
    /// The feature service refuses or is away.
    pub async fn read_online(&self, keys: Vec<u8>, deadline: Duration) -> Result<ReadOnlineResponse> {
        let deadline_ms = i64::try_from(deadline.as_millis()).unwrap_or(i64::MAX);
        let request = ReadOnlineRequest { project: self.project().to_owned(), keys: keys.into(), deadline_ms };
        let answer = self.services.feature.clone().read_online(request).await.map_err(refused("feature"))?;
        Ok(answer.into_inner())
    }

    /// Makes a model the champion.
    ///
    /// # Errors
    /// Evaluation says no, or is away.
    pub(crate) async fn promote(&self, model_digest: String, by: String, reason: String) -> Result<PromoteResponse> {
        let request = PromoteRequest { project: self.project().to_owned(), model_digest, by, reason };
        let answer = self.services.evaluation.clone().promote(request).await.map_err(refused("evaluation"))?;
        self.answers.forget();
        Ok(answer.into_inner())
    }

    /// Makes the champion before the present one champion again.
    ///
    /// # Errors
    /// Evaluation says no, or is away.
    pub(crate) async fn roll_back(&self, by: String, reason: String) -> Result<PromoteResponse> {
        let request = RollbackRequest { project: self.project().to_owned(), by, reason };
        let answer = self.services.evaluation.clone().rollback(request).await.map_err(refused("evaluation"))?;
        self.answers.forget();
        Ok(answer.into_inner())
    }
}

fn parsed(service: &'static str, text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|e| Error::Answer { service, reason: e.to_string() })
}

fn list(service: &'static str, texts: &[String]) -> Result<Value> {
    texts.iter().map(|text| parsed(service, text)).collect::<Result<Vec<_>>>().map(Value::Array)
}

/// Texts as the fields that pages read. Long answers are not built up as a whole first.
fn typed<T: DeserializeOwned>(service: &'static str, texts: &[String]) -> Result<Vec<T>> {
    let one = |text: &String| serde_json::from_str(text).map_err(|e| Error::Answer { service, reason: e.to_string() });
    texts.iter().map(one).collect()
}

fn refused(service: &'static str) -> impl FnOnce(Status) -> Error {
    move |status| Error::Service {
        service,
        kind: kind(status.code()),
        text: match status.code() {
            Code::Unavailable if status_code_text(&status).is_none() => "does not answer".to_owned(),
            _ => status.message().to_owned(),
        },
        code: status_code_text(&status).map(str::to_owned),
    }
}

fn kind(code: Code) -> ErrorKind {
    match code {
        Code::InvalidArgument | Code::OutOfRange => ErrorKind::Invalid,
        Code::NotFound => ErrorKind::NotFound,
        Code::Aborted | Code::AlreadyExists => ErrorKind::Conflict,
        Code::FailedPrecondition => ErrorKind::Refused,
        Code::PermissionDenied | Code::Unauthenticated => ErrorKind::Denied,
        Code::DeadlineExceeded | Code::Cancelled => ErrorKind::TimedOut,
        Code::ResourceExhausted => ErrorKind::Overloaded,
        Code::Unavailable => ErrorKind::Unavailable,
        Code::DataLoss => ErrorKind::Corrupt,
        _ => ErrorKind::Internal,
    }
}
