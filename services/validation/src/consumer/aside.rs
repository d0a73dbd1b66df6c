//! Rows that are set aside: written first, never twice, and again when the store lost them.

use super::pass::Pass;
use super::{Follower, SET_ASIDE_KEY};
use crate::covered::{Sequences, covered, noted};
use crate::error::ValidationError;
use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::TimestampMillisecondType;
use std::collections::{BTreeMap, HashSet};
use tidemill_dataset::{Between, Snapshot, VersionAdds};
use tidemill_quality::{Position, Verdict};
use tidemill_types::{Millis, columns};
use tracing::warn;

impl Follower<'_> {
    /// Rows of the pass that were already set aside, by an interrupted pass or another process; that decision stands.
    /// Rules that look at other sources might by now say otherwise, and a row must not be in both tables. `None` when
    /// nothing was decided yet.
    pub(super) async fn set_aside(
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
    pub(super) async fn write_quarantine(
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
    pub(super) async fn mend_quarantine(
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
    pub(super) async fn noted_aside(&self) -> Result<Sequences, ValidationError> {
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
}

/// The stretch of knowledge time in which rows lie.
fn stretch(rows: &RecordBatch) -> Option<Between> {
    let known = rows.column_by_name(columns::KNOWN_AT)?;
    let known = known.as_primitive_opt::<TimestampMillisecondType>()?;
    let (from, to) = (arrow::compute::min(known)?, arrow::compute::max(known)?);
    Some(Between { column: columns::KNOWN_AT.to_owned(), from: Millis(from), to: Millis(to + 1) })
}
