//! Joining small files into well-sized ones, in versions that change no rows.
//!
//! Safe beside a running writer: appends and compactions step over each other's log entries, see
//! [`crate::table::Table::commit`]. Readers of a version see the same rows before and after; followers of
//! [`Table::added_between`] see no new ones.

use crate::error::{CommitError, Error};
use crate::file::DataFile;
use crate::log::{self, Line};
use crate::rearrange;
use crate::table::{Table, blocking, new_id, now};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Rows of one new file at most where they are sorted, since a whole group is held for it.
const MOST_ROWS_SORTED: u64 = 4_000_000;

/// Which groups of small files are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Only where it pays: no file is rewritten for the sake of files that are small beside it, so each row is
    /// rewritten a logarithmic number of times. For those who compact again and again beside a writer.
    Worthwhile,
    /// Every group of two files or more. For those who compact once.
    Everything,
}

/// How the owner of a table keeps its files well-sized while it fills it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upkeep {
    /// Between two looks; zero: never.
    pub every: Duration,
    /// Size of a file that needs no joining.
    pub target_bytes: u64,
}

impl Default for Upkeep {
    fn default() -> Self {
        Self { every: Duration::from_secs(600), target_bytes: 64_000_000 }
    }
}

/// What a compaction did.
#[derive(Clone, Debug)]
pub struct Compacted {
    /// The newest version it made; `None` when there was nothing to join.
    pub version: Option<u64>,
    /// Files that were replaced.
    pub removed: usize,
    /// Files that replaced them.
    pub added: usize,
    /// Bytes of the files that were replaced.
    pub bytes_before: u64,
    /// Bytes of the files that replaced them.
    pub bytes_after: u64,
}

impl Table {
    /// Joins neighbouring small files into files of about `target_bytes`, one version for each new file.
    ///
    /// Rows keep their order between files; inside the new files they are sorted as the table asks, stable. The old
    /// files stay for earlier versions until they are vacuumed. A version that another writer commits meanwhile is
    /// stepped over; a group of which another compaction was faster is left to it.
    ///
    /// # Errors
    /// When the store fails, or did not say whether an entry was written; groups joined so far stay joined.
    pub async fn compact(&self, target_bytes: u64, effort: Effort) -> Result<Compacted, CommitError> {
        let mut done = Compacted { version: None, removed: 0, added: 0, bytes_before: 0, bytes_after: 0 };
        let most_rows = if self.sort_by.is_some() { MOST_ROWS_SORTED } else { u64::MAX };
        let groups = groups(self.load().await?.files(), (target_bytes, most_rows), effort);
        for group in groups {
            match self.join(&group).await {
                Ok((version, file)) => {
                    done.version = Some(version);
                    done.removed += group.len();
                    done.bytes_before += group.iter().map(|f| f.size).sum::<u64>();
                    done.added += usize::from(file.is_some());
                    done.bytes_after += file.map_or(0, |f| f.size);
                }
                Err(CommitError::Conflict { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(done)
    }

    /// Compacts as often as `upkeep` says, for as long as it is polled. What fails is tried again at the next look.
    pub async fn stay_compact(&self, upkeep: Upkeep) {
        if upkeep.every.is_zero() {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(upkeep.every).await;
            match self.compact(upkeep.target_bytes, Effort::Worthwhile).await {
                Ok(Compacted { version: None, .. }) => {}
                Ok(done) => {
                    let (files, into) = (done.removed, done.added);
                    tracing::info!(table = %self.path, files, into, bytes = done.bytes_after, "small files were joined");
                }
                Err(error) => {
                    tracing::warn!(table = %self.path, %error, "files could not be joined; trying again later");
                }
            }
        }
    }

    /// Replaces files by one that holds their rows.
    async fn join(&self, group: &[DataFile]) -> Result<(u64, Option<DataFile>), CommitError> {
        // The new file takes the place of the first one in the order of the commits.
        let file = self.write_joined(group.first().map_or("", DataFile::place), group).await?;
        let (time, id) = (now(), new_id());
        let mut lines = vec![log::commit_info("OPTIMIZE", time, &id, BTreeMap::new())];
        lines.extend(file.iter().map(|file| Line { add: Some(file.to_add(time, false)), ..Line::default() }));
        lines.extend(group.iter().map(|f| Line { remove: Some(f.to_remove(time, false)), ..Line::default() }));
        let version = self.replace(group, &id, &lines).await?;
        Ok((version, file))
    }

    /// Writes an entry that removes `inputs`, after the newest version that still holds all of them.
    pub(crate) async fn replace(&self, inputs: &[DataFile], id: &str, lines: &[Line]) -> Result<u64, CommitError> {
        let inputs: BTreeSet<&str> = inputs.iter().map(|file| file.path.as_str()).collect();
        let snapshot = self.load().await?;
        let held = snapshot.files().filter(|file| inputs.contains(file.path.as_str())).count();
        let (table, version) = (self.path.to_string(), snapshot.version() + 1);
        if held < inputs.len() {
            return Err(CommitError::Conflict { table, version });
        }
        let untouched = |there: &[Line]| {
            there.iter().filter_map(|l| l.remove.as_ref()).all(|remove| !inputs.contains(remove.path.as_str()))
        };
        Ok(self.append_entry(snapshot, id, lines, untouched).await?.version)
    }

    /// Writes the rows of some files as one, in the order that the table asks for. Only a sort holds all of them.
    async fn write_joined(&self, place: &str, group: &[DataFile]) -> Result<Option<DataFile>, Error> {
        let schema = self.schema();
        let (bytes, stats) = if self.sort_by.is_some() {
            let (batches, sort_by) = (self.read_files(group, None).await?, self.sort_by.clone());
            if batches.iter().all(|batch| batch.num_rows() == 0) {
                return Ok(None);
            }
            blocking(move || rearrange::encode(&batches, &schema, sort_by.as_deref())).await?
        } else {
            let mut joined = rearrange::Joined::new(&schema)?;
            let mut rows = self.scan_files(group, None);
            while let Some(batch) = rows.next().await? {
                joined = blocking(move || joined.add(&batch).map(|()| joined)).await?;
            }
            if joined.is_empty() {
                return Ok(None);
            }
            blocking(move || joined.finish()).await?
        };
        self.put_file(place, bytes, stats).await.map(Some)
    }
}

/// Runs of neighbouring files, each below half the target, that together stay within it and within the rows.
fn groups<'f>(
    files: impl Iterator<Item = &'f DataFile>,
    (target_bytes, most_rows): (u64, u64),
    effort: Effort,
) -> Vec<Vec<DataFile>> {
    let mut groups = Vec::new();
    let mut run: Vec<DataFile> = Vec::new();
    let (mut size, mut rows) = (0_u64, 0_u64);
    for file in files {
        let small = file.size < target_bytes / 2;
        let full = size.saturating_add(file.size) > target_bytes || rows.saturating_add(file.rows) > most_rows;
        if !small || full {
            groups.push(std::mem::take(&mut run));
            (size, rows) = (0, 0);
        }
        if small {
            size = size.saturating_add(file.size);
            rows = rows.saturating_add(file.rows);
            run.push(file.clone());
        }
    }
    groups.push(run);
    groups.retain(|group| group.len() > 1 && (effort == Effort::Everything || pays(group, target_bytes)));
    groups
}

/// Whether joining at least doubles the largest file, or makes one that is never joined again: then each row is rewritten
/// O(log n) times in all.
fn pays(group: &[DataFile], target_bytes: u64) -> bool {
    let largest = group.iter().map(|file| file.size).max().unwrap_or_default();
    let total: u64 = group.iter().map(|file| file.size).sum();
    total >= target_bytes / 2 || (group.len() >= 4 && total >= largest.saturating_mul(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(sizes: &[u64]) -> Vec<DataFile> {
        let file = |(at, size): (usize, &u64)| DataFile::from_parts(format!("{at:020}-x.parquet"), *size, None);
        sizes.iter().enumerate().map(file).collect()
    }

    fn sizes(of: &[u64], effort: Effort) -> Vec<Vec<u64>> {
        let files = files(of);
        groups(files.iter(), (100, MOST_ROWS_SORTED), effort)
            .iter()
            .map(|g| g.iter().map(|f| f.size).collect())
            .collect()
    }

    #[test]
    fn neighbours_are_joined_up_to_the_target_and_large_files_are_left_alone() {
        assert_eq!(sizes(&[40, 40, 40, 70, 5, 5], Effort::Everything), [vec![40, 40], vec![5, 5]]);
        assert!(sizes(&[60, 70], Effort::Everything).is_empty());
    }

    #[test]
    fn beside_a_writer_a_large_file_is_not_rewritten_for_small_ones() {
        assert!(sizes(&[40, 1, 1, 1], Effort::Worthwhile).is_empty());
        assert_eq!(sizes(&[40, 20, 10, 10], Effort::Worthwhile).len(), 1);
        assert_eq!(sizes(&[40, 1, 1, 1], Effort::Everything).len(), 1);
    }

    #[test]
    fn half_of_the_files_of_a_table_at_rest_have_at_least_half_the_target_and_rows_are_rewritten_few_times() {
        for appended in 1..100 {
            let (mut table, mut rewritten) = (Vec::new(), 0);
            for _ in 0..400 {
                table.push(appended);
                let mut all = files(&table);
                for group in groups(all.clone().iter(), (100, MOST_ROWS_SORTED), Effort::Worthwhile) {
                    let total: u64 = group.iter().map(|file| file.size).sum();
                    rewritten += total;
                    all.retain(|file| !group[1..].contains(file));
                    all.iter_mut().filter(|file| **file == group[0]).for_each(|file| file.size = total);
                }
                table = all.iter().map(|file| file.size).collect();
            }
            let mut sorted = table.clone();
            sorted.sort_unstable();
            assert!(sorted[sorted.len() / 2] >= 50, "files of {appended}: {table:?}");
            assert!(rewritten <= 5 * 400 * appended, "files of {appended}: {rewritten}");
        }
    }
}
