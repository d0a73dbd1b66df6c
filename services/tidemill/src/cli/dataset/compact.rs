//! `dataset compact`.

use super::{Chosen, origin, pinned, source_of};
use crate::cli::output::{Output, next};
use crate::cli::target::Target;
use crate::error::{Error, Result};
use clap::Args;
use serde_json::json;
use std::str::FromStr as _;
use tidemill_dataset::{Effort, Table};
use tidemill_runtime::config::Size;
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tidemill_types::SourceName;

/// Which tables, and how large their files become.
#[derive(Debug, Args)]
pub(in crate::cli) struct CompactArgs {
    #[command(flatten)]
    chosen: Chosen,
    /// Size of a file that needs no joining, such as 64MB.
    #[arg(long, default_value = "64MB", value_name = "SIZE")]
    target: String,
}

/// Joins small files.
pub(super) async fn run(target: &Target, storage: &Storage, out: Output, args: &CompactArgs) -> Result<u8> {
    let size = Size::try_from(args.target.clone()).map_err(|e| Error::Usage(format!("--target: {e}")))?;
    // Rows are sorted as the role that owns the table sorts them, which the project file says.
    let spec = match target.bus().await {
        Ok(bus) => target.spec(&bus).await.ok(),
        Err(_) => None,
    };
    let (mut rows, mut failed) = (Vec::new(), None);
    let paths = args.chosen.paths(storage).await?;
    for path in &paths {
        let table = sorted(pinned::table(storage, path).await?, spec.as_ref())?;
        match table.compact(size.0, Effort::Everything).await {
            Ok(done) => rows.push(json!({
                "table": path,
                "files_before": done.removed,
                "files_after": done.added,
                "bytes_before": done.bytes_before,
                "bytes_after": done.bytes_after,
                "version": done.version,
            })),
            Err(error) => {
                failed.get_or_insert(format!("{path}: {error}"));
            }
        }
    }
    out.rows(&["table", "files_before", "files_after", "bytes_before", "bytes_after", "version"], &rows)?;
    match failed {
        Some(failed) => Err(Error::Partial { done: rows.len(), all: paths.len(), what: "tables", failed }),
        None => {
            next("tidemill dataset vacuum says which files are no longer needed");
            Ok(0)
        }
    }
}

/// The table with the order in which its owner keeps rows: clean ones by event time, all others as they came.
fn sorted(table: Table, spec: Option<&Spec>) -> Result<Table> {
    let source = |(_, source): (&str, &str)| SourceName::from_str(source).ok();
    let Some(name) = source_of(table.path()).filter(|_| origin(table.path()).starts_with("clean/")).and_then(source)
    else {
        return Ok(table);
    };
    match spec.and_then(|spec| spec.sources.get(&name)) {
        Some(declared) => Ok(table.sorted_by(&declared.event_time)?),
        None => Ok(table),
    }
}
