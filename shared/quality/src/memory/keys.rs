//! Columns as keys and values that can be remembered.

use super::MemoryCheck;
use super::keyed::Position;
use crate::error::QualityError;
use crate::row::column;
use crate::row::times::instants;
use crate::rule::CompiledRule;
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};
use tidemill_types::columns;
use xxhash_rust::xxh3::xxh3_128;

/// What a row says under a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: u128,
    /// Zero for `unique`, a hash for `determines`, the ordered value for `increasing`.
    pub(crate) value: i64,
}

/// What every row says under a rule; none where a component is null or the rule does not look.
pub(crate) fn entries(
    batch: &RecordBatch,
    rule: &CompiledRule,
    check: &MemoryCheck,
) -> Result<Vec<Option<Entry>>, QualityError> {
    let (keys, values) = match check {
        MemoryCheck::Unique(columns) => (key_hashes(batch, columns)?, None),
        MemoryCheck::Determines { key, value } => {
            let hashes = key_hashes(batch, std::slice::from_ref(value))?;
            (key_hashes(batch, key)?, Some(hashes.into_iter().map(|hash| hash.map(|h| h as i64)).collect()))
        }
        MemoryCheck::Increasing { by, column: name, .. } => {
            (key_hashes(batch, by)?, Some(ordered(column(batch, name)?)?))
        }
        MemoryCheck::Refers { .. } => return Ok(vec![None; batch.num_rows()]),
    };
    let values: Option<Vec<Option<i64>>> = values;
    let looked = rule.when.as_ref().map(|when| when.is_true(batch)).transpose()?;
    let entry = |(row, key): (usize, Option<u128>)| {
        let value = values.as_ref().map_or(Some(0), |values| values[row])?;
        let looks = looked.as_ref().is_none_or(|looked| looked.value(row));
        key.filter(|_| looks).map(|key| Entry { key, value })
    };
    Ok(keys.into_iter().enumerate().map(entry).collect())
}

/// Numbers and instants as integers in the same order; NaN is nothing.
fn ordered(array: &ArrayRef) -> Result<Vec<Option<i64>>, QualityError> {
    if matches!(array.data_type(), DataType::Timestamp(_, _)) {
        return Ok(instants(array)?.iter().collect());
    }
    if !array.data_type().is_floating() {
        return Ok(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().iter().collect());
    }
    let floats = cast(array, &DataType::Float64)?;
    let by_bits = |value: f64| {
        // Adding zero makes one value of −0 and +0; flipping all but the sign of negatives orders the bits.
        let bits = (value + 0.0).to_bits() as i64;
        bits ^ (((bits >> 63) as u64) >> 1) as i64
    };
    Ok(floats.as_primitive::<Float64Type>().iter().map(|v| v.filter(|v| !v.is_nan()).map(by_bits)).collect())
}

/// Stream position of every row.
///
/// # Errors
/// A batch without the system columns.
pub fn positions(batch: &RecordBatch) -> Result<Vec<Position>, QualityError> {
    let seq = cast(column(batch, columns::SEQ)?, &DataType::Int64)?;
    let row = cast(column(batch, columns::ROW)?, &DataType::Int32)?;
    let (seq, row): (&Int64Array, &Int32Array) = (seq.as_primitive::<Int64Type>(), row.as_primitive::<Int32Type>());
    Ok(seq.values().iter().copied().zip(row.values().iter().copied()).collect())
}

/// Key of every row; `None` when a component is null, for null equals nothing.
pub(crate) fn key_hashes(batch: &RecordBatch, names: &[String]) -> Result<Vec<Option<u128>>, QualityError> {
    let columns = names.iter().map(|name| Cells::of(column(batch, name)?)).collect::<Result<Vec<_>, _>>()?;
    let mut bytes = Vec::new();
    let mut key = |row| {
        bytes.clear();
        let present = columns.iter().all(|cells| cells.append(row, &mut bytes));
        present.then(|| xxh3_128(&bytes))
    };
    Ok((0..batch.num_rows()).map(&mut key).collect())
}

enum Cells {
    Text(StringArray),
    Flag(BooleanArray),
    Float(Float64Array),
    Integer(Int64Array),
}

impl Cells {
    fn of(array: &ArrayRef) -> Result<Self, QualityError> {
        Ok(match array.data_type() {
            DataType::Boolean => Self::Flag(array.as_boolean().clone()),
            text if text.is_string() || matches!(text, DataType::Dictionary(_, _)) => {
                Self::Text(cast(array, &DataType::Utf8)?.as_string::<i32>().clone())
            }
            float if float.is_floating() => {
                Self::Float(cast(array, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
            }
            _ => Self::Integer(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone()),
        })
    }

    /// Appends the bytes of one value; false when it is null.
    fn append(&self, row: usize, bytes: &mut Vec<u8>) -> bool {
        match self {
            Self::Text(array) => {
                // The length keeps ("ab", "c") apart from ("a", "bc").
                bytes.extend_from_slice(&(array.value(row).len() as u64).to_le_bytes());
                bytes.extend_from_slice(array.value(row).as_bytes());
                array.is_valid(row)
            }
            Self::Flag(array) => {
                bytes.push(u8::from(array.value(row)));
                array.is_valid(row)
            }
            Self::Float(array) => {
                // Adding zero makes one value of −0 and +0.
                bytes.extend_from_slice(&(array.value(row) + 0.0).to_le_bytes());
                array.is_valid(row)
            }
            Self::Integer(array) => {
                bytes.extend_from_slice(&array.value(row).to_le_bytes());
                array.is_valid(row)
            }
        }
    }
}
