//! `cleaning suggest`: decisions that rows suggest, ready to be put into a project file.

use crate::cli::output::{Output, next, say};
use crate::cli::quality::{FileArgs, history};
use crate::cli::target::Target;
use crate::error::Result;
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;
use tidemill_quality::clean::{Proposed, suggest};
use tidemill_spec::flow;
use tidemill_types::SourceName;

/// Where the rows are.
#[derive(Debug, Args)]
pub(in crate::cli) struct SuggestArgs {
    /// A Parquet, CSV or JSON-lines file.
    #[arg(value_name = "FILE", required_unless_present = "source")]
    file: Option<PathBuf>,
    /// Without a file: the clean rows of this source. With one: the name the decisions stand under.
    #[arg(long, value_name = "SOURCE")]
    source: Option<SourceName>,
    /// Newest rows that are looked at.
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    rows: usize,
    #[command(flatten)]
    about: FileArgs,
}

pub(super) async fn run(target: &Target, out: Output, args: &SuggestArgs) -> Result<u8> {
    let (name, source, rows) =
        history(target, args.file.as_deref(), args.source.as_ref(), &args.about, args.rows).await?;
    let personal = source.masks_in(&rows)?;
    let proposed = suggest(&source, &rows, &|column| personal.covers(column))?;
    if out.is_table() {
        out.text("cleaning", &block(&name, rows.num_rows(), &proposed))?;
    } else {
        let rows: Vec<Value> = proposed.iter().map(row).collect();
        out.rows(&["decision", "column", "does", "changed", "values", "yaml"], &rows)?;
    }
    say(&format!("{} decisions from {} rows", proposed.len(), rows.num_rows()));
    next("put those you take into the project file, with your name; then tidemill project apply FILE");
    Ok(0)
}

fn line(proposed: &Proposed) -> String {
    serde_json::to_value(&proposed.decision).map(|value| flow(&value)).unwrap_or_default()
}

fn row(proposed: &Proposed) -> Value {
    json!({
        "decision": proposed.decision.id,
        "column": proposed.decision.column,
        "does": proposed.decision.says(),
        "changed": proposed.changed,
        "values": proposed.values,
        "examples": proposed.examples,
        "yaml": line(proposed),
        "definition": proposed.decision,
    })
}

/// A `cleaning:` block, what it would do above each decision.
fn block(name: &str, rows: usize, proposed: &[Proposed]) -> String {
    if proposed.is_empty() {
        return format!("# Nothing to propose from {rows} rows.\n");
    }
    let mut text =
        format!("# Proposed from {rows} rows. Read each, and say who answers for it.\ncleaning:\n  {name}:\n");
    for one in proposed {
        let example = |e: &tidemill_quality::clean::Example| {
            format!("{:?} → {:?} ({})", e.from, e.to.as_deref().unwrap_or("null"), e.times)
        };
        let examples: Vec<String> = one.examples.iter().take(3).map(example).collect();
        text.push_str(&format!("    # changes {} of {} values: {}\n", one.changed, one.values, examples.join(", ")));
        text.push_str(&format!("    - {}\n", line(one)));
    }
    text
}
