//! A hash of the rows of a table, whatever files, order and column order they lie in.
//!
//! Each row is written in a canonical form and hashed by SHA-256; the hashes are added modulo 2²⁵⁶, so that their order
//! does not matter and a row that is there twice counts twice. The result is the SHA-256 of the format's name, the
//! columns (name and type, by name), the number of rows and the sum. Two tables of equal hash hold the same rows; that
//! nobody *makes* two that collide on purpose is not promised, since sums of hashes can be steered by whoever may add
//! millions of rows.
//!
//! The canonical form of a row is that of its columns in the order of their names: 0 for null, else 1 and the value.
//! Integers, dates and instants (milliseconds) are 8 bytes, little endian; booleans one byte; floating point numbers
//! their 8 bytes as a double, every NaN as one; texts and binary values their length in 8 bytes and their bytes; lists
//! their length and their items in this same form.

use crate::error::Error;
use crate::scan::Between;
use crate::snapshot::Snapshot;
use crate::table::{Table, blocking};
use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, Schema, TimeUnit, TimestampMillisecondType};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use tidemill_types::Digest;

/// Name of the form above; another form would have another name.
const FORMAT: &str = "tidemill-content-1";

/// The hash of the rows of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentHash {
    /// The hash.
    pub hash: Digest,
    /// Rows behind it.
    pub rows: u64,
}

/// Takes in rows, in any order.
#[derive(Clone, Debug)]
pub struct ContentHasher {
    /// Columns by name with their types.
    columns: Vec<(String, String)>,
    sum: [u64; 4],
    rows: u64,
}

impl ContentHasher {
    /// A hasher of rows of these columns.
    #[must_use]
    pub fn new(schema: &Schema) -> Self {
        let mut columns: Vec<_> =
            schema.fields().iter().map(|f| (f.name().clone(), canonical(f.data_type()).to_string())).collect();
        columns.sort();
        Self { columns, sum: [0; 4], rows: 0 }
    }

    /// Adds the rows of a batch; columns that were not announced are left out.
    ///
    /// # Errors
    /// [`Error::Column`] when one that was announced is missing; [`Error::Type`] for a type without a canonical form.
    pub fn update(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for (name, _) in &self.columns {
            let column = batch.column_by_name(name).ok_or_else(|| Error::Column(name.clone()))?;
            columns.push(Canonical::of(name, column)?);
        }
        let mut row = Vec::with_capacity(256);
        for at in 0..batch.num_rows() {
            row.clear();
            columns.iter().for_each(|column| column.write(at, &mut row));
            self.add(Sha256::digest(&row).as_slice());
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Adds the rows that another hasher took in.
    ///
    /// # Errors
    /// [`Error::Encode`] when it hashes other columns.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        if self.columns != other.columns {
            return Err(Error::Encode("hashes of other columns cannot be added".to_owned()));
        }
        let bytes: Vec<u8> = other.sum.iter().flat_map(|limb| limb.to_le_bytes()).collect();
        self.add(&bytes);
        self.rows += other.rows;
        Ok(())
    }

    /// Adds a 32-byte number, little endian, modulo 2²⁵⁶.
    fn add(&mut self, number: &[u8]) {
        let mut carry = false;
        for (limb, bytes) in self.sum.iter_mut().zip(number.chunks_exact(8)) {
            let part = bytes.iter().rev().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
            let (sum, first) = limb.overflowing_add(part);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            (*limb, carry) = (sum, first | second);
        }
    }

    /// The hash of everything that was taken in.
    #[must_use]
    pub fn finish(&self) -> ContentHash {
        let mut text = format!("{FORMAT}\n");
        for (name, data_type) in &self.columns {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name}\t{data_type}");
        }
        let [a, b, c, d] = self.sum;
        let _ = write!(text, "{}\n{d:016x}{c:016x}{b:016x}{a:016x}", self.rows);
        ContentHash { hash: Digest::of(text.as_bytes()), rows: self.rows }
    }
}

impl Table {
    /// The hash of the rows of a version, or of those of them that lie in a stretch of time.
    ///
    /// # Errors
    /// As [`crate::Scan::next`].
    pub async fn content_hash(&self, snapshot: &Snapshot, between: Option<Between>) -> Result<ContentHash, Error> {
        let mut hasher = ContentHasher::new(&snapshot.schema());
        let mut scan = self.scan(snapshot, None, between);
        while let Some(batch) = scan.next().await? {
            hasher = blocking(move || {
                hasher.update(&batch)?;
                Ok(hasher)
            })
            .await?;
        }
        Ok(hasher.finish())
    }
}

/// The type in which values are hashed: the width of a number is no part of its value.
fn canonical(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Date32 => DataType::Int64,
        DataType::Float32 | DataType::Float64 => DataType::Float64,
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Millisecond, zone.clone()),
        other => other.clone(),
    }
}

/// A column ready to be written row by row.
enum Canonical {
    Numbers(ArrayRef),
    Instants(ArrayRef),
    Doubles(ArrayRef),
    Flags(ArrayRef),
    Texts(ArrayRef),
    Bytes(ArrayRef),
    Lists(ArrayRef, Box<Canonical>),
}

impl Canonical {
    fn of(name: &str, column: &ArrayRef) -> Result<Self, Error> {
        let refused = || Error::Type { column: name.to_owned(), data_type: column.data_type().to_string() };
        // Dates have no direct way to 64 bits.
        let column = match column.data_type() {
            DataType::Date32 => &cast(column, &DataType::Int32).map_err(|_| refused())?,
            _ => column,
        };
        let cast_to = cast(column, &canonical(column.data_type())).map_err(|_| refused())?;
        Ok(match cast_to.data_type() {
            DataType::Int64 => Self::Numbers(cast_to),
            DataType::Timestamp(TimeUnit::Millisecond, _) => Self::Instants(cast_to),
            DataType::Float64 => Self::Doubles(cast_to),
            DataType::Boolean => Self::Flags(cast_to),
            DataType::Utf8 => Self::Texts(cast_to),
            DataType::Binary => Self::Bytes(cast_to),
            DataType::List(_) => {
                let items = Self::of(name, cast_to.as_list::<i32>().values())?;
                Self::Lists(cast_to, Box::new(items))
            }
            _ => return Err(refused()),
        })
    }

    fn array(&self) -> &ArrayRef {
        match self {
            Self::Numbers(array) | Self::Instants(array) | Self::Doubles(array) | Self::Flags(array) => array,
            Self::Texts(array) | Self::Bytes(array) | Self::Lists(array, _) => array,
        }
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        if self.array().is_null(row) {
            out.push(0);
            return;
        }
        out.push(1);
        match self {
            Self::Numbers(array) => out.extend(array.as_primitive::<Int64Type>().value(row).to_le_bytes()),
            Self::Instants(array) => {
                out.extend(array.as_primitive::<TimestampMillisecondType>().value(row).to_le_bytes());
            }
            Self::Doubles(array) => {
                let value = array.as_primitive::<Float64Type>().value(row);
                let value = if value.is_nan() { f64::NAN } else { value };
                out.extend(value.to_bits().to_le_bytes());
            }
            Self::Flags(array) => out.push(u8::from(array.as_boolean().value(row))),
            Self::Texts(array) => sized(array.as_string::<i32>().value(row).as_bytes(), out),
            Self::Bytes(array) => sized(array.as_binary::<i32>().value(row), out),
            Self::Lists(array, items) => {
                let offsets = array.as_list::<i32>().value_offsets();
                let end = offsets.get(row + 1).and_then(|end| usize::try_from(*end).ok()).unwrap_or_default();
                let begin = offsets.get(row).and_then(|begin| usize::try_from(*begin).ok()).unwrap_or_default();
                out.extend((end.saturating_sub(begin) as u64).to_le_bytes());
                (begin..end).for_each(|item| items.write(item, out));
            }
        }
    }
}

fn sized(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use arrow::array::{Float64Array, Int32Array, Int64Array, StringArray};
    use std::sync::Arc;

    fn hash(batches: &[RecordBatch]) -> ContentHash {
        let mut hasher = ContentHasher::new(&batches[0].schema());
        batches.iter().for_each(|batch| hasher.update(batch).unwrap());
        hasher.finish()
    }

    fn rows(ids: &[i32], texts: &[Option<&str>]) -> RecordBatch {
        let ids: ArrayRef = Arc::new(Int32Array::from(ids.to_vec()));
        RecordBatch::try_from_iter([("id", ids), ("text", Arc::new(StringArray::from(texts.to_vec())) as ArrayRef)])
            .unwrap()
    }

    #[test]
    fn neither_order_nor_batches_nor_column_order_change_the_hash() {
        let all = rows(&[1, 2, 3], &[Some("a"), None, Some("")]);
        let expected = hash(std::slice::from_ref(&all));
        assert_eq!(expected.rows, 3);
        assert_eq!(hash(&[all.slice(2, 1), all.slice(0, 2)]), expected);
        assert_eq!(hash(&[all.project(&[1, 0]).unwrap()]), expected);
    }

    #[test]
    fn every_difference_changes_the_hash() {
        let expected = hash(&[rows(&[1, 2], &[Some("a"), None])]);
        for other in [
            rows(&[1, 2], &[Some("a"), Some("")]),
            rows(&[1, 3], &[Some("a"), None]),
            rows(&[2, 1], &[Some("a"), None]),
            rows(&[1, 2, 2], &[Some("a"), None, None]),
            rows(&[1], &[Some("a")]),
        ] {
            assert_ne!(hash(&[other]), expected);
        }
    }

    #[test]
    fn the_width_of_numbers_is_no_part_of_their_value_and_all_nans_are_one() {
        let wide: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let narrow: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
        let of = |column: ArrayRef| hash(&[RecordBatch::try_from_iter([("x", column)]).unwrap()]);
        assert_eq!(of(wide.clone()), of(narrow));
        let other_nan = f64::from_bits(f64::NAN.to_bits() | 1);
        let nan = |value: f64| -> ArrayRef { Arc::new(Float64Array::from(vec![value])) };
        assert_eq!(of(nan(f64::NAN)), of(nan(other_nan)));
        assert_ne!(of(nan(0.0)), of(nan(1.0)));
        let mut parts =
            ContentHasher::new(&Schema::new(vec![arrow::datatypes::Field::new("x", DataType::Int64, false)]));
        let mut halves = parts.clone();
        let batch = RecordBatch::try_from_iter([("x", wide)]).unwrap();
        parts.update(&batch.slice(0, 1)).unwrap();
        halves.update(&batch.slice(1, 1)).unwrap();
        parts.merge(&halves).unwrap();
        assert_eq!(parts.finish(), hash(&[batch]));
    }
}
