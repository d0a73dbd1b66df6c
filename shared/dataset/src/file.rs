//! One data file of a table and what is known of it without opening it.

use crate::log::{Add, Remove};
use arrow::array::{Array, AsArray as _, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit, TimestampMillisecondType,
};
use parquet::basic::ConvertedType;
use parquet::data_type::ByteArray;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics as OfChunk;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tidemill_types::Millis;

/// Texts longer than this get no bounds: a shortened upper bound would have to be rounded up.
pub(crate) const MAX_BOUND_BYTES: usize = 64;

/// A Parquet file that belongs to a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Path inside the table. Paths sort in the order of the commits.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// Number of rows.
    pub rows: u64,
    /// Delta's statistics as JSON: `numRecords`, `minValues`, `maxValues`, `nullCount`.
    pub stats: Option<String>,
}

impl DataFile {
    pub(crate) fn from_add(add: &Add) -> Self {
        Self::from_parts(add.path.clone(), add.size, add.stats.clone())
    }

    pub(crate) fn from_parts(path: String, size: u64, stats: Option<String>) -> Self {
        let parsed: Option<Value> = stats.as_deref().and_then(|s| serde_json::from_str(s).ok());
        let rows = parsed.as_ref().and_then(|s| s.get("numRecords")).and_then(Value::as_u64).unwrap_or_default();
        Self { path, size, rows, stats }
    }

    pub(crate) fn to_add(&self, now: Millis, data_change: bool) -> Add {
        Add {
            path: self.path.clone(),
            partition_values: BTreeMap::new(),
            size: self.size,
            modification_time: now.0,
            data_change,
            stats: self.stats.clone(),
            deletion_vector: None,
        }
    }

    pub(crate) fn to_remove(&self, now: Millis, data_change: bool) -> Remove {
        Remove {
            path: self.path.clone(),
            deletion_timestamp: Some(now.0),
            data_change,
            extended_file_metadata: true,
            partition_values: BTreeMap::new(),
            size: self.size,
        }
    }

    /// Where the file stands among those of the table, as its path says.
    pub(crate) fn place(&self) -> &str {
        self.path.rsplit_once('-').map_or(&self.path, |(place, _)| place)
    }

    /// Smallest and largest instant of a timestamp column, both inclusive; `None` when unknown or all null.
    #[must_use]
    pub fn instants(&self, column: &str) -> Option<(Millis, Millis)> {
        let (low, high) = self.texts(column)?;
        // Other writers round maxima down to whole milliseconds.
        Some((Millis::parse(&low)?, Millis(Millis::parse(&high)?.0.saturating_add(1))))
    }

    /// Smallest and largest value of a column of texts, both inclusive; `None` when unknown or all null.
    #[must_use]
    pub fn texts(&self, column: &str) -> Option<(String, String)> {
        self.bounds(column, |value| value.as_str().map(str::to_owned))
    }

    /// Smallest and largest value of a column of whole numbers, both inclusive; `None` when unknown or all null.
    #[must_use]
    pub fn wholes(&self, column: &str) -> Option<(i64, i64)> {
        self.bounds(column, Value::as_i64)
    }

    /// Rows without a value in a column; `None` when unknown.
    #[must_use]
    pub fn nulls(&self, column: &str) -> Option<u64> {
        let stats: Value = serde_json::from_str(self.stats.as_deref()?).ok()?;
        stats.get("nullCount")?.get(column)?.as_u64()
    }

    fn bounds<T>(&self, column: &str, read: impl Fn(&Value) -> Option<T>) -> Option<(T, T)> {
        let stats: Value = serde_json::from_str(self.stats.as_deref()?).ok()?;
        let bound = |which: &str| read(stats.get(which)?.get(column)?);
        Some((bound("minValues")?, bound("maxValues")?))
    }
}

/// Delta's statistics of the rows of one file (instants in milliseconds), taken up batch by batch; the bounds of its
/// texts are told by its row groups, whose writer compared every text anyway.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    rows: usize,
    columns: BTreeMap<String, (usize, Bounds)>,
}

/// Between which values a column lies.
#[derive(Clone, Debug, Default, PartialEq)]
enum Bounds {
    /// No value yet, but nulls.
    #[default]
    Empty,
    Between(Bound, Bound),
    /// Long texts, NaN, or a type without an order.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, PartialOrd)]
enum Bound {
    Whole(i64),
    Real(f64),
    Text(String),
    Instant(Millis),
}

impl Statistics {
    /// Takes up rows.
    pub(crate) fn add(&mut self, batch: &RecordBatch) {
        self.rows += batch.num_rows();
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            if matches!(field.data_type(), DataType::List(_)) {
                continue;
            }
            let (nulls, bounds) = self.columns.entry(field.name().clone()).or_default();
            *nulls += column.null_count();
            bounds.widen(Bounds::of(column.as_ref()));
        }
    }

    /// Takes up the bounds of texts of a row group that was written.
    pub(crate) fn add_texts(&mut self, group: &RowGroupMetaData) {
        for chunk in group.columns() {
            let [name] = chunk.column_path().parts() else { continue };
            if !matches!(chunk.column_descr().converted_type(), ConvertedType::UTF8) {
                continue;
            }
            let (_, bounds) = self.columns.entry(name.clone()).or_default();
            bounds.widen(Bounds::told(chunk.statistics()));
        }
    }

    /// Whether there were no rows.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// As the log holds them.
    pub(crate) fn to_json(&self) -> String {
        let (mut low, mut high, mut nulls) = (Map::new(), Map::new(), Map::new());
        for (name, (count, bounds)) in &self.columns {
            nulls.insert(name.clone(), json!(count));
            if let Bounds::Between(smallest, largest) = bounds {
                low.insert(name.clone(), smallest.to_json());
                high.insert(name.clone(), largest.to_json());
            }
        }
        json!({"numRecords": self.rows, "minValues": low, "maxValues": high, "nullCount": nulls}).to_string()
    }
}

impl Bound {
    fn to_json(&self) -> Value {
        match self {
            Self::Whole(value) => Value::from(*value),
            Self::Real(value) => Value::from(*value),
            Self::Text(value) => Value::from(value.as_str()),
            Self::Instant(value) => Value::from(value.to_string()),
        }
    }
}

impl Bounds {
    fn of(column: &dyn Array) -> Self {
        macro_rules! of {
            ($type:ty, $bound:expr) => {{
                let values = column.as_primitive::<$type>();
                min(values).zip(max(values)).map(|(low, high)| ($bound(low.into()), $bound(high.into())))
            }};
        }
        let found = match column.data_type() {
            DataType::Int8 => of!(Int8Type, Bound::Whole),
            DataType::Int16 => of!(Int16Type, Bound::Whole),
            DataType::Int32 => of!(Int32Type, Bound::Whole),
            DataType::Int64 => of!(Int64Type, Bound::Whole),
            DataType::Float32 => of!(Float32Type, Bound::Real),
            DataType::Float64 => of!(Float64Type, Bound::Real),
            DataType::Utf8 => return Self::Empty,
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                let values = column.as_primitive::<TimestampMillisecondType>();
                min(values)
                    .zip(max(values))
                    .map(|(low, high)| (Bound::Instant(Millis(low)), Bound::Instant(Millis(high))))
            }
            _ => return Self::Unknown,
        };
        match found {
            None => Self::Empty,
            Some((low, high)) if low.is_told() && high.is_told() => Self::Between(low, high),
            Some(_) => Self::Unknown,
        }
    }

    /// Bounds of the texts of a chunk; a shortened one is none.
    fn told(of_chunk: Option<&OfChunk>) -> Self {
        let Some(OfChunk::ByteArray(told)) = of_chunk else { return Self::Unknown };
        let text = |value: &ByteArray| value.as_utf8().map(|text| Bound::Text(text.to_owned()));
        match (told.min_opt(), told.max_opt()) {
            (None, None) => Self::Empty,
            (Some(low), Some(high)) if told.min_is_exact() && told.max_is_exact() => match (text(low), text(high)) {
                (Ok(low), Ok(high)) => Self::Between(low, high),
                _ => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }

    fn widen(&mut self, other: Self) {
        *self = match (std::mem::take(self), other) {
            (Self::Empty, bounds) | (bounds, Self::Empty) => bounds,
            (Self::Between(low, high), Self::Between(lower, higher)) => {
                Self::Between(if lower < low { lower } else { low }, if higher > high { higher } else { high })
            }
            _ => Self::Unknown,
        };
    }
}

impl Bound {
    /// Whether the log can hold it: JSON has no NaN, and a shortened upper bound would have to be rounded up.
    fn is_told(&self) -> bool {
        match self {
            Self::Real(value) => value.is_finite(),
            Self::Text(value) => value.len() <= MAX_BOUND_BYTES,
            Self::Whole(_) | Self::Instant(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::ROW_GROUP_ROWS;
    use crate::rearrange::encode;
    use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray, TimestampMillisecondArray};
    use std::sync::Arc;

    fn batch(whole: Vec<Option<i64>>, real: Vec<f64>, text: Vec<&str>, at: Vec<i64>) -> RecordBatch {
        let columns: [(&str, ArrayRef); 4] = [
            ("whole", Arc::new(Int64Array::from(whole))),
            ("real", Arc::new(Float64Array::from(real))),
            ("text", Arc::new(StringArray::from(text))),
            ("at", Arc::new(TimestampMillisecondArray::from(at).with_timezone("UTC"))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    /// Statistics of a file that holds these rows, written part by part.
    fn told(parts: &[RecordBatch]) -> Value {
        let (_, statistics) = encode(parts, parts[0].schema_ref(), None).unwrap();
        serde_json::from_str(&statistics).unwrap()
    }

    #[test]
    fn statistics_of_parts_are_those_of_the_whole() {
        let parts = [
            batch(vec![None, None], vec![1.5, -2.0], vec!["b", "c"], vec![-1, 5]),
            batch(vec![Some(7), Some(-3)], vec![0.0, 9.0], vec!["a", "z"], vec![3, 86_400_000]),
        ];
        let whole = arrow::compute::concat_batches(&parts[0].schema(), &parts).unwrap();
        let told_of = told(&parts);
        assert_eq!(told(&[whole]), told_of);
        assert_eq!(told_of["numRecords"], 4);
        assert_eq!((&told_of["minValues"]["whole"], &told_of["maxValues"]["whole"]), (&json!(-3), &json!(7)));
        assert_eq!((&told_of["minValues"]["real"], &told_of["maxValues"]["real"]), (&json!(-2.0), &json!(9.0)));
        assert_eq!((&told_of["minValues"]["text"], &told_of["maxValues"]["text"]), (&json!("a"), &json!("z")));
        assert_eq!(told_of["minValues"]["at"], "1969-12-31T23:59:59.999Z");
        assert_eq!(told_of["nullCount"]["whole"], 2);
    }

    #[test]
    fn bounds_of_texts_hold_for_every_row_group_and_for_texts_of_nulls() {
        let texts = |texts: Vec<Option<&str>>| {
            RecordBatch::try_from_iter_with_nullable([("text", Arc::new(StringArray::from(texts)) as ArrayRef, true)])
        };
        let many = std::iter::repeat_n(Some("m"), ROW_GROUP_ROWS);
        let parts = [texts(many.collect()), texts(vec![None, Some("zü"), Some("")]), texts(vec![None])];
        let parts = parts.map(Result::unwrap);
        let told_of = told(&parts);
        assert_eq!((&told_of["minValues"]["text"], &told_of["maxValues"]["text"]), (&json!(""), &json!("zü")));
        assert_eq!(told_of["nullCount"]["text"], 2);
        let told_of = told(&parts[2..]);
        assert_eq!((&told_of["minValues"]["text"], &told_of["nullCount"]["text"]), (&Value::Null, &json!(1)));
    }

    #[test]
    fn what_cannot_be_told_of_one_part_is_told_of_none() {
        let (just, over) = ("x".repeat(64), "x".repeat(65));
        let of = |text: &str, real: f64| {
            told(&[
                batch(vec![Some(1)], vec![1.0], vec!["a"], vec![1]),
                batch(vec![Some(2)], vec![real], vec![text], vec![2]),
                batch(vec![Some(3)], vec![2.0], vec!["b"], vec![3]),
            ])
        };
        let told_of = of(&over, f64::NAN);
        assert_eq!((&told_of["maxValues"]["real"], &told_of["minValues"]["text"]), (&Value::Null, &Value::Null));
        assert_eq!(told_of["maxValues"]["whole"], 3);
        assert_eq!(of(&just, 0.0)["maxValues"]["text"], json!(just));
    }
}
