//! Tests of instants, in milliseconds since 1970, UTC. No clock is read.

use super::{RowCheck, column};
use crate::error::QualityError;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray, RecordBatch};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampMillisecondType};
use std::fmt;
use tidemill_types::{Millis, columns};

/// Milliseconds of a day.
pub(crate) const DAY: i64 = 86_400_000;

/// A column of instants in milliseconds.
pub(crate) fn instants(array: &ArrayRef) -> Result<PrimitiveArray<TimestampMillisecondType>, QualityError> {
    if let Some(fits) = array.as_primitive_opt::<TimestampMillisecondType>() {
        return Ok(fits.clone());
    }
    let zone = match array.data_type() {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    let millis = cast(array, &DataType::Timestamp(TimeUnit::Millisecond, zone))?;
    Ok(millis.as_primitive::<TimestampMillisecondType>().clone())
}

/// A test of one instant.
pub(super) struct Instants<F> {
    pub(super) column: String,
    pub(super) test: F,
}

impl<F> fmt::Debug for Instants<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instants").field("column", &self.column).finish_non_exhaustive()
    }
}

impl<F: Fn(i64) -> bool + Send + Sync> RowCheck for Instants<F> {
    fn passes(&self, batch: &RecordBatch) -> Result<BooleanArray, QualityError> {
        let array = instants(column(batch, &self.column)?)?;
        let values = array.values();
        let bits = BooleanBuffer::collect_bool(values.len(), |i| (self.test)(values[i]));
        Ok(BooleanArray::new(bits, array.nulls().cloned()))
    }
}

/// An instant against the row's knowledge time.
#[derive(Debug)]
pub(super) struct NotInFuture {
    pub(super) column: String,
    pub(super) tolerance: i64,
}

impl RowCheck for NotInFuture {
    fn passes(&self, batch: &RecordBatch) -> Result<BooleanArray, QualityError> {
        let (array, known) = (instants(column(batch, &self.column)?)?, instants(column(batch, columns::KNOWN_AT)?)?);
        let (values, limits) = (array.values(), known.values());
        let bits = BooleanBuffer::collect_bool(values.len(), |i| values[i] <= limits[i].saturating_add(self.tolerance));
        Ok(BooleanArray::new(bits, NullBuffer::union(array.nulls(), known.nulls())))
    }
}

/// Day of the week of an instant: Monday is 0.
pub(super) fn weekday(millis: i64) -> usize {
    // 1970-01-01 was a Thursday.
    (millis.div_euclid(DAY) + 3).rem_euclid(7) as usize
}

/// An instant as people write it: a date, or RFC 3339.
pub(super) fn read_instant(text: &str) -> Option<i64> {
    Millis::parse(text).or_else(|| Millis::parse(&format!("{text}T00:00:00Z"))).map(|millis| millis.0)
}
