//! Client of the feature service: asks for training sets.

use crate::domain::record::SetRef;
use crate::error::TrainingError;
use std::time::Duration;
use tidemill_contracts::feature::BuildTrainingSetRequest;
use tidemill_contracts::feature::feature_service_client::FeatureServiceClient;
use tidemill_types::{ErrorKind, Millis};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tracing::{Instrument as _, info_span};

/// Asks the feature service; cheap to clone, connects when first used and again after a loss.
#[derive(Clone, Debug)]
pub(crate) struct FeatureClient {
    client: FeatureServiceClient<Channel>,
    project: String,
}

impl FeatureClient {
    /// A client for `http://host:port`; does not connect yet.
    pub(crate) fn new(url: &str, project: &str) -> Result<Self, TrainingError> {
        let channel = Endpoint::from_shared(url.to_owned())?.connect_timeout(Duration::from_secs(5)).connect_lazy();
        Ok(Self { client: FeatureServiceClient::new(channel), project: project.to_owned() })
    }

    /// A training set of everything that was known at `as_of`.
    pub(crate) async fn build(&self, cycle: &str, as_of: Millis) -> Result<SetRef, TrainingError> {
        let mut request = tonic::Request::new(BuildTrainingSetRequest {
            project: self.project.clone(),
            from_ms: 0,
            to_ms: as_of.0,
            known_by_ms: as_of.0,
            cycle_id: cycle.to_owned(),
        });
        let call = async {
            if let Some(parent) = tidemill_telemetry::current_traceparent().and_then(|t| t.parse().ok()) {
                request.metadata_mut().insert("traceparent", parent);
            }
            self.client.clone().build_training_set(request).await.map_err(|status| refused(&status))
        };
        let span = info_span!("/tidemill.feature.v1.FeatureService/BuildTrainingSet", otel.kind = "client");
        let built = call.instrument(span).await?;
        let built = built.into_inner();
        Ok(SetRef {
            path: built.path,
            digest: built.digest,
            plan_digest: built.plan_digest,
            rows: built.rows,
            labelled: built.labelled,
            table_versions: built.table_versions.into_iter().collect(),
        })
    }
}

fn refused(status: &tonic::Status) -> TrainingError {
    let kind = match status.code() {
        Code::InvalidArgument | Code::OutOfRange => ErrorKind::Invalid,
        Code::NotFound => ErrorKind::NotFound,
        Code::FailedPrecondition => ErrorKind::Refused,
        Code::PermissionDenied | Code::Unauthenticated => ErrorKind::Denied,
        Code::ResourceExhausted => ErrorKind::Overloaded,
        Code::DeadlineExceeded => ErrorKind::TimedOut,
        // A connection that broke shows as unknown or cancelled.
        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Aborted => ErrorKind::Unavailable,
        Code::DataLoss => ErrorKind::Corrupt,
        _ => ErrorKind::Internal,
    };
    TrainingError::Features { text: status.message().to_owned(), kind }
}
