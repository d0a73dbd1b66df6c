//! Reading Arrow columns as numbers or texts.

use crate::{Error, Result};
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type, TimeUnit};
use serde::{Deserialize, Serialize};

/// How a column is summarised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Integers, floats and decimals, as `f64`.
    Numeric,
    /// Booleans, as the texts `true` and `false`.
    Boolean,
    /// Texts, plain, view or dictionary.
    Text,
    /// Timestamps and dates, as milliseconds since 1970-01-01T00:00:00Z.
    Instant,
    /// Anything else: rows and nulls are counted, no more.
    Other,
}

impl Kind {
    /// The kind of an Arrow type.
    #[must_use]
    pub fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Boolean,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::Dictionary(_, value) => Self::of(value),
            DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => Self::Instant,
            other if other.is_numeric() => Self::Numeric,
            _ => Self::Other,
        }
    }

    /// True for kinds that have an order and moments.
    #[must_use]
    pub fn is_numeric(self) -> bool {
        matches!(self, Self::Numeric | Self::Instant)
    }
}

/// Out-of-range values are an error rather than nulls that nobody sent.
const STRICT: CastOptions<'static> =
    CastOptions { safe: false, format_options: arrow::util::display::FormatOptions::new() };

fn cast(array: &ArrayRef, to: &DataType, wanted: &'static str) -> Result<ArrayRef> {
    cast_with_options(array, to, &STRICT).map_err(|_| Error::Type { wanted, data_type: array.data_type().to_string() })
}

/// A numeric or instant column as `f64` (instants in milliseconds since 1970-01-01T00:00:00Z).
///
/// # Errors
/// A column of another kind, or values outside `f64`.
pub fn floats(array: &ArrayRef) -> Result<Float64Array> {
    let plain = match array.data_type() {
        DataType::Dictionary(_, value) => cast(array, value, "plain values")?,
        _ => array.clone(),
    };
    let numbers = match plain.data_type() {
        DataType::Timestamp(_, zone) => {
            let millis = cast(&plain, &DataType::Timestamp(TimeUnit::Millisecond, zone.clone()), "milliseconds")?;
            cast(&millis, &DataType::Int64, "milliseconds")?
        }
        DataType::Date32 | DataType::Date64 => {
            let millis = cast(&plain, &DataType::Timestamp(TimeUnit::Millisecond, None), "milliseconds")?;
            cast(&millis, &DataType::Int64, "milliseconds")?
        }
        _ => plain,
    };
    Ok(cast(&numbers, &DataType::Float64, "numbers")?.as_primitive::<Float64Type>().clone())
}

/// The instants of a column in milliseconds since 1970-01-01T00:00:00Z, without nulls.
///
/// # Errors
/// A column of another kind.
pub fn millis(array: &ArrayRef) -> Result<Vec<i64>> {
    Ok(floats(array)?.iter().flatten().map(|at| at as i64).collect())
}

/// A text or boolean column as UTF-8.
///
/// # Errors
/// A column of another kind.
pub fn texts(array: &ArrayRef) -> Result<StringArray> {
    Ok(cast(array, &DataType::Utf8, "text")?.as_string::<i32>().clone())
}

/// A boolean column, plain.
pub(crate) fn booleans(array: &ArrayRef) -> Result<ArrayRef> {
    match array.data_type() {
        DataType::Boolean => Ok(array.clone()),
        _ => cast(array, &DataType::Boolean, "booleans"),
    }
}

/// Beyond 2⁵³ neighbours share one f64; identifiers live there and must stay apart.
const EXACT: u64 = 1 << 53;

/// What identifies one row of a number column.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Word {
    /// No value.
    Null,
    /// Not a number.
    Nan,
    /// Bits of the value; equal numbers of different types give equal bits.
    Value(u64),
}

/// One word a row.
pub(crate) fn words(array: &ArrayRef, floats: &Float64Array) -> Vec<Word> {
    let values = floats.values();
    let plain = |value: f64| {
        if value.is_nan() { Word::Nan } else { Word::Value((value + 0.0).to_bits()) }
    };
    let mut words: Vec<Word> = match array.as_primitive_opt::<Int64Type>() {
        Some(exact) => exact.values().iter().map(|value| Word::Value(identity(*value))).collect(),
        None => values.iter().map(|value| plain(*value)).collect(),
    };
    if let Some(nulls) = floats.nulls() {
        for (row, word) in words.iter_mut().enumerate() {
            if nulls.is_null(row) {
                *word = Word::Null;
            }
        }
    }
    words
}

fn identity(value: i64) -> u64 {
    if value.unsigned_abs() > EXACT { value as u64 } else { (value as f64 + 0.0).to_bits() }
}

/// A number as it is written: whole ones without a point, single precision in its own digits.
pub(crate) fn written(array: &ArrayRef, floats: &Float64Array, row: usize) -> String {
    if let Some(exact) = array.as_primitive_opt::<Int64Type>() {
        return exact.value(row).to_string();
    }
    if let Some(single) = array.as_primitive_opt::<Float32Type>() {
        return single.value(row).to_string();
    }
    floats.value(row).to_string()
}
