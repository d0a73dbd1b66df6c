//! A table followed version by version: first what it holds, then what each version adds.

use crate::error::MonitoringError;
use arrow::array::RecordBatch;
use tidemill_dataset::{Between, Snapshot, Table, VersionAdds};
use tidemill_intake::{TRACEPARENT_KEY, WATERMARK_KEY};
use tidemill_types::{Millis, columns};

/// Versions looked back for the last word about completeness.
const LOOK_BACK: u64 = 256;
/// Versions taken in together at most.
const VERSIONS_AT_ONCE: u64 = 64;

/// A table and the version up to which it was taken in.
pub(crate) struct Followed {
    pub(crate) table: Table,
    pub(crate) snapshot: Snapshot,
    done: u64,
}

/// What some versions said about how far a source is complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// The largest watermark in the commits.
    pub(crate) watermark: Option<Millis>,
    /// The newest knowledge instant among the rows.
    pub(crate) newest: Option<Millis>,
    /// When the newest of the commits with rows was made, by its writer's clock.
    pub(crate) committed: Option<Millis>,
}

/// What some versions brought.
pub(crate) struct News {
    pub(crate) batches: Vec<RecordBatch>,
    pub(crate) said: Said,
    /// Traces in which they were committed.
    pub(crate) traceparents: Vec<String>,
}

impl Said {
    fn of(versions: &[VersionAdds]) -> Self {
        let watermark = versions.iter().filter_map(|v| v.metadata.get(WATERMARK_KEY)?.parse().ok()).map(Millis).max();
        let files = versions.iter().flat_map(|v| &v.files);
        let committed = versions.iter().rev().find(|v| v.rows() > 0).map(|v| v.committed_at);
        // The upper bound of a file's statistics is rounded up by a millisecond.
        let newest = files.filter_map(|f| f.instants(columns::KNOWN_AT)).map(|(_, high)| Millis(high.0 - 1)).max();
        Self { watermark, newest, committed }
    }
}

impl Followed {
    /// Starts at the newest version, which the caller takes in by [`Self::rows_since`].
    pub(crate) async fn open(table: Table) -> Result<Self, MonitoringError> {
        let snapshot = table.load().await?;
        Ok(Self { done: snapshot.version(), table, snapshot })
    }

    /// What the newest versions up to here said.
    pub(crate) async fn said(&self) -> Result<Said, MonitoringError> {
        let oldest = self.done.saturating_sub(LOOK_BACK);
        let mut said = Said::default();
        for version in (oldest + 1..=self.done).rev() {
            // A log may have been cleaned behind a checkpoint: then nothing older is known.
            let Ok(adds) = self.table.version_adds(version).await else { break };
            let one = Said::of(std::slice::from_ref(&adds));
            said = Said {
                watermark: said.watermark.max(one.watermark),
                newest: said.newest.max(one.newest),
                committed: said.committed.or(one.committed),
            };
            if said.watermark.is_some() {
                break;
            }
        }
        if said.newest.is_none() {
            let newest = self.snapshot.files().filter_map(|f| f.instants(columns::KNOWN_AT));
            said.newest = newest.map(|(_, high)| Millis(high.0 - 1)).max();
        }
        Ok(said)
    }

    /// What the newest commits with rows said, one by one, oldest first. When none of those looked at had rows, what the
    /// table holds counts as of the oldest of them.
    pub(crate) async fn arrivals(&self, most: usize) -> Vec<Said> {
        let (mut found, mut committed) = (Vec::new(), None);
        let oldest = self.done.saturating_sub(LOOK_BACK);
        for version in (oldest + 1..=self.done).rev() {
            let Ok(adds) = self.table.version_adds(version).await else { break };
            committed = Some(adds.committed_at);
            let said = Said::of(std::slice::from_ref(&adds));
            if said.newest.is_some() {
                found.push(said);
            }
            if found.len() == most {
                break;
            }
        }
        if found.is_empty() {
            let newest = self.snapshot.files().filter_map(|f| f.instants(columns::KNOWN_AT));
            let newest = newest.map(|(_, high)| Millis(high.0 - 1)).max();
            found.push(Said { watermark: None, newest, committed });
        }
        found.reverse();
        found
    }

    /// The rows up to here whose `column` is at or after `from`.
    pub(crate) async fn rows_since(
        &self,
        names: &[&str],
        column: &str,
        from: Millis,
    ) -> Result<Vec<RecordBatch>, MonitoringError> {
        let between = Between { column: column.to_owned(), from, to: Millis::MAX };
        Ok(self.table.scan(&self.snapshot, Some(names), Some(between)).collect().await?)
    }

    /// The next versions, `None` when there are none. Rows are read when `names` says which columns.
    pub(crate) async fn next(&mut self, names: Option<&[&str]>) -> Result<Option<News>, MonitoringError> {
        let newest = self.table.load().await?;
        newest.unbroken_since(self.snapshot.rewinds())?;
        if newest.version() <= self.done {
            return Ok(None);
        }
        let until = newest.version().min(self.done + VERSIONS_AT_ONCE);
        let versions = self.table.added_between(self.done, until).await?;
        let batches = match names {
            Some(names) => {
                let files: Vec<_> = versions.iter().flat_map(|v| v.files.iter().cloned()).collect();
                self.table.read_files(&files, Some(names)).await?
            }
            None => Vec::new(),
        };
        self.done = until;
        self.snapshot = newest;
        let traceparents = versions.iter().filter_map(|v| v.metadata.get(TRACEPARENT_KEY).cloned()).collect();
        Ok(Some(News { batches, said: Said::of(&versions), traceparents }))
    }
}
