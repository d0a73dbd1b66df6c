//! Batches to Parquet bytes and back. Synchronous: callers run it on blocking threads.

use crate::error::Error;
use crate::schema;
use arrow::array::{Array as _, ArrayRef, RecordBatch, UInt32Array, make_comparator};
use arrow::compute::{SortOptions, concat_batches, take_record_batch};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use std::io::Write;
use std::sync::Arc;

const ROW_GROUP_ROWS: usize = 128 * 1024;
/// Rows per decoded batch.
const BATCH_ROWS: usize = 64 * 1024;

/// All rows of the batches as one batch, in the order of a column where one is given. The sort is stable.
pub(crate) fn gather(to: &SchemaRef, batches: &[RecordBatch], sort_by: Option<&str>) -> Result<RecordBatch, Error> {
    let encode = |e: ArrowError| Error::Encode(e.to_string());
    let aligned = batches.iter().map(|batch| schema::cast_batch(batch, to)).collect::<Result<Vec<_>, _>>();
    let all = concat_batches(to, &aligned.map_err(encode)?).map_err(encode)?;
    let Some(column) = sort_by else { return Ok(all) };
    let keys = all.column_by_name(column).ok_or_else(|| Error::Column(column.to_owned()))?;
    match stable_order(keys).map_err(encode)? {
        Some(order) => take_record_batch(&all, &order).map_err(encode),
        None => Ok(all),
    }
}

/// The order that sorts the keys, `None` when they are sorted already.
fn stable_order(keys: &ArrayRef) -> Result<Option<UInt32Array>, ArrowError> {
    let compare = make_comparator(keys, keys, SortOptions::default())?;
    if (1..keys.len()).all(|i| compare(i - 1, i).is_le()) {
        return Ok(None);
    }
    let count = u32::try_from(keys.len()).map_err(|e| ArrowError::ComputeError(e.to_string()))?;
    let mut order: Vec<u32> = (0..count).collect();
    order.sort_by(|a, b| compare(*a as usize, *b as usize));
    Ok(Some(order.into()))
}

/// One Parquet file: zstd level 1, statistics per column chunk and page.
pub(crate) fn encode(batches: &[RecordBatch], schema: &Schema) -> Result<Bytes, Error> {
    let mut writer = FileWriter::new(schema)?;
    batches.iter().try_for_each(|batch| writer.write(batch))?;
    writer.finish()
}

/// A Parquet file that is written batch by batch.
pub(crate) struct FileWriter<W: Write + Send = Vec<u8>> {
    to: SchemaRef,
    inner: ArrowWriter<W>,
}

impl FileWriter {
    /// Writes into memory.
    pub(crate) fn new(schema: &Schema) -> Result<Self, Error> {
        Self::over(Vec::new(), schema)
    }

    /// The file.
    pub(crate) fn finish(self) -> Result<Bytes, Error> {
        self.inner.into_inner().map(Bytes::from).map_err(|e| Error::Encode(e.to_string()))
    }
}

impl<W: Write + Send> FileWriter<W> {
    /// Writes to `sink`.
    pub(crate) fn over(sink: W, schema: &Schema) -> Result<Self, Error> {
        let failed = |e: ParquetError| Error::Encode(e.to_string());
        let to = schema::in_file(schema);
        let level = ZstdLevel::try_new(1).map_err(failed)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_created_by(concat!("tidemill ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let inner = ArrowWriter::try_new(sink, Arc::clone(&to), Some(properties)).map_err(failed)?;
        Ok(Self { to, inner })
    }

    /// Adds rows, whose columns are those of the schema in order.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let batch = schema::cast_batch(batch, &self.to).map_err(|e| Error::Encode(e.to_string()))?;
        self.inner.write(&batch).map_err(|e| Error::Encode(e.to_string()))
    }

    /// Writes the footer and gives the sink back.
    pub(crate) fn into_sink(self) -> Result<W, Error> {
        self.inner.into_inner().map_err(|e| Error::Encode(e.to_string()))
    }
}

/// Decodes a file batch by batch.
pub(crate) struct FileReader {
    path: String,
    inner: ParquetRecordBatchReader,
    /// Order of the wanted columns among those that are read.
    order: Vec<usize>,
    output: SchemaRef,
}

impl FileReader {
    /// Opens a file's bytes; `columns` selects and orders columns, `expected` is the table's schema, if it has one.
    pub(crate) fn open(
        path: &str,
        bytes: Bytes,
        columns: Option<&[String]>,
        expected: Option<&SchemaRef>,
    ) -> Result<Self, Error> {
        let corrupt = |e: ParquetError| Error::Corrupt { path: path.to_owned(), reason: e.to_string() };
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(corrupt)?.with_batch_size(BATCH_ROWS);
        let of_file = schema::in_memory(builder.schema());
        let wanted: Vec<String> = match columns {
            Some(columns) => columns.to_vec(),
            None => {
                let all = expected.unwrap_or(&of_file);
                all.fields().iter().map(|f| f.name().clone()).collect()
            }
        };
        let mut indices = wanted
            .iter()
            .map(|name| of_file.index_of(name).map_err(|_| Error::Column(name.clone())))
            .collect::<Result<Vec<_>, _>>()?;
        let fields = wanted.iter().map(|name| {
            let schema = expected.unwrap_or(&of_file);
            schema.field_with_name(name).cloned().map_err(|_| Error::Column(name.clone()))
        });
        let output = Arc::new(Schema::new(fields.collect::<Result<Vec<_>, _>>()?));
        let mask = ProjectionMask::roots(builder.parquet_schema(), indices.iter().copied());
        let inner = builder.with_projection(mask).build().map_err(corrupt)?;
        // The reader yields columns in file order.
        let mut sorted = indices.clone();
        sorted.sort_unstable();
        for index in &mut indices {
            *index = sorted.binary_search(index).unwrap_or_default();
        }
        Ok(Self { path: path.to_owned(), inner, order: indices, output })
    }

    /// The next rows; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<RecordBatch>, Error> {
        let corrupt = |e: ArrowError| Error::Corrupt { path: self.path.clone(), reason: e.to_string() };
        let Some(batch) = self.inner.next() else { return Ok(None) };
        let batch = batch.and_then(|b| b.project(&self.order)).and_then(|b| schema::cast_batch(&b, &self.output));
        batch.map(Some).map_err(corrupt)
    }

    /// All remaining rows.
    pub(crate) fn rest(mut self) -> Result<Vec<RecordBatch>, Error> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next()? {
            batches.push(batch);
        }
        Ok(batches)
    }
}
