//! kill -9 of two competing ingestion processes, and of the bus, while events are published.

use anyhow::{Context as _, Result};
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use std::path::Path;
use std::time::{Duration, Instant};
use tidemill_bus::{Bus, Outgoing};
use tidemill_testkit::Victim;
use tidemill_tests::audit::{Audit, Findings};
use tidemill_tests::messages::{Form, Messages};
use tidemill_tests::rig::caught_up;
use tidemill_tests::{Published, Rig};
use tokio::sync::watch;

/// Size of one run.
struct Plan {
    seed: u64,
    /// Readings published.
    events: i64,
    /// Kills of ingestion processes.
    kills: usize,
    /// Readings of one Arrow message; every second message is an array of 50.
    batch: i64,
}

/// Pause of the producer between messages, so that the events last as long as the kills.
const PACE: Duration = Duration::from_millis(5);

/// Sends everything, going on where it was when the bus comes back.
///
/// It never runs more than one share ahead of the kills, so that these fall between the events and not behind them.
async fn produce(
    bus: Bus,
    plan: &Plan,
    progress: watch::Sender<i64>,
    mut killed: watch::Receiver<usize>,
) -> Result<Published> {
    let messages = Messages::new()?;
    let mut published = Published::default();
    let mut next = 0;
    while next < plan.events {
        let mut part: Vec<(Outgoing, i64)> = Vec::new();
        for (form, rows) in [(Form::Arrow, plan.batch), (Form::Array, 50)] {
            let rows = rows.min(plan.events - next);
            if rows > 0 {
                let message = messages.readings(form, next..next + rows)?;
                // A message id makes a repeated publish harmless, whatever the bus did when it died.
                part.push((message.with_id(&format!("{next}"))?, rows));
                next += rows;
            }
        }
        publish(&bus, &mut published, &part).await?;
        progress.send_replace(next);
        tokio::time::sleep(PACE).await;
        let shares = usize::try_from(next * i64::try_from(plan.kills)? / plan.events)?;
        killed.wait_for(|kills| shares <= kills + 1).await.context("the killer ended early")?;
    }
    Ok(published)
}

/// Publishes until the bus says where the messages stand.
async fn publish(bus: &Bus, published: &mut Published, part: &[(Outgoing, i64)]) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    for (message, rows) in part {
        loop {
            match bus.publish(&message.subject, &message.headers, message.payload.clone()).await {
                Ok(ack) => {
                    published.rows.insert(i64::try_from(ack.sequence)?, *rows);
                    break;
                }
                Err(error) if Instant::now() < deadline => tracing::info!(%error, "publishing again"),
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}

struct Nodes {
    arguments: Vec<String>,
    log: std::path::PathBuf,
    running: Vec<Victim>,
}

impl Nodes {
    fn spawn(&self) -> Result<Victim> {
        let program = Path::new(env!("CARGO_BIN_EXE_ingest-node"));
        Victim::spawn(program, &self.arguments, [], &self.log)
    }
}

#[expect(clippy::print_stdout, reason = "the figures of the run")]
async fn run(plan: Plan) -> Result<()> {
    let begin = Instant::now();
    let mut rig = Rig::start().await?;
    let spec_file = rig.store.dir().join("meters.yaml");
    std::fs::write(&spec_file, include_str!("../data/meters.yaml"))?;
    let store = rig.store.dir().join("objects");
    std::fs::create_dir_all(&store)?;
    let store_url = format!("file://{}", store.display());
    let storage = tidemill_storage::Storage::open(&store_url, &tidemill_storage::S3Options::default())?;
    let mut nodes = Nodes {
        arguments: vec![rig.nats.url(), store_url, spec_file.display().to_string(), "40".to_owned()],
        log: rig.store.dir().join("nodes.log"),
        running: Vec::new(),
    };
    for _ in 0..2 {
        let node = nodes.spawn()?;
        nodes.running.push(node);
    }

    let mut rng = Pcg64Mcg::seed_from_u64(plan.seed);
    let (progress, mut seen) = watch::channel(0_i64);
    let (kills_done, killed) = watch::channel(0_usize);
    let producer = produce(rig.bus.clone(), &plan, progress, killed);
    let bus_dies_at = plan.kills / 2;
    let kill_all = async {
        for kill in 0..plan.kills {
            // Evenly over the events, then at a random instant within a commit or between two.
            let after = plan.events * i64::try_from(kill)? / i64::try_from(plan.kills)?;
            seen.wait_for(|done| *done >= after).await.context("the producer ended early")?;
            tokio::time::sleep(Duration::from_micros(rng.random_range(0..800_000))).await;
            let victim = rng.random_range(0..nodes.running.len());
            nodes.running[victim].kill().await?;
            nodes.running[victim] = nodes.spawn()?;
            if kill == bus_dies_at {
                rig.nats.crash().await?;
            }
            kills_done.send_replace(kill + 1);
        }
        anyhow::Ok(())
    };
    let (published, killed) = tokio::join!(producer, kill_all);
    let published = published?;
    killed?;
    let published_in = begin.elapsed();

    let (raw, stream) = (rig.raw()?, rig.stream()?);
    let outcome = caught_up(&rig.bus, &storage, &raw, &stream, published.last()).await;
    outcome.with_context(|| last_lines(&nodes.log))?;
    let audit = Audit::of(&storage, &raw).await?;
    let findings = audit.against(&published);
    let letters = rig.dead_letters().await?.len();
    println!(
        "chaos: seed {}, {} events in {} messages, {} kills of ingestion, 1 of the bus; {} rows in {} commits; lost {}, \
         doubled {}, foreign {}, dead letters {letters}; published in {:.1} s, all in {:.1} s",
        plan.seed,
        plan.events,
        published.rows.len(),
        plan.kills,
        audit.rows(),
        audit.versions,
        findings.lost,
        findings.doubled,
        findings.foreign,
        published_in.as_secs_f64(),
        begin.elapsed().as_secs_f64(),
    );
    assert_eq!(findings, Findings::default());
    assert_eq!(letters, 0);
    assert!(audit.versions as usize > plan.kills, "{} commits: the processes were hardly at work", audit.versions);
    assert!(audit.has_exactly(0..plan.events));
    assert!(published.rows.keys().copied().eq(1..=published.last()), "the stream has a gap or a double");
    assert_eq!(audit.counts.rows, u64::try_from(plan.events)?, "the books in the commits");
    Ok(())
}

fn last_lines(log: &Path) -> String {
    let text = String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned();
    let mut lines: Vec<&str> = text.lines().rev().take(40).collect();
    lines.reverse();
    lines.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn chaos_quick() -> Result<()> {
    run(Plan { seed: 5, events: 50_000, kills: 5, batch: 200 }).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes: cargo test --test chaos -- --ignored --nocapture"]
async fn chaos_full() -> Result<()> {
    run(Plan { seed: 25, events: 300_000, kills: 25, batch: 200 }).await
}
