//! Who may do what on the bus and in the store: the table from which keys get their permissions.
//!
//! What is not listed here is denied. The table names subjects and folders of whole projects, so that a key of one
//! role does not open the data of another.

use crate::{letters, subjects};
use tidemill_types::{DeploymentName, ProjectName, SourceName};

/// Somebody with a key of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identity {
    /// The ingestion role.
    Ingestion,
    /// The validation role.
    Validation,
    /// The feature role.
    Feature,
    /// The training role.
    Training,
    /// The evaluation role.
    Evaluation,
    /// The serving role.
    Serving,
    /// The monitoring role.
    Monitoring,
    /// The console.
    Console,
    /// A person at the command line, and the job that applies projects.
    Operator,
    /// A program outside that publishes data events and does nothing else.
    Producer,
}

impl Identity {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Ingestion,
        Self::Validation,
        Self::Feature,
        Self::Training,
        Self::Evaluation,
        Self::Serving,
        Self::Monitoring,
        Self::Console,
        Self::Operator,
        Self::Producer,
    ];

    /// Name of its folder of secrets; for roles, the name of the role.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingestion => "ingestion",
            Self::Validation => "validation",
            Self::Feature => "feature",
            Self::Training => "training",
            Self::Evaluation => "evaluation",
            Self::Serving => "serving",
            Self::Monitoring => "monitoring",
            Self::Console => "console",
            Self::Operator => "operator",
            Self::Producer => "producer",
        }
    }
}

/// What access depends on in a project.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Its name.
    pub project: ProjectName,
    /// Its sources.
    pub sources: Vec<SourceName>,
    /// Its deployment.
    pub deployment: DeploymentName,
}

impl Scope {
    fn events_streams(&self) -> impl Iterator<Item = String> {
        self.sources.iter().map(|source| subjects::events_stream(&self.project, source))
    }

    fn notices(&self, facts: &[&str]) -> Vec<String> {
        facts.iter().map(|fact| format!("tm.notices.{}.{fact}", self.project)).collect()
    }

    /// Every stream of the project and those that all projects share.
    fn streams(&self) -> Vec<String> {
        let mut streams: Vec<String> = self.events_streams().collect();
        streams.push(subjects::predictions_stream(&self.project, &self.deployment));
        streams.extend([subjects::NOTICES_STREAM, subjects::WORK_STREAM].map(str::to_owned));
        streams.extend([subjects::DEAD_STREAM, subjects::AUDIT_STREAM, subjects::LINEAGE_STREAM].map(str::to_owned));
        streams
    }
}

/// Subjects on which `identity` may publish, requests to the server included. Everybody subscribes to answers only.
#[must_use]
pub fn publishes(identity: Identity, scopes: &[Scope]) -> Vec<String> {
    let mut subjects = vec!["$JS.API.INFO".to_owned()];
    match identity {
        Identity::Producer => {}
        Identity::Operator => subjects.extend(operator()),
        _ => {
            subjects.extend(reads_bucket(subjects::PROJECTS_BUCKET));
            subjects.extend(reads_bucket(subjects::REGISTRY_BUCKET));
            subjects.push(stream_info(&bucket_stream(subjects::HEADS_BUCKET)));
            subjects.push(stream_info(&bucket_stream(letters::BUCKET)));
        }
    }
    for scope in scopes {
        subjects.extend(in_project(identity, scope));
    }
    subjects.sort();
    subjects.dedup();
    subjects
}

fn in_project(identity: Identity, scope: &Scope) -> Vec<String> {
    let project = &scope.project;
    let mut all = Vec::new();
    if !matches!(identity, Identity::Operator | Identity::Producer) {
        all.extend(scope.streams().iter().map(|stream| stream_info(stream)));
    }
    // Every role that makes something says what from.
    if !matches!(identity, Identity::Operator | Identity::Producer | Identity::Console) {
        all.push(subjects::lineage(project));
    }
    match identity {
        Identity::Ingestion => {
            all.extend(scope.events_streams().flat_map(|stream| reads(&stream)));
            all.extend(scope.sources.iter().map(|source| subjects::dead(project, source)));
            // What it fetches, and what others hand to it over HTTP.
            all.extend(scope.sources.iter().map(|source| subjects::events(project, source)));
            all.extend(scope.notices(&["raw.committed", "alert.raised", "alert.resolved"]));
            all.extend(writes_bucket(subjects::HEADS_BUCKET));
        }
        Identity::Validation => {
            all.extend(reads(subjects::NOTICES_STREAM));
            all.extend(scope.notices(&["clean.committed", "alert.raised"]));
            // Who was given what of the shared datasets.
            all.push(subjects::audit(project));
        }
        Identity::Feature => {
            all.extend(scope.events_streams().flat_map(|stream| reads(&stream)));
            // Whether a stream that was made anew is meant to be read.
            all.extend(reads_bucket(subjects::HEADS_BUCKET));
        }
        Identity::Training => {
            all.extend(works(subjects::NOTICES_STREAM, &format!("training-{project}")));
            all.extend(works(subjects::WORK_STREAM, "training-trials"));
            all.extend(scope.notices(&["candidate.trained", "retrain.requested", "alert.raised"]));
            all.push(subjects::work("training", "trial"));
            all.push(format!("tm.dead.{project}.training"));
            all.extend(writes_bucket(subjects::REGISTRY_BUCKET));
        }
        Identity::Evaluation => {
            all.extend(works(subjects::NOTICES_STREAM, &format!("evaluation-{project}")));
            all.extend(scope.notices(&["candidate.evaluated", "verdict.failed", "alert.raised"]));
            all.push(format!("tm.dead.{project}.evaluation"));
            all.push(subjects::audit(project));
            all.extend(writes_bucket(subjects::REGISTRY_BUCKET));
        }
        Identity::Serving => all.push(subjects::predictions(project, &scope.deployment)),
        Identity::Monitoring => {
            all.extend(reads(&subjects::predictions_stream(project, &scope.deployment)));
            all.extend(reads(subjects::NOTICES_STREAM));
            all.extend(reads(subjects::LINEAGE_STREAM));
            all.extend(scope.notices(&["retrain.requested", "alert.raised", "alert.resolved"]));
            all.extend(works(subjects::LINEAGE_STREAM, &subjects::lineage_sender(project)));
            all.push(format!("tm.dead.{project}.predictions"));
            all.push(format!("tm.dead.{project}.predictions-{}", scope.deployment));
            all.extend(writes_bucket(subjects::HEADS_BUCKET));
        }
        Identity::Console => {
            for stream in [subjects::NOTICES_STREAM, subjects::DEAD_STREAM, subjects::AUDIT_STREAM] {
                all.extend(reads(stream));
            }
            all.extend(reads_bucket(letters::BUCKET));
            all.extend(reads(&subjects::predictions_stream(project, &scope.deployment)));
        }
        Identity::Producer => all.extend(scope.sources.iter().map(|source| subjects::events(project, source))),
        Identity::Operator => {}
    }
    all
}

/// People may publish events and jobs' outcomes of every project, make streams and buckets, and read everything. They
/// may not delete or purge a stream.
fn operator() -> Vec<String> {
    let mut all: Vec<String> = ["tm.events.>", "tm.notices.>", "tm.audit.>"].map(str::to_owned).to_vec();
    for call in ["INFO", "NAMES", "LIST", "CREATE", "UPDATE", "MSG.GET"] {
        all.push(format!("$JS.API.STREAM.{call}"));
        all.push(format!("$JS.API.STREAM.{call}.*"));
    }
    for call in ["CREATE", "INFO", "MSG.NEXT", "NAMES", "LIST"] {
        all.push(format!("$JS.API.CONSUMER.{call}.>"));
    }
    all.push("$JS.API.DIRECT.GET.>".to_owned());
    all.push("$JS.FC.>".to_owned());
    all.push(format!("$KV.{}.>", subjects::PROJECTS_BUCKET));
    all.push(format!("$KV.{}.>", subjects::REGISTRY_BUCKET));
    all.push(format!("$KV.{}.>", letters::BUCKET));
    all.push(format!("$KV.{}.{}", subjects::HEADS_BUCKET, subjects::accepted_stream("*")));
    all
}

fn bucket_stream(bucket: &str) -> String {
    format!("KV_{bucket}")
}

fn stream_info(stream: &str) -> String {
    format!("$JS.API.STREAM.INFO.{stream}")
}

/// Reading a stream at one's own position, with consumers that nobody else knows.
fn reads(stream: &str) -> Vec<String> {
    let mut all = vec![stream_info(stream)];
    for call in ["CONSUMER.CREATE", "CONSUMER.INFO", "CONSUMER.MSG.NEXT", "DIRECT.GET"] {
        all.push(format!("$JS.API.{call}.{stream}.>"));
    }
    for call in ["CONSUMER.CREATE", "DIRECT.GET", "STREAM.MSG.GET"] {
        all.push(format!("$JS.API.{call}.{stream}"));
    }
    all.push(format!("$JS.FC.{stream}.>"));
    all
}

/// Taking jobs or notices by one durable consumer, and acknowledging them; in both forms of the acknowledgment.
fn works(stream: &str, durable: &str) -> Vec<String> {
    let mut all = vec![stream_info(stream)];
    for call in ["CREATE", "INFO", "MSG.NEXT"] {
        all.push(format!("$JS.API.CONSUMER.{call}.{stream}.{durable}"));
    }
    all.push(format!("$JS.API.CONSUMER.CREATE.{stream}.{durable}.>"));
    all.push(format!("$JS.ACK.{stream}.{durable}.>"));
    all.push(format!("$JS.ACK.*.*.{stream}.{durable}.>"));
    all
}

fn reads_bucket(bucket: &str) -> Vec<String> {
    reads(&bucket_stream(bucket))
}

fn writes_bucket(bucket: &str) -> Vec<String> {
    let mut all = reads_bucket(bucket);
    all.push(format!("$KV.{bucket}.>"));
    all
}

/// Top folders of the store in which `identity` writes; `None` for those that write anywhere, and make the bucket.
#[must_use]
pub fn folders_written(identity: Identity) -> Option<&'static [&'static str]> {
    match identity {
        Identity::Ingestion => Some(&["raw"]),
        // Whoever reads a table first makes it, empty.
        Identity::Validation => Some(&["raw", "clean", "quarantine", "profiles"]),
        Identity::Feature => Some(&["clean", "features"]),
        Identity::Training => Some(&["runs", "models"]),
        Identity::Evaluation => Some(&["scorecards"]),
        Identity::Monitoring => Some(&["clean", "predictions", "monitors", "lineage"]),
        Identity::Serving | Identity::Console | Identity::Producer => Some(&[]),
        Identity::Operator => None,
    }
}

/// Whether `identity` reads the store.
#[must_use]
pub fn reads_store(identity: Identity) -> bool {
    identity != Identity::Producer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        Scope {
            project: "flights".parse().unwrap(),
            sources: vec!["weather".parse().unwrap()],
            deployment: "disruption".parse().unwrap(),
        }
    }

    fn allows(identity: Identity, subject: &str) -> bool {
        let matches = |pattern: &String| {
            let (mut pattern, mut subject) = (pattern.split('.'), subject.split('.'));
            loop {
                match (pattern.next(), subject.next()) {
                    (Some(">"), Some(_)) | (None, None) => return true,
                    (Some("*"), Some(_)) => {}
                    (Some(one), Some(other)) if one == other => {}
                    _ => return false,
                }
            }
        };
        publishes(identity, &[scope()]).iter().any(matches)
    }

    #[test]
    fn each_key_opens_what_its_role_needs_and_nothing_else() {
        use Identity::{Console, Evaluation, Feature, Ingestion, Monitoring, Operator, Producer, Serving, Training};
        assert!(allows(Producer, "tm.events.flights.weather"));
        assert!(allows(Ingestion, "$JS.API.CONSUMER.CREATE.TM_EVENTS_flights_weather.abc"));
        assert!(allows(Serving, "tm.predictions.flights.disruption"));
        assert!(allows(Training, "$JS.ACK.TM_WORK.training-trials.1.2.3.4.5"));
        assert!(allows(Evaluation, "$KV.registry.flights.aliases.champion"));
        assert!(allows(Operator, "$KV.projects.flights"));
        assert!(allows(Operator, "$KV.heads.accepted.TM_EVENTS_flights_weather"));
        assert!(!allows(Operator, "$KV.heads.head.x"));
        for identity in Identity::ALL {
            assert!(!allows(identity, "$JS.API.STREAM.DELETE.TM_WORK"), "{identity:?}");
            assert!(!allows(identity, "$JS.API.STREAM.PURGE.TM_WORK"), "{identity:?}");
            assert!(!allows(identity, "$SYS.REQ.SERVER.PING"), "{identity:?}");
            let publishes_events = matches!(identity, Ingestion | Producer | Operator);
            assert_eq!(allows(identity, "tm.events.flights.weather"), publishes_events, "{identity:?}");
            assert_eq!(allows(identity, "$KV.projects.flights"), identity == Operator, "{identity:?}");
        }
        assert!(allows(Monitoring, "$JS.ACK.TM_LINEAGE.lineage-sender-flights.1.2.3.4.5"));
        assert!(!allows(Console, "$JS.ACK.TM_LINEAGE.lineage-sender-flights.1.2.3.4.5"));
        assert!(allows(Training, "tm.lineage.flights") && !allows(Producer, "tm.lineage.flights"));
        assert!(!allows(Producer, "tm.events.flights.other"));
        assert!(!allows(Feature, "$KV.heads.x"));
        assert!(!allows(Serving, "$KV.registry.flights.aliases.champion"));
        assert!(!allows(Serving, "$JS.API.CONSUMER.CREATE.TM_EVENTS_flights_weather.abc"));
        assert!(!allows(Evaluation, "$JS.API.CONSUMER.MSG.NEXT.TM_NOTICES.training-flights"));
    }
}
