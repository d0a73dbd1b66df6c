//! Pages of the console over ten thousand rows and over ten million: weight and time must not follow the rows.
//!
//! The rows are written by the table writer that ingestion uses and go through the validation service, which writes
//! what the pages read: heads of tables, profiles, quarantine.

use crate::http;
use anyhow::{Context as _, Result, ensure};
use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tidemill_contracts::paths;
use tidemill_dataset::Table;
use tidemill_testkit::eventually;
use tidemill_tests::Rig;
use tidemill_tests::messages::{self, BEGIN};
use tidemill_tests::pages;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const FEW: i64 = 10_000;
const MANY: i64 = 10_000_000;
/// Rows of one commit, as ingestion cuts them under load.
const COMMIT: i64 = 250_000;
/// Longest wait for validation.
const PATIENCE: Duration = Duration::from_secs(1_200);
/// Requests behind a median.
const ASKED: usize = 201;
/// Pages that look at tables; the others need services that are not part of this.
const PAGES: [&str; 6] =
    ["/data", "/data/readings", "/data/readings/value", "/data/readings/meter", "/data.json", "/dead"];

/// What a page costs.
#[derive(Clone, Copy)]
struct Cost {
    bytes: usize,
    median: Duration,
}

/// Rows as they stand in the raw table: the declared columns and those that ingestion adds.
fn rows(numbers: Range<i64>) -> Result<RecordBatch> {
    let declared = messages::batch(numbers.clone())?;
    let schema = messages::spec()?.sources[&messages::source()?].table_schema();
    let known = numbers.clone().map(|n| BEGIN.0 + n * 1_000);
    let mut columns: BTreeMap<&str, ArrayRef> = BTreeMap::new();
    columns.insert("tm_seq", Arc::new(Int64Array::from_iter_values(numbers.clone())));
    columns.insert("tm_row", Arc::new(Int32Array::from_iter_values(numbers.clone().map(|_| 0))));
    columns.insert("tm_event_id", Arc::new(StringArray::from_iter_values(numbers.map(|n| format!("e-{n}")))));
    columns.insert("tm_known_at", Arc::new(TimestampMillisecondArray::from_iter_values(known).with_timezone("UTC")));
    let column = |name: &str| declared.column_by_name(name).or_else(|| columns.get(name)).cloned().context("a column");
    let arrays = schema.fields().iter().map(|field| column(field.name())).collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(schema, arrays)?)
}

/// Writes the raw table and lets validation make the clean one.
async fn fill(rig: &Rig, count: i64) -> Result<()> {
    let (project, source, storage) = (&rig.spec.project, messages::source()?, rig.store.storage());
    let schema = rig.spec.sources[&source].table_schema();
    let raw = Table::open_or_create(storage, &paths::raw_table(project, &source), &schema).await?;
    let mut next = 0;
    while next < count {
        let until = (next + COMMIT).min(count);
        let batch = rows(next..until)?;
        raw.commit(raw.load().await?, &[batch], "load", until, BTreeMap::new()).await?;
        next = until;
    }
    let validation = rig.validation().await?;
    let clean = paths::clean_table(project, &source);
    let set_aside = paths::quarantine_table(project, &source);
    let held = async |path: &str| -> Result<u64> { Ok(Table::open(storage, path).await?.load().await?.num_rows()) };
    let done = eventually(PATIENCE, || async {
        let both = held(&clean).await.unwrap_or(0) + held(&set_aside).await.unwrap_or(0);
        both == u64::try_from(count).unwrap_or(u64::MAX)
    });
    ensure!(done.await, "validation has not caught up with {count} rows");
    validation.stop().await
}

/// A console over so many rows.
struct Served {
    host: String,
    stop: CancellationToken,
    console: JoinHandle<tidemill_console::Result<()>>,
    _rig: Rig,
}

impl Served {
    async fn over(count: i64) -> Result<Self> {
        let rig = Rig::start().await?;
        fill(&rig, count).await?;
        let stop = CancellationToken::new();
        let (bus, storage) = (rig.nats.bus().await?, rig.store.storage());
        let (host, console) = pages::console(bus, storage, &rig.spec, stop.clone()).await?;
        Ok(Self { host, stop, console, _rig: rig })
    }

    async fn end(self) -> Result<()> {
        self.stop.cancel();
        Ok(self.console.await??)
    }
}

/// Asks both in turn, so that other load on the machine falls on both alike.
async fn compared(path: &str, both: [&Served; 2]) -> Result<[Cost; 2]> {
    let mut costs = [Cost { bytes: 0, median: Duration::ZERO }; 2];
    let mut took = [Vec::with_capacity(ASKED), Vec::with_capacity(ASKED)];
    for round in 0..=ASKED {
        for (at, served) in both.iter().enumerate() {
            let answer = http::get(&served.host, path).await;
            ensure!(answer.status == 200, "{path}: {}", answer.text());
            // The first answer reads what is new; the others are what a person sees.
            if round > 0 {
                costs[at].bytes = answer.body.len();
                took[at].push(answer.took);
            }
        }
    }
    for (cost, mut took) in costs.iter_mut().zip(took) {
        took.sort_unstable();
        cost.median = took[ASKED / 2];
    }
    Ok(costs)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a benchmark"]
async fn pages_weigh_and_take_the_same_over_a_thousand_times_the_rows() -> Result<()> {
    let (few, many) = (Served::over(FEW).await?, Served::over(MANY).await?);
    println!(
        "{:<24} {:>10} {:>10} {:>6} {:>9} {:>9} {:>6}",
        "page", "bytes 10k", "bytes 10M", "ratio", "ms 10k", "ms 10M", "ratio"
    );
    for path in PAGES {
        let [less, more] = compared(path, [&few, &many]).await?;
        let weight = more.bytes as f64 / less.bytes as f64;
        let millis = |cost: &Cost| cost.median.as_secs_f64() * 1e3;
        println!(
            "{path:<24} {:>10} {:>10} {weight:>6.3} {:>9.2} {:>9.2} {:>6.3}",
            less.bytes,
            more.bytes,
            millis(&less),
            millis(&more),
            millis(&more) / millis(&less)
        );
        ensure!(more.median < Duration::from_millis(100), "{path} takes {:?}", more.median);
        ensure!((0.9..1.1).contains(&weight), "{path} weighs {weight:.3} times as much");
    }
    few.end().await?;
    many.end().await
}
