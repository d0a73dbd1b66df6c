//! Batches to Parquet bytes and back. Synchronous: callers run it on blocking threads.

use crate::error::Error;
use crate::file::{MAX_BOUND_BYTES, Statistics};
use crate::schema;
use arrow::array::{Array as _, RecordBatch};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::ChunkReader;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use std::io::Write;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use tidemill_types::columns;

/// A row group ends at so many rows, or at so much data before it is encoded.
pub(crate) const ROW_GROUP_ROWS: usize = 128 * 1024;
const ROW_GROUP_BYTES: usize = 64 << 20;
/// A dictionary larger than this saves nothing and costs the most time of all.
const DICTIONARY_BYTES: usize = 256 << 10;
/// Fewer rows are encoded sooner than threads are started.
const WORTH_A_THREAD: usize = 16 * 1024;
/// Rows per decoded batch.
const BATCH_ROWS: usize = 64 * 1024;

/// One Parquet file: zstd level 1, statistics per column chunk and page.
pub(crate) fn encode(batches: &[RecordBatch], schema: &Schema) -> Result<Bytes, Error> {
    let mut writer = FileWriter::new(schema)?;
    batches.iter().try_for_each(|batch| writer.write(batch))?;
    writer.finish()
}

/// A Parquet file that is written batch by batch.
pub(crate) struct FileWriter<W: Write + Send = Vec<u8>> {
    to: SchemaRef,
    inner: SerializedFileWriter<W>,
    groups: ArrowRowGroupWriterFactory,
    threads: usize,
    /// Rows of the next row group.
    pending: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

impl FileWriter {
    /// Writes into memory.
    pub(crate) fn new(schema: &Schema) -> Result<Self, Error> {
        Self::over(Vec::new(), schema)
    }

    /// The file.
    pub(crate) fn finish(self) -> Result<Bytes, Error> {
        self.into_sink().map(Bytes::from)
    }
}

impl<W: Write + Send> FileWriter<W> {
    /// Writes to `sink`, on one thread.
    pub(crate) fn over(sink: W, schema: &Schema) -> Result<Self, Error> {
        let to = schema::in_file(schema);
        let level = ZstdLevel::try_new(1).map_err(failed)?;
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_statistics_truncate_length(Some(MAX_BOUND_BYTES))
            .set_dictionary_page_size_limit(DICTIONARY_BYTES)
            .set_created_by(concat!("tidemill ", env!("CARGO_PKG_VERSION")).to_owned());
        for field in to.fields().iter().filter(|field| is_whole(field.data_type())) {
            let column = ColumnPath::from(field.name().as_str());
            // A dictionary of values that hardly repeat is given up after much work; neighbours differ by little.
            if is_a_run(field.name(), field.data_type()) {
                properties = properties.set_column_dictionary_enabled(column.clone(), false);
            }
            properties = properties.set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
        }
        let writer = ArrowWriter::try_new(sink, Arc::clone(&to), Some(properties.build())).map_err(failed)?;
        let (inner, groups) = writer.into_serialized_writer().map_err(failed)?;
        Ok(Self { to, inner, groups, threads: 1, pending: Vec::new(), rows: 0, bytes: 0 })
    }

    /// Encodes as many columns at a time as there are cores.
    pub(crate) fn on_all_cores(self) -> Self {
        Self { threads: thread::available_parallelism().map_or(1, NonZero::get), ..self }
    }

    /// Adds rows, whose columns are those of the schema in order.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let mut batch = schema::cast_batch(batch, &self.to).map_err(|e| Error::Encode(e.to_string()))?;
        while batch.num_rows() > 0 {
            let taken = batch.num_rows().min(ROW_GROUP_ROWS - self.rows);
            let part = batch.slice(0, taken);
            batch = batch.slice(taken, batch.num_rows() - taken);
            self.bytes +=
                part.columns().iter().map(|c| c.to_data().get_slice_memory_size().unwrap_or(0)).sum::<usize>();
            self.rows += taken;
            self.pending.push(part);
            if self.rows == ROW_GROUP_ROWS || self.bytes >= ROW_GROUP_BYTES {
                self.close_group()?;
            }
        }
        Ok(())
    }

    /// Writes the footer; the statistics learn the bounds of texts.
    pub(crate) fn finish_telling(mut self, statistics: &mut Statistics) -> Result<W, Error> {
        self.close_group()?;
        self.inner.flushed_row_groups().iter().for_each(|group| statistics.add_texts(group));
        self.into_sink()
    }

    /// Encodes what is pending as one row group.
    fn close_group(&mut self) -> Result<(), Error> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        let batches = std::mem::take(&mut self.pending);
        if rows == 0 {
            return Ok(());
        }
        let writers = self.groups.create_column_writers(self.inner.flushed_row_groups().len()).map_err(failed)?;
        let threads = if rows < WORTH_A_THREAD { 1 } else { self.threads };
        let chunks = encode_columns(&self.to, &batches, writers, threads)?;
        let mut group = self.inner.next_row_group().map_err(failed)?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut group).map_err(failed)?;
        }
        group.close().map_err(failed)?;
        Ok(())
    }

    /// Writes the footer and gives the sink back.
    pub(crate) fn into_sink(mut self) -> Result<W, Error> {
        self.close_group()?;
        self.inner.into_inner().map_err(failed)
    }
}

fn failed(error: ParquetError) -> Error {
    Error::Encode(error.to_string())
}

/// The columns of some rows, in order, each encoded by whichever thread is free.
fn encode_columns(
    schema: &Schema,
    batches: &[RecordBatch],
    writers: Vec<ArrowColumnWriter>,
    threads: usize,
) -> Result<Vec<ArrowColumnChunk>, Error> {
    let encode = |(index, mut writer): (usize, ArrowColumnWriter)| {
        for batch in batches {
            // One leaf a column: tables hold nothing that is nested but lists of plain values.
            for leaf in compute_leaves(schema.field(index), batch.column(index)).map_err(failed)? {
                writer.write(&leaf).map_err(failed)?;
            }
        }
        Ok((index, writer.close().map_err(failed)?))
    };
    if threads < 2 {
        return writers.into_iter().enumerate().map(|work| encode(work).map(|(_, chunk)| chunk)).collect();
    }
    let work = Mutex::new(writers.into_iter().enumerate());
    let work_off = || {
        let next = || work.lock().unwrap_or_else(PoisonError::into_inner).next();
        std::iter::from_fn(next).map(encode).collect::<Result<Vec<_>, Error>>()
    };
    let mut chunks = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work_off)).collect();
        let mut done = work_off();
        for other in others {
            let theirs = other.join().unwrap_or_else(|panic| resume_unwind(panic));
            done = done.and_then(|mut done| theirs.map(|theirs| done.extend(theirs)).map(|()| done));
        }
        done
    })?;
    chunks.sort_unstable_by_key(|(index, _)| *index);
    Ok(chunks.into_iter().map(|(_, chunk)| chunk).collect())
}

/// Whether values are whole numbers: what a dictionary does not fit, differences to neighbours do.
fn is_whole(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int32 | DataType::Int64 | DataType::Timestamp(..))
}

/// Whether a column's neighbours differ by little: instants, sequences and positions.
fn is_a_run(name: &str, data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(..)) || name == columns::SEQ || name == columns::ROW
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
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(corrupt)?;
        Self::over(path, builder, columns, expected)
    }

    /// The same for a reader of bytes that was told which rows to read.
    pub(crate) fn over<R: ChunkReader + 'static>(
        path: &str,
        builder: ParquetRecordBatchReaderBuilder<R>,
        columns: Option<&[String]>,
        expected: Option<&SchemaRef>,
    ) -> Result<Self, Error> {
        let corrupt = |e: ParquetError| Error::Corrupt { path: path.to_owned(), reason: e.to_string() };
        let builder = builder.with_batch_size(BATCH_ROWS);
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
