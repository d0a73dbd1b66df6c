//! `tidemill demo`: a year of flights through the whole loop, ending in a table by month.

mod calendar;
mod client;
mod folder;
mod memory;
mod parity;
mod report;
mod story;

use crate::up::{self, UpOptions};
use anyhow::{Context, Result};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;
use tidemill_runtime::{Config, ProcessEnvironment};
use tidemill_telemetry::Recent;

/// Settings of the demo that differ from the defaults of a long-running system: the year passes in minutes, so
/// a commit may not wait for seconds.
const SETTINGS: [(&str, &str); 2] = [("ingestion.commit_age", "2s"), ("monitoring.commit_age", "2s")];

const EXAMPLES: &str = "\
Examples:
  tidemill demo
  tidemill demo --months 3 --exit --report summary.json
  tidemill demo --free-ports --data-dir /tmp/second      beside another one";

/// Runs a year of real flights through the whole loop.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DemoArgs {
    /// End when the story is told, instead of leaving the system up.
    #[arg(long)]
    exit: bool,
    /// Write the summary as JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Folder of the project: project.yaml, replay.yaml and data.
    #[arg(long, value_name = "DIR", default_value = "infra/examples/flights")]
    project: PathBuf,
    /// Where the demo keeps its state; what an earlier demo left there is removed at the start.
    #[arg(long, value_name = "DIR", default_value = "target/demo")]
    data_dir: PathBuf,
    /// Last month to replay, 2 to 12.
    #[arg(long, value_name = "MONTH", default_value_t = 12, value_parser = clap::value_parser!(u32).range(2..=12))]
    months: u32,
    /// Take free ports instead of the configured ones, so that several demos can run.
    #[arg(long)]
    free_ports: bool,
}

/// Every address of the process.
const ADDRESSES: [&str; 9] = [
    "admin.bind",
    "ingestion.http",
    "feature.grpc",
    "training.grpc",
    "evaluation.grpc",
    "serving.grpc",
    "serving.http",
    "monitoring.grpc",
    "console.http",
];

/// Starts everything, tells the story, and stays up unless told otherwise.
///
/// # Errors
/// Anything that keeps the story from being told to its end.
pub(crate) async fn run(args: DemoArgs, recent: Recent) -> Result<ExitCode> {
    let plan = args.project.join("replay.yaml");
    anyhow::ensure!(
        plan.is_file(),
        "{} is not there: run the demo from the root of the repository, or name the project with --project",
        plan.display()
    );
    let spec_text = std::fs::read_to_string(args.project.join("project.yaml")).context("read project.yaml")?;
    let data_dir = folder::emptied(&args.data_dir)?;
    let mut settings: Vec<(String, String)> = SETTINGS.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    if args.free_ports {
        settings.extend(ADDRESSES.map(|key| (key.to_owned(), "127.0.0.1:0".to_owned())));
    }
    settings.push(("data_dir".to_owned(), data_dir.display().to_string()));
    let config = Config::load_with(None, &ProcessEnvironment, &settings)?;
    let running = up::start_all(UpOptions {
        config,
        spec_text: Some(spec_text),
        data_dir: data_dir.clone(),
        with_nats: true,
        recent,
    })
    .await?;
    let told = story::tell(&running, &plan, &data_dir, args.months).await;
    let summary = match told {
        Ok(summary) => summary,
        Err(error) => {
            let cause = running.failure();
            running.stop().await?;
            return Err(match cause {
                Some(cause) => error.context(cause),
                None => error,
            });
        }
    };
    report::print(&summary, &running.endpoints, &args.data_dir);
    if let Some(path) = &args.report {
        std::fs::write(path, serde_json::to_vec_pretty(&summary)?)
            .with_context(|| format!("write {}", path.display()))?;
    }
    if !args.exit {
        report::say("The system stays up, the retraining that the last month's end began goes on; Ctrl-C ends it.");
        tokio::signal::ctrl_c().await?;
    }
    running.stop().await?;
    Ok(ExitCode::SUCCESS)
}
