//! A backlog of small messages that unfold to the limit of a message each.

use crate::kills::last_lines;
use anyhow::{Context as _, Result, ensure};
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use std::path::Path;
use std::sync::Arc;
use tidemill_storage::{S3Options, Storage};
use tidemill_testkit::Victim;
use tidemill_tests::messages::{BEGIN, Messages};
use tidemill_tests::rig::caught_up;
use tidemill_tests::{Audit, Published, Rig};

/// Messages that wait.
const BOMBS: i64 = 40;
/// Rows of each, of a text of this many bytes.
const ROWS: i64 = 5_000;
const TEXT: usize = 12_000;
/// Memory that ingestion may take: a commit, what is decoded together, and both again while they are put together.
const MOST: u64 = 1_000 << 20;

fn bomb(number: i64) -> Result<RecordBatch> {
    let numbers = number * ROWS..(number + 1) * ROWS;
    let text = "x".repeat(TEXT);
    let instants = TimestampMillisecondArray::from_iter_values(numbers.clone().map(|n| BEGIN.0 + n));
    let columns: [(&str, ArrayRef); 4] = [
        ("n", Arc::new(Int64Array::from_iter_values(numbers.clone()))),
        ("at", Arc::new(instants.with_timezone("UTC"))),
        ("meter", Arc::new(StringArray::from_iter_values(numbers.clone().map(|_| &text)))),
        ("value", Arc::new(Float64Array::from_iter_values(numbers.map(|_| 1.0)))),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_of_bombs_is_taken_in_with_bounded_memory() -> Result<()> {
    let rig = Rig::start().await?;
    let (messages, mut published, mut bytes) = (Messages::new()?, Published::default(), 0);
    for number in 0..BOMBS {
        let body = tidemill_conform::encode_stream(&[bomb(number)?])?;
        bytes += body.len();
        let message = messages.event(tidemill_conform::ARROW_STREAM, &number.to_string(), body)?;
        published.publish(&rig.bus, &[(message, ROWS)]).await?;
    }
    ensure!(bytes < 4 << 20, "{bytes} bytes are no bombs");

    let (spec_file, log) = (rig.store.dir().join("meters.yaml"), rig.store.dir().join("node.log"));
    std::fs::write(&spec_file, include_str!("../data/meters.yaml"))?;
    let store = rig.store.dir().join("objects");
    std::fs::create_dir_all(&store)?;
    let store_url = format!("file://{}", store.display());
    let (bus, spec) = (rig.nats.url(), spec_file.display().to_string());
    let arguments = ["ingestion", &bus, &store_url, &spec, "5000"];
    let mut node = Victim::spawn(Path::new(env!("CARGO_BIN_EXE_data-node")), arguments, [], &log)?;
    let storage = Storage::open(&store_url, &S3Options::default())?;
    let reached = caught_up(&rig.bus, &storage, &rig.raw()?, &rig.stream()?, published.last()).await;
    reached.with_context(|| last_lines(&log))?;
    let peak = node.peak_bytes()?;
    node.kill().await?;
    let audit = Audit::of(&storage, &rig.raw()?).await?;
    println!(
        "{BOMBS} bombs of {} MB each: peak {} MB, {} commits",
        ROWS * TEXT as i64 / 1_000_000,
        peak >> 20,
        audit.versions
    );
    assert!(audit.has_exactly(0..BOMBS * ROWS));
    assert!(peak < MOST, "{} MB for a backlog of {bytes} bytes", peak >> 20);
    Ok(())
}
