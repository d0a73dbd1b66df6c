//! Judges the rows of a pass and commits them, or makes all rows anew, and tells of it.

use super::pass::Pass;
use super::{Follower, SET_ASIDE_KEY, TRACEPARENT_KEY, signed};
use crate::error::ValidationError;
use crate::memory::Remembered;
use crate::replay::{Anew, History};
use crate::reports::Reports;
use std::collections::BTreeMap;
use std::time::Instant;
use tidemill_contracts::commits;
use tidemill_contracts::events::{AlertRaised, CleanCommitted, notice};
use tidemill_dataset::Snapshot;
use tidemill_quality::Verdict;
use tidemill_telemetry::names;
use tracing::{Span, info};

impl Follower<'_> {
    pub(super) async fn validate(
        &mut self,
        quarantine: Snapshot,
        clean: Snapshot,
        pass: Pass,
    ) -> Result<(), ValidationError> {
        let began = Instant::now();
        let versions = &pass.versions;
        let rows = self.rows(versions, &pass.after, &pass.done).await?;
        let raw_version = signed(pass.until);
        let first = versions.first().map_or(raw_version, |version| signed(version.version)).min(raw_version);
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
        let profile = self.reports().write(&verdict, &rows, (first, raw_version), watermark).await?;
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
    pub(super) async fn replay(
        &mut self,
        raw: &Snapshot,
        clean: Snapshot,
        aside: &Snapshot,
    ) -> Result<(), ValidationError> {
        let began = Instant::now();
        // The store may have lost versions of the table, and then their numbers come again.
        let generation = clean.version().max(self.generation) + 1;
        let history = History {
            declared: self.declared,
            raw: (&self.raw, raw),
            clean: (&self.clean, clean),
            quarantine: (&self.quarantine, aside),
        };
        let anew = Anew::made(history, &self.cleaner, &self.rules).await?;
        let (app_id, done) = (self.app_id.clone(), raw.version());
        self.generation = generation;
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

    fn reports(&self) -> Reports<'_> {
        let Self { deps, source, declared, generation, .. } = self;
        let rules = deps.spec.quality.get(source).map(Vec::as_slice).unwrap_or_default();
        Reports {
            storage: &deps.storage,
            project: &deps.spec.project,
            source,
            declared,
            rules,
            generation: *generation,
        }
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
