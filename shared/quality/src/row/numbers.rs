//! Tests of numbers, each in the column's own type.

use super::{RowCheck, column};
use crate::error::QualityError;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
};
use num::AsFloat;
use std::fmt;

/// Numbers as doubles, as rules are written.
mod num {
    pub(super) trait AsFloat: Copy {
        fn float(self) -> f64;
    }

    macro_rules! as_float {
        ($($type:ty)*) => {$(
            impl AsFloat for $type {
                #[inline]
                fn float(self) -> f64 {
                    self as f64
                }
            }
        )*};
    }

    as_float!(i8 i16 i32 i64 f32 f64);
}

/// A test of one number.
pub(super) struct Numbers<F> {
    pub(super) column: String,
    pub(super) test: F,
}

impl<F> fmt::Debug for Numbers<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Numbers").field("column", &self.column).finish_non_exhaustive()
    }
}

impl<F: Fn(f64) -> bool + Send + Sync> RowCheck for Numbers<F> {
    fn passes(&self, batch: &RecordBatch) -> Result<BooleanArray, QualityError> {
        tested(column(batch, &self.column)?, &self.test)
    }
}

/// Tests every value; values of null rows are tested too, and forgotten.
pub(super) fn tested(array: &ArrayRef, test: &impl Fn(f64) -> bool) -> Result<BooleanArray, QualityError> {
    Ok(match array.data_type() {
        DataType::Int8 => primitive::<Int8Type>(array, test),
        DataType::Int16 => primitive::<Int16Type>(array, test),
        DataType::Int32 => primitive::<Int32Type>(array, test),
        DataType::Int64 => primitive::<Int64Type>(array, test),
        DataType::Float32 => primitive::<Float32Type>(array, test),
        DataType::Float64 => primitive::<Float64Type>(array, test),
        _ => primitive::<Float64Type>(&cast(array, &DataType::Float64)?, test),
    })
}

fn primitive<T>(array: &ArrayRef, test: &impl Fn(f64) -> bool) -> BooleanArray
where
    T: ArrowPrimitiveType,
    T::Native: AsFloat,
{
    let values = array.as_primitive::<T>().values();
    let bits = BooleanBuffer::collect_bool(values.len(), |i| test(values[i].float()));
    BooleanArray::new(bits, array.nulls().cloned())
}

/// A point in a box.
#[derive(Debug)]
pub(super) struct Point {
    pub(super) latitude: (String, f64, f64),
    pub(super) longitude: (String, f64, f64),
}

impl RowCheck for Point {
    fn passes(&self, batch: &RecordBatch) -> Result<BooleanArray, QualityError> {
        let ((lat, south, north), (lon, west, east)) = (&self.latitude, &self.longitude);
        let north_south = tested(column(batch, lat)?, &|v| *south <= v && v <= *north)?;
        // A box may cross the antimeridian.
        let east_west = tested(column(batch, lon)?, &|v| {
            if west <= east {
                *west <= v && v <= *east
            } else {
                (*west <= v && v <= 180.0) || (-180.0..=*east).contains(&v)
            }
        })?;
        Ok(arrow::compute::and(&north_south, &east_west)?)
    }
}

/// Whether `value` is a whole number of steps, to a billionth of one (or to what a double can tell).
pub(super) fn is_multiple(value: f64, step: f64) -> bool {
    let steps = value / step;
    if steps.is_infinite() {
        // Beyond what a double counts every number is a multiple.
        return value.is_finite();
    }
    (steps - steps.round()).abs() <= 1e-9_f64.max(steps.abs() * f64::EPSILON)
}
