//! Reading Arrow columns as numbers or texts.

use crate::{Error, Result};
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
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

/// A numeric or instant column as `f64` (instants in milliseconds).
pub(crate) fn floats(array: &ArrayRef) -> Result<Float64Array> {
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

/// A text or boolean column as UTF-8.
pub(crate) fn texts(array: &ArrayRef) -> Result<StringArray> {
    Ok(cast(array, &DataType::Utf8, "text")?.as_string::<i32>().clone())
}

/// Calls `visit` with bytes that identify each non-null value; equal numbers of different types give equal bytes.
pub(crate) fn number_bytes(array: &ArrayRef, floats: &Float64Array, mut visit: impl FnMut(&[u8])) {
    const EXACT: u64 = 1 << 53;
    if array.data_type() == &DataType::Int64 {
        for value in array.as_primitive::<Int64Type>().iter().flatten() {
            // Beyond 2⁵³ neighbours share one f64; identifiers live there and must stay apart.
            if value.unsigned_abs() > EXACT {
                visit(&value.to_le_bytes());
            } else {
                visit(&(value as f64).to_bits().to_le_bytes());
            }
        }
        return;
    }
    for value in floats.iter().flatten().filter(|v| !v.is_nan()) {
        let positive_zero = value + 0.0;
        visit(&positive_zero.to_bits().to_le_bytes());
    }
}
