//! `dataset compact` and `dataset vacuum`.

use super::protect::{Protected, follower};
use super::{Chosen, origin, pinned, snapshots, source_of};
use crate::cli::output::{Output, next, say};
use crate::cli::target::Target;
use crate::error::{Error, Result};
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::str::FromStr as _;
use tidemill_dataset::{CommitError, Effort, Keep, Table};
use tidemill_runtime::config::Size;
use tidemill_sources::Snapshots;
use tidemill_spec::{Hold, Retention, RetentionClass, Source, Spec};
use tidemill_storage::Storage;
use tidemill_types::{Millis, SourceName, columns};

/// Files younger than this are never deleted: a commit may be about to name them.
pub(super) const GRACE: Millis = Millis(3_600_000);

/// Which tables, and how large their files become.
#[derive(Debug, Args)]
pub(in crate::cli) struct CompactArgs {
    #[command(flatten)]
    chosen: Chosen,
    /// Size of a file that needs no joining, such as 64MB.
    #[arg(long, default_value = "64MB", value_name = "SIZE")]
    target: String,
}

/// Which tables, and whether to act.
#[derive(Debug, Args)]
pub(in crate::cli) struct VacuumArgs {
    #[command(flatten)]
    chosen: Chosen,
    /// Delete what the plan names.
    #[arg(long)]
    apply: bool,
    /// Versions that were superseded before this instant go, whatever `retention` says of versions; at least an hour
    /// ago.
    #[arg(long, value_name = "INSTANT", value_parser = crate::cli::instant)]
    before: Option<Millis>,
}

/// Joins small files.
pub(super) async fn compact(target: &Target, storage: &Storage, out: Output, args: &CompactArgs) -> Result<u8> {
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

/// What retention says of one table.
struct Promise<'a> {
    class: &'a str,
    keeps: RetentionClass,
    /// The source, for tables of rows.
    source: Option<&'a Source>,
    hold: Option<&'a Hold>,
}

impl<'a> Promise<'a> {
    fn of(spec: &'a Spec, path: &str) -> Self {
        let source = source_of(path).and_then(|(_, source)| SourceName::from_str(source).ok());
        match source.and_then(|name| spec.sources.get_key_value(&name)) {
            Some((name, source)) => {
                let (class, keeps) = spec.retention.of(name);
                Self { class, keeps, source: Some(source), hold: spec.retention.holds(name).next() }
            }
            // Predictions, reports and lineage belong to all sources; their rows are not dropped.
            None => {
                let keeps = spec.retention.classes.get(Retention::DEFAULT).cloned().unwrap_or_default();
                Self { class: Retention::DEFAULT, keeps, source: None, hold: spec.retention.hold.first() }
            }
        }
    }
}

/// Plans, and with `--apply` drops, what is no longer kept.
pub(super) async fn vacuum(target: &Target, storage: &Storage, out: Output, args: &VacuumArgs) -> Result<u8> {
    // Without the bus nobody knows which models are in service, so nothing is planned.
    let bus = target.bus().await?;
    let spec = target.spec(&bus).await?;
    let protected = Protected::find(&bus, storage, &spec.project).await?;
    let now = super::tags::now();
    let (mut rows, mut freed) = (Vec::new(), 0);
    let (bodies, tables): (Vec<String>, Vec<String>) = match args.chosen.tables.is_empty() {
        true => (snapshots::folders(storage, &spec).await?, args.chosen.paths(storage).await?),
        false => args.chosen.tables.iter().cloned().partition(|path| path.starts_with(Snapshots::ROOT)),
    };
    for path in bodies {
        let (row, bytes) = snapshots::vacuum(storage, &spec, &path, args.apply).await?;
        freed += bytes;
        rows.push(row);
    }
    for path in tables {
        let table = pinned::table(storage, &path).await?;
        let promise = Promise::of(&spec, &path);
        if let Some(hold) = promise.hold {
            rows.push(held(&path, promise.class, hold));
            continue;
        }
        let expired = expired(&table, &promise).await?;
        let dropped = expired.iter().map(|file| file.rows).sum::<u64>();
        if args.apply && !expired.is_empty() {
            let reason = format!("retention class {}", promise.class);
            table.drop_files(&expired, &reason).await.map_err(conflict)?;
        }
        let since = args.before.unwrap_or(Millis(now.0 - promise.keeps.versions.millis()));
        let needed = protected.of(&path);
        let keep = Keep {
            since: since.min(Millis(now.0 - GRACE.0)),
            after: follower(storage, &spec, &path).await?,
            named: needed.keys().copied().collect::<BTreeSet<u64>>(),
        };
        let plan = table.plan_vacuum(&keep).await?;
        if args.apply {
            table.vacuum(&plan).await?;
        }
        freed += plan.bytes();
        let by: BTreeSet<&str> = needed.values().flatten().map(String::as_str).collect();
        rows.push(json!({
            "table": path,
            "class": promise.class,
            "rows_expired": dropped,
            "files": plan.unneeded.len(),
            "bytes": plan.bytes(),
            "kept_for": if plan.protected.is_empty() { Vec::new() } else { by.into_iter().collect::<Vec<_>>() },
            "files_kept_for": plan.protected.len(),
            "readable_since_version": plan.oldest_kept,
            "hold": Value::Null,
            "done": args.apply,
        }));
    }
    out.rows(
        &["table", "class", "rows_expired", "files", "bytes", "files_kept_for", "readable_since_version", "hold"],
        &rows,
    )?;
    match args.apply {
        true => {
            say(&format!("{freed} bytes freed"));
            next("tidemill dataset ls");
        }
        false => {
            say(&format!("{freed} bytes would be freed; nothing was deleted"));
            next("tidemill dataset vacuum --apply");
        }
    }
    Ok(0)
}

pub(super) fn held(path: &str, class: &str, hold: &Hold) -> Value {
    json!({
        "table": path,
        "class": class,
        "rows_expired": 0,
        "files": 0,
        "bytes": 0,
        "kept_for": [],
        "files_kept_for": 0,
        "readable_since_version": 0,
        "hold": format!("{}, by {}", hold.reason, hold.by),
        "done": false,
    })
}

/// Files whose rows are all older than the class promises, counted back from the newest event.
async fn expired(table: &Table, promise: &Promise<'_>) -> Result<Vec<tidemill_dataset::DataFile>> {
    let (Some(source), Some(age)) = (promise.source, promise.keeps.rows) else { return Ok(Vec::new()) };
    let snapshot = table.load().await?;
    // The quarantine may hold rows whose event time is what is wrong with them; when they became known is ours.
    let column =
        if origin(table.path()).starts_with("quarantine/") { columns::KNOWN_AT } else { source.event_time.as_str() };
    let newest = snapshot.files().filter_map(|file| file.instants(column)).map(|(_, high)| high.0).max();
    let Some(newest) = newest else { return Ok(Vec::new()) };
    Ok(table.files_before(column, Millis(newest.saturating_sub(age.millis()))).await?)
}

fn conflict(error: CommitError) -> Error {
    match error {
        CommitError::Other(error) => error.into(),
        other => Error::Usage(format!("{other}; try again")),
    }
}
