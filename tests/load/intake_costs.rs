//! What ingestion costs: the time until rows are visible, memory behind a backlog, the processor beside peers.

use crate::ingestion::publish;
use anyhow::{Context as _, Result, ensure};
use std::path::Path;
use std::time::{Duration, Instant};
use tidemill_dataset::{Effort, Table, Upkeep};
use tidemill_ingestion::Options;
use tidemill_storage::{S3Options, Storage};
use tidemill_testkit::{Victim, eventually};
use tidemill_tests::Rig;
use tidemill_tests::messages::{self, Form, Messages};
use tidemill_tests::rig::caught_up;

/// A process of ingestion beside a rig, into a folder of its own.
struct Node {
    process: Victim,
    storage: Storage,
}

impl Node {
    fn start(rig: &Rig, commit_age: &str) -> Result<Self> {
        let spec_file = rig.store.dir().join("meters.yaml");
        std::fs::write(&spec_file, include_str!("../data/meters.yaml"))?;
        let store = rig.store.dir().join("objects");
        std::fs::create_dir_all(&store)?;
        let store_url = format!("file://{}", store.display());
        let storage = Storage::open(&store_url, &S3Options::default())?;
        let (spec, bus) = (spec_file.display().to_string(), rig.nats.url());
        let arguments = ["ingestion", &bus, &store_url, &spec, commit_age];
        let program = Path::new(env!("CARGO_BIN_EXE_data-node"));
        let process = Victim::spawn(program, arguments, [], &rig.store.dir().join("node.log"))?;
        Ok(Self { process, storage })
    }

    fn file(&self, name: &str) -> Result<String> {
        let pid = self.process.pid().context("the process has ended")?;
        Ok(std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join(name))?)
    }

    /// Processor time so far, in seconds.
    fn cpu_seconds(&self) -> Result<f64> {
        let stat = self.file("stat")?;
        // The name before the parenthesis may hold anything; user and system time are the 12th and 13th field behind it.
        let (_, fields) = stat.rsplit_once(')').context("no name")?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
        Ok(ticks as f64 / 100.0)
    }
}

/// Time from the acknowledgment of a row by the bus until a reader of the table sees it, at a steady rate.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "benchmark"]
async fn latency_of_ingestion_at_50k_rows_a_second() -> Result<()> {
    const ROWS_A_MESSAGE: i64 = 500;
    const MESSAGES_A_SECOND: u32 = 100;
    const SECONDS: u32 = 30;
    let rig = Rig::start().await?;
    let node = rig.ingestion_with(rig.store.storage(), Options::default()).await?;
    let table = rig.raw()?;
    ensure!(
        eventually(Duration::from_secs(10), || async { Table::open(rig.store.storage(), &table).await.is_ok() }).await,
        "no table"
    );
    let table = Table::open(rig.store.storage(), &table).await?;
    let messages = Messages::new()?;
    let count = i64::from(MESSAGES_A_SECOND * SECONDS);
    // Instants at which the bus said that a message is on disk, by sequence.
    let acknowledged = tokio::spawn({
        let bus = rig.nats.bus().await?;
        async move {
            let mut at = Vec::new();
            let mut tick = tokio::time::interval(Duration::from_secs(1) / MESSAGES_A_SECOND);
            for n in 0..count {
                tick.tick().await;
                let first = n * ROWS_A_MESSAGE;
                let message = messages.readings(Form::Lines, first..first + ROWS_A_MESSAGE)?;
                bus.publish(&message.subject, &message.headers, message.payload).await?;
                at.push(Instant::now());
            }
            anyhow::Ok(at)
        }
    });
    let incarnation = rig.bus.incarnation(&rig.stream()?).await?;
    let mut seen: Vec<(i64, Instant)> = Vec::new();
    while seen.last().is_none_or(|(done, _)| *done < count) {
        let done = table.load().await?.done(&incarnation).await?.unwrap_or(0);
        if seen.last().is_none_or(|(before, _)| *before < done) {
            seen.push((done, Instant::now()));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let acknowledged = acknowledged.await??;
    node.stop().await?;
    let mut took: Vec<Duration> = Vec::new();
    for (nth, at) in acknowledged.iter().enumerate() {
        let sequence = i64::try_from(nth)? + 1;
        let (_, visible) = seen.iter().find(|(done, _)| *done >= sequence).context("a message without a commit")?;
        took.push(visible.saturating_duration_since(*at));
    }
    took.sort_unstable();
    let sent =
        acknowledged.last().zip(acknowledged.first()).map_or(0.0, |(last, first)| (*last - *first).as_secs_f64());
    println!(
        "latency from acknowledged to visible at {:.0} rows/s: p50 {:.2} s, p99 {:.2} s, longest {:.2} s, {} commits; \
         commits are due after {:.0} s",
        (count - 1) as f64 * ROWS_A_MESSAGE as f64 / sent,
        took[took.len() / 2].as_secs_f64(),
        took[took.len() * 99 / 100].as_secs_f64(),
        took.last().map_or(0.0, Duration::as_secs_f64),
        seen.len(),
        Options::default().commit_age.as_secs_f64(),
    );
    Ok(())
}

/// A backlog many times as large as what a commit may hold, taken up by a process of its own.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "benchmark"]
async fn memory_of_ingestion_behind_a_long_backlog() -> Result<()> {
    for (form, rows, step) in
        [(Form::Arrow, 20_000_000, 5_000), (Form::Lines, 3_000_000, 1_000), (Form::Object, 500_000, 1)]
    {
        let rig = Rig::start().await?;
        let last = publish(&rig, form, rows, step).await?;
        let stored = rig.bus.stream_state(&rig.stream()?).await?.bytes;
        let begin = Instant::now();
        let mut node = Node::start(&rig, "5000")?;
        caught_up(&rig.bus, &node.storage, &rig.raw()?, &rig.stream()?, last).await?;
        let peak = node.process.peak_bytes()?;
        node.process.kill().await?;
        let took = begin.elapsed().as_secs_f64();
        let (before, after) = files_at_rest(&node.storage, &rig.raw()?).await?;
        println!(
            "memory of ingestion, {rows} rows as {form:?} ({:.0} MB in the stream): peak {:.0} MB, {took:.1} s; median \
             file {:.1} MB, at rest {:.1} MB",
            stored as f64 / 1e6,
            peak as f64 / 1e6,
            before as f64 / 1e6,
            after as f64 / 1e6,
        );
    }
    Ok(())
}

/// Median size of the files of a table before and after small ones are joined, as ingestion does now and then.
async fn files_at_rest(storage: &Storage, path: &str) -> Result<(u64, u64)> {
    let table = Table::open(storage, path).await?;
    let median = async || {
        let mut sizes: Vec<u64> = table.load().await?.files().map(|file| file.size).collect();
        sizes.sort_unstable();
        sizes.get(sizes.len() / 2).copied().context("no files")
    };
    let before = median().await?;
    table.compact(Upkeep::default().target_bytes, Effort::Worthwhile).await?;
    Ok((before, median().await?))
}

/// The same events taken in by what else there is, in rows for a second of the processor.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "benchmark"]
async fn ingestion_beside_peers() -> Result<()> {
    const EVENTS: i64 = 200_000;
    let rig = Rig::start().await?;
    let last = publish(&rig, Form::Object, EVENTS, 1).await?;
    let mut node = Node::start(&rig, "1000")?;
    caught_up(&rig.bus, &node.storage, &rig.raw()?, &rig.stream()?, last).await?;
    let ours = EVENTS as f64 / node.cpu_seconds()?;
    node.process.kill().await?;
    println!("ingestion of single events: {ours:.0} rows for a second of the processor, exactly once, with books");

    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("load/peers");
    let python = tidemill_tests::python::environment("peers", &peers.join("requirements.txt"))?;
    let subject = tidemill_contracts::subjects::events(&rig.spec.project, &messages::source()?);
    for means in ["nats-py", "mq-bridge"] {
        let folder = rig.store.dir().join(means);
        std::fs::create_dir_all(&folder)?;
        let (url, stream, rows) = (rig.nats.url(), rig.stream()?, EVENTS.to_string());
        let mut command = tokio::process::Command::new(&python);
        command.arg(peers.join("consume.py")).args([means, &url, &stream, &subject, &rows]).arg(&folder);
        let output = tokio::time::timeout(Duration::from_secs(120), command.kill_on_drop(true).output()).await;
        let Ok(output) = output else {
            println!("{means}: not done within 120 s");
            continue;
        };
        let output = output?;
        let Ok(cost) = serde_json::from_slice::<serde_json::Value>(&output.stdout) else {
            println!("{means}: failed: {}", String::from_utf8_lossy(&output.stderr).trim());
            continue;
        };
        let (rows, cpu) = (cost["rows"].as_f64().unwrap_or(0.0), cost["cpu_seconds"].as_f64().unwrap_or(f64::NAN));
        println!(
            "{means}: {rows:.0} rows, {:.0} for a second of the processor; ours {:.1} times as many",
            rows / cpu,
            ours * cpu / rows
        );
    }
    Ok(())
}
