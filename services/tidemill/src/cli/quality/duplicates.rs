//! `quality duplicates`: rows of a file, or of a source, that say nearly the same.

use super::{FileArgs, history};
use crate::cli::output::{Output, next, say};
use crate::cli::target::Target;
use crate::error::{Error, Result};
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;
use tidemill_explore::near::{NearOptions, near_duplicates};
use tidemill_types::SourceName;

/// Groups and rows of one that are shown.
const GROUPS: usize = 50;
const ROWS: usize = 20;

/// Where the rows are, and what counts as nearly the same.
#[derive(Debug, Args)]
pub(in crate::cli) struct DuplicatesArgs {
    /// A Parquet, CSV or JSON-lines file.
    #[arg(value_name = "FILE", required_unless_present = "source")]
    file: Option<PathBuf>,
    /// Without a file: the clean rows of this source.
    #[arg(long, value_name = "SOURCE")]
    source: Option<SourceName>,
    /// Columns compared; without it, all. Leave out ids and instants, which tell equal things apart.
    #[arg(long, value_delimiter = ',', value_name = "COLUMN")]
    columns: Vec<String>,
    /// Smallest similarity: shared groups of three letters in all of them, in (0, 1].
    #[arg(long, default_value_t = 0.6, value_name = "SHARE")]
    at_least: f64,
    /// Newest rows that are looked at.
    #[arg(long, default_value_t = 200_000, value_name = "N")]
    rows: usize,
    #[command(flatten)]
    about: FileArgs,
}

pub(super) async fn run(target: &Target, out: Output, args: &DuplicatesArgs) -> Result<u8> {
    if !(args.at_least > 0.0 && args.at_least <= 1.0) {
        return Err(Error::Usage(format!("--at-least {} must lie in (0, 1]", args.at_least)));
    }
    let (_, source, rows) = history(target, args.file.as_deref(), args.source.as_ref(), &args.about, args.rows).await?;
    let declared: Vec<String> = source.columns.keys().cloned().collect();
    let wanted = if args.columns.is_empty() { declared } else { args.columns.clone() };
    let options = NearOptions { columns: wanted, at_least: args.at_least, ..NearOptions::default() };
    let found = tokio::task::spawn_blocking(move || near_duplicates(&rows, &options)).await;
    let found = found.map_err(std::io::Error::other)??;
    let group = |group: &tidemill_explore::near::NearGroup| {
        let rows: Vec<String> = group.rows.iter().take(ROWS).map(ToString::to_string).collect();
        let more = if group.rows.len() > ROWS { " …" } else { "" };
        json!({
            "size": group.rows.len(),
            "least_similar": group.similarity.0,
            "most_similar": group.similarity.1,
            "rows": format!("{}{more}", rows.join(" ")),
            "row_numbers": group.rows,
        })
    };
    let groups: Vec<Value> = found.groups.iter().map(group).collect();
    if out.is_json() {
        out.record(&json!({
            "rows": found.rows,
            "empty": found.empty,
            "columns": found.columns,
            "pairs": found.pair_count,
            "missed_at_threshold": found.missed_at_threshold,
            "crowded": found.crowded,
            "groups": groups,
        }))?;
    } else {
        let shown = if out.is_table() { groups.len().min(GROUPS) } else { groups.len() };
        out.rows(&["size", "least_similar", "most_similar", "rows"], &groups[..shown])?;
    }
    say(&format!(
        "{} pairs in {} groups among {} rows; a pair exactly at {} is missed with a probability of {:.2} %",
        found.pair_count,
        found.groups.len(),
        found.rows,
        args.at_least,
        100.0 * found.missed_at_threshold
    ));
    next("tidemill cleaning suggest FILE; a rule such as unique keeps copies out");
    Ok(0)
}
