//! Damaged messages never abort, never hang and never yield an invalid batch.
//!
//! In a binary of its own because it silences the panic hook: the Arrow decoder may panic, and is caught.
#![expect(clippy::unwrap_used, reason = "tests")]

use arrow::array::{
    Array as _, ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, LargeStringArray, RecordBatch,
    StringArray, StringViewArray, TimestampMillisecondArray,
};
use arrow::datatypes::DataType;
use arrow::ipc::writer::StreamWriter;
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use std::sync::Arc;
use tidemill_conform::{ARROW_STREAM, ColumnDef, Conform, ConformSchema, JSON, MessageIn, Values};
use tidemill_types::Millis;

fn conform() -> Conform {
    let column = |name: &str, data_type| {
        let (nullable, values) = (name != "at", Values::default());
        ColumnDef { name: name.to_owned(), data_type, nullable, values }
    };
    let columns = vec![
        column("at", Millis::arrow_type()),
        column("i", DataType::Int64),
        column("s", DataType::Int32),
        column("x", DataType::Float64),
        column("b", DataType::Boolean),
        column("t", DataType::Utf8),
        column("l", DataType::Utf8),
        column("v", DataType::Utf8),
    ];
    Conform::new(&ConformSchema { columns, event_time: "at".to_owned(), known_at: None }).unwrap()
}

fn sample(rows: i64) -> RecordBatch {
    let every = |n: i64| (0..rows).map(move |i| (i % n != 0).then_some(i));
    let texts: Vec<Option<String>> = every(5).map(|v| v.map(|i| format!("text number {}", i * 1_000_003))).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("at", Arc::new(TimestampMillisecondArray::from_iter_values(0..rows).with_timezone("UTC"))),
        ("i", Arc::new(Int64Array::from_iter(every(3)))),
        ("s", Arc::new(Int32Array::from_iter(every(4).map(|v| v.and_then(|i| i32::try_from(i).ok()))))),
        ("x", Arc::new(Float64Array::from_iter(every(7).map(|v| v.map(|i| i as f64 / 3.0))))),
        ("b", Arc::new(BooleanArray::from_iter(every(2).map(|v| v.map(|i| i % 3 == 0))))),
        ("t", Arc::new(StringArray::from_iter(texts.iter()))),
        ("l", Arc::new(LargeStringArray::from_iter(texts.iter()))),
        ("v", Arc::new(StringViewArray::from_iter(texts.iter()))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn stream(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &sample(1).schema()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.into_inner().unwrap()
}

/// One to four damages: flipped bits, extreme lengths, copied, cut and removed ranges.
fn mutate(body: &mut Vec<u8>, rng: &mut Pcg64Mcg) {
    const EXTREMES: [i64; 10] = [0, 1, -1, 7, i64::MAX, i64::MIN, 1 << 31, 1 << 40, (1 << 31) - 1, 1_000_000_007];
    for _ in 0..rng.random_range(1..=4) {
        if body.len() < 16 {
            return;
        }
        let at = rng.random_range(0..body.len() - 8);
        match rng.random_range(0..10) {
            0..=3 => body[at] ^= 1 << rng.random_range(0..8),
            4 => body[at] = rng.random(),
            5 | 6 => {
                let width = if rng.random::<bool>() { 4 } else { 8 };
                let start = at & !3;
                let value = EXTREMES[rng.random_range(0..EXTREMES.len())].to_le_bytes();
                body[start..start + width].copy_from_slice(&value[..width]);
            }
            7 => {
                let from = rng.random_range(0..body.len() - 8);
                body.copy_within(from..from + 8, at);
            }
            8 => body.truncate(at),
            _ => drop(body.drain(at..at + rng.random_range(1..8))),
        }
    }
}

fn complaint(conform: &Conform, message: &MessageIn<'_>) -> Option<String> {
    let got = conform.message(message);
    let Some(batch) = got.batch else {
        return got.rejects.is_empty().then(|| "neither rows nor a reason".to_owned());
    };
    if batch.schema() != conform.schema() || batch.num_rows() + got.rejects.len() > 10_000 {
        return Some("wrong schema or too many rows".to_owned());
    }
    let invalid = batch.columns().iter().find_map(|c| c.to_data().validate_full().err());
    let null_in_required =
        batch.schema().fields().iter().zip(batch.columns()).any(|(f, c)| !f.is_nullable() && c.null_count() > 0);
    invalid.map(|e| e.to_string()).or_else(|| null_in_required.then(|| "null in a required column".to_owned()))
}

#[test]
fn damaged_arrow_messages_never_abort_hang_or_yield_an_invalid_batch() {
    let conform = conform();
    let seeds = [stream(&[sample(5)]), stream(&[sample(40), sample(0), sample(9)]), stream(&[sample(200)])];
    let mut rng = Pcg64Mcg::seed_from_u64(20_130_201);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut complaints = Vec::new();
    let mut accepted = 0;
    for round in 0..110_000 {
        let mut body = seeds[round % seeds.len()].clone();
        match round % 16 {
            0 => {
                body = zstd::bulk::compress(&body, 1).unwrap();
                mutate(&mut body, &mut rng);
            }
            1 => {
                mutate(&mut body, &mut rng);
                body = zstd::bulk::compress(&body, 1).unwrap();
            }
            _ => mutate(&mut body, &mut rng),
        }
        let message =
            MessageIn { seq: 1, content_type: ARROW_STREAM, event_id: "e", arrived_at: Millis(1), body: &body };
        accepted += usize::from(conform.message(&message).batch.is_some());
        complaints.extend(complaint(&conform, &message).map(|what| format!("round {round}: {what}")));
    }
    std::panic::set_hook(hook);
    assert!(complaints.is_empty(), "{complaints:?}");
    // Damage inside values is invisible, so the test would be blind if nothing were accepted.
    assert!(accepted > 10_000, "{accepted} accepted");
}

#[test]
fn damaged_json_messages_never_abort_hang_or_yield_an_invalid_batch() {
    let conform = conform();
    let row = r#"{"at":"2013-01-01T00:00:00.5Z","i":-12,"s":3.0,"x":1.5e3,"b":true,"t":"a\u00e9\n","l":null,"v":"q"}"#;
    let seeds = [row.to_owned(), format!("[{row},{row},{row}]")];
    let mut rng = Pcg64Mcg::seed_from_u64(7);
    for round in 0..40_000 {
        let mut body = seeds[round % 2].clone().into_bytes();
        mutate(&mut body, &mut rng);
        let message = MessageIn { seq: 1, content_type: JSON, event_id: "e", arrived_at: Millis(1), body: &body };
        assert_eq!(complaint(&conform, &message), None, "round {round}");
    }
}
