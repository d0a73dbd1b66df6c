//! `cleaning`: what was decided about the values of sources and what it did, and decisions proposed from rows.

mod log;
mod suggest;

use super::output::{Output, next};
use super::target::Target;
use crate::error::Result;
use clap::Subcommand;
use serde_json::json;
use tidemill_spec::UNITS;

const EXAMPLES: &str = "\
Examples:
  tidemill cleaning log
  tidemill cleaning suggest rows.csv
  tidemill cleaning suggest --source weather
  tidemill cleaning units
A decision stands under cleaning: in the project file; to undo it, take it out and apply the file again.";

/// `tidemill cleaning …`.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum CleaningCommand {
    /// Show every decision with its reason, who made it, and what it did to the rows.
    #[command(after_help = EXAMPLES)]
    Log(log::LogArgs),
    /// Propose decisions from a file or the clean rows of a source: spellings, white space, dates.
    #[command(after_help = EXAMPLES)]
    Suggest(suggest::SuggestArgs),
    /// List the units that values can be turned into.
    #[command(after_help = EXAMPLES)]
    Units,
}

/// Runs the command.
pub(super) async fn run(target: &Target, out: Output, command: CleaningCommand) -> Result<u8> {
    match command {
        CleaningCommand::Log(args) => log::run(target, out, &args).await,
        CleaningCommand::Suggest(args) => suggest::run(target, out, &args).await,
        CleaningCommand::Units => {
            let row = |unit: &tidemill_spec::Unit| json!({"unit": unit.name, "quantity": unit.quantity, "factor": unit.factor, "offset": unit.offset});
            out.rows(&["quantity", "unit"], &UNITS.iter().map(row).collect::<Vec<_>>())?;
            next("tidemill cleaning suggest FILE");
            Ok(0)
        }
    }
}
