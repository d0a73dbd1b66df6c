//! One source: raw versions in, clean and quarantine commits out.

mod aside;
mod judge;
mod notes;
mod pass;

use crate::Deps;
use crate::classify::Gate;
use crate::covered::read_on_after;
use crate::error::ValidationError;
use crate::memory::Remembered;
use crate::replay::Decided;
use crate::store::{clean_table_path, quarantine_table_path, raw_table_path};
use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::TimestampMillisecondType;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidemill_bus::Tail;
use tidemill_contracts::events::AlertRaised;
use tidemill_contracts::subjects;
use tidemill_dataset::{Snapshot, Table};
use tidemill_quality::{Cleaner, Rules};
use tidemill_spec::Source;
use tidemill_storage::Storage;
use tidemill_telemetry::names;
use tidemill_types::{Classified, Digest, Millis, SourceName, columns};
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Instrument, info_span, warn};

/// Longest wait for a notice before the raw table is looked at anyway.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Wait before a consumer is started again after a passing failure.
const PAUSE: Duration = Duration::from_millis(500);
/// Between two looks at whether a halted source was mended.
const HALTED: Duration = Duration::from_secs(10);
/// Raw versions validated together at most.
const VERSIONS_AT_ONCE: u64 = 64;
/// Key of what the quarantine covered, in the metadata of clean commits.
const SET_ASIDE_KEY: &str = "tidemill.set_aside";
/// Key of the trace context in commit metadata, as ingestion writes it.
const TRACEPARENT_KEY: &str = "tidemill.traceparent";

/// Runs until `stop`; passing failures begin again at the clean table's cursor. A source whose tables are not what they
/// should be (other columns, for one) is halted with an alert until somebody has mended it; the others go on.
pub(crate) async fn run(deps: Arc<Deps>, source: SourceName, stop: CancellationToken) -> Result<(), ValidationError> {
    let mut known = String::new();
    loop {
        match follow(&deps, &source, &stop).await {
            Err(error) if error.is_transient() && !stop.is_cancelled() => {
                warn!(%source, %error, "validation pauses and begins again at the table's cursor");
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) if error.halts_one_source() && !stop.is_cancelled() => {
                let text = format!("{}: {error}", error.code());
                if text != known {
                    tracing::error!(%source, "the source is halted, the others go on: {text}");
                    raise(&deps, &source, &text).await;
                    known = text;
                }
                tokio::select! {
                    () = stop.cancelled() => return Err(error),
                    () = tokio::time::sleep(HALTED) => {}
                }
            }
            ended => return ended,
        }
    }
}

/// Tells the others that a source is halted; an alert that cannot be sent is in the log all the same.
async fn raise(deps: &Deps, source: &SourceName, text: &str) {
    let (rule, text, severity) = (format!("halted.{source}"), text.to_owned(), "page".to_owned());
    let id = Digest::of(format!("halted {} {source} {text}", deps.spec.project).as_bytes());
    let told =
        deps.teller().alert(Some(id.as_str()), AlertRaised { rule, severity, text, ..AlertRaised::default() }).await;
    if let Err(error) = told {
        warn!(%source, %error, "the alert that the source is halted was not raised");
    }
}

/// One source with everything it needs.
struct Follower<'a> {
    deps: &'a Deps,
    source: &'a SourceName,
    declared: &'a Source,
    cleaner: Cleaner,
    decided: Decided,
    rules: Rules,
    memory: Remembered,
    raw: Table,
    clean: Table,
    quarantine: Table,
    gate: Gate,
    /// Name under which the clean table notes where to read on.
    app_id: String,
    /// The raw version up to which the clean table was last seen to cover the raw table.
    proved: Option<u64>,
    /// Whether the quarantine covers what the clean table says of it.
    mended: bool,
    /// Version of the clean table with which its rows were made anew, as the stored profiles tell.
    generation: u64,
}

async fn follow(deps: &Deps, source: &SourceName, stop: &CancellationToken) -> Result<(), ValidationError> {
    let mut follower = Follower::open(deps, source).await?;
    let project = &deps.spec.project;
    let subject = subjects::notice(project, "raw", "committed");
    let mut wake: Tail = deps.bus.tail(subjects::NOTICES_STREAM, vec![subject]).await?;
    while !stop.is_cancelled() {
        follower.catch_up().await?;
        wake.next_within(LOOK_EVERY).await?;
    }
    follower.catch_up().await
}

impl<'a> Follower<'a> {
    async fn open(deps: &'a Deps, source: &'a SourceName) -> Result<Self, ValidationError> {
        let project = &deps.spec.project;
        let missing = || ValidationError::NoSource(source.to_string());
        let declared = deps.spec.sources.get(source).ok_or_else(missing)?;
        let rules = deps.spec.quality.get(source).map(Vec::as_slice).unwrap_or_default();
        let schema = declared.table_schema();
        let storage = &deps.storage;
        let raw = Table::open_or_create(storage, &raw_table_path(project, source), &schema).await?;
        for path in [clean_table_path(project, source), quarantine_table_path(project, source)] {
            mend(storage, &path).await?;
        }
        let clean = Table::open_or_create(storage, &clean_table_path(project, source), &schema).await?;
        let rules = Rules::compile(declared, rules)?;
        let cleaner = Cleaner::compile(declared, deps.spec.decisions(source))?;
        let quarantined = rules.check_rows(&RecordBatch::new_empty(Arc::clone(&schema)))?.quarantined.schema();
        let quarantine = Table::open_or_create(storage, &quarantine_table_path(project, source), &quarantined).await?;
        let app_id = format!("raw/{project}/{source}");
        let memory = Remembered::read(deps, &rules, &clean, &app_id).await?;
        let decided = Decided::read(&clean, &app_id, deps.spec.decisions(source)).await?;
        Ok(Self {
            deps,
            source,
            declared,
            cleaner,
            decided,
            rules,
            memory,
            raw,
            clean,
            quarantine,
            gate: Gate::default(),
            app_id,
            proved: None,
            mended: false,
            generation: crate::reports::generation(storage, project, source).await?,
        })
    }

    /// Validates every raw version that the clean table does not cover yet.
    async fn catch_up(&mut self) -> Result<(), ValidationError> {
        loop {
            // Both snapshots are taken before anything is decided, so of two processes only one can commit.
            let quarantine = self.quarantine.load().await?;
            let clean = self.clean.load().await?;
            let raw = self.raw.load().await?;
            for table in [&quarantine, &clean, &raw] {
                table.unbroken_since(0)?;
            }
            let newest = raw.version();
            let hint = u64::try_from(clean.done(&self.app_id).await?.unwrap_or(0)).unwrap_or(0);
            let done = self.read_on_after(newest, &clean, hint).await?;
            if done != hint {
                warn!(source = %self.source, hint, done, "the raw table was written anew; going on by its sequences");
                self.note(clean, &[(&self.app_id, signed(done))]).await?;
                continue;
            }
            let labels = [("source", self.source.as_str())];
            let behind = u32::try_from(newest.saturating_sub(done)).unwrap_or(u32::MAX);
            self.deps.metrics.gauge(names::VALIDATION_LAG_VERSIONS).set(&labels, f64::from(behind));
            if !self.mended {
                self.mended = self.mend_quarantine(&quarantine, &clean, newest).await?;
                if self.mended {
                    continue;
                }
                return Ok(());
            }
            if newest <= done && self.decided.are_others() {
                self.replay(&raw, clean, &quarantine).await?;
                continue;
            }
            if newest <= done || self.gate.holds(done) {
                return Ok(());
            }
            let until = newest.min(done + VERSIONS_AT_ONCE);
            let versions = self.raw.added_between(done, until).await?;
            let span = info_span!("clean commit", otel.kind = "consumer", dataset.name = %self.source, rows = Empty);
            let contexts: Vec<_> = versions.iter().filter_map(|v| v.metadata.get(TRACEPARENT_KEY)).collect();
            tidemill_telemetry::follow(&span, &contexts, || {
                info_span!("tm.notices.{project}.raw.committed receive", otel.kind = "consumer")
            });
            let began = Instant::now();
            let pass = self.pass(done, versions, &clean, &quarantine).await?;
            self.validate(quarantine, clean, pass).instrument(span).await?;
            let took = began.elapsed().as_secs_f64();
            self.deps.metrics.histogram(names::VALIDATION_COMMIT_SECONDS).observe(&labels, took);
        }
    }

    /// The raw version after which the clean table is filled on. What this process has held against the raw table holds
    /// as long as that is not seen to be broken.
    async fn read_on_after(&mut self, newest: u64, clean: &Snapshot, hint: u64) -> Result<u64, ValidationError> {
        if hint == newest && self.proved == Some(hint) {
            return Ok(hint);
        }
        let after = read_on_after(&self.raw, newest, clean, hint).await?;
        self.proved = Some(after);
        Ok(after)
    }
}

/// Gives up the newest versions of a table when the store lost part of them: they are made again from the raw table.
async fn mend(storage: &Storage, table: &str) -> Result<(), ValidationError> {
    while let Some(damage) = Table::damage(storage, table).await? {
        warn!(
            table,
            whole = damage.whole,
            newest = damage.newest,
            reason = damage.reason,
            "the store lost part of the newest versions of a table; they are given up and made again from the raw table"
        );
        Table::give_up(storage, &damage).await?;
    }
    Ok(())
}

/// Versions are noted signed, as the table format has it.
pub(crate) fn signed(version: u64) -> i64 {
    i64::try_from(version).unwrap_or(i64::MAX)
}

/// The newest instant at which rows became known.
pub(crate) fn newest(rows: &RecordBatch) -> Option<Millis> {
    let known = rows.column_by_name(columns::KNOWN_AT)?;
    arrow::compute::max(known.as_primitive_opt::<TimestampMillisecondType>()?).map(Millis)
}
