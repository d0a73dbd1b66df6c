//! Names of jobs and datasets. A dataset is named by its place in the store, so that it keeps its name wherever the
//! store lies; its namespace is the project's.

use crate::place::Place;
use tidemill_types::{DeploymentName, Digest, Millis, ProjectName, SourceName};

/// Namespace of all jobs and datasets of a project.
#[must_use]
pub fn namespace(project: &ProjectName) -> String {
    format!("tidemill://{project}")
}

/// The events of a source.
#[must_use]
pub fn events(project: &ProjectName, source: &SourceName) -> String {
    format!("events/{project}/{source}")
}

/// A model.
#[must_use]
pub fn model(digest: &Digest) -> String {
    format!("model/{digest}")
}

/// The scorecard of a model.
#[must_use]
pub fn scorecard(project: &ProjectName, digest: &str) -> String {
    format!("scorecards/{project}/{digest}.json")
}

/// What a deployment answers with. Its versions are the instants since which it does.
#[must_use]
pub fn deployment(deployment: &DeploymentName) -> String {
    format!("deployment/{deployment}")
}

/// A deployment as it answers since an instant.
#[must_use]
pub fn deployed(deployment: &DeploymentName, since: Millis) -> Place {
    Place::new(self::deployment(deployment)).at(u64::try_from(since.0).unwrap_or(0))
}

/// The job that takes in the events of a source.
#[must_use]
pub fn ingestion(source: &SourceName) -> String {
    format!("ingestion.{source}")
}

/// The job that checks the rows of a source.
#[must_use]
pub fn validation(source: &SourceName) -> String {
    format!("validation.{source}")
}

/// The job that builds training sets.
#[must_use]
pub fn feature(set: &str) -> String {
    format!("feature.{set}")
}

/// The job that a cycle is: training and judging are parts of it.
pub const CYCLE: &str = "cycle";
/// The job that trains.
pub const TRAINING: &str = "training";
/// The job that judges candidates.
pub const EVALUATION: &str = "evaluation";

/// The job that puts a model into a deployment.
#[must_use]
pub fn serving(deployment: &DeploymentName) -> String {
    format!("serving.{deployment}")
}

/// The job that keeps the prediction log.
#[must_use]
pub fn predictions(deployment: &DeploymentName) -> String {
    format!("monitoring.{deployment}")
}

/// Whether each run of a job carries one dataset on from where the last one ended. Then what a version came from is
/// what all runs up to it read.
#[must_use]
pub fn carries_on(job: &str) -> bool {
    ["ingestion.", "validation.", "monitoring."].iter().any(|begin| job.starts_with(begin))
}
