//! Quality reports: one for each commit, so that everything that is asked of a stretch of time is a merge of them. Beside
//! each lie the profiles of its rows by window of event time and by segment.

use crate::classify::{masked, without_values};
use crate::consumer::{newest, signed};
use crate::error::ValidationError;
use crate::replay::Part;
use crate::store::{groups_path, profile_path, profiles_path};
use arrow::array::RecordBatch;
use std::collections::HashSet;
use tidemill_contracts::groups::{self, GroupsName};
use tidemill_quality::{Freshness, QualityReport, Verdict, score};
use tidemill_spec::{Rule, Source};
use tidemill_stats::{Groups, TableProfile};
use tidemill_storage::Storage;
use tidemill_types::{Millis, ProjectName, SourceName};

/// The reports of one source.
pub(crate) struct Reports<'a> {
    pub(crate) storage: &'a Storage,
    pub(crate) project: &'a ProjectName,
    pub(crate) source: &'a SourceName,
    pub(crate) declared: &'a Source,
    pub(crate) rules: &'a [Rule],
    /// Version of the clean table with which its rows were made anew; 0: never.
    pub(crate) generation: u64,
}

/// The generation of the stored groups of a source.
pub(crate) async fn generation(
    storage: &Storage,
    project: &ProjectName,
    source: &SourceName,
) -> Result<u64, ValidationError> {
    let there = storage.list(&groups_path(project, source)).await?;
    Ok(groups::generation(there.iter().filter_map(|object| GroupsName::parse(&object.path))))
}

impl Reports<'_> {
    /// Writes the report on a pass over the rows of some raw versions, from the first to the last, and gives the profile of
    /// those that went on.
    pub(crate) async fn write(
        &self,
        verdict: &Verdict,
        rows: &RecordBatch,
        versions: (i64, i64),
        watermark: Option<i64>,
    ) -> Result<TableProfile, ValidationError> {
        let newest_known_at = newest(rows);
        let freshness = self.freshness(newest_known_at, watermark);
        let (profile, groups) = Groups::of(&verdict.accepted, &self.declared.event_time, &self.declared.segments)?;
        let profile = without_values(profile, self.declared);
        let report = QualityReport {
            raw_version: versions.1,
            checked: rows.num_rows() as u64,
            quarantined: verdict.quarantined.num_rows() as u64,
            held: verdict.held.clone(),
            blocked: verdict.blocked.clone(),
            rules: masked(&verdict.results, self.rules, self.declared),
            tally: verdict.tally.clone(),
            freshness: Some(freshness),
            score: score(&verdict.tally, &freshness),
            newest_known_at,
            profile,
        };
        tokio::try_join!(self.store(&report), self.store_groups(versions, groups))?;
        Ok(report.profile)
    }

    /// Puts reports on rows that were made anew in the place of those on the rows as they were. The last is named as the
    /// raw version that they all cover, the others by their order.
    pub(crate) async fn write_anew(&self, parts: &[Part], raw_version: u64) -> Result<(), ValidationError> {
        let mut before = self.storage.list(&profiles_path(self.project, self.source)).await?;
        before.extend(self.storage.list(&groups_path(self.project, self.source)).await?);
        let mut written = HashSet::new();
        for (place, part) in parts.iter().enumerate() {
            let number = if place + 1 == parts.len() { raw_version } else { raw_version.min(place as u64 + 1) };
            let profile = without_values(part.profile.clone(), self.declared);
            let freshness = self.freshness(part.newest_known_at, None);
            let report = QualityReport {
                raw_version: signed(number),
                checked: part.rows,
                quarantined: 0,
                held: None,
                blocked: None,
                rules: masked(&part.results, self.rules, self.declared),
                tally: part.tally.clone(),
                freshness: Some(freshness),
                score: score(&part.tally, &freshness),
                newest_known_at: part.newest_known_at,
                profile,
            };
            written.insert(self.store(&report).await?);
            written.insert(self.store_groups((report.raw_version, report.raw_version), part.groups.clone()).await?);
        }
        for stale in before.into_iter().filter(|object| !written.contains(&object.path)) {
            self.storage.delete(&stale.path).await?;
        }
        Ok(())
    }

    /// Freshness is judged at the source's own watermark; a source that sends none is as fresh as its rows.
    fn freshness(&self, newest_known_at: Option<Millis>, watermark: Option<i64>) -> Freshness {
        let at = watermark.map(Millis).or(newest_known_at).unwrap_or(Millis::MIN);
        Freshness::of(self.declared, newest_known_at, at)
    }

    async fn store(&self, report: &QualityReport) -> Result<String, ValidationError> {
        let text = serde_json::to_vec(report).unwrap_or_default();
        let path = profile_path(self.project, self.source, report.raw_version);
        self.storage.put(&path, text).await?;
        Ok(path)
    }

    async fn store_groups(&self, versions: (i64, i64), mut groups: Groups) -> Result<String, ValidationError> {
        let masks = self.declared.masks();
        groups.withhold(|column| masks.covers(column));
        let extent = groups.extent().map_or((0, 0), |window| (window.from, window.to));
        let name = GroupsName { generation: self.generation, versions, commits: 1, extent };
        let path = name.path(self.project, self.source);
        // Of many windows this takes longer than their sketches.
        let bytes = tokio::task::spawn_blocking(move || groups.to_bytes()).await;
        let bytes = bytes.map_err(|e| ValidationError::Task(e.to_string()))??;
        self.storage.put(&path, bytes).await?;
        Ok(path)
    }
}
