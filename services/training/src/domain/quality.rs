//! The quality of the data behind a training set: what validation said of the commits, put together.

use tidemill_quality::{Freshness, QualityReport, Tally, score};
use tidemill_registry::DataQuality;
use tidemill_spec::Source;
use tidemill_types::Millis;

/// Commits of one source, newest first.
#[derive(Debug, Default)]
pub(crate) struct Behind {
    /// Names of the columns of the newest commit.
    columns: Vec<String>,
    tally: Tally,
    newest: Option<Millis>,
    rows: u64,
    commits: u64,
}

impl Behind {
    /// Adds what was said of an earlier commit; false, and nothing is added, when its rows had other columns.
    pub(crate) fn add(&mut self, report: &QualityReport) -> bool {
        let columns: Vec<String> = report.profile.columns.iter().map(|column| column.name.clone()).collect();
        if self.commits > 0 && columns != self.columns {
            return false;
        }
        self.columns = columns;
        self.tally.merge(&report.tally);
        self.newest = self.newest.max(report.newest_known_at);
        self.rows += report.checked;
        self.commits += 1;
        true
    }

    /// Number of commits.
    #[must_use]
    pub(crate) fn commits(&self) -> u64 {
        self.commits
    }

    /// The score, fresh or not at `as_of`; `None` when nothing was said.
    #[must_use]
    pub(crate) fn scored(&self, source: &Source, as_of: Millis) -> Option<DataQuality> {
        if self.commits == 0 {
            return None;
        }
        let score = score(&self.tally, &Freshness::of(source, self.newest, as_of));
        Some(DataQuality {
            accuracy: score.accuracy,
            completeness: score.completeness,
            consistency: score.consistency,
            timeliness: score.timeliness,
            total: score.total,
            formula: score.formula,
            rows: self.rows,
            commits: self.commits,
        })
    }
}
