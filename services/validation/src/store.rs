//! Where validation keeps what it writes.

use tidemill_types::{ProjectName, SourceName};

/// Folder of the clean table of a source.
#[must_use]
pub fn clean_table_path(project: &ProjectName, source: &SourceName) -> String {
    format!("clean/{project}/{source}")
}

/// Folder of the quarantine table of a source.
#[must_use]
pub fn quarantine_table_path(project: &ProjectName, source: &SourceName) -> String {
    format!("quarantine/{project}/{source}")
}

/// Profile and quality report of one clean commit.
#[must_use]
pub fn profile_path(project: &ProjectName, source: &SourceName, raw_version: i64) -> String {
    format!("profiles/{project}/{source}/{raw_version:010}.json")
}

/// Folder of the raw table that ingestion writes.
pub(crate) fn raw_table_path(project: &ProjectName, source: &SourceName) -> String {
    format!("raw/{project}/{source}")
}
