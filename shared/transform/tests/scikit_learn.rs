//! `LinearMatrix` against scikit-learn (values by `infra/golden/learn.py`).
#![allow(clippy::unwrap_used, reason = "tests")]

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use serde_json::Value;
use std::sync::Arc;
use tidemill_transform::{FitView, LinearMatrix, LinearOptions, Split, SplitSpec};

fn array(values: &[Value]) -> ArrayRef {
    let first = values.iter().find(|v| !v.is_null()).unwrap();
    if first.is_string() {
        Arc::new(values.iter().map(Value::as_str).collect::<StringArray>())
    } else if first.is_boolean() {
        Arc::new(values.iter().map(Value::as_bool).collect::<BooleanArray>())
    } else if first.is_i64() {
        Arc::new(values.iter().map(Value::as_i64).collect::<Int64Array>())
    } else {
        Arc::new(values.iter().map(Value::as_f64).collect::<Float64Array>())
    }
}

#[test]
fn the_linear_matrix_equals_scikit_learns() {
    let golden: Value = serde_json::from_str(include_str!("golden/linear_matrix.json")).unwrap();
    let names = ["fare", "constant", "large", "stops", "direct", "city"];
    let columns = names.map(|name| (name, array(golden["columns"][name].as_array().unwrap())));
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let train_until = golden["train_rows"].as_i64().unwrap();
    let rows = i64::try_from(batch.num_rows()).unwrap();
    let times: Vec<i64> = (0..rows).collect();
    let split = Split::by_time(&times, SplitSpec { train_until, gap: 0, valid_until: rows }).unwrap();
    let view = FitView::new(&batch, &vec![true; batch.num_rows()], split.train()).unwrap();
    let options = LinearOptions { rare_share: golden["rare_share"].as_f64().unwrap() };
    let matrix = LinearMatrix::fit(&view, options).unwrap().apply(&batch).unwrap();

    let expected = golden["expected"].as_array().unwrap();
    assert_eq!(matrix.rows(), expected.len());
    for (row, expected) in expected.iter().enumerate() {
        let expected: Vec<f64> = expected.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        assert_eq!(matrix.columns(), expected.len());
        for (got, want) in matrix.row(row).iter().zip(&expected) {
            assert!((got - want).abs() <= 1e-9, "row {row}: {got} is not {want}");
        }
    }
}
