//! Power cuts of the disk under the bus and of the disk under the store, while events are published.
//!
//! What was acknowledged must be on the disk: of the bus, so that a message outlives the cut; of a folder as store, so
//! that a commit does. SeaweedFS flushes nothing: whatever part of its volumes and of its metadata the operating system
//! happened to write outlives the cut. What the store has lost the bus brings back.

use crate::disk::Disk;
use crate::end::End;
use crate::kills::{Nodes, publish};
use anyhow::Result;
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};
use tidemill_bus::Bus;
use tidemill_storage::{S3Options, Storage};
use tidemill_testkit::{Nats, S3};
use tidemill_tests::messages::{Form, Messages};
use tidemill_tests::{Published, Rig};
use tokio_util::sync::CancellationToken;

/// Readings of one message.
const ROWS: i64 = 200;
/// Pause of the producer between messages.
const PACE: Duration = Duration::from_millis(4);

/// Publishes until told to stop; every message was acknowledged when it ends.
async fn produce(bus: Bus, stop: CancellationToken) -> Result<Published> {
    let messages = Messages::new()?;
    let mut published = Published::default();
    let mut next = 0;
    while !stop.is_cancelled() {
        let form = if next % (2 * ROWS) == 0 { Form::Arrow } else { Form::Lines };
        let message = messages.readings(form, next..next + ROWS)?.with_id(&format!("{next}"))?;
        publish(&bus, &mut published, &[(message, ROWS)]).await?;
        next += ROWS;
        tokio::time::sleep(PACE).await;
    }
    Ok(published)
}

/// The store under test, on a disk of its own.
enum Under {
    Folder(String),
    Seaweed(Box<S3>),
}

impl Under {
    /// Where it is, for this process and for others.
    fn place(&self) -> (String, S3Options) {
        match self {
            Self::Folder(url) => (url.clone(), S3Options::default()),
            Self::Seaweed(s3) => (s3.url(), s3.options()),
        }
    }

    /// Takes the power from its disk, and gives it back.
    async fn suffer(&mut self, disk: &Disk, nodes: &mut Nodes, written: Written) -> Result<()> {
        if let Self::Seaweed(s3) = self {
            written.flush(s3.dir())?;
        }
        disk.cut()?;
        if let Self::Seaweed(s3) = self {
            s3.server().kill().await?;
        } else {
            nodes.kill().await?;
        }
        disk.come_back().await?;
        match self {
            Self::Seaweed(s3) => Ok(s3.server().restart().await?),
            Self::Folder(_) => nodes.start(),
        }
    }
}

/// What the operating system has written of its own accord before the power goes.
#[derive(Clone, Copy, Debug)]
enum Written {
    Nothing,
    /// Names and places of objects, not what is in them.
    Metadata,
    /// What is in the objects, not their names.
    Volumes,
    Everything,
}

impl Written {
    fn draw(rng: &mut Pcg64Mcg) -> Self {
        [Self::Nothing, Self::Metadata, Self::Volumes, Self::Everything][rng.random_range(0..4)]
    }

    fn flush(self, folder: &Path) -> Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                self.flush(&entry.path())?;
                continue;
            }
            let path = entry.path();
            let is_volume = path.extension().is_some_and(|ending| ending == "dat" || ending == "idx");
            let wanted = match self {
                Self::Nothing => false,
                Self::Metadata => !is_volume,
                Self::Volumes => is_volume,
                Self::Everything => true,
            };
            // A file may have been removed since the folder was read.
            if let Some(file) = wanted.then(|| File::open(&path).ok()).flatten() {
                file.sync_all()?;
            }
        }
        Ok(())
    }
}

#[expect(clippy::print_stdout, reason = "the figures of the run")]
async fn run(seed: u64, cuts: usize, on_seaweed: bool) -> Result<()> {
    let begin = Instant::now();
    let (Some(bus_disk), Some(store_disk)) = (Disk::new(1 << 30)?, Disk::new(1 << 30)?) else { return Ok(()) };
    let mut rig = Rig::over(Nats::start_in(&bus_disk.path().join("nats")).await?).await?;
    let spec_file = rig.store.dir().join("meters.yaml");
    std::fs::write(&spec_file, include_str!("../data/meters.yaml"))?;
    let objects = store_disk.path().join("objects");
    let mut store = if on_seaweed {
        Under::Seaweed(Box::new(S3::start_in(&objects).await?))
    } else {
        Under::Folder(format!("file://{}", objects.display()))
    };
    let (store_url, s3) = store.place();
    let storage = Storage::open(&store_url, &s3)?;
    let variables =
        [("STORE_ENDPOINT", s3.endpoint), ("STORE_KEY", s3.access_key_id), ("STORE_SECRET", s3.secret_access_key)];
    let mut nodes = Nodes {
        arguments: vec![rig.nats.url(), store_url, spec_file.display().to_string(), "40".to_owned()],
        variables: variables.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
        log: rig.store.dir().join("nodes.log"),
        running: Vec::new(),
    };
    nodes.start()?;

    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let stop = CancellationToken::new();
    let producer = tokio::spawn(produce(rig.bus.clone(), stop.clone()));
    let moment = |rng: &mut Pcg64Mcg| Duration::from_micros(rng.random_range(200_000..900_000));
    for _ in 0..cuts {
        tokio::time::sleep(moment(&mut rng)).await;
        bus_disk.cut()?;
        rig.nats.server().kill().await?;
        bus_disk.come_back().await?;
        rig.nats.server().restart().await?;

        tokio::time::sleep(moment(&mut rng)).await;
        let written = Written::draw(&mut rng);
        store.suffer(&store_disk, &mut nodes, written).await?;
    }
    tokio::time::sleep(moment(&mut rng)).await;
    stop.cancel();
    let published = producer.await??;

    let end = End::of(&rig, &storage, &nodes.log, &published).await?;
    println!(
        "power: store {}, {cuts} cuts of the bus, {cuts} of the store, {} events in {} messages; {end}; {:.1} s",
        if on_seaweed { "SeaweedFS" } else { "folder" },
        published.total(),
        published.rows.len(),
        begin.elapsed().as_secs_f64(),
    );
    // Before the disk is taken away from under them.
    nodes.kill().await?;
    rig.nats.server().kill().await?;
    if let Under::Seaweed(s3) = &mut store {
        s3.server().kill().await?;
    }
    end.must_balance();
    assert!(published.rows.len() > 20 * cuts, "hardly anything was published between the cuts");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn power_quick() -> Result<()> {
    run(3, 2, false).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a minute: cargo test --workspace --test chaos -- --ignored --nocapture"]
async fn power_full() -> Result<()> {
    run(11, 20, false).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes: cargo test --workspace --test chaos -- --ignored --nocapture"]
async fn power_of_seaweedfs_full() -> Result<()> {
    run(17, 20, true).await
}
