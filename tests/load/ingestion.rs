//! Ingestion beside what bounds it: the raw drain of the bus, and the Parquet encoder.

use anyhow::{Context as _, Result, ensure};
use arrow::array::RecordBatch;
use arrow::json::ReaderBuilder;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::time::{Duration, Instant};
use tidemill_bus::{BatchPublisher, OrderedReader, Outgoing};
use tidemill_dataset::Table;
use tidemill_ingestion::Options;
use tidemill_storage::Storage;
use tidemill_testkit::Store;
use tidemill_tests::Rig;
use tidemill_tests::messages::{self, Form, Messages};
use tidemill_tests::rig::{caught_up, make_streams};

/// Best of so many runs: other load on the machine only ever slows one down. Each ingests for seconds, as the last commit
/// of a run waits for its age.
const RUNS: usize = 3;

fn per_second(count: i64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

pub(crate) async fn publish(rig: &Rig, form: Form, events: i64, rows: i64) -> Result<i64> {
    make_streams(&rig.bus, &rig.spec).await?;
    let messages = Messages::new()?;
    let mut last = 0;
    let mut next = 0;
    while next < events {
        let mut part: Vec<Outgoing> = Vec::new();
        while part.len() < 1_000 && next < events {
            part.push(messages.readings(form, next..next + rows)?);
            next += rows;
        }
        last = i64::try_from(BatchPublisher::new(&rig.bus).publish(&part).await?.last_sequence().unwrap_or(0))?;
    }
    Ok(last)
}

/// Time to read every message of the stream, doing nothing with it.
async fn drain(rig: &Rig, last: i64) -> Result<Duration> {
    let bus = rig.nats.bus().await?;
    let begin = Instant::now();
    let mut reader = OrderedReader::open(&bus, &rig.stream()?, 1).await?;
    let mut seen = 0;
    while seen < last {
        let entries = reader.next_ready(4_096, 8 << 20, Duration::from_secs(10)).await?;
        ensure!(!entries.is_empty(), "the bus went silent");
        seen += i64::try_from(entries.len())?;
    }
    Ok(begin.elapsed())
}

/// Time from the start of ingestion until the table has everything, into an empty store.
async fn ingest(rig: &Rig, last: i64, rows: i64) -> Result<Duration> {
    let store = Store::local()?;
    let options = Options { commit_age: Duration::from_millis(250), ..Options::default() };
    let begin = Instant::now();
    let node = rig.ingestion_with(store.storage(), options).await?;
    caught_up(&rig.bus, store.storage(), &rig.raw()?, &rig.stream()?, last).await?;
    let took = begin.elapsed();
    node.stop().await?;
    let found = Table::open(store.storage(), &rig.raw()?).await?.load().await?.num_rows();
    ensure!(found == u64::try_from(rows)?, "{found} rows of {rows}");
    Ok(took)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "benchmark"]
async fn ingestion_of_single_events() -> Result<()> {
    const EVENTS: i64 = 600_000;
    let rig = Rig::start().await?;
    let last = publish(&rig, Form::Object, EVENTS, 1).await?;
    let (mut drained, mut ingested) = (Duration::MAX, Duration::MAX);
    for _ in 0..RUNS {
        drained = drained.min(drain(&rig, last).await?);
        ingested = ingested.min(ingest(&rig, last, EVENTS).await?);
    }
    println!(
        "ingestion of one-event JSON messages: {:.0} events/s; raw drain: {:.0} messages/s; ratio {:.2}",
        per_second(EVENTS, ingested),
        per_second(EVENTS, drained),
        drained.as_secs_f64() / ingested.as_secs_f64(),
    );
    Ok(())
}

/// Time in which arrow's own decoder turns the same lines into columns, on one thread.
fn decode(bodies: &[Vec<u8>], rows: i64) -> Result<Duration> {
    let schema = messages::batch(0..1)?.schema();
    let begin = Instant::now();
    let mut decoded = 0;
    let mut decoder = ReaderBuilder::new(schema).with_batch_size(8_192).build_decoder()?;
    for body in bodies {
        let mut rest = body.as_slice();
        // The decoder takes no more than one batch at a time.
        while !rest.is_empty() {
            let taken = decoder.decode(rest)?;
            rest = &rest[taken..];
            if !rest.is_empty() {
                decoded += decoder.flush()?.map_or(0, |batch| batch.num_rows());
            }
        }
        ensure!(decoder.decode(b"\n")? == 1, "a line break was not taken");
    }
    decoded += decoder.flush()?.map_or(0, |batch| batch.num_rows());
    let took = begin.elapsed();
    ensure!(i64::try_from(decoded)? == rows, "{decoded} rows of {rows}");
    Ok(took)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "benchmark"]
async fn ingestion_of_packed_json_lines() -> Result<()> {
    const ROWS: i64 = 10_000_000;
    /// Rows that the decoder beside it gets: its rate does not depend on their number.
    const BESIDE: i64 = 4_000_000;
    const STEP: i64 = 1_000;
    let rig = Rig::start().await?;
    let last = publish(&rig, Form::Lines, ROWS, STEP).await?;
    let bodies =
        (0..BESIDE).step_by(usize::try_from(STEP)?).map(|first| messages::body(Form::Lines, first..first + STEP));
    let bodies = bodies.collect::<Result<Vec<_>>>()?;
    let (mut decoded, mut ingested) = (0_f64, 0_f64);
    for _ in 0..RUNS {
        decoded = decoded.max(per_second(BESIDE, decode(&bodies, BESIDE)?));
        ingested = ingested.max(per_second(ROWS, ingest(&rig, last, ROWS).await?));
    }
    println!(
        "ingestion of JSON lines, {STEP} a message: {ingested:.0} rows/s; decoder of arrow-json on one core: \
         {decoded:.0} rows/s; ratio {:.2}",
        ingested / decoded,
    );
    Ok(())
}

fn batches(rows: i64, step: i64) -> Result<Vec<RecordBatch>> {
    (0..rows).step_by(usize::try_from(step)?).map(|first| messages::batch(first..first + step)).collect()
}

/// Time to encode and store the rows as Parquet the way tables are written, by one thread.
async fn encode(storage: &Storage, batches: &[RecordBatch]) -> Result<Duration> {
    let begin = Instant::now();
    tidemill_dataset::write_parquet(storage, "encoded.parquet", batches).await?;
    Ok(begin.elapsed())
}

/// Time to encode the rows into memory with the settings that the Parquet library comes with, by one thread.
fn encode_as_delivered(batches: &[RecordBatch]) -> Result<Duration> {
    let begin = Instant::now();
    let compression = Compression::ZSTD(ZstdLevel::default());
    let properties = WriterProperties::builder().set_compression(compression).build();
    let schema = batches.first().context("rows to encode")?.schema();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties))?;
    for batch in batches {
        writer.write(batch)?;
    }
    std::hint::black_box(writer.into_inner()?);
    Ok(begin.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "benchmark"]
async fn ingestion_of_arrow_batches() -> Result<()> {
    const ROWS: i64 = 25_000_000;
    /// Rows that the encoders beside it get: their rates do not depend on their number.
    const BESIDE: i64 = 10_000_000;
    const STEP: i64 = 5_000;
    let rig = Rig::start().await?;
    let last = publish(&rig, Form::Arrow, ROWS, STEP).await?;
    let batches = batches(BESIDE, STEP)?;
    let (mut encoded, mut as_delivered, mut ingested) = (0_f64, 0_f64, 0_f64);
    for _ in 0..RUNS {
        encoded = encoded.max(per_second(BESIDE, encode(rig.store.storage(), &batches).await?));
        as_delivered = as_delivered.max(per_second(BESIDE, encode_as_delivered(&batches)?));
        ingested = ingested.max(per_second(ROWS, ingest(&rig, last, ROWS).await?));
    }
    println!(
        "ingestion of Arrow batches of {STEP}: {ingested:.0} rows/s; on one core our Parquet encoder: {encoded:.0} \
         rows/s, ratio {:.2}; the library's as delivered: {as_delivered:.0} rows/s, ratio {:.2}",
        ingested / encoded,
        ingested / as_delivered,
    );
    Ok(())
}
