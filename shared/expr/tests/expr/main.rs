//! Behaviour of the expression language, as its crate documentation states it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod aggregates;
mod errors;
mod hostile;
mod rows;
mod table;
mod truth;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, DictionaryArray, Float32Array, Float64Array, Int32Array, Int64Array,
    LargeStringArray, RecordBatch, StringArray, TimestampMicrosecondArray, TimestampMillisecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Int32Type, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use std::sync::Arc;
use tidemill_expr::Compiled;

/// 2024-03-10T12:34:56.789Z, a Sunday.
const SUNDAY: i64 = 1_710_074_096_789;
/// 2023-12-31T23:30:00Z, already 2024 in Berlin.
const NEW_YEAR: i64 = 1_704_065_400_000;

/// Four rows with nulls, NaN, negative zero and extremes, in every type that is widened.
fn batch() -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("i", Arc::new(Int64Array::from(vec![Some(1), Some(-7), None, Some(i64::MAX)]))),
        ("j", Arc::new(Int32Array::from(vec![Some(2), Some(0), Some(3), Some(-1)]))),
        ("u", Arc::new(UInt64Array::from(vec![Some(5), None, Some(0), Some(9)]))),
        ("x", Arc::new(Float64Array::from(vec![Some(1.5), Some(-0.0), None, Some(f64::NAN)]))),
        ("f", Arc::new(Float32Array::from(vec![Some(0.5), Some(-2.25), Some(4.0), None]))),
        ("b", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, Some(true)]))),
        ("s", Arc::new(StringArray::from(vec![Some("Alpha"), Some("βeta x"), None, Some("")]))),
        ("l", Arc::new(LargeStringArray::from(vec![Some("1.5"), Some("12"), Some("abc"), None]))),
        (
            "d",
            Arc::new([Some("on"), Some("off"), None, Some("on")].into_iter().collect::<DictionaryArray<Int32Type>>()),
        ),
        (
            "t",
            Arc::new(
                TimestampMillisecondArray::from(vec![Some(SUNDAY), Some(NEW_YEAR), None, Some(-1)])
                    .with_timezone("UTC"),
            ),
        ),
        ("us", Arc::new(TimestampMicrosecondArray::from(vec![Some(SUNDAY * 1000), Some(0), None, Some(1_500)]))),
        ("day", Arc::new(Date32Array::from(vec![Some(0), Some(19_000), None, Some(-1)]))),
        ("a.b", Arc::new(Int64Array::from(vec![10, 20, 30, 40]))),
        ("Odd Name", Arc::new(Int64Array::from(vec![1, 2, 3, 4]))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// Every row as text, `null` for null.
fn show(array: &ArrayRef) -> String {
    // Only an offset, because a zone name needs a zone database.
    let array = match array.data_type() {
        DataType::Timestamp(TimeUnit::Millisecond, Some(zone)) => {
            assert_eq!(zone.as_ref(), "UTC");
            arrow::compute::cast(array, &DataType::Int64).unwrap()
        }
        DataType::Duration(_) => arrow::compute::cast(array, &DataType::Int64).unwrap(),
        _ => Arc::clone(array),
    };
    let options = FormatOptions::default().with_null("null");
    let formatter = ArrayFormatter::try_new(array.as_ref(), &options).unwrap();
    (0..array.len()).map(|row| formatter.value(row).to_string()).collect::<Vec<_>>().join(", ")
}

/// The rows of `text` over [`batch`].
fn run(text: &str) -> String {
    let batch = batch();
    let compiled = Compiled::new(text, &batch.schema()).unwrap_or_else(|error| panic!("{text}: {error}"));
    let array = compiled.evaluate(&batch).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(array.len(), batch.num_rows(), "{text}");
    assert_eq!(array.data_type(), compiled.data_type(), "{text}");
    show(&array)
}
