//! Single Parquet files outside tables: snapshots, samples, evidence.

use crate::codec::{self, FileReader, FileWriter};
use crate::error::Error;
use crate::schema;
use crate::table::blocking;
use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use std::io::Write;
use tidemill_storage::Storage;
use tidemill_types::Digest;

/// Writes batches of one schema as one Parquet file, in the order given, and returns the digest of its bytes.
///
/// # Errors
/// [`Error::Encode`] when there is no batch or their schemas differ.
pub async fn write_parquet(storage: &Storage, path: &str, batches: &[RecordBatch]) -> Result<Digest, Error> {
    let first = batches.first().ok_or_else(|| Error::Encode("no batch, so no schema".to_owned()))?;
    let schema = schema::in_memory(&first.schema());
    let batches = batches.to_vec();
    let bytes = blocking(move || codec::encode(&batches, &schema)).await?;
    let digest = Digest::of(&bytes);
    storage.put(path, bytes).await?;
    Ok(digest)
}

/// A Parquet file outside every store, written batch by batch: exports.
pub struct ParquetFile<W: Write + Send>(FileWriter<W>);

impl<W: Write + Send> ParquetFile<W> {
    /// Begins a file of rows of this schema.
    ///
    /// # Errors
    /// [`Error::Encode`] for a schema that Parquet cannot hold.
    pub fn begin(sink: W, schema: &Schema) -> Result<Self, Error> {
        FileWriter::over(sink, &schema::in_memory(schema)).map(Self)
    }

    /// Adds rows.
    ///
    /// # Errors
    /// [`Error::Encode`] when they do not fit, or the sink does not take them.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.0.write(batch)
    }

    /// Writes the footer; without it the file cannot be read.
    ///
    /// # Errors
    /// [`Error::Encode`] when the sink does not take it.
    pub fn finish(self) -> Result<W, Error> {
        self.0.into_sink()
    }
}

/// Reads a Parquet file; `None` for `columns` means all. Instants come in milliseconds.
///
/// # Errors
/// [`Error::Column`] for an unknown column, [`Error::Corrupt`] for a damaged file.
pub async fn read_parquet(storage: &Storage, path: &str, columns: Option<&[&str]>) -> Result<Vec<RecordBatch>, Error> {
    let columns = columns.map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let bytes = storage.get(path).await?;
    let path = path.to_owned();
    blocking(move || FileReader::open(&path, bytes, columns.as_deref(), None)?.rest()).await
}
