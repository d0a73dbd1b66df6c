//! `dataset`: tables, their versions and rows, and what is done to keep them small and readable.

mod compact;
mod compare;
mod export;
mod masked;
mod pinned;
mod protect;
mod restore;
mod snapshots;
mod stale;
mod tags;
mod vacuum;
mod verify;

use super::classify::Known;
use super::masking::Unmask;
use super::output::{Output, next};
use super::rows;
use super::target::Target;
use crate::error::Result;
use clap::{Args, Subcommand};
use pinned::Pinned;
pub(super) use restore::origin;
use serde_json::{Value, json};
use tidemill_dataset::{Snapshot, Table, VersionAdds};
use tidemill_storage::Storage;
use tidemill_types::Millis;

const EXAMPLES: &str = "\
Examples:
  tidemill dataset ls
  tidemill dataset show clean/flights/weather --rows 5
  tidemill dataset at clean/flights/weather 2013-06-01
  tidemill dataset diff clean/flights/weather@12 clean/flights/weather
  tidemill dataset tag release-1 clean/flights/weather clean/flights/outcomes --note 'first release'
  tidemill dataset export clean/flights/weather@release-1 --out weather.parquet
  tidemill dataset restore clean/flights/weather --to release-1 --into release-1 --reason 'to compare'
  tidemill dataset verify raw/flights/weather
  tidemill dataset classify people.csv
  tidemill dataset vacuum                         says what would go; --apply deletes it
A version is named after @: its number, a tag, or a commit instant; without any, the newest is meant.
Tables are Delta Lake: DuckDB, Polars, pandas and Spark read them at the URL that is shown.";

/// Folders that hold tables.
const AREAS: [&str; 8] =
    ["raw", "clean", "quarantine", "features", "predictions", "monitors", "lineage", restore::AREA];
/// Every table has this object.
const FIRST_ENTRY: &str = "/_delta_log/00000000000000000000.json";

/// `tidemill dataset …`.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum DatasetCommand {
    #[command(after_help = EXAMPLES)]
    /// List tables with version, rows, bytes and last commit.
    Ls,
    #[command(after_help = EXAMPLES)]
    /// Show columns, newest versions and, when asked, rows of a table.
    Show {
        /// Its path, as `dataset ls` shows it.
        #[arg(value_name = "TABLE[@VERSION]")]
        path: String,
        /// Newest versions to show.
        #[arg(long, default_value_t = 10, value_name = "N")]
        versions: u64,
        /// Rows to show.
        #[arg(long, default_value_t = 0, value_name = "N")]
        rows: usize,
        /// Show the table as it was at this version; the same as @VERSION.
        #[arg(long, value_name = "VERSION")]
        at: Option<u64>,
        /// Also compute the hash of the content, which depends on the rows alone.
        #[arg(long)]
        hash: bool,
        #[command(flatten)]
        unmask: Unmask,
    },
    #[command(after_help = EXAMPLES)]
    /// Say which version was current at an instant, and what was known by then.
    At {
        /// The table.
        #[arg(value_name = "TABLE")]
        path: String,
        /// The instant: 2013-06-01 or 2013-06-01T12:00:00Z.
        #[arg(value_name = "INSTANT", value_parser = super::instant)]
        instant: Millis,
    },
    #[command(after_help = EXAMPLES)]
    /// Compare two versions, of one table or two: columns, rows, distributions.
    Diff(compare::DiffArgs),
    #[command(after_help = EXAMPLES)]
    /// Name versions of tables for good; without a table show the tag, without a name all tags.
    Tag(tags::TagArgs),
    /// Say what one should know about a file or a table: distributions, relations, gaps, warnings, a report.
    Profile(super::profile::ProfileArgs),
    #[command(after_help = EXAMPLES)]
    /// Bring back a table as it was: beside itself, or as a new version of a table that was restored before.
    Restore(restore::RestoreArgs),
    #[command(after_help = EXAMPLES)]
    /// Write a version to a file, personal data masked.
    Export(export::ExportArgs),
    #[command(after_help = EXAMPLES)]
    /// Say which columns of a file or table look like personal data: ends with 3 when one waits for its class.
    Classify(super::classify::ClassifyArgs),
    #[command(after_help = EXAMPLES)]
    /// Compute from the events what a raw table must hold, and compare: ends with 3 when it differs.
    Verify(verify::VerifyArgs),
    #[command(after_help = EXAMPLES)]
    /// Join small files, beside a running instance or without one. Changes no rows.
    Compact(compact::CompactArgs),
    #[command(after_help = EXAMPLES)]
    /// Drop what retention no longer keeps; without --apply only say what would go.
    Vacuum(vacuum::VacuumArgs),
}

/// Tables that a command is for.
#[derive(Debug, Args)]
struct Chosen {
    /// Paths of tables; without any, all.
    #[arg(value_name = "TABLE")]
    tables: Vec<String>,
}

impl Chosen {
    async fn paths(&self, storage: &Storage) -> Result<Vec<String>> {
        if self.tables.is_empty() { tables(storage).await } else { Ok(self.tables.clone()) }
    }
}

/// Runs the command.
pub(super) async fn run(target: &Target, out: Output, command: DatasetCommand) -> Result<u8> {
    // A bare file needs no store.
    let command = match command {
        DatasetCommand::Profile(args) => return super::profile::run(target, out, args).await,
        other => other,
    };
    let storage = target.storage()?;
    match command {
        DatasetCommand::Ls => {
            let mut rows = Vec::new();
            for path in tables(&storage).await? {
                rows.push(row(&storage, &path).await?);
            }
            out.rows(&["table", "version", "rows", "bytes", "files", "committed_at"], &rows)?;
            next(if rows.is_empty() { "tidemill up --project FILE" } else { "tidemill dataset show TABLE" });
            Ok(0)
        }
        DatasetCommand::Show { path, versions, rows, at, hash, unmask } => {
            let path = at.map_or(path.clone(), |version| format!("{path}@{version}"));
            let pinned = pinned::open(target, &storage, &path).await?;
            show(target, out, &pinned, versions, rows, hash, &unmask).await?;
            Ok(0)
        }
        DatasetCommand::Profile(_) => Ok(0),
        DatasetCommand::At { path, instant } => compare::at(target, &storage, out, &path, instant).await,
        DatasetCommand::Diff(args) => compare::diff(target, &storage, out, &args).await,
        DatasetCommand::Tag(args) => tags::run(target, &storage, out, args).await,
        DatasetCommand::Restore(args) => restore::run(target, &storage, out, args).await,
        DatasetCommand::Export(args) => export::run(target, &storage, out, &args).await,
        DatasetCommand::Classify(args) => super::classify::run(target, out, &args).await,
        DatasetCommand::Verify(args) => verify::run(target, &storage, out, &args).await,
        DatasetCommand::Compact(args) => compact::run(target, &storage, out, &args).await,
        DatasetCommand::Vacuum(args) => vacuum::run(target, &storage, out, &args).await,
    }
}

/// Opens a table at the version that is named.
pub(super) async fn open(target: &Target, storage: &Storage, named: &str) -> Result<(Table, Snapshot)> {
    let Pinned { table, snapshot } = pinned::open(target, storage, named).await?;
    Ok((table, snapshot))
}

async fn tables(storage: &Storage) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for area in AREAS {
        let objects = storage.list(area).await?;
        found.extend(objects.iter().filter_map(|object| object.path.strip_suffix(FIRST_ENTRY)).map(str::to_owned));
    }
    Ok(found)
}

async fn row(storage: &Storage, path: &str) -> Result<Value> {
    let table = Table::open(storage, path).await?;
    let snapshot = table.load().await?;
    let last = table.history(1).await?.pop();
    Ok(json!({
        "table": path,
        "version": snapshot.version(),
        "rows": snapshot.num_rows(),
        "bytes": snapshot.num_bytes(),
        "files": snapshot.files().count(),
        "committed_at": last.map(|version| version.committed_at.to_string()),
        "url": table.url(),
    }))
}

fn version(version: &VersionAdds) -> Value {
    json!({
        "version": version.version,
        "committed_at": version.committed_at.to_string(),
        "operation": version.operation,
        "rows": version.rows(),
        "txns": version.txns,
        "metadata": version.metadata,
    })
}

async fn show(
    target: &Target,
    out: Output,
    pinned: &Pinned,
    versions: u64,
    wanted: usize,
    hash: bool,
    unmask: &Unmask,
) -> Result<()> {
    let Pinned { table, snapshot, .. } = pinned;
    let schema = snapshot.schema();
    let columns = schema.fields().iter().map(
        |field| json!({"name": field.name(), "type": field.data_type().to_string(), "nullable": field.is_nullable()}),
    );
    let mut sample = Vec::new();
    let mut scan = table.scan(snapshot, None, None);
    while sample.len() < wanted {
        let Some(batch) = scan.next().await? else { break };
        let missing = wanted - sample.len();
        sample.extend(rows::to_json(&[batch.slice(0, missing.min(batch.num_rows()))])?);
    }
    let path = table.path();
    let asked = wanted > 0 || target.instance.is_some();
    let known = if asked { super::classify::known(target, path).await? } else { Known::default() };
    if wanted > 0 {
        let masks = masked::masks(target, (table, snapshot), &known, &schema, unmask).await?;
        sample.iter_mut().for_each(|row| masks.json(row));
    }
    let mut shown = json!({
        "table": path,
        "url": table.url(),
        "version": snapshot.version(),
        "rows": snapshot.num_rows(),
        "bytes": snapshot.num_bytes(),
        "files": snapshot.files().count(),
        "columns": columns.collect::<Vec<_>>(),
        "versions": table.history(versions).await?.iter().map(version).collect::<Vec<_>>(),
    });
    if let Some(fields) = shown.as_object_mut() {
        let about = known.source.map(|source| source.about()).unwrap_or_default();
        if !about.is_empty() {
            let said = about.into_iter().map(|(key, text)| (key.to_owned(), text.into()));
            fields.insert("source".to_owned(), Value::Object(said.collect()));
        }
        if wanted > 0 {
            fields.insert("sample".to_owned(), Value::Array(sample));
        }
        if hash {
            fields.insert("content_hash".to_owned(), json!(table.content_hash(snapshot, None).await?.hash));
        }
    }
    out.record(&shown)?;
    match wanted {
        0 => next(&format!("tidemill dataset show {path} --rows 5")),
        _ => next("any reader of Delta Lake or Parquet takes the url that is shown"),
    }
    Ok(())
}

/// The project and source that a table of rows belongs to, or the table that it was restored from.
fn source_of(path: &str) -> Option<(&str, &str)> {
    let (area, rest) = restore::origin(path).split_once('/')?;
    if matches!(area, "raw" | "clean" | "quarantine") { rest.split_once('/') } else { None }
}

/// A file of the user, or standard output for `-`.
fn is_standard(path: &std::path::Path) -> bool {
    path.as_os_str() == "-"
}
