//! Aggregates over a small table of alerts.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use std::sync::Arc;
use tidemill_expr::{Aggregate, ExprError};
use tidemill_types::Classified;

fn alerts() -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("alerted", Arc::new(BooleanArray::from(vec![Some(true), Some(true), Some(false), None, Some(true)]))),
        ("outcome", Arc::new(BooleanArray::from(vec![Some(true), Some(false), Some(true), Some(true), None]))),
        ("n", Arc::new(Int64Array::from(vec![Some(1), Some(2), None, Some(i64::MAX), Some(i64::MAX)]))),
        ("x", Arc::new(Float64Array::from(vec![Some(1e16), Some(1.0), Some(-1e16), Some(f64::NAN), None]))),
        ("s", Arc::new(StringArray::from(vec!["a", "b", "c", "d", "e"]))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn value(text: &str, batch: &RecordBatch) -> Option<f64> {
    Aggregate::new(text, &batch.schema())
        .unwrap_or_else(|error| panic!("{text}: {error}"))
        .evaluate(batch)
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn gives_the_documented_numbers() {
    let gain = "sum(case when alerted and outcome then 3 when alerted then -1 else 0 end)";
    let cases: &[(&str, Option<f64>)] = &[
        (gain, Some(1.0)),
        ("4.0 * count_if(outcome) - count_if(alerted)", Some(9.0)),
        ("count(*)", Some(5.0)),
        ("COUNT(n)", Some(4.0)),
        ("count(x)", Some(3.0)),
        ("count(s)", Some(5.0)),
        ("sum(n)", Some(18_446_744_073_709_551_617.0)),
        ("sum(x)", Some(1.0)),
        ("mean(x) * 3", Some(1.0)),
        ("avg(n % 2)", Some(0.75)),
        ("min(x)", Some(-1e16)),
        ("max(n)", Some(i64::MAX as f64)),
        ("sum(x) / nullif(count_if(s = 'z'), 0)", None),
        ("coalesce(sum(nullif(n, n)), -1)", Some(-1.0)),
        ("case when count(*) > 3 then sum(x) else 0 end", Some(1.0)),
        ("if(count_if(alerted) >= 3, 1, 0)", Some(1.0)),
        ("sum(x) + sum(x)", Some(2.0)),
        ("round(count_if(alerted and outcome) / count_if(alerted), 3)", Some(0.333)),
    ];
    for (text, expected) in cases {
        assert_eq!(value(text, &alerts()), *expected, "{text}");
    }
}

#[test]
fn nothing_counts_as_zero_and_sums_to_null() {
    let empty = alerts().slice(0, 0);
    assert_eq!(value("count(*)", &empty), Some(0.0));
    assert_eq!(value("count_if(alerted)", &empty), Some(0.0));
    for text in ["sum(n)", "mean(x)", "min(x)", "max(x)", "sum(n) / count(*)"] {
        assert_eq!(value(text, &empty), None, "{text}");
    }
}

#[test]
fn a_plain_sum_shows_its_rows() {
    let batch = alerts();
    let sum = Aggregate::new("(sum(if(alerted, 3, -1)))", &batch.schema()).unwrap();
    let rows = sum.row().unwrap().evaluate(&batch).unwrap();
    assert_eq!(rows.as_primitive::<Int64Type>().values(), &[3, 3, -1, -1, 3]);
    assert_eq!(rows.null_count(), 0);
    for text in ["sum(n) + 0", "mean(n)", "count(*)", "sum(n) - sum(x)"] {
        assert!(Aggregate::new(text, &batch.schema()).unwrap().row().is_none(), "{text}");
    }
    let columns = Aggregate::new("sum(n) / count_if(alerted and n > 0)", &batch.schema()).unwrap();
    assert_eq!(columns.columns(), ["alerted", "n"]);
}

#[test]
fn refuses_with_a_code() {
    let cases: &[(&str, u16)] = &[
        ("sum(n) + n", 210),
        ("n", 210),
        ("1 + 1", 210),
        ("sum(count(*))", 210),
        ("sum(mean(x))", 210),
        ("sum(s)", 207),
        ("sum(alerted)", 207),
        ("count_if(n)", 207),
        ("count(*) > 1", 207),
        ("sum(*)", 208),
        ("sum(n, x)", 208),
        ("count(distinct n)", 204),
        ("sum(n) filter (where alerted)", 204),
        ("sum(missing)", 205),
        ("total(n)", 206),
    ];
    for (text, code) in cases {
        let error: ExprError = Aggregate::new(text, &alerts().schema()).unwrap_err();
        assert_eq!(error.code().0, *code, "{text}: {error}");
    }
}
