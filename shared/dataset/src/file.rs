//! One data file of a table and what is known of it without opening it.

use crate::log::{Add, Remove};
use arrow::array::{Array, ArrayRef, AsArray as _};
use arrow::compute::{max, max_string, min, min_string};
use arrow::datatypes::{
    DataType, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMillisecondType,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tidemill_types::Millis;

/// Texts longer than this get no bounds: a shortened upper bound would have to be rounded up.
const MAX_BOUND_BYTES: usize = 64;

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

    /// Smallest and largest instant of a timestamp column, both inclusive; `None` when unknown or all null.
    #[must_use]
    pub fn instants(&self, column: &str) -> Option<(Millis, Millis)> {
        let stats: Value = serde_json::from_str(self.stats.as_deref()?).ok()?;
        let bound = |which: &str| stats.get(which)?.get(column)?.as_str().and_then(Millis::parse);
        // Other writers round maxima down to whole milliseconds.
        Some((bound("minValues")?, Millis(bound("maxValues")?.0.saturating_add(1))))
    }
}

/// Delta's statistics of the rows of one file (instants in milliseconds), taken up column by column.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    rows: usize,
    low: Map<String, Value>,
    high: Map<String, Value>,
    nulls: Map<String, Value>,
}

impl Statistics {
    /// Takes up a whole column.
    pub(crate) fn add(&mut self, field: &Field, column: &ArrayRef) {
        self.rows = column.len();
        if matches!(field.data_type(), DataType::List(_)) {
            return;
        }
        self.nulls.insert(field.name().clone(), json!(column.null_count()));
        if let Some((smallest, largest)) = bounds(column.as_ref()) {
            self.low.insert(field.name().clone(), smallest);
            self.high.insert(field.name().clone(), largest);
        }
    }

    /// As the log holds them.
    pub(crate) fn to_json(&self) -> String {
        let Self { rows, low, high, nulls } = self;
        json!({"numRecords": rows, "minValues": low, "maxValues": high, "nullCount": nulls}).to_string()
    }
}

fn bounds(column: &dyn Array) -> Option<(Value, Value)> {
    macro_rules! of {
        ($type:ty) => {{
            let values = column.as_primitive::<$type>();
            (min(values).map(Value::from)?, max(values).map(Value::from)?)
        }};
    }
    let found = match column.data_type() {
        DataType::Int8 => of!(Int8Type),
        DataType::Int16 => of!(Int16Type),
        DataType::Int32 => of!(Int32Type),
        DataType::Int64 => of!(Int64Type),
        // NaN and infinities become JSON null and are dropped below: a file that holds NaN has no bounds.
        DataType::Float32 => of!(Float32Type),
        DataType::Float64 => of!(Float64Type),
        DataType::Utf8 => {
            let values = column.as_string::<i32>();
            let (low, high) = (min_string(values)?, max_string(values)?);
            if low.len() > MAX_BOUND_BYTES || high.len() > MAX_BOUND_BYTES {
                return None;
            }
            (Value::from(low), Value::from(high))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            let values = column.as_primitive::<TimestampMillisecondType>();
            (Value::from(Millis(min(values)?).to_string()), Value::from(Millis(max(values)?).to_string()))
        }
        _ => return None,
    };
    (!found.0.is_null() && !found.1.is_null()).then_some(found)
}
