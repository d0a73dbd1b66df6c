//! An earlier state of a table brought back: in the table itself, as a new version, or beside it, as a table of its own.
//!
//! Nothing is rewritten: a version names the immutable files of an earlier one again, or copies of them. History stays.
//! Notes of what was done for whom are neither taken back nor copied, so whoever fills a table by its notes must not be
//! given an earlier state of it; who that is, is known above this crate.

use crate::error::{CommitError, Error};
use crate::file::DataFile;
use crate::log::{self, Line};
use crate::schema;
use crate::snapshot::Snapshot;
use crate::table::{Table, new_id, now};
use std::collections::{BTreeMap, BTreeSet};

/// Operation of versions that hold the rows of an earlier one.
pub const RESTORE: &str = "RESTORE";
/// Operation of first versions that hold the rows of another table.
pub const CLONE: &str = "CLONE";

/// What was brought back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The version that holds it; no new one when the newest held it already.
    pub version: u64,
    /// Its rows.
    pub rows: u64,
    /// Its files.
    pub files: usize,
    /// Files that were named again.
    pub added: usize,
    /// Files that are no longer named.
    pub removed: usize,
}

impl Table {
    /// Makes the files of an earlier version those of the table, in one commit directly after the newest version.
    ///
    /// # Errors
    /// [`Error::Vacuumed`] when files of that version are gone, [`CommitError::Conflict`] when anybody committed
    /// meanwhile; otherwise as [`Table::commit`].
    pub async fn restore(&self, to: &Snapshot, metadata: BTreeMap<String, String>) -> Result<Restored, CommitError> {
        let newest = self.load().await?;
        self.all_there(to).await?;
        let paths = |snapshot: &Snapshot| snapshot.files().map(|file| file.path.clone()).collect::<BTreeSet<_>>();
        let (then, today) = (paths(to), paths(&newest));
        let added: Vec<&DataFile> = to.files().filter(|file| !today.contains(&file.path)).collect();
        let removed: Vec<&DataFile> = newest.files().filter(|file| !then.contains(&file.path)).collect();
        let mut made = Restored {
            version: newest.version(),
            rows: to.num_rows(),
            files: then.len(),
            added: added.len(),
            removed: removed.len(),
        };
        if added.is_empty() && removed.is_empty() {
            return Ok(made);
        }
        let (time, id) = (now(), new_id());
        let mut lines = vec![log::commit_info(RESTORE, time, &id, metadata)];
        lines.extend(removed.iter().map(|f| Line { remove: Some(f.to_remove(time, true)), ..Line::default() }));
        lines.extend(added.iter().map(|f| Line { add: Some(f.to_add(time, true)), ..Line::default() }));
        made.version = self.append_entry(newest.clone(), &id, &lines, |_| false).await?.version;
        Ok(made)
    }

    /// Copies a version to a table of its own, whose first version holds all of it: the table is there as a whole, or
    /// not at all.
    ///
    /// # Errors
    /// [`Error::Taken`] when there is a table at `path`, [`Error::Vacuumed`] when files of the version are gone,
    /// [`Error::Corrupt`] when one has not the size it must have.
    pub async fn branch(
        &self,
        from: &Snapshot,
        path: &str,
        metadata: BTreeMap<String, String>,
    ) -> Result<Restored, Error> {
        let first = format!("{path}/{}", log::entry_path(0));
        let taken = || Error::Taken(path.to_owned());
        if self.storage.exists(&first).await? {
            return Err(taken());
        }
        self.all_there(from).await?;
        for file in from.files() {
            let bytes = match self.storage.get(&self.object(&file.path)).await {
                Err(tidemill_storage::Error::NotFound(_)) => return Err(self.vacuumed(from, &file.path)),
                bytes => bytes?,
            };
            if u64::try_from(bytes.len()).ok() != Some(file.size) {
                let reason = format!("it has {} bytes instead of {}", bytes.len(), file.size);
                return Err(Error::Corrupt { path: self.object(&file.path), reason });
            }
            self.storage.put(&format!("{path}/{}", file.path), bytes).await?;
        }
        let (time, id) = (now(), new_id());
        let mut lines = log::creation(&schema::delta_schema(&from.schema())?, time, &id);
        lines.retain(|line| line.commit_info.is_none());
        lines.insert(0, log::commit_info(CLONE, time, &id, metadata));
        lines.extend(from.files().map(|f| Line { add: Some(f.to_add(time, true)), ..Line::default() }));
        let written = self.storage.put_if_absent(&first, log::to_bytes(&lines)?).await;
        if !matches!(written, Ok(true)) {
            // What stands there decides, also when the store did not say.
            let found = match (self.storage.get(&first).await, written) {
                (Ok(found), _) => log::parse(&first, &found)?,
                (Err(_), Err(error)) => return Err(error.into()),
                (Err(error), Ok(_)) => return Err(error.into()),
            };
            if log::commit_id(&found) != id {
                return Err(taken());
            }
        }
        let files = from.files().count();
        Ok(Restored { version: 0, rows: from.num_rows(), files, added: files, removed: 0 })
    }

    /// Whether all files of a version are still in the store.
    async fn all_there(&self, snapshot: &Snapshot) -> Result<(), Error> {
        let objects = self.storage.list(&self.path).await?;
        let there: BTreeSet<&str> = objects.iter().map(|object| object.path.as_str()).collect();
        let gone = snapshot.files().find(|file| !there.contains(self.object(&file.path).as_str()));
        gone.map_or(Ok(()), |file| Err(self.vacuumed(snapshot, &file.path)))
    }

    fn vacuumed(&self, snapshot: &Snapshot, file: &str) -> Error {
        Error::Vacuumed { table: self.path.to_string(), version: snapshot.version(), file: file.to_owned() }
    }
}
