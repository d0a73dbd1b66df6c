//! Subjects, streams and buckets: the only place where their names are put together.

use tidemill_types::{DeploymentName, ProjectName, SourceName};

/// Stream of all notices.
pub const NOTICES_STREAM: &str = "TM_NOTICES";
/// Work queue of all services.
pub const WORK_STREAM: &str = "TM_WORK";
/// Stream of dead letters.
pub const DEAD_STREAM: &str = "TM_DEAD";
/// Bucket of applied project specs: `<project>` → YAML text, `<project>.<digest>` → the same, kept.
pub const PROJECTS_BUCKET: &str = "projects";
/// Bucket of the model registry.
pub const REGISTRY_BUCKET: &str = "registry";
/// Bucket of the second entries of the double-entry books: table → head.
pub const HEADS_BUCKET: &str = "heads";

/// Key of [`HEADS_BUCKET`] under which a person accepts that a stream was made anew: the incarnation that is meant.
#[must_use]
pub fn accepted_stream(stream: &str) -> String {
    format!("accepted.{stream}")
}

/// Subject on which the data events of a source are published.
#[must_use]
pub fn events(project: &ProjectName, source: &SourceName) -> String {
    format!("tm.events.{project}.{source}")
}

/// Stream of one source, so that its sequences are contiguous.
#[must_use]
pub fn events_stream(project: &ProjectName, source: &SourceName) -> String {
    format!("TM_EVENTS_{project}_{source}")
}

/// Subject of a notice, such as `tm.notices.flights.candidate.trained`.
#[must_use]
pub fn notice(project: &ProjectName, noun: &str, participle: &str) -> String {
    format!("tm.notices.{project}.{noun}.{participle}")
}

/// Subject of a job.
#[must_use]
pub fn work(service: &str, job: &str) -> String {
    format!("tm.work.{service}.{job}")
}

/// Subject of the prediction log of a deployment.
#[must_use]
pub fn predictions(project: &ProjectName, deployment: &DeploymentName) -> String {
    format!("tm.predictions.{project}.{deployment}")
}

/// Stream of the prediction log of a deployment.
#[must_use]
pub fn predictions_stream(project: &ProjectName, deployment: &DeploymentName) -> String {
    format!("TM_PREDICTIONS_{project}_{deployment}")
}

/// Subject of dead letters of a source.
#[must_use]
pub fn dead(project: &ProjectName, source: &SourceName) -> String {
    format!("tm.dead.{project}.{source}")
}

/// Subject of audit entries.
#[must_use]
pub fn audit(project: &ProjectName) -> String {
    format!("tm.audit.{project}")
}

/// Subject of lineage events.
#[must_use]
pub fn lineage(project: &ProjectName) -> String {
    format!("tm.lineage.{project}")
}

/// Durable consumer that posts the lineage of a project to a server outside.
#[must_use]
pub fn lineage_sender(project: &ProjectName) -> String {
    format!("lineage-sender-{project}")
}

/// Stream of lineage events of all projects.
pub const LINEAGE_STREAM: &str = "TM_LINEAGE";

/// Stream of audit entries of all projects.
pub const AUDIT_STREAM: &str = "TM_AUDIT";
