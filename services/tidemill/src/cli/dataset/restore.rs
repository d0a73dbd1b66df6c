//! `dataset restore`: a table as it was at an earlier version.
//!
//! A table that a service writes is also that service's place in the events, so an earlier state is put beside it, never
//! into it (decision 0015). What was put beside is nobody's place, and goes back and forth as one likes.

use super::pinned;
use crate::cli::output::{Output, next};
use crate::cli::prompt::given_or_asked;
use crate::cli::target::Target;
use crate::error::{Error, Result};
use clap::Args;
use serde_json::json;
use std::collections::BTreeMap;
use tidemill_dataset::{CommitError, Tags};
use tidemill_storage::Storage;

/// Folder of restored tables: `restored/<name>/<path of the table>`.
pub(super) const AREA: &str = "restored";

/// Which table, which of its states, and where to.
#[derive(Debug, Args)]
pub(in crate::cli) struct RestoreArgs {
    /// The table.
    #[arg(value_name = "TABLE")]
    path: String,
    /// The state: a version, a tag or a commit instant.
    #[arg(long, value_name = "VERSION|TAG|INSTANT")]
    to: String,
    /// Put it beside, as the table restored/NAME/TABLE; needed for tables that a service writes.
    #[arg(long, value_name = "NAME")]
    into: Option<String>,
    /// Why; the new version keeps it.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Who restores it.
    #[arg(long, env = "USER", default_value = "unknown", hide_env_values = true, value_name = "NAME")]
    by: String,
}

/// The table that a restored one was restored from; any other is its own.
pub(in crate::cli) fn origin(path: &str) -> &str {
    let inside = path.strip_prefix(AREA).and_then(|rest| rest.strip_prefix('/')?.split_once('/'));
    inside.map_or(path, |(_, origin)| origin)
}

/// The role that writes a table; `None` for one that was restored.
fn writer(path: &str) -> Option<&'static str> {
    match path.split('/').next().unwrap_or_default() {
        AREA => None,
        "raw" => Some("ingestion"),
        "clean" | "quarantine" => Some("validation"),
        "features" => Some("feature"),
        "predictions" | "monitors" => Some("monitoring"),
        _ => Some("a service"),
    }
}

/// Brings the state back.
pub(super) async fn run(target: &Target, storage: &Storage, out: Output, args: RestoreArgs) -> Result<u8> {
    let RestoreArgs { path, to, into, reason, by } = args;
    if path.contains('@') {
        return Err(Error::Usage(format!("{path}: which version is said by --to")));
    }
    if let (None, Some(role)) = (&into, writer(&path)) {
        return Err(Error::Owned { table: path, role, to });
    }
    let reason = given_or_asked(reason, "why is it restored", "--reason TEXT")?;
    let pinned::Pinned { table, snapshot } = pinned::open(target, storage, &format!("{path}@{to}")).await?;
    let from = format!("{path}@{}", snapshot.version());
    let said = [("tidemill.restored_from", from.clone()), ("tidemill.reason", reason.clone()), ("tidemill.by", by)];
    let metadata: BTreeMap<String, String> = said.into_iter().map(|(key, text)| (key.to_owned(), text)).collect();
    let (path, made) = match into {
        None => (path, table.restore(&snapshot, metadata).await.map_err(conflict)?),
        Some(name) => {
            if !Tags::is_name(&name) {
                return Err(tidemill_dataset::Error::TagName(name).into());
            }
            let beside = format!("{AREA}/{name}/{}", origin(&path));
            let made = table.branch(&snapshot, &beside, metadata).await?;
            (beside, made)
        }
    };
    out.record(&json!({
        "table": path,
        "restored_from": from,
        "version": made.version,
        "rows": made.rows,
        "files": made.files,
        "files_added": made.added,
        "files_removed": made.removed,
        "reason": reason,
        "url": format!("{}/{path}", storage.url()),
    }))?;
    next(&format!("tidemill dataset diff {from} {path}"));
    Ok(0)
}

fn conflict(error: CommitError) -> Error {
    match error {
        CommitError::Other(error) => error.into(),
        other => Error::Usage(format!("{other}; try again")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restored_table_knows_where_it_came_from_and_every_other_has_a_writer() {
        assert_eq!(origin("restored/june/clean/flights/weather"), "clean/flights/weather");
        assert_eq!(origin("clean/flights/weather"), "clean/flights/weather");
        assert_eq!((origin("restored/june"), origin("restoredx/a/b")), ("restored/june", "restoredx/a/b"));
        assert_eq!(writer("restored/june/raw/flights/weather"), None);
        for area in super::super::AREAS.iter().filter(|area| **area != AREA) {
            assert!(writer(&format!("{area}/flights")).is_some(), "{area}");
        }
    }
}
