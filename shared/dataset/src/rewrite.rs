//! All rows of a table made anew, in one commit: readers see either the old rows or the new ones.

use crate::error::{CommitError, Error};
use crate::file::DataFile;
use crate::log::{self, Line};
use crate::snapshot::Snapshot;
use crate::table::{Appended, Committed, Table, new_id, now};
use arrow::array::RecordBatch;
use std::collections::BTreeMap;

/// Operation of versions that hold the table's rows anew.
pub const REPLACE: &str = "REPLACE";

/// A table that is written anew, beside the rows that it holds.
pub struct Rewriting<'t> {
    table: &'t Table,
    snapshot: Snapshot,
    files: Vec<DataFile>,
}

impl Table {
    /// Begins to write a table anew, instead of the rows of this snapshot.
    #[must_use]
    pub fn rewriting(&self, snapshot: Snapshot) -> Rewriting<'_> {
        Rewriting { table: self, snapshot, files: Vec::new() }
    }
}

impl Rewriting<'_> {
    /// Adds rows, as one file.
    ///
    /// # Errors
    /// When they do not fit the table, or the store fails.
    pub async fn add(&mut self, batches: &[RecordBatch]) -> Result<(), Error> {
        let stem = format!("{:020}-{:06}", self.snapshot.version() + 1, self.files.len());
        self.files.extend(self.table.write_file(&stem, batches).await?);
        Ok(())
    }

    /// Puts the new rows in the place of the old ones, which earlier versions keep, and notes the last sequence of each
    /// application.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] when anybody committed meanwhile; otherwise as [`Table::commit`].
    pub async fn commit(
        self,
        notes: &[(&str, i64)],
        metadata: BTreeMap<String, String>,
    ) -> Result<Committed, CommitError> {
        let Self { table, snapshot, files } = self;
        let (time, id) = (now(), new_id());
        let mut lines = vec![log::commit_info(REPLACE, time, &id, metadata)];
        lines.extend(log::noted(notes, time));
        lines.extend(snapshot.files().map(|f| Line { remove: Some(f.to_remove(time, true)), ..Line::default() }));
        lines.extend(files.iter().map(|f| Line { add: Some(f.to_add(time, true)), ..Line::default() }));
        let Appended { version, digest } = table.append_entry(snapshot, &id, &lines, |_| false).await?;
        Ok(Committed { version, rows: files.iter().map(|f| f.rows).sum(), files, digest })
    }
}
