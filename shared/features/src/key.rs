//! Keys of state: the values of the `by` columns as bytes.

use crate::error::FeatureError;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use std::hash::{BuildHasherDefault, Hasher};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Whether values of two types can be equal as keys. Floating point never can: equality there is a trap.
pub(crate) fn comparable(left: &DataType, right: &DataType) -> bool {
    match (family(left), family(right)) {
        (Some(left), Some(right)) => left == right,
        _ => false,
    }
}

fn family(data_type: &DataType) -> Option<u8> {
    match data_type {
        DataType::Utf8 => Some(0),
        DataType::Boolean => Some(1),
        DataType::Timestamp(..) => Some(2),
        integer if integer.is_integer() => Some(3),
        _ => None,
    }
}

enum KeyColumn {
    Text(StringArray),
    Flag(BooleanArray),
    Integer(Int64Array),
}

impl KeyColumn {
    fn of(array: &ArrayRef) -> Result<Self, FeatureError> {
        Ok(match family(array.data_type()) {
            Some(0) => Self::Text(array.as_string::<i32>().clone()),
            Some(1) => Self::Flag(array.as_boolean().clone()),
            Some(_) => Self::Integer(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone()),
            None => return Err(FeatureError::Batch(format!("values of type {} cannot be keys", array.data_type()))),
        })
    }

    /// Appends the bytes of one value; false when it is null.
    fn append(&self, row: usize, bytes: &mut Vec<u8>) -> bool {
        match self {
            Self::Text(array) => {
                let text = array.value(row).as_bytes();
                // The length keeps ("ab", "c") apart from ("a", "bc").
                bytes.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
                bytes.extend_from_slice(text);
                array.is_valid(row)
            }
            Self::Flag(array) => {
                bytes.push(u8::from(array.value(row)));
                array.is_valid(row)
            }
            Self::Integer(array) => {
                bytes.extend_from_slice(&array.value(row).to_le_bytes());
                array.is_valid(row)
            }
        }
    }
}

/// The keys of all rows of a batch.
pub(crate) struct Keys {
    bytes: Vec<u8>,
    /// End of each key in `bytes`, and whether all its components are present.
    ends: Vec<(usize, bool)>,
}

impl Keys {
    /// Keys made of the named columns; no columns: one key for all rows.
    pub(crate) fn of_batch(batch: &RecordBatch, by: &[String]) -> Result<Self, FeatureError> {
        let mut columns = Vec::with_capacity(by.len());
        for name in by {
            columns.push(column(batch, name)?);
        }
        Self::of_arrays(&columns, batch.num_rows())
    }

    /// Keys made of arrays of `rows` rows each.
    pub(crate) fn of_arrays(arrays: &[&ArrayRef], rows: usize) -> Result<Self, FeatureError> {
        let columns = arrays.iter().map(|array| KeyColumn::of(array)).collect::<Result<Vec<_>, _>>()?;
        let mut keys = Self { bytes: Vec::with_capacity(rows * 8 * columns.len()), ends: Vec::with_capacity(rows) };
        for row in 0..rows {
            let mut present = true;
            for column in &columns {
                present &= column.append(row, &mut keys.bytes);
            }
            keys.ends.push((keys.bytes.len(), present));
        }
        Ok(keys)
    }

    /// The key of a row; `None` when a component is null.
    pub(crate) fn get(&self, row: usize) -> Option<&[u8]> {
        let (end, present) = self.ends[row];
        let start = if row == 0 { 0 } else { self.ends[row - 1].0 };
        present.then(|| &self.bytes[start..end])
    }
}

/// A column by name.
pub(crate) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, FeatureError> {
    batch.column_by_name(name).ok_or_else(|| FeatureError::Batch(format!("column {name} is missing")))
}

/// XXH3 over whole keys; the streaming form costs more than the keys are long.
#[derive(Default)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }
    fn write_usize(&mut self, value: usize) {
        self.0 = self.0.rotate_left(5) ^ value as u64;
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

/// A map from key bytes.
pub(crate) type KeyMap<V> = std::collections::HashMap<Box<[u8]>, V, BuildHasherDefault<KeyHasher>>;
