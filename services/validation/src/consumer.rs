//! One source: raw versions in, clean and quarantine commits out.

use crate::Deps;
use crate::classify::{Gate, masked, without_values};
use crate::error::ValidationError;
use crate::memory::Remembered;
use crate::store::{clean_table_path, profile_path, quarantine_table_path, raw_table_path};
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use prost::Message as _;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidemill_bus::{Headers, Tail};
use tidemill_contracts::events::{AlertRaised, CleanCommitted, Notice, notice};
use tidemill_contracts::{headers, subjects};
use tidemill_dataset::{CommitError, Snapshot, Table, VersionAdds};
use tidemill_quality::{Freshness, Position, QualityReport, Rules, Verdict, score};
use tidemill_spec::Source;
use tidemill_stats::TableProfile;
use tidemill_telemetry::names;
use tidemill_types::{Classified, Millis, SourceName, columns};
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Instrument, Span, info_span, warn};

/// Longest wait for a notice before the raw table is looked at anyway.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Wait before a consumer is started again after a passing failure.
const PAUSE: Duration = Duration::from_millis(500);
/// Raw versions validated together at most.
const VERSIONS_AT_ONCE: u64 = 64;
/// Newest quarantine versions among which that of an interrupted pass is.
const SET_ASIDE_WITHIN: u64 = 8;
/// Key of the watermark in commit metadata, as ingestion writes it.
const WATERMARK_KEY: &str = "tidemill.watermark";
/// Key of the trace context in commit metadata, as ingestion writes it.
const TRACEPARENT_KEY: &str = "tidemill.traceparent";

/// Runs until `stop`; passing failures begin again at the clean table's cursor.
pub(crate) async fn run(deps: Arc<Deps>, source: SourceName, stop: CancellationToken) -> Result<(), ValidationError> {
    loop {
        match follow(&deps, &source, &stop).await {
            Err(error) if error.is_transient() && !stop.is_cancelled() => {
                warn!(%source, %error, "validation pauses and begins again at the table's cursor");
                tokio::time::sleep(PAUSE).await;
            }
            ended => return ended,
        }
    }
}

/// One source with everything it needs.
struct Follower<'a> {
    deps: &'a Deps,
    source: &'a SourceName,
    declared: &'a Source,
    rules: Rules,
    memory: Remembered,
    raw: Table,
    clean: Table,
    quarantine: Table,
    gate: Gate,
    app_id: String,
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
        let clean = Table::open_or_create(storage, &clean_table_path(project, source), &schema).await?;
        let rules = Rules::compile(declared, rules)?;
        let quarantined = rules.check_rows(&RecordBatch::new_empty(Arc::clone(&schema)))?.quarantined.schema();
        let quarantine = Table::open_or_create(storage, &quarantine_table_path(project, source), &quarantined).await?;
        let app_id = format!("raw/{project}/{source}");
        let memory = Remembered::read(deps, &rules, &clean, &app_id).await?;
        Ok(Self { deps, source, declared, rules, memory, raw, clean, quarantine, gate: Gate::default(), app_id })
    }

    /// Validates every raw version that the clean table does not cover yet.
    async fn catch_up(&mut self) -> Result<(), ValidationError> {
        loop {
            // Both snapshots are taken before anything is decided, so of two processes only one can commit.
            let quarantine = self.quarantine.load().await?;
            let clean = self.clean.load().await?;
            let (set_aside, done) = (self.cursor(&quarantine).await?, self.cursor(&clean).await?);
            let newest = self.raw.load().await?.version();
            let labels = [("source", self.source.as_str())];
            let behind = u32::try_from(newest.saturating_sub(done)).unwrap_or(u32::MAX);
            self.deps.metrics.gauge(names::VALIDATION_LAG_VERSIONS).set(&labels, f64::from(behind));
            if newest <= done || self.gate.holds(done) {
                return Ok(());
            }
            // A quarantine ahead of the clean table is a commit that was interrupted half-way. Exactly its versions
            // come next, so that their rows are not set aside twice.
            let until = if set_aside > done { set_aside.min(newest) } else { newest.min(done + VERSIONS_AT_ONCE) };
            let versions = self.raw.added_between(done, until).await?;
            let span = info_span!("clean commit", otel.kind = "consumer", dataset.name = %self.source, rows = Empty);
            let contexts: Vec<_> = versions.iter().filter_map(|v| v.metadata.get(TRACEPARENT_KEY)).collect();
            tidemill_telemetry::follow(&span, &contexts, || {
                info_span!("tm.notices.{project}.raw.committed receive", otel.kind = "consumer")
            });
            let began = Instant::now();
            self.validate(quarantine, clean, &versions, until).instrument(span).await?;
            let took = began.elapsed().as_secs_f64();
            self.deps.metrics.histogram(names::VALIDATION_COMMIT_SECONDS).observe(&labels, took);
        }
    }

    /// Newest raw version that a table covers.
    async fn cursor(&self, snapshot: &Snapshot) -> Result<u64, ValidationError> {
        let done = snapshot.done(&self.app_id).await?.unwrap_or(0);
        Ok(u64::try_from(done).unwrap_or(0))
    }

    async fn validate(
        &mut self,
        quarantine: Snapshot,
        clean: Snapshot,
        versions: &[VersionAdds],
        until: u64,
    ) -> Result<(), ValidationError> {
        let began = Instant::now();
        let files: Vec<_> = versions.iter().flat_map(|v| v.files.iter().cloned()).collect();
        let batches = self.raw.read_files(&files, None).await?;
        let rows = concat_batches(&self.raw.schema(), &batches)?;
        let begin = self.cursor(&clean).await?;
        if !self.gate.admits(self.deps, self.source, &rows, begin).await? {
            return Ok(());
        }
        self.memory.catch_up_with_others(&self.rules).await?;
        let verdict = self.rules.check_commit(&mut self.memory.rows, &self.memory.commits, &rows)?;
        let set_aside = self.set_aside(&quarantine, until).await?;
        let (verdict, is_other) = match &set_aside {
            Some(set_aside) => verdict.settled(&rows, set_aside)?,
            None => (verdict, false),
        };
        let watermark = versions.iter().filter_map(|v| v.metadata.get(WATERMARK_KEY)?.parse::<i64>().ok()).max();
        Span::current().record("rows", rows.num_rows());
        let mut metadata: BTreeMap<String, String> =
            watermark.map(|w| (WATERMARK_KEY.to_owned(), w.to_string())).into_iter().collect();
        metadata.extend(tidemill_telemetry::current_traceparent().map(|c| (TRACEPARENT_KEY.to_owned(), c)));
        self.write_quarantine(quarantine, &verdict, until).await?;
        let raw_version = i64::try_from(until).unwrap_or(i64::MAX);
        let profile = self.write_report(&verdict, &rows, raw_version, watermark).await?;
        let accepted = (verdict.accepted.num_rows() > 0).then(|| verdict.accepted.clone());
        let committed = self
            .clean
            .commit(clean, accepted.as_slice(), &self.app_id, raw_version, metadata)
            .await
            .map_err(|e| conflict(e, self.clean.path()))?;
        if is_other {
            self.memory = Remembered::read(self.deps, &self.rules, &self.clean, &self.app_id).await?;
        } else {
            self.memory.accept(&self.rules, &verdict.accepted)?;
        }
        self.report(&verdict, committed.version, watermark).await?;
        let done = crate::lineage::Checked { raw_version: until, clean_version: committed.version, verdict: &verdict };
        let step = crate::lineage::step(self.deps, self.source, &done, &profile);
        tidemill_runtime::tell_step(&self.deps.bus, &self.deps.spec.project, &step, began.elapsed()).await;
        Ok(())
    }

    /// Rows that an interrupted pass, or one of another process, has already set aside; that decision stands. Rules
    /// that look at other sources might by now say otherwise, and a row must not be in both tables.
    async fn set_aside(&self, snapshot: &Snapshot, until: u64) -> Result<Option<HashSet<Position>>, ValidationError> {
        if self.cursor(snapshot).await? < until {
            return Ok(None);
        }
        let done = i64::try_from(until).ok();
        let versions = self.quarantine.history(SET_ASIDE_WITHIN).await?;
        let files = versions.into_iter().filter(|v| v.txns.get(&self.app_id).copied() == done).flat_map(|v| v.files);
        let batches =
            self.quarantine.read_files(&files.collect::<Vec<_>>(), Some(&[columns::SEQ, columns::ROW])).await?;
        let mut found = HashSet::new();
        for batch in &batches {
            found.extend(tidemill_quality::positions(batch)?);
        }
        Ok(Some(found))
    }

    /// Quarantine is written first and is idempotent by its own note, so a crash in between doubles nothing. Where rules
    /// look at other sources two processes may decide differently, so there it is written even without rows: the first
    /// to write it has decided.
    async fn write_quarantine(&self, snapshot: Snapshot, verdict: &Verdict, until: u64) -> Result<(), ValidationError> {
        let is_empty = verdict.quarantined.num_rows() == 0 && self.rules.references().is_empty();
        if is_empty || self.cursor(&snapshot).await? >= until {
            return Ok(());
        }
        let version = i64::try_from(until).unwrap_or(i64::MAX);
        let rows = (verdict.quarantined.num_rows() > 0).then(|| verdict.quarantined.clone());
        let result = self.quarantine.commit(snapshot, rows.as_slice(), &self.app_id, version, BTreeMap::new()).await;
        result.map(|_| ()).map_err(|e| conflict(e, self.quarantine.path()))
    }

    async fn write_report(
        &self,
        verdict: &Verdict,
        rows: &RecordBatch,
        raw_version: i64,
        watermark: Option<i64>,
    ) -> Result<TableProfile, ValidationError> {
        let newest_known_at = newest(rows);
        let profile = without_values(TableProfile::of(&verdict.accepted)?, self.declared);
        // Freshness is judged at the source's own watermark; a source that sends none is as fresh as its rows.
        let at = watermark.map(Millis).or(newest_known_at).unwrap_or(Millis::MIN);
        let freshness = Freshness::of(self.declared, newest_known_at, at);
        let report = QualityReport {
            raw_version,
            checked: rows.num_rows() as u64,
            quarantined: verdict.quarantined.num_rows() as u64,
            held: verdict.held.clone(),
            blocked: verdict.blocked.clone(),
            rules: masked(&verdict.results, self.declared),
            score: score(&verdict.results, &profile, &freshness),
            newest_known_at,
            profile,
        };
        let text = serde_json::to_vec(&report).unwrap_or_default();
        let path = profile_path(&self.deps.spec.project, self.source, raw_version);
        self.deps.storage.put(&path, text).await?;
        Ok(report.profile)
    }

    async fn report(&self, verdict: &Verdict, version: u64, watermark: Option<i64>) -> Result<(), ValidationError> {
        let labels = [("source", self.source.as_str())];
        let metrics = &self.deps.metrics;
        let (accepted, quarantined) = (verdict.accepted.num_rows() as u64, verdict.quarantined.num_rows() as u64);
        metrics.counter(names::VALIDATION_ROWS).add(&labels, accepted + quarantined);
        metrics.counter(names::VALIDATION_QUARANTINED).add(&labels, quarantined);
        metrics.counter(names::VALIDATION_COMMITS).add(&labels, 1);
        let fact = CleanCommitted {
            source: self.source.to_string(),
            table_version: i64::try_from(version).unwrap_or(i64::MAX),
            rows: accepted,
            quarantined,
            known_until_ms: watermark.unwrap_or_default(),
        };
        self.notify("clean", "committed", notice::Fact::CleanCommitted(fact)).await?;
        let Some(rule) = &verdict.blocked else {
            return Ok(());
        };
        let alert = AlertRaised {
            rule: rule.clone(),
            severity: "page".to_owned(),
            text: format!("rule {rule} blocked {quarantined} rows of {}", self.source),
            window_start_ms: 0,
        };
        self.notify("alert", "raised", notice::Fact::AlertRaised(alert)).await
    }

    async fn notify(&self, noun: &str, participle: &str, fact: notice::Fact) -> Result<(), ValidationError> {
        let project = &self.deps.spec.project;
        let notice = Notice { project: project.to_string(), cycle_id: String::new(), fact: Some(fact) };
        let name = format!("tm.notices.{{project}}.{noun}.{participle} publish");
        let span = info_span!("publish", otel.name = name, otel.kind = "producer");
        async {
            let mut sent = Headers::new();
            if let Some(parent) = tidemill_telemetry::current_traceparent() {
                sent.set(headers::TRACEPARENT, &parent)?;
            }
            self.deps.bus.publish(&subjects::notice(project, noun, participle), &sent, notice.encode_to_vec()).await?;
            Ok(())
        }
        .instrument(span)
        .await
    }
}

fn conflict(error: CommitError, table: &str) -> ValidationError {
    match error {
        CommitError::Other(error) => error.into(),
        _ => ValidationError::Conflict(table.to_owned()),
    }
}

fn newest(rows: &RecordBatch) -> Option<Millis> {
    let known = rows.column_by_name(columns::KNOWN_AT)?;
    let known = arrow::array::AsArray::as_primitive_opt::<arrow::datatypes::TimestampMillisecondType>(known.as_ref())?;
    arrow::compute::max(known).map(Millis)
}
