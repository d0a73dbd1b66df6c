//! The process that the chaos tests kill: ingestion or validation of one project, and nothing else.
//!
//! `data-node ingestion|validation <bus url> <store url> <spec file> <commit age ms>`; runs until it is killed. A store
//! that is no folder is reached by `STORE_ENDPOINT`, `STORE_KEY` and `STORE_SECRET`.

use anyhow::{Context as _, Result, bail};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tidemill_bus::{Bus, BusOptions};
use tidemill_ingestion::Options;
use tidemill_spec::Spec;
use tidemill_storage::{S3Options, Storage};
use tidemill_telemetry::TelemetryOptions;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<()> {
    let telemetry = tidemill_telemetry::init(&TelemetryOptions::new("data-node"))?;
    let mut arguments = std::env::args().skip(1);
    let mut next = |name: &'static str| arguments.next().context(name);
    let role = next("role")?;
    let mut bus = BusOptions::new(next("bus url")?, "data-node");
    bus.request_timeout = Duration::from_secs(5);
    let given: BTreeMap<String, String> = std::env::vars().collect();
    let of = |name: &str| given.get(name).cloned();
    let s3 = S3Options {
        endpoint: of("STORE_ENDPOINT"),
        access_key_id: of("STORE_KEY"),
        secret_access_key: of("STORE_SECRET"),
        allow_http: true,
        ..S3Options::default()
    };
    let storage = Storage::open(&next("store url")?, &s3)?;
    let spec = Arc::new(Spec::parse(&std::fs::read_to_string(next("spec file")?)?)?);
    let commit_age = Duration::from_millis(next("commit age")?.parse()?);
    let (bus, metrics, stop) = (Bus::connect(bus).await?, telemetry.metrics(), CancellationToken::new());
    match role.as_str() {
        "ingestion" => {
            let options = Options { commit_age, ..Options::default() };
            tidemill_ingestion::run(
                tidemill_ingestion::Deps { bus, storage, spec, options, metrics, http: None },
                stop,
            )
            .await?;
        }
        "validation" => {
            tidemill_validation::run(tidemill_validation::Deps { bus, storage, spec, metrics }, stop).await?;
        }
        other => bail!("no role \"{other}\""),
    }
    Ok(())
}
