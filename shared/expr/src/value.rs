//! The types of the language, and the values that flow between kernels.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Datum, Float64Array, UInt32Array, new_empty_array, new_null_array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, DurationMillisecondType, Float64Type, Int64Type, TimeUnit, TimestampMillisecondType};
use arrow::error::ArrowError;
use std::fmt;
use std::sync::Arc;

/// The types an expression can have. Every Arrow type that is read is widened to one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// The type of a bare `null`; it becomes any other type.
    Null,
    /// Three-valued truth.
    Boolean,
    /// All integers.
    Int64,
    /// All floating-point and decimal numbers.
    Float64,
    /// All text.
    Utf8,
    /// Instant in UTC, milliseconds.
    Timestamp,
    /// Length of time, milliseconds.
    Duration,
}

impl Type {
    /// The type under which a column of this Arrow type is read, or none.
    pub(crate) fn of(data_type: &DataType) -> Option<Self> {
        use DataType as D;
        Some(match data_type {
            D::Null => Self::Null,
            D::Boolean => Self::Boolean,
            D::Int8 | D::Int16 | D::Int32 | D::Int64 | D::UInt8 | D::UInt16 | D::UInt32 | D::UInt64 => Self::Int64,
            D::Float16 | D::Float32 | D::Float64 | D::Decimal128(..) | D::Decimal256(..) => Self::Float64,
            D::Utf8 | D::LargeUtf8 | D::Utf8View => Self::Utf8,
            D::Timestamp(..) | D::Date32 | D::Date64 => Self::Timestamp,
            D::Duration(_) => Self::Duration,
            D::Dictionary(_, values) => return Self::of(values),
            _ => return None,
        })
    }

    /// The Arrow type of its arrays.
    pub(crate) fn arrow(self) -> DataType {
        match self {
            Self::Null => DataType::Null,
            Self::Boolean => DataType::Boolean,
            Self::Int64 => DataType::Int64,
            Self::Float64 => DataType::Float64,
            Self::Utf8 => DataType::Utf8,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            Self::Duration => DataType::Duration(TimeUnit::Millisecond),
        }
    }

    /// True for the two number types.
    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Int64 | Self::Float64)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int64 => "bigint",
            Self::Float64 => "double",
            Self::Utf8 => "varchar",
            Self::Timestamp => "timestamp",
            Self::Duration => "interval",
        })
    }
}

/// A column of a batch, or one value that stands for every row.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// One entry per row.
    Array(ArrayRef),
    /// An array of length one that stands for all rows.
    Scalar(ArrayRef),
}

impl Datum for Value {
    fn get(&self) -> (&dyn Array, bool) {
        match self {
            Self::Array(array) => (array.as_ref(), false),
            Self::Scalar(array) => (array.as_ref(), true),
        }
    }
}

impl Value {
    /// A null of the given type for every row.
    pub(crate) fn null(data_type: Type) -> Self {
        Self::Scalar(new_null_array(&data_type.arrow(), 1))
    }

    /// The array, of length one for a scalar.
    pub(crate) fn array(&self) -> &ArrayRef {
        match self {
            Self::Array(array) | Self::Scalar(array) => array,
        }
    }

    /// Applies `kernel` to the array and keeps whether it is a scalar.
    pub(crate) fn map(
        &self,
        kernel: impl FnOnce(&ArrayRef) -> Result<ArrayRef, ArrowError>,
    ) -> Result<Self, ArrowError> {
        Ok(match self {
            Self::Array(array) => Self::Array(kernel(array)?),
            Self::Scalar(array) => Self::Scalar(kernel(array)?),
        })
    }

    /// An array with one entry per row.
    pub(crate) fn into_array(self, rows: usize) -> Result<ArrayRef, ArrowError> {
        let array = match self {
            Self::Array(array) => return Ok(array),
            Self::Scalar(array) => array,
        };
        match rows {
            0 => Ok(new_empty_array(array.data_type())),
            1 => Ok(array),
            _ if array.is_null(0) || array.data_type() == &DataType::Null => {
                Ok(new_null_array(array.data_type(), rows))
            }
            _ => arrow::compute::take(&array, &UInt32Array::from_value(0, rows), None),
        }
    }

    /// Wraps the result of a kernel over `inputs`: a scalar when all inputs are.
    pub(crate) fn like(array: ArrayRef, inputs: &[&Self]) -> Self {
        let scalar = inputs.iter().all(|input| matches!(input, Self::Scalar(_)));
        if scalar { Self::Scalar(array) } else { Self::Array(array) }
    }

    /// The rows in which a boolean value is true (neither false nor null).
    pub(crate) fn truths(&self, rows: usize) -> BooleanBuffer {
        match self {
            Self::Scalar(array) => {
                let array = array.as_boolean();
                let holds = !array.is_null(0) && array.value(0);
                if holds { BooleanBuffer::new_set(rows) } else { BooleanBuffer::new_unset(rows) }
            }
            Self::Array(array) => truths(array.as_boolean()),
        }
    }
}

/// The true entries of a boolean array.
pub(crate) fn truths(array: &BooleanArray) -> BooleanBuffer {
    match array.nulls() {
        Some(nulls) => array.values() & nulls.inner(),
        None => array.values().clone(),
    }
}

/// Reads an Arrow array as one of the language's types. Unsigned integers beyond `i64` are an error;
/// timestamps without a zone count as UTC; dates are their midnight in UTC.
pub(crate) fn normalise(array: &ArrayRef, to: Type) -> Result<ArrayRef, ArrowError> {
    let target = to.arrow();
    if array.data_type() == &target {
        return Ok(Arc::clone(array));
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let array = match array.data_type() {
        DataType::Dictionary(_, values) => cast_with_options(array, values, &strict)?,
        _ => Arc::clone(array),
    };
    if to != Type::Timestamp {
        return cast_with_options(&array, &target, &strict);
    }
    let array = match array.data_type() {
        // A stored instant is UTC whatever zone it is shown in, so the zone is dropped, not converted.
        DataType::Timestamp(unit, Some(_)) => reinterpret(&array, &DataType::Timestamp(*unit, None))?,
        _ => array,
    };
    let naive = cast_with_options(&array, &DataType::Timestamp(TimeUnit::Millisecond, None), &strict)?;
    reinterpret(&naive, &target)
}

/// The same bits under another Arrow type of the same layout.
pub(crate) fn reinterpret(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let data = array.to_data().into_builder().data_type(to.clone()).build()?;
    Ok(arrow::array::make_array(data))
}

/// Float array whose NaN entries are null.
pub(crate) fn without_nan(array: Float64Array) -> ArrayRef {
    if !array.values().iter().any(|value| value.is_nan()) {
        return Arc::new(array);
    }
    let numbers = BooleanBuffer::collect_bool(array.len(), |row| !array.values()[row].is_nan());
    let nulls = NullBuffer::union(array.nulls(), Some(&NullBuffer::new(numbers)));
    Arc::new(Float64Array::new(array.values().clone(), nulls))
}

/// Makes floats comparable: NaN becomes null and -0.0 becomes 0.0. Other types are unchanged.
pub(crate) fn comparable(value: &Value) -> Value {
    if value.array().data_type() != &DataType::Float64 {
        return value.clone();
    }
    let floats = value.array().as_primitive::<Float64Type>();
    let odd = |number: &f64| number.is_nan() || (*number == 0.0 && number.is_sign_negative());
    if !floats.values().iter().any(odd) {
        return value.clone();
    }
    let array = without_nan(floats.unary(|number| number + 0.0));
    Value::like(array, &[value])
}

/// Raw 64-bit integers behind an integer, timestamp or duration array.
pub(crate) fn ticks(array: &ArrayRef) -> Result<arrow::array::Int64Array, ArrowError> {
    Ok(match array.data_type() {
        DataType::Int64 => array.as_primitive::<Int64Type>().clone(),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            array.as_primitive::<TimestampMillisecondType>().reinterpret_cast::<Int64Type>()
        }
        DataType::Duration(TimeUnit::Millisecond) => {
            array.as_primitive::<DurationMillisecondType>().reinterpret_cast::<Int64Type>()
        }
        other => return Err(ArrowError::CastError(format!("{other} is not a 64-bit integer type"))),
    })
}
