//! Power cuts of the disk under the bus and of the disk under the store, while events are published.
//!
//! What was acknowledged must be on the disk: of the bus, so that a message outlives the cut; of the store, so that a
//! commit does. Where one side has lost something after all, the other brings it back.

use crate::disk::Disk;
use crate::end::End;
use crate::kills::{Nodes, publish};
use anyhow::Result;
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use std::time::{Duration, Instant};
use tidemill_bus::Bus;
use tidemill_storage::{S3Options, Storage};
use tidemill_testkit::Nats;
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

#[expect(clippy::print_stdout, reason = "the figures of the run")]
async fn run(seed: u64, cuts: usize) -> Result<()> {
    let begin = Instant::now();
    let (Some(bus_disk), Some(store_disk)) = (Disk::new(1 << 30)?, Disk::new(1 << 30)?) else { return Ok(()) };
    let mut rig = Rig::over(Nats::start_in(&bus_disk.path().join("nats")).await?).await?;
    let spec_file = rig.store.dir().join("meters.yaml");
    std::fs::write(&spec_file, include_str!("../data/meters.yaml"))?;
    let store_url = format!("file://{}", store_disk.path().join("objects").display());
    let arguments = vec![rig.nats.url(), store_url.clone(), spec_file.display().to_string(), "40".to_owned()];
    let mut nodes = Nodes { arguments, log: rig.store.dir().join("nodes.log"), running: Vec::new() };
    nodes.start()?;

    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let stop = CancellationToken::new();
    let producer = tokio::spawn(produce(rig.bus.clone(), stop.clone()));
    let mut moment = || Duration::from_micros(rng.random_range(200_000..900_000));
    for _ in 0..cuts {
        tokio::time::sleep(moment()).await;
        bus_disk.cut()?;
        rig.nats.server().kill().await?;
        bus_disk.come_back().await?;
        rig.nats.server().restart().await?;

        tokio::time::sleep(moment()).await;
        store_disk.cut()?;
        nodes.kill().await?;
        store_disk.come_back().await?;
        nodes.start()?;
    }
    tokio::time::sleep(moment()).await;
    stop.cancel();
    let published = producer.await??;

    let storage = Storage::open(&store_url, &S3Options::default())?;
    let end = End::of(&rig, &storage, &nodes, &published).await?;
    println!(
        "power: {cuts} cuts of the bus, {cuts} of the store, {} events in {} messages; {end}; {:.1} s",
        published.total(),
        published.rows.len(),
        begin.elapsed().as_secs_f64(),
    );
    // Before the disk is taken away from under them.
    nodes.kill().await?;
    rig.nats.server().kill().await?;
    end.must_balance();
    assert!(published.rows.len() > 20 * cuts, "hardly anything was published between the cuts");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn power_quick() -> Result<()> {
    run(3, 2).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a minute: cargo test --workspace --test chaos -- --ignored --nocapture"]
async fn power_full() -> Result<()> {
    run(11, 20).await
}
