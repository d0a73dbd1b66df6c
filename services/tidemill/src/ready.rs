//! Asking services whether they answer. A port that is taken proves nothing; an answer does.

use crate::roles::Role;
use std::time::Duration;
use tidemill_runtime::Readiness;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const PAUSE: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(5);

/// What a service says about its health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// Does its work.
    Serving,
    /// Answers, but cannot do its work yet.
    NotServing,
    /// Answers, without a word about its health.
    Answers,
    /// Does not answer.
    Unreachable,
}

impl Health {
    /// The word shown to people.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Serving => "ready",
            Self::NotServing => "not ready",
            Self::Answers => "answers",
            Self::Unreachable => "unreachable",
        }
    }
}

/// Asks once for the health of the whole.
pub(crate) async fn ask(url: &str) -> Health {
    ask_for(url, "").await
}

/// Asks once for the health of a named part.
pub(crate) async fn ask_for(url: &str, part: &str) -> Health {
    use tonic_health::pb::health_check_response::ServingStatus;
    let Ok(endpoint) = Endpoint::from_shared(url.to_owned()) else { return Health::Unreachable };
    let Ok(channel) = endpoint.connect_timeout(PATIENCE).timeout(PATIENCE).connect().await else {
        return Health::Unreachable;
    };
    match HealthClient::new(channel).check(HealthCheckRequest { service: part.to_owned() }).await {
        Ok(answer) if answer.get_ref().status() == ServingStatus::Serving => Health::Serving,
        Ok(_) => Health::NotServing,
        Err(status) => match status.code() {
            tonic::Code::Unavailable | tonic::Code::DeadlineExceeded | tonic::Code::Cancelled => Health::Unreachable,
            _ => Health::Answers,
        },
    }
}

/// Waits until all roles answer; the condition of each is met when it does.
pub(crate) async fn all_answer(addresses: Vec<(Role, String)>, readiness: &Readiness) {
    let waiting = addresses.into_iter().map(|(role, url)| {
        let condition = readiness.condition(role.name());
        async move {
            while ask(&url).await == Health::Unreachable {
                condition.unmet(format!("{url} does not answer yet"));
                tokio::time::sleep(PAUSE).await;
            }
            condition.met();
        }
    });
    futures::future::join_all(waiting).await;
}
