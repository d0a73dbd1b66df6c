//! Finding few rows: the same as a scan would give, and little is read for it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use arrow::array::{
    Array as _, AsArray as _, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use common::{APP, append, open, schema, storage};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidemill_dataset::{Condition, Error};
use tidemill_types::Millis;

const BEGIN: i64 = 1_357_000_000_000;

fn is(column: &str, value: &str) -> Condition {
    Condition::Is { column: column.to_owned(), value: value.to_owned() }
}

fn between(from: i64, to: i64) -> Condition {
    Condition::Between { column: "at".to_owned(), from: Millis(BEGIN + from * 1_000), to: Millis(BEGIN + to * 1_000) }
}

fn ids(batches: &[RecordBatch]) -> Vec<i64> {
    let mut ids: Vec<i64> =
        batches.iter().flat_map(|b| b["id"].as_primitive::<Int64Type>().values().to_vec()).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn each_question_gets_the_rows_that_meet_all_its_conditions() {
    let folder = tempfile::tempdir().unwrap();
    let table = open(&storage(&folder)).await;
    for part in 0..5 {
        append(&table, part * 100, part * 100 + 100).await;
    }
    let snapshot = table.known().await;
    let asks = [
        vec![is("id", "250")],
        vec![between(98, 102)],
        vec![is("name", "row 301"), between(0, 499)],
        vec![is("name", "row 301"), between(0, 300)],
        vec![Condition::Given { column: "x".to_owned() }, between(7, 11)],
        vec![is("id", "no number")],
        vec![],
    ];
    let found = table.find(&snapshot, &["id"], &asks).await.unwrap();
    let found: Vec<Vec<i64>> = found.iter().map(|batches| ids(batches)).collect();
    let all: Vec<i64> = (0..500).collect();
    let expected = [vec![250], vec![98, 99, 100, 101, 102], vec![301], vec![], vec![7, 8, 9, 11], vec![], all];
    assert_eq!(found, expected);
    let row = &table.find(&snapshot, &["name", "x"], &[vec![is("id", "7")]]).await.unwrap()[0][0];
    let names: Vec<String> = row.schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(
        (names, row["name"].as_string::<i32>().value(0)),
        (["name", "x", "id"].map(str::to_owned).to_vec(), "row 7")
    );
    let unknown = table.find(&snapshot, &["id"], &[vec![is("none", "1")]]).await;
    assert!(matches!(unknown, Err(Error::Column(name)) if name == "none"));
}

/// Rows of which ids and instants rise and the rest is wide noise.
fn wide(count: i64) -> RecordBatch {
    let noise = |i: i64| {
        format!("{:016x}{:016x}", i.wrapping_mul(0x1E37_79B9_7F4A_7C15), i.wrapping_mul(0x2545_F491_4F6C_DD1D))
    };
    let instants = (0..count).map(|i| BEGIN + i * 1_000);
    let columns: Vec<arrow::array::ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(0..count)),
        Arc::new(TimestampMillisecondArray::from_iter_values(instants).with_timezone("UTC")),
        Arc::new(Float64Array::from_iter_values((0..count).map(|i| (i as f64).sin()))),
        Arc::new(StringArray::from_iter_values((0..count).map(noise))),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// Bytes that this process has read from files so far.
fn bytes_read() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}

#[tokio::test]
async fn of_a_large_file_only_the_pages_around_what_is_found_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let table = open(&storage(&folder)).await;
    let rows = wide(400_000);
    let snapshot = table.load().await.unwrap();
    table.commit(snapshot, std::slice::from_ref(&rows), APP, 1, BTreeMap::new()).await.unwrap();
    let snapshot = table.known().await;
    let whole = snapshot.num_bytes();
    assert!(whole > 4 << 20, "{whole}");

    let before = bytes_read();
    let found = table.find(&snapshot, &["x", "name"], &[vec![is("id", "222222")]]).await.unwrap();
    let read = bytes_read() - before;
    assert_eq!(found[0].len(), 1);
    let expected = rows.slice(222_222, 1);
    assert_eq!((&found[0][0]["x"], &found[0][0]["name"]), (&expected["x"], &expected["name"]));
    assert!(read < whole / 4, "{read} of {whole} bytes were read");

    // A scan of a narrow column leaves the wide one alone.
    let before = bytes_read();
    let ids = table.scan(&snapshot, Some(&["id"]), None).collect().await.unwrap();
    let read = bytes_read() - before;
    assert_eq!(concat_batches(&ids[0].schema(), &ids).unwrap()["id"].len(), 400_000);
    assert!(read < whole / 4, "{read} of {whole} bytes were read");
}
