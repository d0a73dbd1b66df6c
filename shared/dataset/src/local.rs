//! Parquet files of the local disk, read column by column and row group by row group on any thread.
//!
//! Texts that a file holds as dictionaries are handed out as dictionaries, so that a value of many rows is looked at
//! once. What the footer declares is checked before anything is decoded: a file cannot make a reader reserve memory or
//! spend time out of proportion to its size. Damage ends in [`Error::Corrupt`], a panic of the decoder included.

use crate::error::Error;
use crate::plausible::plausible;
use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::Encoding;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{ChunkReader, Length};
use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

/// Rows of one array.
const ROWS: usize = 64 * 1024;

/// A Parquet file whose footer was read and found plausible.
pub struct LocalParquet {
    path: String,
    file: Positioned,
    plain: ArrowReaderMetadata,
    dictionaries: ArrowReaderMetadata,
    schema: SchemaRef,
}

impl LocalParquet {
    /// Opens a file.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a file that is cut off, no Parquet file, or declares the impossible.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        let corrupt = |reason: String| Error::Corrupt { path: name.clone(), reason };
        let file = File::open(path).map_err(|e| corrupt(e.to_string()))?;
        let length = file.metadata().map_err(|e| corrupt(e.to_string()))?.len();
        let file = Positioned { file: Arc::new(file), length };
        let load = || ArrowReaderMetadata::load(&file, ArrowReaderOptions::new());
        let found = guarded(load).map_err(corrupt)?;
        plausible(found.metadata(), length).map_err(|e| corrupt(e.to_string()))?;
        let footer = Arc::clone(found.metadata());
        let with = |texts: &DataType| {
            let schema = texts_as(found.schema(), texts);
            ArrowReaderMetadata::try_new(Arc::clone(&footer), ArrowReaderOptions::new().with_schema(schema))
        };
        let keyed = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let views = guarded(|| with(&DataType::Utf8View)).map_err(corrupt)?;
        let dictionaries = guarded(|| with(&keyed)).map_err(corrupt)?;
        Ok(Self { path: name, file, schema: Arc::clone(found.schema()), plain: views, dictionaries })
    }

    /// Columns of the file.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Rows of each row group.
    #[must_use]
    pub fn row_groups(&self) -> Vec<u64> {
        self.plain.metadata().row_groups().iter().map(|group| group.num_rows().unsigned_abs()).collect()
    }

    /// Bytes of the file.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.file.length
    }

    /// Hands out a column of a row group, array by array. Texts come as views or dictionaries.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for damaged pages, and what `visit` refuses.
    pub fn read<E: From<Error>>(
        &self,
        group: usize,
        column: usize,
        visit: &mut dyn FnMut(&ArrayRef) -> Result<(), E>,
    ) -> Result<(), E> {
        let name = self.schema.fields().get(column).map_or("", |field| field.name());
        let corrupt = |reason: String| Error::Corrupt {
            path: self.path.clone(),
            reason: format!("row group {group}, column \"{name}\": {reason}"),
        };
        let metadata = if self.is_dictionary(group, column) { &self.dictionaries } else { &self.plain };
        let open = || {
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.file.clone(), metadata.clone());
            let mask = ProjectionMask::roots(builder.parquet_schema(), [column]);
            builder.with_projection(mask).with_row_groups(vec![group]).with_batch_size(ROWS).build()
        };
        let mut reader = guarded(open).map_err(corrupt)?;
        loop {
            let batch = guarded(|| reader.next().transpose().map_err(ParquetError::from)).map_err(corrupt)?;
            let Some(batch) = batch else { return Ok(()) };
            visit(batch.column(0))?;
        }
    }

    /// Whether every page of a column of texts is in the dictionary.
    fn is_dictionary(&self, group: usize, column: usize) -> bool {
        let metadata = self.plain.metadata();
        let root = |leaf: &usize| metadata.file_metadata().schema_descr().get_column_root_idx(*leaf) == column;
        let Some(group) = metadata.row_groups().get(group) else { return false };
        let mut leaves = (0..group.num_columns()).filter(root);
        let (Some(leaf), None) = (leaves.next(), leaves.next()) else { return false };
        let chunk = group.column(leaf);
        let only = |mask: &parquet::basic::EncodingMask| {
            mask.is_only(Encoding::PLAIN_DICTIONARY) || mask.is_only(Encoding::RLE_DICTIONARY)
        };
        chunk.dictionary_page_offset().is_some() && chunk.page_encoding_stats_mask().is_some_and(only)
    }
}

/// The schema of a Parquet file with another type for its texts: views share the text of a page, dictionaries that of
/// a column chunk, where plain text would be copied for every row.
#[must_use]
pub fn texts_as(schema: &Schema, texts: &DataType) -> SchemaRef {
    let field = |field: &Arc<Field>| match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            Arc::new(field.as_ref().clone().with_data_type(texts.clone()))
        }
        DataType::Dictionary(_, value) if matches!(value.as_ref(), DataType::Utf8 | DataType::LargeUtf8) => {
            Arc::new(field.as_ref().clone().with_data_type(texts.clone()))
        }
        _ => Arc::clone(field),
    };
    Arc::new(Schema::new_with_metadata(
        schema.fields().iter().map(field).collect::<Vec<_>>(),
        schema.metadata().clone(),
    ))
}

/// Runs a decoder that outside bytes may have led astray.
fn guarded<T>(work: impl FnOnce() -> ParquetResult<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(|e| e.to_string()),
        Err(_) => Err("the decoder gave up on what it found there".to_owned()),
    }
}

/// A file that many threads read at their own places.
#[derive(Clone)]
struct Positioned {
    file: Arc<File>,
    length: u64,
}

/// A place in such a file.
struct At {
    file: Arc<File>,
    at: u64,
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Length for Positioned {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Positioned {
    type T = BufReader<At>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(BufReader::with_capacity(512, At { file: Arc::clone(&self.file), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let end = start.checked_add(length as u64).filter(|end| *end <= self.length);
        end.ok_or_else(|| ParquetError::EOF(format!("{length} bytes at {start} are not in the file")))?;
        let mut buffer = vec![0; length];
        self.file.read_exact_at(&mut buffer, start)?;
        Ok(Bytes::from(buffer))
    }
}
