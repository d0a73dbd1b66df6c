//! Reports of commits, merged as they come: however many there are, what is kept of them does not grow.

use crate::over_time::{OverTime, of_spans};
use crate::report::{QualityFacts, RuleFacts, ScoreAt};
use crate::spans::Spans;
use tidemill_quality::{QualityReport, RuleResult, merge_results};
use tidemill_stats::TableProfile;
use tidemill_types::Millis;

/// Commits, merged.
#[derive(Debug, Default)]
pub struct Merged {
    /// Number of commits.
    pub commits: usize,
    left_behind: usize,
    versions: Option<(i64, i64)>,
    known: Option<(Millis, Millis)>,
    /// Sketches of their accepted rows.
    pub profile: TableProfile,
    /// The same by instant of knowledge.
    spans: Spans<TableProfile>,
    rules: Vec<RuleResult>,
    scores: Spans<f64>,
}

impl Merged {
    /// Adds a commit. Profiles of other columns, from before the source changed, are left behind.
    pub fn add(&mut self, report: QualityReport) {
        if self.profile.merge(&report.profile).is_err() {
            let left_behind = self.left_behind + self.commits;
            *self = Self { profile: report.profile.clone(), left_behind, ..Self::default() };
        }
        self.commits += 1;
        let (first, last) = self.versions.unwrap_or((report.raw_version, report.raw_version));
        self.versions = Some((first.min(report.raw_version), last.max(report.raw_version)));
        merge_results(&mut self.rules, &report.rules);
        let Some(at) = report.newest_known_at else { return };
        let (first, last) = self.known.unwrap_or((at, at));
        self.known = Some((first.min(at), last.max(at)));
        // All have the columns of the whole, or they were left behind.
        self.spans.add(at.0, report.profile, |mine, theirs| mine.merge(&theirs).unwrap_or_default());
        if let Some(score) = report.score.total {
            self.scores.add(at.0, score, |lowest, score| *lowest = lowest.min(score));
        }
    }

    /// Columns over the knowledge of the commits; none when all of it came at once.
    #[must_use]
    pub fn over_time(&self) -> Option<OverTime> {
        of_spans("knowledge", &self.profile, &self.spans)
    }

    /// Results of the rules over all commits, and the lowest score of each span.
    #[must_use]
    pub fn quality(&self) -> QualityFacts {
        QualityFacts {
            rules: self.rules.iter().map(RuleFacts::from).collect(),
            scores: self.scores.iter().map(|(at, score)| ScoreAt { at, score: *score }).collect(),
        }
    }

    /// What was merged, in words.
    #[must_use]
    pub fn origin(&self) -> String {
        let (first, last) = self.versions.unwrap_or_default();
        let range = self.known.map(|(first, last)| format!(", known from {first} to {last}"));
        let left = match self.left_behind {
            0 => String::new(),
            n => format!("; {n} commits with other columns were left behind"),
        };
        format!(
            "profiles of {} commits merged, raw versions {first} to {last}{}{left}",
            self.commits,
            range.unwrap_or_default()
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use std::sync::Arc;
    use tidemill_quality::{QualityScore, Tally};

    #[test]
    fn what_is_kept_does_not_grow_with_the_number_of_commits() {
        let mut merged = Merged::default();
        for version in 1..=1_000 {
            let values: ArrayRef = Arc::new(Int64Array::from_iter_values(10 * version..10 * version + 10));
            merged.add(QualityReport {
                raw_version: version,
                checked: 10,
                quarantined: 0,
                held: None,
                blocked: None,
                rules: vec![],
                tally: Tally::default(),
                freshness: None,
                score: QualityScore { total: Some((version % 100) as f64), ..QualityScore::default() },
                newest_known_at: Some(Millis(version * 86_400_000)),
                profile: TableProfile::of(&RecordBatch::try_from_iter([("value", values)]).unwrap()).unwrap(),
            });
        }
        assert_eq!((merged.commits, merged.profile.rows), (1_000, 10_000));
        let spans: Vec<_> = merged.spans.iter().collect();
        assert!((32..=64).contains(&spans.len()), "{}", spans.len());
        assert_eq!(spans.iter().map(|(_, profile)| profile.rows).sum::<u64>(), 10_000);
        let moments = &merged.over_time().unwrap().columns[0].moments;
        assert!(moments.is_sorted_by_key(|moment| moment.quartiles.map(|q| q[1] as i64)), "{moments:?}");
        let scores = merged.quality().scores;
        assert!(scores.len() <= 64 && scores.iter().all(|at| at.score < 100.0));
        assert!(merged.origin().contains("known from 1970-01-02"), "{}", merged.origin());
    }
}
