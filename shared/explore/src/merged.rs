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
