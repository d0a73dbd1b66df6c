//! The process that the chaos tests kill: ingestion of one project, and nothing else.
//!
//! `ingest-node <bus url> <store url> <spec file> <commit age ms>`; runs until it is killed.

use anyhow::{Context as _, Result};
use std::sync::Arc;
use std::time::Duration;
use tidemill_bus::{Bus, BusOptions};
use tidemill_ingestion::{Deps, Options};
use tidemill_spec::Spec;
use tidemill_storage::{S3Options, Storage};
use tidemill_telemetry::TelemetryOptions;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<()> {
    let telemetry = tidemill_telemetry::init(&TelemetryOptions::new("ingest-node"))?;
    let mut arguments = std::env::args().skip(1);
    let mut next = |name: &'static str| arguments.next().context(name);
    let mut bus = BusOptions::new(next("bus url")?, "ingest-node");
    bus.request_timeout = Duration::from_secs(5);
    let storage = Storage::open(&next("store url")?, &S3Options::default())?;
    let spec = Arc::new(Spec::parse(&std::fs::read_to_string(next("spec file")?)?)?);
    let commit_age = Duration::from_millis(next("commit age")?.parse()?);
    let options = Options { commit_age, ..Options::default() };
    let deps = Deps { bus: Bus::connect(bus).await?, storage, spec, options, metrics: telemetry.metrics() };
    tidemill_ingestion::run(deps, CancellationToken::new()).await?;
    Ok(())
}
