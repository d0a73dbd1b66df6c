//! `up`, `run` and `down`: processes that serve, and their end.

use super::output::{Output, next, say};
use super::target::Target;
use crate::error::{Error, Result};
use crate::instance::RunFile;
use crate::process::{install_crypto, open_bus};
use crate::projects;
use crate::roles::Role;
use crate::up::{self, Running, UpOptions};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;
use tidemill_runtime::Config;
use tidemill_telemetry::Recent;

const UP_EXAMPLES: &str = "\
Examples:
  tidemill up --project infra/examples/flights/project.yaml
  tidemill up --data-dir /var/lib/tidemill --set admin.bind=127.0.0.1:0
  TIDEMILL_BUS__URL=nats://10.0.0.5:4222 tidemill up     uses that bus instead of starting one";

/// `tidemill up`.
#[derive(Debug, Args)]
#[command(after_help = UP_EXAMPLES)]
pub(super) struct UpArgs {
    /// Spec to apply first; without it the project that is in force is served.
    #[arg(long, value_name = "FILE")]
    project: Option<PathBuf>,
}

const RUN_EXAMPLES: &str = "\
Examples:
  tidemill run ingestion validation
  tidemill run all --set bus.url=nats://bus:4222 --set store.url=s3://tidemill
  TIDEMILL_PROJECT=flights tidemill run serving";

/// `tidemill run`.
#[derive(Debug, Args)]
#[command(after_help = RUN_EXAMPLES)]
pub(super) struct RunArgs {
    /// ingestion, validation, feature, training, evaluation, serving, monitoring, console, or all.
    #[arg(required = true, value_name = "ROLE")]
    roles: Vec<String>,
}

const DOWN_EXAMPLES: &str = "\
Examples:
  tidemill down
  tidemill down --data-dir target/demo --wait 300";

/// `tidemill down`.
#[derive(Debug, Args)]
#[command(after_help = DOWN_EXAMPLES)]
pub(super) struct DownArgs {
    /// Seconds to wait for the end.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    wait: u64,
}

/// Runs an instance until a signal.
pub(super) async fn up(config: Config, args: UpArgs, recent: Recent) -> Result<u8> {
    let spec_text = match &args.project {
        Some(file) => Some(std::fs::read_to_string(file).map_err(Error::file("read", file))?),
        None => None,
    };
    let with_nats = is_default_bus(&config)?;
    let data_dir = config.data_dir.clone();
    let running = up::start_all(UpOptions { config, spec_text, data_dir, with_nats, recent }).await?;
    banner(&running);
    next("tidemill events publish --source SOURCE FILE; then tidemill status");
    Ok(running.until_stopped().await?.exit_code())
}

/// The address that stands in the defaults: whoever sets another one has a bus already.
fn is_default_bus(config: &Config) -> Result<bool> {
    let nothing = std::collections::BTreeMap::<String, String>::new();
    Ok(Config::load(None, &nothing)?.bus.url == config.bus.url)
}

/// Runs some roles until a signal.
pub(super) async fn run(mut config: Config, args: RunArgs, recent: Recent) -> Result<u8> {
    let roles = Role::parse_list(&args.roles)?;
    std::fs::create_dir_all(&config.data_dir).map_err(Error::file("make", &config.data_dir))?;
    config.data_dir = config.data_dir.canonicalize().map_err(Error::file("find", &config.data_dir))?;
    let bus_url = config.bus.url.clone();
    install_crypto();
    let bus = open_bus(&config, &bus_url, "tidemill-waiting").await?;
    config.project = projects::when_applied(&bus, &config.project).await?.project.to_string();
    bus.close().await;
    let running = up::start(&roles, config, bus_url, None, recent).await?;
    banner(&running);
    for needed in roles.iter().flat_map(|role| role.after()).filter(|needed| !roles.contains(needed)) {
        let place = needed.endpoint(&running.endpoints).unwrap_or("this bus and store");
        say(&format!("expects {needed} at {place}; see [{needed}] in the configuration"));
    }
    Ok(running.until_stopped().await?.exit_code())
}

fn banner(running: &Running) {
    let endpoints = &running.endpoints;
    say(&format!("tidemill {} serves project {}", env!("CARGO_PKG_VERSION"), running.spec.project));
    let lines = [
        ("console", &endpoints.console),
        ("predictions, gRPC", &endpoints.serving_grpc),
        ("predictions, HTTP", &endpoints.serving_http),
        ("features", &endpoints.feature),
        ("training", &endpoints.training),
        ("evaluation", &endpoints.evaluation),
        ("monitoring", &endpoints.monitoring),
        ("health and metrics", &endpoints.admin),
        ("bus", &running.bus_url),
    ];
    for (what, address) in lines {
        say(&format!("  {what:19} {address}"));
    }
    say(&format!("  {:19} {}", "store", running.storage.url()));
}

/// Ends the instance of the data folder.
pub(super) async fn down(target: &Target, out: Output, args: &DownArgs) -> Result<u8> {
    let Some(instance) = &target.instance else {
        let folder = target.config.data_dir.display();
        return Err(Error::NoInstance(format!("none runs in {folder}")));
    };
    let pid = instance.pid;
    let sent = std::process::Command::new("kill").arg("-TERM").arg(pid.to_string()).status()?;
    if !sent.success() {
        return Err(Error::NoInstance(format!("process {pid} does not take signals")));
    }
    say(&format!("asked process {pid} to end"));
    let gone = async {
        while instance.is_alive() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(args.wait), gone).await;
    waited.map_err(|_| Error::StillRunning { pid, seconds: args.wait })?;
    // A process that was killed leaves its file behind.
    let _ = std::fs::remove_file(RunFile::path(&target.config.data_dir));
    out.record(&json!({"pid": pid, "ended": true, "data_dir": target.config.data_dir}))?;
    next("tidemill up starts it again; nothing is lost in between");
    Ok(0)
}
