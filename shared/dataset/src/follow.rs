//! The history of a table, for those who process each version once.

use crate::error::Error;
use crate::file::DataFile;
use crate::log::{self, Line};
use crate::restore::RESTORE;
use crate::rewrite::REPLACE;
use crate::table::Table;
use std::collections::BTreeMap;
use tidemill_types::Millis;

/// What one version did to a table.
#[derive(Clone, Debug)]
pub struct VersionAdds {
    /// The version.
    pub version: u64,
    /// When it was committed, by the writer's clock.
    pub committed_at: Millis,
    /// `WRITE`, `OPTIMIZE`, `REPLACE`, `RESTORE`, `DELETE`, `CREATE TABLE` or `CLONE`; other programs use other words.
    pub operation: String,
    /// Files with new rows. Compaction moves rows without making new ones, and retention keeps some, so their files are
    /// not among them.
    pub files: Vec<DataFile>,
    /// Applications and the sequences that they had done.
    pub txns: BTreeMap<String, i64>,
    /// What the writer said about the commit.
    pub metadata: BTreeMap<String, String>,
}

impl VersionAdds {
    /// Number of new rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    fn of(version: u64, lines: &[Line]) -> Self {
        let info = lines.iter().find_map(|line| line.commit_info.clone()).unwrap_or_default();
        let txns = lines.iter().filter_map(|line| line.txn.as_ref());
        Self {
            version,
            committed_at: Millis(info.timestamp),
            operation: info.operation,
            files: log::new_rows(lines).map(DataFile::from_add).collect(),
            txns: txns.map(|txn| (txn.app_id.clone(), txn.version)).collect(),
            metadata: info.tidemill,
        }
    }
}

impl Table {
    /// What each version after `after`, up to and including `to`, did, in order and without gaps.
    ///
    /// # Errors
    /// [`Error::Absent`] when one of the versions does not exist or its log entry is gone, [`Error::Rewritten`] when one
    /// of them holds all rows anew, or those of an earlier one: whoever followed the table begins again.
    pub async fn added_between(&self, after: u64, to: u64) -> Result<Vec<VersionAdds>, Error> {
        let mut versions = Vec::new();
        for version in after.saturating_add(1)..=to {
            let adds = self.version_adds(version).await?;
            if adds.operation == REPLACE || adds.operation == RESTORE {
                return Err(Error::Rewritten { table: self.path.to_string(), version });
            }
            versions.push(adds);
        }
        Ok(versions)
    }

    /// What one version did.
    ///
    /// # Errors
    /// [`Error::Absent`] when it does not exist or its log entry is gone.
    pub async fn version_adds(&self, version: u64) -> Result<VersionAdds, Error> {
        let absent = || Error::Absent { table: self.path.to_string(), version: Some(version) };
        let lines = self.entry(version).await?.ok_or_else(absent)?;
        Ok(VersionAdds::of(version, &lines))
    }

    /// The last versions, newest first, at most `limit`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn history(&self, limit: u64) -> Result<Vec<VersionAdds>, Error> {
        let latest = self.load().await?.version();
        let oldest = latest.saturating_add(1).saturating_sub(limit);
        let mut versions = Vec::new();
        for version in (oldest..=latest).rev() {
            match self.version_adds(version).await {
                Ok(adds) => versions.push(adds),
                Err(Error::Absent { .. }) => break,
                Err(e) => return Err(e),
            }
        }
        Ok(versions)
    }
}
