//! `quality`: rules on files and sources, rules proposed from history, and data contracts.

mod bare;
mod check;
mod contract;
mod duplicates;
mod propose;
mod sizes;

pub(super) use propose::history;

use super::output::{Output, next};
use super::target::Target;
use crate::error::Result;
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;
use tidemill_spec::KINDS;
use tidemill_types::Millis;

const EXAMPLES: &str = "\
Examples:
  tidemill quality kinds
  tidemill quality suggest rows.csv --event-time at --commit-rows 200
  tidemill quality suggest --source weather
  tidemill quality duplicates people.csv --columns name,street,city
  tidemill quality check rows.parquet --rules rules.yaml
  tidemill quality contract export project.yaml
  tidemill quality contract import orders.odcs.yaml";

/// `tidemill quality …`.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum QualityCommand {
    /// List the kinds of rules.
    #[command(after_help = EXAMPLES)]
    Kinds,
    /// Judge a file by rules; needs nothing that runs. Ends with 3 when a blocking rule fails.
    #[command(after_help = EXAMPLES)]
    Check(check::CheckArgs),
    /// Propose rules from a file or the clean rows of a source, with the false alarms to expect of each.
    #[command(after_help = EXAMPLES)]
    Suggest(propose::SuggestArgs),
    /// Find rows of a file or source that say nearly the same.
    #[command(after_help = EXAMPLES)]
    Duplicates(duplicates::DuplicatesArgs),
    /// Write and read data contracts (ODCS 3.1).
    #[command(subcommand)]
    Contract(contract::ContractCommand),
}

/// What a bare file does not say by itself.
#[derive(Debug, Args)]
pub(super) struct FileArgs {
    /// Column with the instant of each row; without it, the first column of instants.
    #[arg(long, value_name = "COLUMN")]
    event_time: Option<String>,
    /// Column that identifies a row; repeatable.
    #[arg(long, value_name = "COLUMN")]
    key: Vec<String>,
    /// When the file was known, for rules that ask; without it those are not judged.
    #[arg(long, value_name = "INSTANT", value_parser = super::instant)]
    known_at: Option<Millis>,
    /// Project file that declares the columns; needs --source.
    #[arg(long, value_name = "FILE", requires = "source")]
    project: Option<PathBuf>,
}

/// Runs the command.
pub(super) async fn run(target: &Target, out: Output, command: QualityCommand) -> Result<u8> {
    match command {
        QualityCommand::Kinds => kinds(out),
        QualityCommand::Check(args) => check::run(out, &args).await,
        QualityCommand::Suggest(args) => propose::run(target, out, &args).await,
        QualityCommand::Duplicates(args) => duplicates::run(target, out, &args).await,
        QualityCommand::Contract(command) => contract::run(target, out, command).await,
    }
}

fn kinds(out: Output) -> Result<u8> {
    let row = |kind: &tidemill_spec::Kind| {
        let example = format!("{}: {}", kind.key, kind.example);
        json!({"kind": kind.key, "judges": kind.scope, "dimension": kind.dimension, "example": example, "says": kind.says})
    };
    out.rows(&["kind", "judges", "example", "says"], &KINDS.iter().map(row).collect::<Vec<_>>())?;
    next("tidemill quality suggest FILE");
    Ok(0)
}
