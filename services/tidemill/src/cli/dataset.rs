//! `dataset`: tables, their versions and rows.

use super::output::{Output, next};
use super::rows;
use super::target::Target;
use crate::error::{Error, Result};
use clap::Subcommand;
use serde_json::{Value, json};
use tidemill_dataset::{Table, VersionAdds};
use tidemill_storage::Storage;

const EXAMPLES: &str = "\
Examples:
  tidemill dataset ls
  tidemill dataset show clean/flights/weather --rows 5
Tables are Delta Lake: DuckDB, Polars, pandas and Spark read them at the URL that is shown.";

/// Folders that hold tables.
const AREAS: [&str; 5] = ["raw", "clean", "quarantine", "predictions", "monitors"];
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
        #[arg(value_name = "TABLE")]
        path: String,
        /// Newest versions to show.
        #[arg(long, default_value_t = 10, value_name = "N")]
        versions: u64,
        /// Rows to show.
        #[arg(long, default_value_t = 0, value_name = "N")]
        rows: usize,
        /// Show the table as it was at this version.
        #[arg(long, value_name = "VERSION")]
        at: Option<u64>,
    },
}

/// Runs the command.
pub(super) async fn run(target: &Target, out: Output, command: DatasetCommand) -> Result<u8> {
    let storage = target.storage()?;
    match command {
        DatasetCommand::Ls => {
            let mut rows = Vec::new();
            for path in tables(&storage).await? {
                rows.push(row(&storage, &path).await?);
            }
            out.rows(&["table", "version", "rows", "bytes", "files", "committed_at"], &rows)?;
            next(if rows.is_empty() { "tidemill up --project FILE" } else { "tidemill dataset show TABLE" });
        }
        DatasetCommand::Show { path, versions, rows, at } => show(&storage, out, &path, versions, rows, at).await?,
    }
    Ok(0)
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

async fn show(storage: &Storage, out: Output, path: &str, versions: u64, wanted: usize, at: Option<u64>) -> Result<()> {
    let missing = || Error::NotFound { what: "table", name: path.to_owned(), list: "tidemill dataset ls" };
    let table = Table::open(storage, path).await.map_err(|e| match e {
        tidemill_dataset::Error::Absent { .. } => missing(),
        other => other.into(),
    })?;
    let snapshot = match at {
        Some(version) => table.load_version(version).await?,
        None => table.load().await?,
    };
    let schema = snapshot.schema();
    let columns = schema.fields().iter().map(
        |field| json!({"name": field.name(), "type": field.data_type().to_string(), "nullable": field.is_nullable()}),
    );
    let mut sample = Vec::new();
    let mut scan = table.scan(&snapshot, None, None);
    while sample.len() < wanted {
        let Some(batch) = scan.next().await? else { break };
        let missing = wanted - sample.len();
        sample.extend(rows::to_json(&[batch.slice(0, missing.min(batch.num_rows()))])?);
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
    if let Some(fields) = shown.as_object_mut().filter(|_| wanted > 0) {
        fields.insert("sample".to_owned(), Value::Array(sample));
    }
    out.record(&shown)?;
    match wanted {
        0 => next(&format!("tidemill dataset show {path} --rows 5")),
        _ => next("any reader of Delta Lake or Parquet takes the url that is shown"),
    }
    Ok(())
}
