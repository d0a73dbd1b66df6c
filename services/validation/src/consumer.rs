//! One source: raw versions in, clean and quarantine commits out.

use crate::Deps;
use crate::classify::Gate;
use crate::covered::{Sequences, between, covered, noted, read_on_after};
use crate::error::ValidationError;
use crate::memory::Remembered;
use crate::replay::{Anew, Decided, History};
use crate::reports::Reports;
use crate::store::{clean_table_path, quarantine_table_path, raw_table_path};
use arrow::array::{AsArray as _, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::TimestampMillisecondType;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidemill_bus::Tail;
use tidemill_contracts::events::{AlertRaised, CleanCommitted, notice};
use tidemill_contracts::{commits, subjects};
use tidemill_dataset::{Between, Snapshot, Table, VersionAdds};
use tidemill_quality::{Cleaner, Position, Rules, Verdict};
use tidemill_spec::Source;
use tidemill_storage::Storage;
use tidemill_telemetry::names;
use tidemill_types::{Classified, Digest, Millis, SourceName, columns};
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Instrument, Span, info, info_span, warn};

/// Longest wait for a notice before the raw table is looked at anyway.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Wait before a consumer is started again after a passing failure.
const PAUSE: Duration = Duration::from_millis(500);
/// Between two looks at whether a halted source was mended.
const HALTED: Duration = Duration::from_secs(10);
/// Newest versions of the clean table that are searched for the last word on a hold.
const LOOKED_AT: u64 = 16;
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
}

/// What is validated together.
#[derive(Default)]
struct Pass {
    versions: Vec<VersionAdds>,
    /// Newest raw version that is covered whole.
    until: u64,
    /// Of each stream the last sequence that the clean table covers before.
    after: Sequences,
    /// The same afterwards.
    done: Sequences,
    /// Streams of which the quarantine covers more than the clean table, with what that covers.
    decided: Sequences,
}

impl Pass {
    /// What the clean table notes about it.
    fn notes<'a>(&'a self, app_id: &'a str) -> Vec<(&'a str, i64)> {
        let streams = self.done.iter().map(|(stream, last)| (stream.as_str(), *last));
        std::iter::once((app_id, signed(self.until))).chain(streams).collect()
    }
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

    /// What comes next: the rows of these versions that the clean table does not cover. A quarantine ahead of it is a
    /// commit that was interrupted half-way, or the clean table lost its newest commits; then nothing comes that the
    /// quarantine has not decided on, so that no row is set aside twice.
    async fn pass(
        &self,
        done: u64,
        versions: Vec<VersionAdds>,
        clean: &Snapshot,
        quarantine: &Snapshot,
    ) -> Result<Pass, ValidationError> {
        let mut pass = Pass { until: done, ..Pass::default() };
        for version in versions {
            let Some((stream, last)) = noted(&version) else {
                pass.until = version.version;
                pass.versions.push(version);
                continue;
            };
            let (after, decided) = (covered(clean, stream).await?, covered(quarantine, stream).await?);
            let is_decided = decided > after;
            if !pass.after.is_empty() && is_decided == pass.decided.is_empty() {
                break;
            }
            let until = if is_decided { last.min(decided) } else { last };
            let stream = stream.to_owned();
            if is_decided {
                pass.decided.insert(stream.clone(), after);
            }
            pass.after.insert(stream.clone(), after);
            pass.done.insert(stream, until.max(after));
            if until == last {
                pass.until = version.version;
            }
            pass.versions.push(version);
            if is_decided && decided <= last {
                break;
            }
        }
        Ok(pass)
    }

    /// Rows of raw versions with a sequence after `after` and up to `until`, stream by stream.
    async fn rows(
        &self,
        versions: &[VersionAdds],
        after: &Sequences,
        until: &Sequences,
    ) -> Result<RecordBatch, ValidationError> {
        let mut batches = Vec::new();
        for group in versions.chunk_by(|a, b| noted(a).map(|n| n.0) == noted(b).map(|n| n.0)) {
            let files: Vec<_> = group.iter().flat_map(|version| version.files.iter().cloned()).collect();
            let read = self.raw.read_files(&files, None).await?;
            let stream = group.iter().find_map(noted).map(|(stream, _)| stream).unwrap_or_default();
            let of = |sequences: &Sequences, other| sequences.get(stream).copied().unwrap_or(other);
            let (after, until) = (of(after, i64::MIN), of(until, i64::MAX));
            for batch in read {
                batches.push(between(batch, after, until)?);
            }
        }
        Ok(concat_batches(&self.raw.schema(), &batches)?)
    }

    async fn validate(&mut self, quarantine: Snapshot, clean: Snapshot, pass: Pass) -> Result<(), ValidationError> {
        let began = Instant::now();
        let versions = &pass.versions;
        let rows = self.rows(versions, &pass.after, &pass.done).await?;
        let raw_version = signed(pass.until);
        if rows.num_rows() == 0 && versions.iter().any(|version| !version.files.is_empty()) {
            // All of them are covered already: only where to read on is noted.
            return self.note(clean, &pass.notes(&self.app_id)).await;
        }
        let begin = versions.first().map_or(0, |version| version.version.saturating_sub(1));
        let waits = self.gate.holds_back(self.deps, self.source, &rows, begin).await?;
        if !waits.is_empty() {
            return self.note_hold(clean, &waits).await;
        }
        self.memory.catch_up_with_others(&self.rules).await?;
        let (rows, cleaned) = self.cleaner.apply(&rows)?;
        let verdict = self.rules.check_commit(&mut self.memory.rows, &self.memory.commits, &rows)?;
        let set_aside = self.set_aside(&quarantine, &pass).await?;
        let (verdict, is_other) = match &set_aside {
            Some(set_aside) => verdict.settled(&rows, set_aside)?,
            None => (verdict, false),
        };
        let watermark = versions.iter().filter_map(|v| v.metadata.get(commits::WATERMARK)?.parse::<i64>().ok()).max();
        Span::current().record("rows", rows.num_rows());
        let mut metadata: BTreeMap<String, String> =
            watermark.map(|w| (commits::WATERMARK.to_owned(), w.to_string())).into_iter().collect();
        metadata.extend(tidemill_telemetry::current_traceparent().map(|c| (TRACEPARENT_KEY.to_owned(), c)));
        let (aside, quarantine) = self.write_quarantine(quarantine, &verdict, &pass, set_aside.is_some()).await?;
        metadata.insert(SET_ASIDE_KEY.to_owned(), serde_json::to_string(&aside).unwrap_or_default());
        self.decided.add(&cleaned);
        self.decided.note(&mut metadata);
        let profile = self.reports().write(&verdict, &rows, raw_version, watermark).await?;
        let accepted = (verdict.accepted.num_rows() > 0).then(|| verdict.accepted.clone());
        let notes = pass.notes(&self.app_id);
        let committed = self
            .clean
            .commit_noting(clean, accepted.as_slice(), &notes, metadata)
            .await
            .map_err(|e| ValidationError::of_commit(e, self.clean.path()))?;
        if is_other {
            self.memory = Remembered::read(self.deps, &self.rules, &self.clean, &self.app_id).await?;
        } else {
            self.memory.accept(&self.rules, &verdict.accepted)?;
        }
        self.report(&verdict, committed.version, watermark).await?;
        let done = crate::lineage::Checked {
            versions: &pass.versions,
            raw_version: pass.until,
            committed: &committed,
            quarantine,
            verdict: &verdict,
            profile: &profile,
        };
        let step = crate::lineage::step(self.deps, self.source, &done);
        tidemill_runtime::tell_step(&self.deps.bus, &self.deps.spec.project, &step, began.elapsed()).await;
        Ok(())
    }

    /// Makes the rows of the clean table anew under the decisions of the project file.
    async fn replay(&mut self, raw: &Snapshot, clean: Snapshot, aside: &Snapshot) -> Result<(), ValidationError> {
        let began = Instant::now();
        let history =
            History { raw: (&self.raw, raw), clean: (&self.clean, clean), quarantine: (&self.quarantine, aside) };
        let anew = Anew::made(history, &self.cleaner, &self.rules).await?;
        let (app_id, done) = (self.app_id.clone(), raw.version());
        self.reports().write_anew(&anew.parts, done).await?;
        let aside = serde_json::to_string(&self.noted_aside().await?).unwrap_or_default();
        let metadata = BTreeMap::from([(SET_ASIDE_KEY.to_owned(), aside)]);
        let made = anew.commit(&mut self.decided, &[(&app_id, signed(done))], metadata).await?;
        let (version, rows) = (made.version, made.rows);
        info!(source = %self.source, version, rows, "the clean table was made anew under other cleaning decisions");
        let step = crate::lineage::replayed(self.deps, self.source, raw.version(), &made);
        tidemill_runtime::tell_step(&self.deps.bus, &self.deps.spec.project, &step, began.elapsed()).await;
        self.memory = Remembered::read(self.deps, &self.rules, &self.clean, &self.app_id).await?;
        Ok(())
    }

    /// Notes what the clean table covers, without rows.
    async fn note(&self, clean: Snapshot, notes: &[(&str, i64)]) -> Result<(), ValidationError> {
        let mut metadata = BTreeMap::new();
        self.decided.note(&mut metadata);
        let result = self.clean.commit_noting(clean, &[], notes, metadata).await;
        result.map(|_| ()).map_err(|e| ValidationError::of_commit(e, self.clean.path()))
    }

    /// Notes that the source is held for the classification of these columns, for those who read the stream themselves.
    /// A process that begins again and decides alike has nothing to add.
    async fn note_hold(&self, clean: Snapshot, columns: &[String]) -> Result<(), ValidationError> {
        let told = serde_json::to_string(columns).unwrap_or_default();
        let newest = self.clean.history(LOOKED_AT).await?;
        if newest.iter().find_map(|v| commits::held(&v.metadata, &v.txns)).flatten() == Some(told.as_str()) {
            return Ok(());
        }
        let mut metadata = BTreeMap::from([(commits::HELD.to_owned(), told)]);
        self.decided.note(&mut metadata);
        let result = self.clean.commit_noting(clean, &[], &[], metadata).await;
        result.map(|_| ()).map_err(|e| ValidationError::of_commit(e, self.clean.path()))
    }

    /// Rows of the pass that were already set aside, by an interrupted pass or another process; that decision stands.
    /// Rules that look at other sources might by now say otherwise, and a row must not be in both tables. `None` when
    /// nothing was decided yet.
    async fn set_aside(
        &self,
        quarantine: &Snapshot,
        pass: &Pass,
    ) -> Result<Option<HashSet<Position>>, ValidationError> {
        if pass.decided.is_empty() {
            return Ok(None);
        }
        let mut found = HashSet::new();
        for version in (1..=quarantine.version()).rev() {
            let adds = self.quarantine.version_adds(version).await?;
            let is_ahead = |(stream, after): (&String, &i64)| adds.txns.get(stream).is_some_and(|last| last > after);
            if noted(&adds).is_some() && !pass.decided.iter().any(is_ahead) {
                break;
            }
            for batch in &self.quarantine.read_files(&adds.files, Some(&[columns::SEQ, columns::ROW])).await? {
                found.extend(tidemill_quality::positions(batch)?);
            }
        }
        Ok(Some(found))
    }

    /// Quarantine is written first and is idempotent by its own notes, so a crash in between doubles nothing. Where rules
    /// look at other sources two processes may decide differently, so there it is written even without rows: the first
    /// to write it has decided. Gives what the quarantine then covers of the streams of the pass, and at which version.
    async fn write_quarantine(
        &self,
        snapshot: Snapshot,
        verdict: &Verdict,
        pass: &Pass,
        is_decided: bool,
    ) -> Result<(Sequences, u64), ValidationError> {
        let is_empty = verdict.quarantined.num_rows() == 0 && self.rules.references().is_empty();
        if is_empty || is_decided {
            let mut covers = Sequences::new();
            for stream in pass.done.keys() {
                covers.insert(stream.clone(), covered(&snapshot, stream).await?);
            }
            return Ok((covers, snapshot.version()));
        }
        let rows = (verdict.quarantined.num_rows() > 0).then(|| verdict.quarantined.clone());
        let notes: Vec<_> = pass.done.iter().map(|(stream, last)| (stream.as_str(), *last)).collect();
        let result = self.quarantine.commit_noting(snapshot, rows.as_slice(), &notes, BTreeMap::new()).await;
        let made = result.map_err(|e| ValidationError::of_commit(e, self.quarantine.path()))?;
        Ok((pass.done.clone(), made.version))
    }

    /// Sets rows aside again whose quarantine the store lost: those of the raw table that the clean table passed over.
    /// False while the raw table does not reach as far again.
    async fn mend_quarantine(
        &mut self,
        quarantine: &Snapshot,
        clean: &Snapshot,
        newest: u64,
    ) -> Result<bool, ValidationError> {
        let (mut after, mut until) = (Sequences::new(), Sequences::new());
        for (stream, last) in self.noted_aside().await? {
            let has = covered(quarantine, &stream).await?;
            if has < last {
                after.insert(stream.clone(), has);
                until.insert(stream, last);
            }
        }
        if until.is_empty() {
            return Ok(true);
        }
        warn!(source = %self.source, ?after, ?until, "the store lost quarantined rows; setting them aside again");
        let Some(versions) = self.versions_of(&after, &until, newest).await? else { return Ok(false) };
        let rows = self.rows(&versions, &after, &until).await?;
        let mut aside: HashSet<Position> = tidemill_quality::positions(&rows)?.into_iter().collect();
        let mut scan = self.clean.scan(clean, Some(&[columns::SEQ, columns::ROW]), stretch(&rows));
        while let Some(batch) = scan.next().await? {
            for position in tidemill_quality::positions(&batch)? {
                aside.remove(&position);
            }
        }
        let (verdict, _) = self.rules.check_rows(&rows)?.settled(&rows, &aside)?;
        let rows = (verdict.quarantined.num_rows() > 0).then(|| verdict.quarantined.clone());
        let notes: Vec<_> = until.iter().map(|(stream, last)| (stream.as_str(), *last)).collect();
        let result = self.quarantine.commit_noting(quarantine.clone(), rows.as_slice(), &notes, BTreeMap::new()).await;
        result.map(|_| true).map_err(|e| ValidationError::of_commit(e, self.quarantine.path()))
    }

    /// What the quarantine covered when the clean table was last filled, as that commit says.
    async fn noted_aside(&self) -> Result<Sequences, ValidationError> {
        for version in (1..=self.clean.load().await?.version()).rev() {
            let adds = match self.clean.version_adds(version).await {
                Err(tidemill_dataset::Error::Absent { .. }) => break,
                adds => adds?,
            };
            if let Some(text) = adds.metadata.get(SET_ASIDE_KEY) {
                return Ok(serde_json::from_str(text).unwrap_or_default());
            }
            if adds.txns.contains_key(&self.app_id) && !adds.files.is_empty() {
                break;
            }
        }
        Ok(Sequences::new())
    }

    /// The raw versions that hold what lies between these sequences; `None` when they do not reach so far.
    async fn versions_of(
        &self,
        after: &Sequences,
        until: &Sequences,
        newest: u64,
    ) -> Result<Option<Vec<VersionAdds>>, ValidationError> {
        let mut versions = Vec::new();
        let mut missing = until.clone();
        for version in (1..=newest).rev() {
            let adds = self.raw.version_adds(version).await?;
            let Some((stream, last)) = noted(&adds) else { continue };
            let Some(from) = after.get(stream) else { continue };
            if last <= *from {
                break;
            }
            if until.get(stream).is_some_and(|until| last >= *until) {
                missing.remove(stream);
            }
            versions.push(adds);
        }
        versions.reverse();
        Ok(missing.is_empty().then_some(versions))
    }

    fn reports(&self) -> Reports<'_> {
        let Self { deps, source, declared, .. } = self;
        let rules = deps.spec.quality.get(source).map(Vec::as_slice).unwrap_or_default();
        Reports { storage: &deps.storage, project: &deps.spec.project, source, declared, rules }
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
        let teller = self.deps.teller();
        teller.notice(("clean", "committed"), ("", None), notice::Fact::CleanCommitted(fact)).await?;
        let Some(rule) = &verdict.blocked else {
            return Ok(());
        };
        let alert = AlertRaised {
            rule: rule.clone(),
            severity: "page".to_owned(),
            text: format!("rule {rule} blocked {quarantined} rows of {}", self.source),
            window_start_ms: 0,
            source: String::new(),
        };
        Ok(teller.alert(None, alert).await?)
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

/// The stretch of knowledge time in which rows lie.
fn stretch(rows: &RecordBatch) -> Option<Between> {
    let known = rows.column_by_name(columns::KNOWN_AT)?;
    let known = known.as_primitive_opt::<TimestampMillisecondType>()?;
    let (from, to) = (arrow::compute::min(known)?, arrow::compute::max(known)?);
    Some(Between { column: columns::KNOWN_AT.to_owned(), from: Millis(from), to: Millis(to + 1) })
}

/// The newest instant at which rows became known.
pub(crate) fn newest(rows: &RecordBatch) -> Option<Millis> {
    let known = rows.column_by_name(columns::KNOWN_AT)?;
    arrow::compute::max(known.as_primitive_opt::<TimestampMillisecondType>()?).map(Millis)
}
