//! Rows, stores and tables for the tests.
#![allow(dead_code, unreachable_pub, reason = "each test takes what it needs")]

use arrow::array::{AsArray as _, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidemill_dataset::Table;
use tidemill_storage::{S3Options, Storage};
use tidemill_types::Millis;

pub const APP: &str = "TM_EVENTS_demo_flights@1";

pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("at", Millis::arrow_type(), false),
        Field::new("x", DataType::Float64, true),
        Field::new("name", DataType::Utf8, true),
    ]))
}

/// Rows `from..to`, latest first, so that sorting by time shows.
pub fn rows(from: i64, to: i64) -> RecordBatch {
    let ids: Vec<i64> = (from..to).rev().collect();
    let instants = TimestampMillisecondArray::from_iter_values(ids.iter().map(|i| 1_357_000_000_000 + i * 1_000));
    let x = Float64Array::from_iter(ids.iter().map(|i| (i % 5 != 0).then_some(*i as f64 / 4.0)));
    let names = StringArray::from_iter(ids.iter().map(|i| (i % 3 != 0).then(|| format!("row {i}"))));
    let columns: Vec<arrow::array::ArrayRef> =
        vec![Arc::new(Int64Array::from(ids)), Arc::new(instants.with_timezone("UTC")), Arc::new(x), Arc::new(names)];
    RecordBatch::try_new(schema(), columns).unwrap()
}

pub fn storage(folder: &tempfile::TempDir) -> Storage {
    Storage::open(&format!("file://{}", folder.path().display()), &S3Options::default()).unwrap()
}

pub async fn open(storage: &Storage) -> Table {
    Table::open_or_create(storage, "raw/flights", &schema()).await.unwrap().sorted_by("at").unwrap()
}

pub async fn append(table: &Table, from: i64, to: i64) -> u64 {
    let snapshot = table.load().await.unwrap();
    table.commit(snapshot, &[rows(from, to)], APP, to, BTreeMap::new()).await.unwrap().version
}

pub async fn ids(table: &Table) -> Vec<i64> {
    let snapshot = table.load().await.unwrap();
    let batches = table.scan(&snapshot, Some(&["id"]), None).collect().await.unwrap();
    batches.iter().flat_map(|b| b["id"].as_primitive::<Int64Type>().values().to_vec()).collect()
}
