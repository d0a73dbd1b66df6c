//! `dataset vacuum`: rows that are older than promised, and files that nobody needs.

use super::protect::{Protected, follower};
use super::{Chosen, origin, pinned, snapshots, source_of};
use crate::cli::output::{Output, next, say};
use crate::cli::target::Target;
use crate::error::{Error, Result};
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::str::FromStr as _;
use tidemill_bus::Bus;
use tidemill_dataset::{CommitError, Expiry, Keep, Table};
use tidemill_sources::Snapshots;
use tidemill_spec::{Hold, Retention, RetentionClass, Source, Spec};
use tidemill_storage::Storage;
use tidemill_types::{Millis, SourceName, columns};

/// Files younger than this are never deleted: a commit may be about to name them.
pub(super) const GRACE: Millis = Millis(3_600_000);

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
pub(super) async fn run(target: &Target, storage: &Storage, out: Output, args: &VacuumArgs) -> Result<u8> {
    // Without the bus nobody knows which models are in service, so nothing is planned.
    let bus = target.bus().await?;
    let spec = target.spec(&bus).await?;
    let protected = Protected::find(&bus, storage, &spec.project).await?;
    let run = Run { bus: &bus, storage, spec: &spec, protected, args, now: super::tags::now() };
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
        let (row, bytes) = run.table(&path).await?;
        freed += bytes;
        rows.push(row);
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

/// A command under way.
struct Run<'a> {
    bus: &'a Bus,
    storage: &'a Storage,
    spec: &'a Spec,
    /// Who relied on what at the beginning.
    protected: Protected,
    args: &'a VacuumArgs,
    now: Millis,
}

impl Run<'_> {
    /// The row of the answer about a table, and the bytes that go.
    async fn table(&self, path: &str) -> Result<(Value, u64)> {
        let table = pinned::table(self.storage, path).await?;
        let promise = Promise::of(self.spec, path);
        if let Some(hold) = promise.hold {
            return Ok((held(path, promise.class, hold), 0));
        }
        let dropped = self.expire(&table, &promise).await?;
        let since = self.args.before.unwrap_or(Millis(self.now.0 - promise.keeps.versions.millis()));
        let needed = self.protected.of(path);
        let keep = Keep {
            since: since.min(Millis(self.now.0 - GRACE.0)),
            after: follower(self.storage, self.spec, path).await?,
            named: needed.keys().copied().collect(),
        };
        let plan = table.plan_vacuum(&keep).await?;
        let bytes = match self.args.apply {
            true => table.vacuum(&plan, async || self.named(path).await).await?.bytes,
            false => plan.bytes(),
        };
        let by: BTreeSet<&str> = needed.values().flatten().map(String::as_str).collect();
        let row = json!({
            "table": path,
            "class": promise.class,
            "rows_expired": dropped,
            "files": plan.unneeded.len(),
            "bytes": bytes,
            "kept_for": if plan.protected.is_empty() { Vec::new() } else { by.into_iter().collect::<Vec<_>>() },
            "files_kept_for": plan.protected.len(),
            "readable_since_version": plan.oldest_kept,
            "hold": Value::Null,
            "done": self.args.apply,
        });
        Ok((row, bytes))
    }

    /// The versions that somebody relies on by now: while files go, tags are given and models promoted.
    async fn named(&self, path: &str) -> Result<BTreeSet<u64>> {
        let found = Protected::find(self.bus, self.storage, &self.spec.project).await?;
        Ok(found.of(path).into_keys().collect())
    }

    /// How many rows are older than the class promises; when told to, they are dropped.
    async fn expire(&self, table: &Table, promise: &Promise<'_>) -> Result<u64> {
        let (Some(source), Some(age)) = (promise.source, promise.keeps.rows) else { return Ok(0) };
        // Elsewhere the event time may be what is wrong with a row; when it became known is ours.
        let is_clean = origin(table.path()).starts_with("clean/");
        let column = if is_clean { source.event_time.as_str() } else { columns::KNOWN_AT };
        let Some(newest) = table.newest(column, self.now).await? else { return Ok(0) };
        let expiry = Expiry::of_age(column, newest, age.millis());
        match self.args.apply {
            true => table.expire(&expiry, &format!("retention class {}", promise.class)).await.map_err(conflict),
            false => Ok(table.expired(&expiry).await?.iter().map(|expired| expired.rows).sum()),
        }
    }
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

fn conflict(error: CommitError) -> Error {
    match error {
        CommitError::Other(error) => error.into(),
        other => Error::Usage(format!("{other}; try again")),
    }
}
