//! Processes that are killed, and processes that stop and come back as zombies, while events are published.
//!
//! Two processes of ingestion and two of validation compete; faults fall on them and on the bus. At the end every row
//! stands in the raw table once, and once in either the clean table or the quarantine.

use crate::end::End;
use anyhow::{Context as _, Result, ensure};
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tidemill_bus::{Bus, Outgoing};
use tidemill_testkit::{Nats, Victim};
use tidemill_tests::messages::{Form, Messages};
use tidemill_tests::{Published, Rig};
use tokio::sync::watch;

/// Size of one run.
struct Plan {
    seed: u64,
    /// Readings published.
    events: i64,
    /// Faults, each at a random instant.
    faults: usize,
    /// Readings of one Arrow message; every second message is an array of 50.
    batch: i64,
    /// Whether one in ten stops lasts longer than any time-out.
    long_stops: bool,
}

/// Pause of the producer between messages, so that the events last as long as the kills.
const PACE: Duration = Duration::from_millis(5);

/// Sends everything, going on where it was when the bus comes back.
///
/// It never runs more than one share ahead of the faults, so that these fall between the events and not behind them.
async fn produce(
    bus: Bus,
    plan: &Plan,
    progress: watch::Sender<i64>,
    mut faulted: watch::Receiver<usize>,
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
        let shares = usize::try_from(next * i64::try_from(plan.faults)? / plan.events)?;
        faulted.wait_for(|faults| shares <= faults + 1).await.context("the faults ended early")?;
    }
    Ok(published)
}

/// Publishes until the bus says where the messages stand.
pub(crate) async fn publish(bus: &Bus, published: &mut Published, part: &[(Outgoing, i64)]) -> Result<()> {
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

/// Longer than any request, lease or silence is waited for.
const LONG_STOP: Duration = Duration::from_secs(12);

/// Where a fault falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    /// One of the processes, by position.
    Process(usize),
    Bus,
}

/// What happens there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// kill -9 and a new start.
    Kill,
    /// SIGSTOP, and SIGCONT after so long: others go on meanwhile, and what wakes believes what it knew.
    Stop(Duration),
}

/// The roles of the processes: two of each compete.
pub(crate) const ROLES: [&str; 4] = ["ingestion", "ingestion", "validation", "validation"];

impl Fault {
    fn draw(rng: &mut Pcg64Mcg, long_stops: bool) -> (Target, Self) {
        // The bus is hit by one fault of eight.
        let target = match rng.random_range(0..8) {
            0 => Target::Bus,
            _ => Target::Process(rng.random_range(0..ROLES.len())),
        };
        let is_long = rng.random_range(0..10) == 0 && long_stops;
        let short = Duration::from_millis(rng.random_range(100..1_500));
        let stop = Self::Stop(if is_long { LONG_STOP } else { short });
        (target, if rng.random_range(0..2) == 0 { Self::Kill } else { stop })
    }
}

/// The processes under test.
pub(crate) struct Nodes {
    /// What follows the role on the command line.
    pub(crate) arguments: Vec<String>,
    /// Further variables of their environment.
    pub(crate) variables: Vec<(&'static str, String)>,
    pub(crate) log: PathBuf,
    pub(crate) running: Vec<Victim>,
}

impl Nodes {
    /// Starts one for each role.
    pub(crate) fn start(&mut self) -> Result<()> {
        self.running = ROLES.into_iter().map(|role| self.spawn(role)).collect::<Result<_>>()?;
        Ok(())
    }

    /// Starts one for each role, with its clock set wrong by so much by a library that is loaded before all others.
    pub(crate) fn start_at(&mut self, library: &str, offsets: &[&str; ROLES.len()]) -> Result<()> {
        let spawn = |(role, offset): (&str, &&str)| self.spawn_at(role, library, offset);
        self.running = ROLES.into_iter().zip(offsets).map(spawn).collect::<Result<_>>()?;
        Ok(())
    }

    /// Kills one and starts it again with its clock set wrong by so much.
    pub(crate) async fn kill_and_start_at(&mut self, at: usize, library: &str, offset: &str) -> Result<()> {
        self.running[at].kill().await?;
        self.running[at] = self.spawn_at(ROLES[at], library, offset)?;
        Ok(())
    }

    fn spawn_at(&self, role: &str, library: &str, offset: &str) -> Result<Victim> {
        let clock = [("LD_PRELOAD", library), ("FAKETIME", offset), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
        self.spawn_with(role, clock)
    }

    /// Kills all.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        for mut node in self.running.drain(..) {
            // One that has ended by itself counts as killed: its disk may have been taken away.
            let _ = node.kill().await;
        }
        Ok(())
    }

    fn spawn(&self, role: &str) -> Result<Victim> {
        self.spawn_with(role, [])
    }

    fn spawn_with<const N: usize>(&self, role: &str, variables: [(&str, &str); N]) -> Result<Victim> {
        let program = Path::new(env!("CARGO_BIN_EXE_data-node"));
        let arguments = std::iter::once(role).chain(self.arguments.iter().map(String::as_str));
        let further = self.variables.iter().map(|(name, value)| (*name, value.as_str()));
        let variables = variables.into_iter().chain(further).map(|(name, value)| (name.to_owned(), value.to_owned()));
        Victim::spawn(program, arguments, variables, &self.log)
    }

    async fn befall(&mut self, nats: &mut Nats, target: Target, fault: Fault) -> Result<()> {
        match (target, fault) {
            (Target::Bus, Fault::Kill) => nats.crash().await,
            (Target::Bus, Fault::Stop(time)) => stop_for(nats.server().pid(), time).await,
            (Target::Process(at), Fault::Kill) => {
                self.running[at].kill().await?;
                self.running[at] = self.spawn(ROLES[at])?;
                Ok(())
            }
            (Target::Process(at), Fault::Stop(time)) => {
                stop_for(self.running[at].pid().context("a process has ended by itself")?, time).await
            }
        }
    }
}

async fn stop_for(pid: u32, time: Duration) -> Result<()> {
    signal("STOP", pid)?;
    tokio::time::sleep(time).await;
    signal("CONT", pid)
}

fn signal(name: &str, pid: u32) -> Result<()> {
    let status = std::process::Command::new("sh").arg("-c").arg(format!("kill -{name} {pid}")).status()?;
    ensure!(status.success(), "no signal {name} to {pid}");
    Ok(())
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
        variables: Vec::new(),
        log: rig.store.dir().join("nodes.log"),
        running: Vec::new(),
    };
    nodes.start()?;

    let mut rng = Pcg64Mcg::seed_from_u64(plan.seed);
    let mut drawn: BTreeMap<&str, usize> = BTreeMap::new();
    let (progress, mut seen) = watch::channel(0_i64);
    let (faults_done, faulted) = watch::channel(0_usize);
    let producer = produce(rig.bus.clone(), &plan, progress, faulted);
    let befall_all = async {
        for nth in 0..plan.faults {
            // Evenly over the events, then at a random instant within a commit or between two.
            let after = plan.events * i64::try_from(nth)? / i64::try_from(plan.faults)?;
            seen.wait_for(|done| *done >= after).await.context("the producer ended early")?;
            tokio::time::sleep(Duration::from_micros(rng.random_range(0..400_000))).await;
            let (target, fault) = Fault::draw(&mut rng, plan.long_stops);
            *drawn.entry(described(target, fault)).or_default() += 1;
            nodes.befall(&mut rig.nats, target, fault).await?;
            faults_done.send_replace(nth + 1);
        }
        anyhow::Ok(())
    };
    let (published, befallen) = tokio::join!(producer, befall_all);
    let published = published?;
    befallen.with_context(|| last_lines(&nodes.log))?;
    let published_in = begin.elapsed();

    let end = End::of(&rig, &storage, &nodes.log, &published).await?;
    println!(
        "chaos: seed {}, {} events; faults {drawn:?}; {end}; published in {:.1} s, all in {:.1} s",
        plan.seed,
        plan.events,
        published_in.as_secs_f64(),
        begin.elapsed().as_secs_f64(),
    );
    end.must_balance();
    let raw = &end.raw;
    assert!(raw.versions as usize > plan.faults, "{} commits: the processes were hardly at work", raw.versions);
    assert!(raw.has_exactly(0..plan.events));
    assert_eq!(raw.counts.rows, u64::try_from(plan.events)?, "the books in the commits");
    Ok(())
}

fn described(target: Target, fault: Fault) -> &'static str {
    match (target, fault) {
        (Target::Bus, Fault::Kill) => "bus killed",
        (Target::Bus, Fault::Stop(LONG_STOP)) => "bus stopped for long",
        (Target::Bus, Fault::Stop(_)) => "bus stopped",
        (Target::Process(0 | 1), Fault::Kill) => "ingestion killed",
        (Target::Process(_), Fault::Stop(LONG_STOP)) => "process stopped for long",
        (Target::Process(0 | 1), Fault::Stop(_)) => "ingestion stopped",
        (Target::Process(_), Fault::Kill) => "validation killed",
        (Target::Process(_), Fault::Stop(_)) => "validation stopped",
    }
}

pub(crate) fn last_lines(log: &Path) -> String {
    let text = String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned();
    let mut lines: Vec<&str> = text.lines().rev().take(40).collect();
    lines.reverse();
    lines.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn chaos_quick() -> Result<()> {
    run(Plan { seed: 5, events: 50_000, faults: 8, batch: 200, long_stops: false }).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes: cargo test --workspace --test chaos -- --ignored --nocapture"]
async fn chaos_full() -> Result<()> {
    run(Plan { seed: 25, events: 2_000_000, faults: 200, batch: 1_000, long_stops: true }).await
}
