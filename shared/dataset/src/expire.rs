//! Rows that are older than promised go: whole files by their statistics, and out of files that hold younger rows too.
//!
//! Such a version takes files out and puts those rows back that stay. None of them is new: writers step over the version,
//! and followers of [`Table::added_between`] see nothing. Earlier versions keep their files until these are vacuumed.
//! A file that was written for a version that did not come about belongs to none, and is vacuumed likewise.

use crate::error::{CommitError, Error};
use crate::file::DataFile;
use crate::log::{self, Line};
use crate::rearrange::Joined;
use crate::table::{Table, blocking, new_id, now};
use arrow::array::{ArrayRef, AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::TimestampMillisecondType;
use std::collections::BTreeMap;
use std::slice;
use tidemill_types::Millis;

/// Operation of versions that take rows away. The files that they add hold rows that stay.
pub const DELETE: &str = "DELETE";

/// A file is written anew when so many of its rows go: one in ten.
const WORTH_ONE_IN: u64 = 10;
/// Or for a single row that is older than promised by so much: a tenth of its age.
const OVERDUE_ONE_IN: i64 = 10;
/// How often a file that another writer was changing is looked for again.
const ATTEMPTS: usize = 3;

/// Which rows of a table are older than promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    column: String,
    before: Millis,
    overdue: Millis,
}

/// A file with rows that go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// The file.
    pub file: DataFile,
    /// How many of its rows go.
    pub rows: u64,
}

/// What is too old in a file.
#[derive(Clone, Copy, Debug, Default)]
struct Old {
    rows: u64,
    oldest: Option<Millis>,
}

impl Expiry {
    /// Rows whose instant in `column` lies more than `age` milliseconds before the newest go. So that no file is written
    /// anew for a few rows each time, some may stay beside younger ones until they are a tenth older than that.
    #[must_use]
    pub fn of_age(column: &str, newest: Millis, age: i64) -> Self {
        let before = newest.0.saturating_sub(age);
        let overdue = before.saturating_sub(age / OVERDUE_ONE_IN);
        Self { column: column.to_owned(), before: Millis(before), overdue: Millis(overdue) }
    }

    /// Whether the rows that are too old are worth writing the others anew.
    fn pays(&self, of: &DataFile, old: Old) -> bool {
        let is_overdue = old.oldest.is_some_and(|oldest| oldest < self.overdue);
        old.rows > 0 && (is_overdue || old.rows.saturating_mul(WORTH_ONE_IN) >= of.rows)
    }
}

impl Table {
    /// The newest instant of a column that is not after `until`: what is dated later does not say how late it is. `None`
    /// when there is none.
    ///
    /// # Errors
    /// [`Error::Column`] when there is no such column of instants; when the store fails.
    pub async fn newest(&self, column: &str, until: Millis) -> Result<Option<Millis>, Error> {
        let (mut newest, mut unclear) = (None, Vec::new());
        for file in self.load().await?.files() {
            match file.instants(column) {
                Some((low, _)) if low > until => {}
                // The upper bound is rounded up by a millisecond.
                Some((_, high)) if high.0 - 1 <= until.0 => newest = newest.max(Some(Millis(high.0 - 1))),
                _ => unclear.push(file.clone()),
            }
        }
        let mut rows = self.scan_files(&unclear, Some(&[column]));
        while let Some(batch) = rows.next().await? {
            let past = instants(&batch, column)?.into_iter().filter(|at| *at <= until).max();
            newest = newest.max(past);
        }
        Ok(newest)
    }

    /// The files of which rows are to go, each with how many.
    ///
    /// # Errors
    /// [`Error::Column`] when there is no such column of instants; when the store fails.
    pub async fn expired(&self, expiry: &Expiry) -> Result<Vec<Expired>, Error> {
        let mut found = Vec::new();
        for file in self.load().await?.files() {
            let rows = match file.instants(&expiry.column) {
                Some((low, _)) if low >= expiry.before => continue,
                Some((_, high)) if high < expiry.before => file.rows,
                _ => {
                    let old = self.too_old(file, expiry).await?;
                    if !expiry.pays(file, old) {
                        continue;
                    }
                    old.rows
                }
            };
            found.push(Expired { file: file.clone(), rows });
        }
        Ok(found)
    }

    async fn too_old(&self, file: &DataFile, expiry: &Expiry) -> Result<Old, Error> {
        let mut old = Old::default();
        let mut rows = self.scan_files(slice::from_ref(file), Some(&[expiry.column.as_str()]));
        while let Some(batch) = rows.next().await? {
            for at in instants(&batch, &expiry.column)?.into_iter().filter(|at| *at < expiry.before) {
                old.rows += 1;
                old.oldest = Some(old.oldest.map_or(at, |oldest| oldest.min(at)));
            }
        }
        Ok(old)
    }

    /// Drops the rows that [`Self::expired`] finds, in one version for all whole files and one for each of the others.
    /// Returns how many are gone. Beside a file, no more than a batch of rows is held.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] when others changed the same files again and again; when the store fails. Rows dropped
    /// so far stay dropped.
    pub async fn expire(&self, expiry: &Expiry, reason: &str) -> Result<u64, CommitError> {
        let mut gone = 0;
        let mut conflict = None;
        for _ in 0..ATTEMPTS {
            conflict = None;
            let (whole, parts): (Vec<Expired>, _) =
                self.expired(expiry).await?.into_iter().partition(|expired| expired.rows == expired.file.rows);
            let files: Vec<DataFile> = whole.into_iter().map(|expired| expired.file).collect();
            let mut dropped = Vec::new();
            if !files.is_empty() {
                dropped.push(self.drop_files(&files, reason).await.map(|_| files.iter().map(|file| file.rows).sum()));
            }
            for part in &parts {
                let (column, before) = (expiry.column.clone(), expiry.before);
                let is_old = move |batch: &RecordBatch| -> Result<BooleanArray, Error> {
                    let old = |at: Option<i64>| Some(at.is_some_and(|at| at < before.0));
                    let column = column_of(batch, &column)?;
                    Ok(column.as_primitive::<TimestampMillisecondType>().iter().map(old).collect())
                };
                dropped.push(self.rewrite_without(&part.file, is_old, reason).await);
            }
            for dropped in dropped {
                match dropped {
                    Ok(rows) => gone += rows,
                    Err(error @ CommitError::Conflict { .. }) => conflict = Some(error),
                    Err(other) => return Err(other),
                }
            }
            if conflict.is_none() {
                break;
            }
        }
        conflict.map_or(Ok(gone), Err)
    }

    /// Removes files from the table, rows and all; earlier versions keep them. Returns the version made.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] when one of them is no longer part of the table.
    pub async fn drop_files(&self, files: &[DataFile], reason: &str) -> Result<u64, CommitError> {
        self.delete(files, None, reason).await
    }

    /// Writes a file anew without the rows of which `goes` says so, for which it must say the same each time. Returns how
    /// many are gone; earlier versions keep them.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] when the file is no longer part of the table; what `goes` refuses.
    pub async fn rewrite_without(
        &self,
        file: &DataFile,
        goes: impl Fn(&RecordBatch) -> Result<BooleanArray, Error> + Send,
        reason: &str,
    ) -> Result<u64, CommitError> {
        let failed = |e: arrow::error::ArrowError| Error::Encode(e.to_string());
        let (mut kept, mut gone) = (Joined::new(&self.schema())?, 0);
        let mut rows = self.scan_files(slice::from_ref(file), None);
        while let Some(batch) = rows.next().await? {
            // Where nothing is said, the row stays.
            let stays: BooleanArray = goes(&batch)?.iter().map(|goes| Some(goes != Some(true))).collect();
            gone += stays.false_count() as u64;
            let stays = filter_record_batch(&batch, &stays).map_err(failed)?;
            kept = blocking(move || kept.add(&stays).map(|()| kept)).await?;
        }
        if gone == 0 {
            return Ok(0);
        }
        let made = match kept.is_empty() {
            true => None,
            false => {
                let (bytes, stats) = blocking(move || kept.finish()).await?;
                Some(self.put_file(file.place(), bytes, stats).await?)
            }
        };
        self.delete(slice::from_ref(file), made.as_ref(), reason).await?;
        Ok(gone)
    }

    /// Takes files out, and puts one in with those of their rows that stay.
    async fn delete(&self, files: &[DataFile], kept: Option<&DataFile>, reason: &str) -> Result<u64, CommitError> {
        let (time, id) = (now(), new_id());
        let metadata = BTreeMap::from([("tidemill.reason".to_owned(), reason.to_owned())]);
        let mut lines = vec![log::commit_info(DELETE, time, &id, metadata)];
        lines.extend(files.iter().map(|f| Line { remove: Some(f.to_remove(time, true)), ..Line::default() }));
        // Other readers compute what changed from both sides, so the rows that stay are told as put back.
        lines.extend(kept.map(|f| Line { add: Some(f.to_add(time, true)), ..Line::default() }));
        self.replace(files, &id, &lines).await
    }
}

fn column_of<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b ArrayRef, Error> {
    let column = batch.column_by_name(name).filter(|c| c.as_primitive_opt::<TimestampMillisecondType>().is_some());
    column.ok_or_else(|| Error::Column(name.to_owned()))
}

/// The instants of a column, without nulls.
fn instants(batch: &RecordBatch, column: &str) -> Result<Vec<Millis>, Error> {
    let values = column_of(batch, column)?.as_primitive::<TimestampMillisecondType>();
    Ok(values.iter().flatten().map(Millis).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_anew_for_a_tenth_of_its_rows_or_for_one_that_is_a_tenth_too_old() {
        let file = DataFile::from_parts("0-a.parquet".to_owned(), 1, Some(r#"{"numRecords":100}"#.to_owned()));
        let expiry = Expiry::of_age("at", Millis(2_000), 1_000);
        let pays = |rows, oldest| expiry.pays(&file, Old { rows, oldest: Some(Millis(oldest)) });
        assert!(pays(10, 950) && pays(1, 899), "worth it, or overdue");
        assert!(!pays(9, 900) && !expiry.pays(&file, Old::default()));
    }
}
