//! What is validated together: the raw versions that come next, and their rows.

use super::{Follower, signed};
use crate::covered::{Sequences, between, covered, noted};
use crate::error::ValidationError;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use tidemill_dataset::{Snapshot, VersionAdds};

/// What is validated together.
#[derive(Default)]
pub(super) struct Pass {
    pub(super) versions: Vec<VersionAdds>,
    /// Newest raw version that is covered whole.
    pub(super) until: u64,
    /// Of each stream the last sequence that the clean table covers before.
    pub(super) after: Sequences,
    /// The same afterwards.
    pub(super) done: Sequences,
    /// Streams of which the quarantine covers more than the clean table, with what that covers.
    pub(super) decided: Sequences,
}

impl Pass {
    /// What the clean table notes about it.
    pub(super) fn notes<'a>(&'a self, app_id: &'a str) -> Vec<(&'a str, i64)> {
        let streams = self.done.iter().map(|(stream, last)| (stream.as_str(), *last));
        std::iter::once((app_id, signed(self.until))).chain(streams).collect()
    }
}

impl Follower<'_> {
    /// What comes next: the rows of these versions that the clean table does not cover. A quarantine ahead of it is a
    /// commit that was interrupted half-way, or the clean table lost its newest commits; then nothing comes that the
    /// quarantine has not decided on, so that no row is set aside twice.
    pub(super) async fn pass(
        &self,
        done: u64,
        versions: Vec<VersionAdds>,
        clean: &Snapshot,
        quarantine: &Snapshot,
    ) -> Result<Pass, ValidationError> {
        let mut pass = Pass { until: done, ..Pass::default() };
        for version in versions {
            let Some((stream, last)) = noted(&version) else {
                pass.until = version.version;
                pass.versions.push(version);
                continue;
            };
            let (after, decided) = (covered(clean, stream).await?, covered(quarantine, stream).await?);
            let is_decided = decided > after;
            if !pass.after.is_empty() && is_decided == pass.decided.is_empty() {
                break;
            }
            let until = if is_decided { last.min(decided) } else { last };
            let stream = stream.to_owned();
            if is_decided {
                pass.decided.insert(stream.clone(), after);
            }
            pass.after.insert(stream.clone(), after);
            pass.done.insert(stream, until.max(after));
            if until == last {
                pass.until = version.version;
            }
            pass.versions.push(version);
            if is_decided && decided <= last {
                break;
            }
        }
        Ok(pass)
    }

    /// Rows of raw versions with a sequence after `after` and up to `until`, stream by stream.
    pub(super) async fn rows(
        &self,
        versions: &[VersionAdds],
        after: &Sequences,
        until: &Sequences,
    ) -> Result<RecordBatch, ValidationError> {
        let mut batches = Vec::new();
        for group in versions.chunk_by(|a, b| noted(a).map(|n| n.0) == noted(b).map(|n| n.0)) {
            let files: Vec<_> = group.iter().flat_map(|version| version.files.iter().cloned()).collect();
            let read = self.raw.read_files(&files, None).await?;
            let stream = group.iter().find_map(noted).map(|(stream, _)| stream).unwrap_or_default();
            let of = |sequences: &Sequences, other| sequences.get(stream).copied().unwrap_or(other);
            let (after, until) = (of(after, i64::MIN), of(until, i64::MAX));
            for batch in read {
                batches.push(between(batch, after, until)?);
            }
        }
        Ok(concat_batches(&self.raw.schema(), &batches)?)
    }
}
