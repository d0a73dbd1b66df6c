//! One prediction request from tensors to answer: admit, read features, predict, log.

use crate::bundle::LoadedModel;
use crate::config::Config;
use crate::domain::answer::{Answer, PRESENT, ages_s};
use crate::domain::entry::Entry;
use crate::domain::router::Routes;
use crate::domain::row::{Question, Signature, question};
use crate::domain::tensor::Tensor;
use crate::error::Error;
use crate::features::{FeatureClient, FeatureRows};
use crate::log::{Pending, PredictionLog};
use crate::metrics::ServingMetrics;
use crate::sender::blocking;
use arrow::array::{Array, ArrayRef, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::DataType;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tidemill_spec::Spec;
use tidemill_types::{Classified as _, Millis};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Instrument as _, info_span};
use uuid::Uuid;

/// A request of either protocol, decoded.
#[derive(Debug, Default)]
pub(crate) struct Request {
    /// Deployment.
    pub(crate) model: String,
    /// Digest or prefix of one; empty: the champion.
    pub(crate) version: String,
    /// Input tensors.
    pub(crate) tensors: Vec<Tensor>,
    /// Names of the outputs wanted; empty: all.
    pub(crate) outputs: Vec<String>,
    /// Time left, when the caller said.
    pub(crate) deadline: Option<Duration>,
    /// W3C trace context of the caller.
    pub(crate) traceparent: Option<String>,
}

/// An answer in tensors.
#[derive(Debug)]
pub(crate) struct Response {
    /// The facts, parameters included.
    pub(crate) answer: Answer,
    /// Outputs in the order asked.
    pub(crate) outputs: Vec<Tensor>,
}

impl Response {
    /// Version that answered: the first twelve characters of its digest.
    pub(crate) fn version(&self) -> &str {
        self.answer.model.get(..12).unwrap_or(&self.answer.model)
    }
}

/// One deployment: routes, features and log.
pub(crate) struct Deployment {
    pub(crate) name: String,
    pub(crate) spec: Arc<Spec>,
    pub(crate) key_type: DataType,
    routes: RwLock<Arc<Routes<LoadedModel>>>,
    features: FeatureClient,
    pub(crate) log: PredictionLog,
}

impl Deployment {
    pub(crate) fn new(spec: Arc<Spec>, features: FeatureClient, log: PredictionLog) -> Result<Self, Error> {
        let entity = &spec.features.entity;
        let column = spec.sources.get(&entity.source).and_then(|s| s.columns.get(&entity.key));
        let key_type = column.map(|c| c.kind.arrow()).ok_or_else(|| {
            Error::BadRequest(format!("the entity key \"{}\" is no column of source \"{}\"", entity.key, entity.source))
        })?;
        let name = spec.serve.deployment.to_string();
        Ok(Self { name, spec, key_type, routes: RwLock::default(), features, log })
    }

    /// The routes of this instant; a swap does not touch them.
    pub(crate) fn routes(&self) -> Arc<Routes<LoadedModel>> {
        Arc::clone(&self.routes.read())
    }

    /// Puts other routes in place. Requests under way keep theirs.
    pub(crate) fn swap(&self, change: impl FnOnce(&Routes<LoadedModel>) -> Routes<LoadedModel>) {
        let mut routes = self.routes.write();
        *routes = Arc::new(change(&routes));
    }

    fn signature(&self, model: &LoadedModel, max_rows: usize) -> Signature {
        let key = self.spec.features.entity.key.clone();
        Signature { key, key_type: self.key_type.clone(), features: model.features.clone(), max_rows }
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.spec.serve.deadline.millis()).unwrap_or(0))
    }
}

/// All deployments and the limits they share.
pub(crate) struct Serving {
    pub(crate) deployments: BTreeMap<String, Arc<Deployment>>,
    pub(crate) config: Config,
    pub(crate) metrics: ServingMetrics,
    admission: Semaphore,
    shutdown: CancellationToken,
}

impl Serving {
    pub(crate) fn new(
        deployments: BTreeMap<String, Arc<Deployment>>,
        config: Config,
        metrics: ServingMetrics,
        shutdown: CancellationToken,
    ) -> Self {
        let admission = Semaphore::new(config.concurrent_requests);
        Self { deployments, config, metrics, admission, shutdown }
    }

    /// Whether every deployment has a champion and no end is near.
    pub(crate) fn is_ready(&self) -> bool {
        !self.shutdown.is_cancelled() && self.deployments.values().all(|d| d.routes().champion().is_some())
    }

    /// The deployment of that name.
    pub(crate) fn deployment(&self, name: &str) -> Result<&Arc<Deployment>, Error> {
        self.deployments.get(name).ok_or_else(|| {
            let known: Vec<_> = self.deployments.keys().map(String::as_str).collect();
            Error::UnknownModel { name: name.to_owned(), known: known.join(", ") }
        })
    }

    /// Answers a request, counts it and traces it.
    pub(crate) async fn infer(&self, request: Request) -> Result<Response, Error> {
        let begin = Instant::now();
        let known = self.deployments.get(&request.model).map_or("", |d| d.name.as_str());
        let span = info_span!("infer", deployment = known, rows = Empty, model = Empty);
        if let Some(parent) = &request.traceparent {
            tidemill_telemetry::set_parent(&span, parent);
        }
        let result = self.within_deadline(request).instrument(span.clone()).await;
        match &result {
            Ok(response) => {
                span.record("model", response.version());
                self.metrics.answered(known, response, begin.elapsed());
            }
            Err(error) => {
                tidemill_telemetry::failed(&span, error.code());
                self.metrics.failed(known, error.code());
                tracing::debug!(code = %error.code(), "a prediction request failed: {error}");
            }
        }
        result
    }

    async fn within_deadline(&self, request: Request) -> Result<Response, Error> {
        if self.shutdown.is_cancelled() {
            return Err(Error::Draining);
        }
        let deployment = self.deployment(&request.model)?;
        deployment.log.has_room()?;
        let limit = self.config.concurrent_requests;
        let _admitted = self.admission.try_acquire().map_err(|_| Error::Overloaded(limit))?;
        let patience = request.deadline.map_or(deployment.patience(), |d| d.min(deployment.patience()));
        let expired = Error::Deadline(u64::try_from(patience.as_millis()).unwrap_or(u64::MAX));
        let answer = self.answer(deployment, &request, patience);
        tokio::time::timeout(patience, answer).await.unwrap_or(Err(expired))
    }

    async fn answer(&self, deployment: &Deployment, request: &Request, patience: Duration) -> Result<Response, Error> {
        let route = deployment.routes().route(&deployment.name, &request.version)?;
        let signature = deployment.signature(&route.answers, self.config.rows_per_request);
        let asked = question(&signature, &request.tensors)?;
        tracing::Span::current().record("rows", asked.rows());
        let (keys, rows) = self.rows(deployment, asked, patience).await?;
        let scores = self.score(&route.answers, &rows.features).instrument(info_span!("score")).await?;
        let (scores, alerted) = Answer::decide(scores, &rows.statuses, route.answers.threshold);
        let newest_as_of = rows.as_of.values().iter().copied().max().unwrap_or_default();
        let answer = Answer {
            model: route.answers.digest.to_string(),
            variant: route.variant,
            trace_id: tidemill_telemetry::current_trace_id(),
            plan_digest: rows.plan_digest,
            feature_ages_s: ages_s(rows.newest_known_ms, newest_as_of),
            prediction_ids: scores.iter().map(|_| Uuid::now_v7().to_string()).collect(),
            scores,
            alerted,
            statuses: rows.statuses,
        };
        // Before the log, because what cannot be answered must not be logged.
        let outputs = answer.outputs(&request.outputs)?;
        let entry = Entry::new(&answer, keys, rows.as_of, now(), rows.features)?;
        let traceparent = tidemill_telemetry::current_traceparent();
        deployment.log.record(Pending {
            entry,
            answered_by: answer.model.clone(),
            shadow: route.shadow,
            traceparent,
        })?;
        Ok(Response { answer, outputs })
    }

    /// Keys for the log, and feature rows, fetched when only keys came.
    async fn rows(
        &self,
        deployment: &Deployment,
        asked: Question,
        patience: Duration,
    ) -> Result<(ArrayRef, FeatureRows), Error> {
        match asked {
            Question::Entities { keys, as_of } => {
                // A tenth less, so that its answer to a passed deadline, which says what lagged, comes before ours.
                let rows = deployment.features.read(Arc::clone(&keys), as_of, patience - patience / 10).await?;
                Ok((keys, rows))
            }
            Question::Rows { features, keys, as_of } => {
                let n = keys.len();
                let as_of = as_of.unwrap_or_else(|| TimestampMillisecondArray::from(vec![now().0; n]));
                let statuses = vec![PRESENT.to_owned(); n];
                let (plan_digest, newest_known_ms) = (String::new(), BTreeMap::new());
                Ok((keys, FeatureRows { features, as_of, statuses, plan_digest, newest_known_ms }))
            }
        }
    }

    /// Small batches here, large ones off the network threads.
    async fn score(&self, model: &Arc<LoadedModel>, features: &RecordBatch) -> Result<Vec<f64>, Error> {
        if features.num_rows() <= self.config.inline_rows {
            return model.score(features);
        }
        let (model, features) = (Arc::clone(model), features.clone());
        blocking(move || model.score(&features)).await
    }
}

/// This instant.
pub(crate) fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
