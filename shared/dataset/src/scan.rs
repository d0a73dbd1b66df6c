//! Reading rows: whole files, or a table file by file with bounded memory.

use crate::codec::FileReader;
use crate::error::Error;
use crate::fetch::TAIL;
use crate::file::DataFile;
use crate::snapshot::Snapshot;
use crate::table::{Table, blocking};
use arrow::array::{AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::TimestampMillisecondType;
use std::collections::VecDeque;
use tidemill_types::Millis;

/// Rows whose timestamp column lies in `from ≤ value < to`; rows without a value are left out.
#[derive(Clone, Debug)]
pub struct Between {
    /// A timestamp column.
    pub column: String,
    /// First instant.
    pub from: Millis,
    /// First instant that is not included.
    pub to: Millis,
}

/// A running scan. Holds the wanted columns of one file and one decoded batch at a time.
pub struct Scan {
    table: Table,
    files: VecDeque<DataFile>,
    columns: Option<Vec<String>>,
    between: Option<Between>,
    /// Whether the time column is read only for the filter, as the last column.
    helper: bool,
    reader: Option<FileReader>,
}

impl Table {
    /// Starts a scan over a snapshot in the order of the commits; `None` for `columns` means all.
    ///
    /// Files are skipped by their statistics and rows filtered exactly where `between` is given.
    #[must_use]
    pub fn scan(&self, snapshot: &Snapshot, columns: Option<&[&str]>, between: Option<Between>) -> Scan {
        let overlaps = |file: &DataFile| match &between {
            Some(wanted) => {
                file.instants(&wanted.column).is_none_or(|(low, high)| low < wanted.to && high >= wanted.from)
            }
            None => true,
        };
        let files = snapshot.files().filter(|file| overlaps(file)).cloned().collect();
        let mut columns = columns.map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        let mut helper = false;
        if let (Some(columns), Some(wanted)) = (&mut columns, &between)
            && !columns.contains(&wanted.column)
        {
            columns.push(wanted.column.clone());
            helper = true;
        }
        Scan { table: self.clone(), files, columns, between, helper, reader: None }
    }

    /// The first rows of a snapshot, at most so many, in all columns.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a damaged file.
    pub async fn head(&self, snapshot: &Snapshot, most: usize) -> Result<RecordBatch, Error> {
        let mut scan = self.scan(snapshot, None, None);
        let (mut batches, mut missing) = (Vec::new(), most);
        while missing > 0 {
            let Some(batch) = scan.next().await? else { break };
            let taken = batch.slice(0, missing.min(batch.num_rows()));
            missing -= taken.num_rows();
            batches.push(taken);
        }
        let schema = batches.first().map_or_else(|| snapshot.schema(), RecordBatch::schema);
        concat_batches(&schema, &batches).map_err(|e| Error::Encode(e.to_string()))
    }

    /// Starts a scan over files, in the order given; `None` for `columns` means all.
    #[must_use]
    pub fn scan_files(&self, files: &[DataFile], columns: Option<&[&str]>) -> Scan {
        let files = files.iter().cloned().collect();
        let columns = columns.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        Scan { table: self.clone(), files, columns, between: None, helper: false, reader: None }
    }

    /// Reads whole files, in the order given; `None` for `columns` means all.
    ///
    /// # Errors
    /// [`Error::Column`] for an unknown column, [`Error::Corrupt`] for a damaged file.
    pub async fn read_files(&self, files: &[DataFile], columns: Option<&[&str]>) -> Result<Vec<RecordBatch>, Error> {
        let columns = columns.map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        let mut batches = Vec::new();
        for file in files {
            let reader = self.open_file(file, columns.clone()).await?;
            batches.extend(blocking(move || reader.rest()).await?);
        }
        Ok(batches)
    }

    async fn open_file(&self, file: &DataFile, columns: Option<Vec<String>>) -> Result<FileReader, Error> {
        let (path, schema) = (self.object(&file.path), self.schema());
        if file.size <= TAIL || columns.is_none() {
            let bytes = self.storage.get(&path).await?;
            return blocking(move || FileReader::open(&path, bytes, columns.as_deref(), Some(&schema))).await;
        }
        let mut partial = self.partial(file).await?;
        let groups: Vec<usize> = (0..partial.metadata.num_row_groups()).collect();
        partial.fetch(&groups, columns.as_deref(), None).await?;
        let open = move || FileReader::over(&path, partial.reader(groups, None)?, columns.as_deref(), Some(&schema));
        blocking(open).await
    }
}

impl Scan {
    /// The next rows, never an empty batch; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Column`] for an unknown column, [`Error::Corrupt`] for a damaged file.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, Error> {
        loop {
            let reader = match self.reader.take() {
                Some(reader) => reader,
                None => {
                    let Some(file) = self.files.pop_front() else { return Ok(None) };
                    self.table.open_file(&file, self.columns.clone()).await?
                }
            };
            let (reader, batch) = blocking(move || {
                let mut reader = reader;
                let batch = reader.next()?;
                Ok((reader, batch))
            })
            .await?;
            let Some(batch) = batch else { continue };
            self.reader = Some(reader);
            let batch = self.filter(batch)?;
            if batch.num_rows() > 0 {
                return Ok(Some(batch));
            }
        }
    }

    /// All remaining rows.
    ///
    /// # Errors
    /// As [`Scan::next`].
    pub async fn collect(mut self) -> Result<Vec<RecordBatch>, Error> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await? {
            batches.push(batch);
        }
        Ok(batches)
    }

    fn filter(&self, batch: RecordBatch) -> Result<RecordBatch, Error> {
        let Some(wanted) = &self.between else { return Ok(batch) };
        let column = batch.column_by_name(&wanted.column).ok_or_else(|| Error::Column(wanted.column.clone()))?;
        let instants = column
            .as_primitive_opt::<TimestampMillisecondType>()
            .ok_or_else(|| Error::Column(wanted.column.clone()))?;
        let inside = |value: Option<i64>| value.is_some_and(|v| wanted.from.0 <= v && v < wanted.to.0);
        let mask: BooleanArray = instants.iter().map(|value| Some(inside(value))).collect();
        let failed = |e: arrow::error::ArrowError| Error::Encode(e.to_string());
        let mut kept = filter_record_batch(&batch, &mask).map_err(failed)?;
        if self.helper {
            kept.remove_column(kept.num_columns() - 1);
        }
        Ok(kept)
    }
}
