//! `health`: the question that a container engine asks its process.

use super::output::Output;
use crate::error::{Error, Result};
use crate::ready::{Health, ask_for};
use clap::Args;
use serde_json::json;
use tidemill_runtime::{Config, LIVE};

const EXAMPLES: &str = "\
Examples:
  tidemill health --set admin.grpc=127.0.0.1:9465
  tidemill health --ready          serving is ready when it has a champion
It asks grpc.health.v1 at admin.grpc. Exit codes: 0 yes, 3 no, 4 nobody answers.";

/// `tidemill health`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct HealthArgs {
    /// Whether everything is ready; otherwise whether the process works.
    #[arg(long)]
    ready: bool,
}

/// Asks and shows the answer.
pub(super) async fn run(config: &Config, out: Output, args: &HealthArgs) -> Result<u8> {
    let unset = || Error::Usage("say where to ask: --set admin.grpc=127.0.0.1:9465".to_owned());
    let address = config.admin.grpc.as_deref().ok_or_else(unset)?;
    let health = ask_for(&format!("http://{address}"), if args.ready { "" } else { LIVE }).await;
    out.record(&json!({ "address": address, "health": health.word() }))?;
    Ok(match health {
        Health::Serving => 0,
        Health::Unreachable => 4,
        Health::NotServing | Health::Answers => 3,
    })
}
