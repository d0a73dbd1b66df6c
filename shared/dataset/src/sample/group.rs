//! Drawing rows from row groups of one file, of which only the wanted columns are fetched.

use crate::codec::FileReader;
use crate::error::Error;
use crate::file::DataFile;
use crate::table::{Table, blocking};
use arrow::array::RecordBatch;
use parquet::arrow::arrow_reader::RowSelection;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use std::collections::BTreeMap;
use tidemill_stats::sample::Draw;

/// What to draw from a file.
pub(super) struct Drawing<'a> {
    /// Rows of the file around which is drawn.
    pub(super) offsets: &'a [u64],
    /// Rows for each of them.
    pub(super) quota: u64,
    /// Which rows.
    pub(super) seed: u64,
}

impl Table {
    /// Rows of the row groups in which the offsets lie.
    pub(super) async fn draw_from(
        &self,
        file: &DataFile,
        columns: Option<&[&str]>,
        drawing: &Drawing<'_>,
    ) -> Result<Vec<RecordBatch>, Error> {
        let columns: Option<Vec<String>> = columns.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        let partial = self.partial(file).await?;
        let mut batches = Vec::new();
        for (group, times) in groups(&partial.metadata, drawing.offsets) {
            let rows = partial.metadata.row_group(group).num_rows().unsigned_abs();
            let drawn = Draw::of(rows, times * drawing.quota, drawing.seed ^ group as u64).rows(0, rows);
            let wanted = drawn.iter().map(|row| *row as usize..*row as usize + 1);
            let selection = RowSelection::from_consecutive_ranges(wanted, rows as usize);
            let mut partial = partial.clone();
            partial.fetch(&[group], columns.as_deref(), Some(&selection)).await?;
            let (columns, schema) = (columns.clone(), self.schema());
            let read = move || {
                let builder = partial.reader(vec![group], Some(selection))?;
                FileReader::over(&partial.path, builder, columns.as_deref(), Some(&schema))?.rest()
            };
            batches.extend(blocking(read).await?);
        }
        Ok(batches)
    }
}

/// Row groups in which rows lie, and how many of the rows.
fn groups(metadata: &ParquetMetaData, offsets: &[u64]) -> BTreeMap<usize, u64> {
    let mut found = BTreeMap::new();
    for offset in offsets {
        let mut end = 0;
        let holds = |group: &RowGroupMetaData| {
            end += group.num_rows().unsigned_abs();
            *offset < end
        };
        if let Some(group) = metadata.row_groups().iter().position(holds) {
            *found.entry(group).or_default() += 1;
        }
    }
    found
}
