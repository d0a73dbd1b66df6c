//! `quality suggest`: rules mined from history, ready to be put into a project file.

use super::{FileArgs, bare, sizes};
use crate::cli::output::{Output, next, say};
use crate::cli::target::Target;
use crate::error::{Error, Result};
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use clap::Args;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use tidemill_contracts::paths;
use tidemill_dataset::Table;
use tidemill_quality::suggest::{Options, Proposal, suggest};
use tidemill_spec::{Scope, Source};
use tidemill_types::SourceName;

/// Where the history is.
#[derive(Debug, Args)]
pub(in crate::cli) struct SuggestArgs {
    /// A Parquet, CSV or JSON-lines file, its rows in the order in which they came.
    #[arg(value_name = "FILE", required_unless_present = "source")]
    file: Option<PathBuf>,
    /// Without a file: the clean rows of this source. With one: the name the rules stand under.
    #[arg(long, value_name = "SOURCE")]
    source: Option<SourceName>,
    /// Blocks the history is cut into; rules are tried on blocks they have not seen.
    #[arg(long, default_value_t = 10, value_name = "N")]
    blocks: usize,
    /// Rows of a commit, on which rules on commits are tried; without it, as the commits of the source have, and of a
    /// file 1000 or a block.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    commit_rows: Option<u32>,
    /// Rules that would have failed more often than this are left out.
    #[arg(long, default_value_t = 0.01, value_name = "SHARE")]
    at_most: f64,
    /// Newest rows that are looked at.
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    rows: usize,
    #[command(flatten)]
    about: FileArgs,
}

pub(super) async fn run(target: &Target, out: Output, args: &SuggestArgs) -> Result<u8> {
    let (name, source, rows) =
        history(target, args.file.as_deref(), args.source.as_ref(), &args.about, args.rows).await?;
    let commits = match (args.commit_rows, &args.file, &args.source) {
        (Some(rows), _, _) => vec![rows as usize],
        (None, None, Some(source)) => sizes::of_source(target, source, (rows.num_rows(), args.blocks)).await?,
        (None, _, _) => sizes::of_file(rows.num_rows(), args.blocks),
    };
    let options = Options { blocks: args.blocks, commits, at_most: args.at_most };
    let personal = source.masks_in(&rows)?;
    let proposals = suggest(&source, &rows, &options, &|column| personal.covers(column))?;
    if out.is_table() {
        out.text("quality", &block(&name, rows.num_rows(), &proposals))?;
    } else {
        let rows: Vec<Value> = proposals.iter().map(row).collect();
        out.rows(&["rule", "kind", "yaml", "rate", "at_most", "failed", "tested", "unit"], &rows)?;
    }
    say(&format!("{} rules from {} rows", proposals.len(), rows.num_rows()));
    if !personal.is_empty() {
        let named: Vec<&str> = personal.columns().collect();
        say(&format!("personal, so that no rule with their values is proposed: {}", named.join(", ")));
    }
    next("tidemill quality check FILE --rules RULES; set on_fail of each rule you keep");
    Ok(0)
}

/// Rows of a file, or the newest clean rows of a source in the order in which they were committed, with the name that the
/// source has or may have.
pub(in crate::cli) async fn history(
    target: &Target,
    file: Option<&Path>,
    name: Option<&SourceName>,
    about: &FileArgs,
    most: usize,
) -> Result<(String, Source, RecordBatch)> {
    match (file, name) {
        (Some(file), name) => {
            let bare = bare::read(file, about, name).await?;
            let skipped = bare.rows.num_rows().saturating_sub(most);
            let rows = bare.rows.slice(skipped, bare.rows.num_rows() - skipped);
            Ok((name.map_or_else(|| named_after(file), ToString::to_string), bare.source, rows))
        }
        (None, Some(name)) => {
            let (source, rows) = stored(target, name, most.max(1)).await?;
            Ok((name.to_string(), source, rows))
        }
        (None, None) => Err(Error::Usage("say a FILE or --source".to_owned())),
    }
}

/// A name for the source that a file may become: its own, in the letters that names of sources have.
fn named_after(file: &Path) -> String {
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(48).collect();
    name.parse::<SourceName>().map_or_else(|_| "source".to_owned(), |name| name.to_string())
}

/// The newest clean rows of a source.
async fn stored(target: &Target, name: &SourceName, most: usize) -> Result<(Source, RecordBatch)> {
    let spec = target.spec(&target.bus().await?).await?;
    let missing = || Error::NotFound { what: "source", name: name.to_string(), list: "tidemill project show" };
    let source = spec.sources.get(name).cloned().ok_or_else(missing)?;
    let table = Table::open(&target.storage()?, &paths::clean_table(&spec.project, name)).await?;
    let snapshot = table.load().await?;
    let mut scan = table.scan(&snapshot, None, None);
    let (mut batches, mut rows) = (VecDeque::new(), 0);
    while let Some(batch) = scan.next().await? {
        rows += batch.num_rows();
        batches.push_back(batch);
        while rows - batches.front().map_or(0, RecordBatch::num_rows) >= most {
            rows -= batches.pop_front().map_or(0, |batch: RecordBatch| batch.num_rows());
        }
    }
    let rows = concat_batches(&table.schema(), &batches).map_err(std::io::Error::other)?;
    let skipped = rows.num_rows().saturating_sub(most);
    Ok((source, rows.slice(skipped, rows.num_rows() - skipped)))
}

fn unit(proposal: &Proposal) -> &'static str {
    if proposal.rule.check.kind().scope == Scope::Commit { "commits" } else { "rows" }
}

fn row(proposal: &Proposal) -> Value {
    json!({
        "rule": proposal.rule.id,
        "kind": proposal.rule.check.kind().key,
        "yaml": proposal.rule.to_line(),
        "definition": proposal.rule,
        "rate": proposal.false_alarms.rate,
        "at_most": proposal.false_alarms.at_most,
        "failed": proposal.false_alarms.failed,
        "tested": proposal.false_alarms.tested,
        "unit": unit(proposal),
    })
}

/// A `quality:` block, the expectation above each rule.
fn block(name: &str, rows: usize, proposals: &[Proposal]) -> String {
    let mut text =
        format!("# Proposed from {rows} rows. Above each rule: how often it fails where nothing is wrong.\n");
    text.push_str(&format!("quality:\n  {name}:\n"));
    for proposal in proposals {
        let alarms = &proposal.false_alarms;
        text.push_str(&format!(
            "    # false alarms: {} of {} {}, with 97.5 % confidence at most {:.3} %\n    - {}\n",
            alarms.failed,
            alarms.tested,
            unit(proposal),
            100.0 * alarms.at_most,
            proposal.rule.to_line()
        ));
    }
    text
}
