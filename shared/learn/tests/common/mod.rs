//! Reading golden data sets.

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use serde_json::Value;
use std::sync::Arc;
use tidemill_transform::{Split, SplitSpec};

fn array(values: &[Value]) -> ArrayRef {
    let present: Vec<&Value> = values.iter().filter(|v| !v.is_null()).collect();
    if present.iter().any(|v| v.is_string()) {
        Arc::new(values.iter().map(Value::as_str).collect::<StringArray>())
    } else if present.iter().any(|v| v.is_boolean()) {
        Arc::new(values.iter().map(Value::as_bool).collect::<BooleanArray>())
    } else if present.iter().all(|v| v.is_i64()) {
        Arc::new(values.iter().map(Value::as_i64).collect::<Int64Array>())
    } else {
        Arc::new(values.iter().map(Value::as_f64).collect::<Float64Array>())
    }
}

/// Columns of a golden file in the order given, its labels, and the split into its first `train_rows` and the rest.
pub(crate) fn data_set(golden: &Value, names: &[&str]) -> (RecordBatch, Vec<bool>, Split) {
    let columns = names.iter().map(|name| (*name, array(golden["columns"][*name].as_array().unwrap())));
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let labels: Vec<bool> = golden["labels"].as_array().unwrap().iter().map(|v| v.as_bool().unwrap()).collect();
    let rows = i64::try_from(batch.num_rows()).unwrap();
    let times: Vec<i64> = (0..rows).collect();
    let train_until = golden["train_rows"].as_i64().unwrap();
    let split = Split::by_time(&times, SplitSpec { train_until, gap: 0, valid_until: rows }).unwrap();
    (batch, labels, split)
}

/// A JSON array of numbers.
pub(crate) fn floats(values: &Value) -> Vec<f64> {
    values.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// Fails naming the first pair that differs by more than `tolerance`.
#[track_caller]
pub(crate) fn assert_close(got: &[f64], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len());
    for (at, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() <= tolerance, "at {at}: {got} is not {want}");
    }
}
