//! Rows of several batches as the bytes of one file, in the order of a column, holding the rows once.

use crate::codec::FileWriter;
use crate::error::Error;
use crate::file::Statistics;
use crate::schema;
use arrow::array::{Array, ArrayRef, RecordBatch, make_comparator};
use arrow::compute::{SortOptions, concat, interleave_record_batch};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use bytes::Bytes;
use std::sync::Arc;

/// Rows put together at a time.
const CHUNK: usize = 64 * 1024;

/// A file under way, with its statistics.
pub(crate) struct Joined {
    writer: FileWriter,
    schema: SchemaRef,
    statistics: Statistics,
}

impl Joined {
    /// Holds nothing yet.
    pub(crate) fn new(schema: &SchemaRef) -> Result<Self, Error> {
        let writer = FileWriter::new(schema)?.on_all_cores();
        Ok(Self { writer, schema: Arc::clone(schema), statistics: Statistics::default() })
    }

    /// Adds rows behind those that it has.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let batch = schema::cast_batch(batch, &self.schema).map_err(failed)?;
        self.statistics.add(&batch);
        self.writer.write(&batch)
    }

    /// Whether it has no rows.
    pub(crate) fn is_empty(&self) -> bool {
        self.statistics.is_empty()
    }

    /// The file's bytes and its statistics.
    pub(crate) fn finish(self) -> Result<(Bytes, String), Error> {
        let Self { writer, mut statistics, .. } = self;
        let bytes = writer.finish_telling(&mut statistics)?;
        Ok((bytes.into(), statistics.to_json()))
    }
}

/// The file's bytes and its statistics. Rows that are equal in the column keep their order.
pub(crate) fn encode(
    batches: &[RecordBatch],
    schema: &SchemaRef,
    sort_by: Option<&str>,
) -> Result<(Bytes, String), Error> {
    let mut joined = Joined::new(schema)?;
    match sort_by.map(|column| order(batches, schema, column)).transpose()?.flatten() {
        None => batches.iter().try_for_each(|batch| joined.add(batch))?,
        Some(order) => {
            let parts: Vec<&RecordBatch> = batches.iter().collect();
            for places in order.chunks(CHUNK) {
                joined.add(&interleave_record_batch(&parts, places).map_err(failed)?)?;
            }
        }
    }
    joined.finish()
}

fn failed(error: ArrowError) -> Error {
    Error::Encode(error.to_string())
}

/// One column of all rows.
fn column(batches: &[RecordBatch], index: usize) -> Result<ArrayRef, Error> {
    let parts: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(index).as_ref()).collect();
    concat(&parts).map_err(failed)
}

/// Batch and row of every row in the order of a column; `None` when they are in order already.
fn order(batches: &[RecordBatch], schema: &Schema, name: &str) -> Result<Option<Vec<(usize, usize)>>, Error> {
    let index = schema.index_of(name).map_err(|_| Error::Column(name.to_owned()))?;
    let keys = column(batches, index)?;
    let compare = make_comparator(&keys, &keys, SortOptions::default()).map_err(failed)?;
    if (1..keys.len()).all(|i| compare(i - 1, i).is_le()) {
        return Ok(None);
    }
    let places = batches.iter().enumerate().flat_map(|(b, batch)| (0..batch.num_rows()).map(move |row| (b, row)));
    let places: Vec<(usize, usize)> = places.collect();
    let mut sorted: Vec<usize> = (0..places.len()).collect();
    sorted.sort_by(|a, b| compare(*a, *b));
    Ok(Some(sorted.into_iter().filter_map(|i| places.get(i).copied()).collect()))
}
