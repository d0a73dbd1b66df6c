//! Every origin end to end into the raw table, with a kill in between: each row exactly once.

mod cloud_events;
mod files;
mod http;
mod postgres;
mod push;

use anyhow::{Context as _, Result};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tidemill_spec::Spec;
use tidemill_testkit::{Victim, eventually};
use tidemill_tests::Rig;
use tidemill_tests::audit::Audit;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// The project of the tests, with its source fetched from here.
fn spec(from: &str) -> Result<Spec> {
    Spec::parse(&text(from)).context("the project with its origin")
}

fn text(from: &str) -> String {
    let meters = include_str!("../../data/meters.yaml");
    let text = meters.replacen("    key: [n]\n", &format!("    from: {from}\n    key: [n]\n"), 1);
    assert_ne!(text, meters, "the project of the tests has changed its layout");
    text
}

/// A rig whose source is fetched.
async fn rig(from: &str) -> Result<Rig> {
    let mut rig = Rig::start().await?;
    rig.spec = Arc::new(spec(from)?);
    Ok(rig)
}

/// Waits until the raw table holds so many rows.
async fn holds(rig: &Rig, rows: usize) -> Result<Audit> {
    let reached = eventually(PATIENCE, || async { rig.audit().await.is_ok_and(|audit| audit.rows() >= rows) });
    let in_time = reached.await;
    let audit = rig.audit().await?;
    anyhow::ensure!(in_time, "{} rows instead of {rows}", audit.rows());
    Ok(audit)
}

/// Ingestion in a process of its own, for `kill -9`.
fn process(rig: &Rig, from: &str) -> Result<Victim> {
    let file = rig.nats.dir().join("project.yaml");
    std::fs::write(&file, text(from))?;
    let arguments = ["ingestion", &rig.nats.url(), &rig.store.url(), &file.display().to_string(), "40"];
    let log = rig.nats.dir().join("ingestion.log");
    Victim::spawn(Path::new(env!("CARGO_BIN_EXE_data-node")), arguments, [], &log)
}

/// Messages on the stream of the source.
async fn messages(rig: &Rig) -> Result<u64> {
    Ok(rig.bus.stream_state(&rig.stream()?).await?.last_seq)
}
