//! What the demo asks of the services, over the same gRPC that anybody uses.

use anyhow::{Context, Result, bail, ensure};
use std::time::{Duration, Instant};
use tidemill_contracts::evaluation::evaluation_service_client::EvaluationServiceClient;
use tidemill_contracts::feature::feature_service_client::FeatureServiceClient;
use tidemill_contracts::feature::{BuildTrainingSetRequest, DescribeRequest};
use tidemill_contracts::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use tidemill_contracts::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use tidemill_contracts::inference::{InferTensorContents, ModelInferRequest, ModelReadyRequest};
use tidemill_contracts::monitoring::monitoring_service_client::MonitoringServiceClient;
use tidemill_contracts::monitoring::{PerformanceRequest, StatusRequest, StatusResponse};
use tidemill_contracts::training::TrainRequest;
use tidemill_contracts::training::training_service_client::TrainingServiceClient;
use tidemill_types::Millis;
use tonic::transport::Channel;

/// Largest answer taken.
const MAX_MESSAGE: usize = 64 << 20;

/// Longest wait for a promoted model to answer.
const SWAP_PATIENCE: Duration = Duration::from_secs(30);

/// Clients of every service.
pub(super) struct Clients {
    feature: FeatureServiceClient<Channel>,
    training: TrainingServiceClient<Channel>,
    monitoring: MonitoringServiceClient<Channel>,
    inference: GrpcInferenceServiceClient<Channel>,
    /// Kept for commands that promote and roll back.
    _evaluation: EvaluationServiceClient<Channel>,
    project: String,
    deployment: String,
    key: String,
}

impl Clients {
    pub(super) async fn connect(endpoints: &crate::up::Endpoints, spec: &tidemill_spec::Spec) -> Result<Self> {
        let channel = |url: &str| Channel::from_shared(url.to_owned());
        Ok(Self {
            feature: FeatureServiceClient::new(channel(&endpoints.feature)?.connect().await?)
                .max_decoding_message_size(MAX_MESSAGE),
            training: TrainingServiceClient::new(channel(&endpoints.training)?.connect().await?),
            monitoring: MonitoringServiceClient::new(channel(&endpoints.monitoring)?.connect().await?)
                .max_decoding_message_size(MAX_MESSAGE),
            inference: GrpcInferenceServiceClient::new(channel(&endpoints.serving_grpc)?.connect().await?)
                .max_decoding_message_size(MAX_MESSAGE),
            _evaluation: EvaluationServiceClient::new(channel(&endpoints.evaluation)?.connect().await?),
            project: spec.project.to_string(),
            deployment: spec.serve.deployment.to_string(),
            key: spec.features.entity.key.clone(),
        })
    }

    /// Asks for a training cycle at an instant; returns its id.
    pub(super) async fn train(&mut self, as_of: Millis, reason: &str) -> Result<String> {
        let request = TrainRequest { project: self.project.clone(), as_of_ms: as_of.0, reason: reason.to_owned() };
        Ok(self.training.train(request).await?.into_inner().cycle_id)
    }

    /// Waits until a version of the model answers, as a client that must not miss a promotion does.
    pub(super) async fn wait_for_model(&mut self, digest: &str) -> Result<()> {
        let deadline = Instant::now() + SWAP_PATIENCE;
        while Instant::now() < deadline {
            let request = ModelReadyRequest { name: self.deployment.clone(), version: digest.to_owned() };
            if self.inference.model_ready(request).await.is_ok_and(|answer| answer.get_ref().ready) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("model {digest} did not become ready within {} s", SWAP_PATIENCE.as_secs())
    }

    /// Predicts entities at instants; returns how many answers came.
    pub(super) async fn predict(&mut self, keys: &[i64], as_of: &[Millis]) -> Result<usize> {
        let rows = i64::try_from(keys.len())?;
        let tensor = |name: &str, values: Vec<i64>| InferInputTensor {
            name: name.to_owned(),
            datatype: "INT64".to_owned(),
            shape: vec![rows],
            contents: Some(InferTensorContents { int64_contents: values, ..Default::default() }),
            ..Default::default()
        };
        let score = InferRequestedOutputTensor { name: "score".to_owned(), ..Default::default() };
        let request = ModelInferRequest {
            model_name: self.deployment.clone(),
            inputs: vec![tensor(&self.key, keys.to_vec()), tensor("as_of", as_of.iter().map(|t| t.0).collect())],
            outputs: vec![score],
            ..Default::default()
        };
        let answer = self.inference.model_infer(request).await?.into_inner();
        let score = answer.outputs.iter().find(|o| o.name == "score").context("the answer has no score")?;
        let answered = score.shape.first().copied().unwrap_or_default();
        ensure!(answered == rows, "asked for {rows} predictions, got {answered}");
        Ok(usize::try_from(answered)?)
    }

    /// Counts of the monitor.
    pub(super) async fn monitor(&mut self) -> Result<StatusResponse> {
        let request = StatusRequest { project: self.project.clone() };
        Ok(self.monitoring.status(request).await?.into_inner())
    }

    /// Rows that were taken back from online features.
    pub(super) async fn retracted(&mut self) -> Result<u64> {
        let request = DescribeRequest { project: self.project.clone() };
        Ok(self.feature.describe(request).await?.into_inner().retracted_rows)
    }

    /// Monthly reports, oldest first.
    pub(super) async fn months(&mut self) -> Result<Vec<serde_json::Value>> {
        let request = PerformanceRequest { project: self.project.clone(), window: "month".to_owned() };
        let windows = self.monitoring.performance(request).await?.into_inner().windows_json;
        windows.iter().map(|text| serde_json::from_str(text).context("a monthly report is no JSON")).collect()
    }

    /// A training set over the whole history up to an instant; returns its path.
    pub(super) async fn training_set(&mut self, to: Millis, known_by: Millis, name: &str) -> Result<String> {
        let request = BuildTrainingSetRequest {
            project: self.project.clone(),
            from_ms: 0,
            to_ms: to.0,
            known_by_ms: known_by.0,
            cycle_id: name.to_owned(),
        };
        Ok(self.feature.build_training_set(request).await?.into_inner().path)
    }
}
