//! Joining small files, and removing files that no kept version needs.

use crate::error::{CommitError, Error};
use crate::file::DataFile;
use crate::log::{self, Line};
use crate::table::{Table, new_id, now};
use std::collections::{BTreeMap, BTreeSet};
use tidemill_types::Millis;

/// What a compaction did.
#[derive(Clone, Debug)]
pub struct Compacted {
    /// The version it made; `None` when there was nothing to join.
    pub version: Option<u64>,
    /// Files that were replaced.
    pub removed: usize,
    /// Files that replaced them.
    pub added: usize,
}

impl Table {
    /// Joins neighbouring small files into files of about `target_bytes`, in a version that changes no rows.
    ///
    /// Rows keep their order between files; inside the new files they are sorted as the table asks. The old files
    /// stay for earlier versions until [`Table::vacuum`].
    ///
    /// # Errors
    /// [`CommitError::Conflict`] when another commit came first: try again later.
    pub async fn compact(&self, target_bytes: u64) -> Result<Compacted, CommitError> {
        let snapshot = self.load().await?;
        let groups = groups(snapshot.files(), target_bytes);
        if groups.is_empty() {
            return Ok(Compacted { version: None, removed: 0, added: 0 });
        }
        let time = now();
        let id = new_id();
        let mut lines = vec![log::commit_info("OPTIMIZE", time, &id, BTreeMap::new())];
        let (mut removed, mut added) = (0, 0);
        for group in groups {
            let batches = self.read_files(&group, None).await?;
            // The new file takes the place of the first one in the order of the commits.
            let place = group.first().and_then(|file| file.path.get(..20)).and_then(|v| v.parse().ok());
            if let Some(file) = self.write_file(place.unwrap_or(snapshot.version()), &batches).await? {
                lines.push(Line { add: Some(file.to_add(time, false)), ..Line::default() });
                added += 1;
            }
            lines.extend(group.iter().map(|f| Line { remove: Some(f.to_remove(time)), ..Line::default() }));
            removed += group.len();
        }
        let version = snapshot.version() + 1;
        self.append_entry(snapshot, &id, &lines).await?;
        Ok(Compacted { version: Some(version), removed, added })
    }

    /// Deletes data files that the latest version does not hold and that were last written before `before`.
    ///
    /// Earlier versions that need them can no longer be read, nor followed. Returns how many were deleted.
    ///
    /// # Errors
    /// When the store fails; files deleted so far stay deleted.
    pub async fn vacuum(&self, before: Millis) -> Result<usize, Error> {
        let snapshot = self.load().await?;
        let kept: BTreeSet<String> = snapshot.files().map(|file| self.object(&file.path)).collect();
        let mut deleted = 0;
        for object in self.storage.list(&self.path).await? {
            let is_data = object.path.ends_with(".parquet") && !object.path.contains("/_delta_log/");
            if is_data && object.modified < before && !kept.contains(&object.path) {
                self.storage.delete(&object.path).await?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }
}

/// Runs of neighbouring files, each below half the target, that together stay within it.
fn groups<'f>(files: impl Iterator<Item = &'f DataFile>, target_bytes: u64) -> Vec<Vec<DataFile>> {
    let mut groups = Vec::new();
    let mut run: Vec<DataFile> = Vec::new();
    let mut size = 0_u64;
    for file in files {
        let small = file.size < target_bytes / 2;
        if !small || size.saturating_add(file.size) > target_bytes {
            groups.push(std::mem::take(&mut run));
            size = 0;
        }
        if small {
            size = size.saturating_add(file.size);
            run.push(file.clone());
        }
    }
    groups.push(run);
    groups.retain(|group| group.len() > 1);
    groups
}
