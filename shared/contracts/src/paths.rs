//! Folders and objects of the store that more than one service knows. Who writes them stands behind each.

use tidemill_types::{DeploymentName, ProjectName, SourceName};

/// Table of the rows of a source as they came in. Ingestion writes it.
#[must_use]
pub fn raw_table(project: &ProjectName, source: &SourceName) -> String {
    format!("raw/{project}/{source}")
}

/// Table of the rows of a source that passed its rules. Validation writes it.
#[must_use]
pub fn clean_table(project: &ProjectName, source: &SourceName) -> String {
    format!("clean/{project}/{source}")
}

/// Table of the rows of a source that did not. Validation writes it.
#[must_use]
pub fn quarantine_table(project: &ProjectName, source: &SourceName) -> String {
    format!("quarantine/{project}/{source}")
}

/// Folder of the profiles of a source. Validation writes them.
#[must_use]
pub fn profiles(project: &ProjectName, source: &SourceName) -> String {
    format!("profiles/{project}/{source}")
}

/// Profile and quality report of one clean commit, named by the newest raw version it covers. Validation writes it.
#[must_use]
pub fn profile(project: &ProjectName, source: &SourceName, raw_version: i64) -> String {
    format!("{}/{raw_version:010}.json", profiles(project, source))
}

/// Folder of the profiles of a source by window of event time and by segment. Beside the others, so that who reads those
/// does not come by these. Validation writes them.
#[must_use]
pub fn groups(project: &ProjectName, source: &SourceName) -> String {
    format!("{}.groups", profiles(project, source))
}

/// Table of logged predictions. Monitoring writes it.
#[must_use]
pub fn predictions_table(project: &ProjectName, deployment: &DeploymentName) -> String {
    format!("predictions/{project}/{deployment}")
}

/// Folder of everything that monitoring concludes about a deployment.
#[must_use]
pub fn monitors(project: &ProjectName, deployment: &DeploymentName) -> String {
    format!("monitors/{project}/{deployment}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_sort_by_their_version() {
        let (project, source) = ("flights".parse().unwrap(), "weather".parse().unwrap());
        assert_eq!(profile(&project, &source, 7), "profiles/flights/weather/0000000007.json");
        assert!(profile(&project, &source, 9) < profile(&project, &source, 10));
    }
}
