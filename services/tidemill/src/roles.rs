//! The table of roles: what each is called, what it comes after, and how it is started.

mod start;

use crate::error::{Error, Result};
use crate::process::{Endpoints, take};
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use tidemill_bus::Bus;
use tidemill_registry::{Registry, SigningKey, TrustedKeys};
use tidemill_runtime::{Config, Readiness, Supervisor};
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tidemill_telemetry::{Metrics, Recent};
use tokio::net::TcpListener;

/// One of the services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Events into raw tables.
    Ingestion,
    /// Raw rows into clean ones, quarantine and profiles.
    Validation,
    /// Training sets and online values.
    Feature,
    /// Candidates.
    Training,
    /// Verdicts.
    Evaluation,
    /// Predictions.
    Serving,
    /// Outcomes, drift and retraining.
    Monitoring,
    /// Pages for people.
    Console,
}

impl Role {
    /// All roles in the order of starting: each comes after those whose answers it needs.
    pub(crate) const ALL: [Self; 8] = [
        Self::Ingestion,
        Self::Validation,
        Self::Feature,
        Self::Training,
        Self::Evaluation,
        Self::Serving,
        Self::Monitoring,
        Self::Console,
    ];

    /// Name on the command line, in logs and in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ingestion => "ingestion",
            Self::Validation => "validation",
            Self::Feature => "feature",
            Self::Training => "training",
            Self::Evaluation => "evaluation",
            Self::Serving => "serving",
            Self::Monitoring => "monitoring",
            Self::Console => "console",
        }
    }

    /// Roles whose answers this one needs. They may run in other processes, and may be late: calls are repeated.
    pub(crate) fn after(self) -> &'static [Self] {
        match self {
            Self::Ingestion => &[],
            Self::Validation => &[Self::Ingestion],
            Self::Feature => &[Self::Validation],
            Self::Training => &[Self::Feature],
            Self::Evaluation => &[Self::Training],
            Self::Serving => &[Self::Feature, Self::Evaluation],
            Self::Monitoring => &[Self::Serving],
            Self::Console => &[Self::Feature, Self::Training, Self::Evaluation, Self::Monitoring],
        }
    }

    /// Where it answers by gRPC, `None` when it does not.
    pub(crate) fn endpoint(self, endpoints: &Endpoints) -> Option<&str> {
        match self {
            Self::Ingestion | Self::Validation | Self::Console => None,
            Self::Feature => Some(&endpoints.feature),
            Self::Training => Some(&endpoints.training),
            Self::Evaluation => Some(&endpoints.evaluation),
            Self::Serving => Some(&endpoints.serving_grpc),
            Self::Monitoring => Some(&endpoints.monitoring),
        }
    }

    /// The roles named on a command line, in the order of starting; `all` names every one.
    pub(crate) fn parse_list(names: &[String]) -> Result<Vec<Self>> {
        if names.iter().any(|name| name == "all") {
            return Ok(Self::ALL.to_vec());
        }
        let mut roles = names.iter().map(|name| name.parse()).collect::<Result<Vec<Self>>>()?;
        roles.sort_unstable();
        roles.dedup();
        Ok(roles)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::Usage(format!("\"{name}\" is no role; there are {names} and all"))
        })
    }
}

/// A place where a role listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Port {
    IngestionHttp,
    Shares,
    Feature,
    Training,
    Evaluation,
    ServingGrpc,
    ServingHttp,
    Monitoring,
    Console,
}

/// Addresses that are taken before any role starts, so that every role knows where the others answer.
#[derive(Debug, Default)]
pub(crate) struct Listeners(HashMap<Port, TcpListener>);

impl Listeners {
    /// Takes the addresses of `roles`; in `endpoints`, a port 0 becomes the port that was taken.
    pub(crate) async fn take(roles: &[Role], config: &Config, endpoints: &mut Endpoints) -> Result<Self> {
        let mut taken = HashMap::new();
        for role in roles {
            let places: &mut [(Port, &str, &str, &mut String)] = match role {
                Role::Ingestion => match &config.ingestion.http {
                    Some(http) => &mut [(Port::IngestionHttp, http, "ingestion.http", &mut endpoints.ingestion)],
                    None => &mut [],
                },
                Role::Validation => match &config.validation.flight {
                    Some(flight) => &mut [(Port::Shares, flight, "validation.flight", &mut endpoints.shares)],
                    None => &mut [],
                },
                Role::Feature => &mut [(Port::Feature, &config.feature.grpc, "feature.grpc", &mut endpoints.feature)],
                Role::Training => {
                    &mut [(Port::Training, &config.training.grpc, "training.grpc", &mut endpoints.training)]
                }
                Role::Evaluation => {
                    &mut [(Port::Evaluation, &config.evaluation.grpc, "evaluation.grpc", &mut endpoints.evaluation)]
                }
                Role::Serving => &mut [
                    (Port::ServingGrpc, &config.serving.grpc, "serving.grpc", &mut endpoints.serving_grpc),
                    (Port::ServingHttp, &config.serving.http, "serving.http", &mut endpoints.serving_http),
                ],
                Role::Monitoring => {
                    &mut [(Port::Monitoring, &config.monitoring.grpc, "monitoring.grpc", &mut endpoints.monitoring)]
                }
                Role::Console => &mut [(Port::Console, &config.console.http, "console.http", &mut endpoints.console)],
            };
            for (port, address, key, endpoint) in places {
                let (listener, url) = take(address, role.name(), key).await?;
                **endpoint = url;
                taken.insert(*port, listener);
            }
        }
        Ok(Self(taken))
    }

    fn give(&mut self, port: Port) -> Result<TcpListener> {
        let missing = || Error::Usage(format!("the address of {port:?} was not taken, or given away already"));
        self.0.remove(&port).ok_or_else(missing)
    }
}

/// What the roles of a process share.
pub(crate) struct Context {
    /// Settings.
    pub(crate) config: Config,
    /// The bus.
    pub(crate) bus: Bus,
    /// The object store.
    pub(crate) storage: Storage,
    /// The project in force.
    pub(crate) spec: Arc<Spec>,
    /// Metrics of the process.
    pub(crate) metrics: Metrics,
    /// Readiness of the process.
    pub(crate) readiness: Readiness,
    /// Tasks of the process.
    pub(crate) supervisor: Supervisor,
    /// Where all roles answer.
    pub(crate) endpoints: Endpoints,
    /// Taken addresses.
    pub(crate) listeners: Listeners,
    /// Model versions and aliases.
    pub(crate) registry: Registry,
    /// Signs bundles; only training has it.
    pub(crate) key: Option<SigningKey>,
    /// Keys whose bundles are loaded.
    pub(crate) trusted: TrustedKeys,
    /// The latest traces of the process.
    pub(crate) recent: Recent,
}

impl Context {
    /// Starts a role as a task of the process. Its failure ends the process.
    pub(crate) fn start(&mut self, role: Role) -> Result<()> {
        tracing::info!(%role, "starting");
        match role {
            Role::Ingestion => self.start_ingestion(),
            Role::Validation => self.start_validation(),
            Role::Feature => self.start_feature(),
            Role::Training => self.start_training(),
            Role::Evaluation => self.start_evaluation(),
            Role::Serving => self.start_serving(),
            Role::Monitoring => self.start_monitoring(),
            Role::Console => self.start_console(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_starts_after_those_it_needs() {
        for (at, role) in Role::ALL.into_iter().enumerate() {
            assert!(role.after().iter().all(|before| Role::ALL[..at].contains(before)), "{role}");
            assert_eq!(role.name().parse::<Role>().unwrap(), role);
        }
    }

    #[test]
    fn roles_named_on_a_command_line_come_in_the_order_of_starting() {
        let named = ["serving".to_owned(), "ingestion".to_owned(), "serving".to_owned()];
        assert_eq!(Role::parse_list(&named).unwrap(), [Role::Ingestion, Role::Serving]);
        assert_eq!(Role::parse_list(&["all".to_owned()]).unwrap(), Role::ALL);
        assert!(Role::parse_list(&["servin".to_owned()]).is_err());
    }
}
