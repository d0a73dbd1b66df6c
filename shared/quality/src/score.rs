//! One number for quality, with the sum that makes it.
//!
//! * accuracy = 100 · (1 − failed / checked) over `range`, `in_set` and `regex` rules;
//! * completeness = 100 · present cells / cells of the declared columns;
//! * consistency = 100 · (1 − failed / checked) over `unique` and `expr` rules;
//! * timeliness = 100 · min(1, promised silence / silence); 0 for a source without rows;
//! * total = mean of the four.
//!
//! A side about which nothing was checked or promised scores 100, and the formula says so.

use crate::freshness::{Freshness, FreshnessState};
use crate::verdict::RuleResult;
use serde::{Deserialize, Serialize};
use tidemill_spec::Dimension;
use tidemill_stats::TableProfile;
use tidemill_types::columns;

/// Scores from 0 (nothing is right) to 100.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QualityScore {
    /// Share of checked values that are possible.
    pub accuracy: f64,
    /// Share of cells that are filled.
    pub completeness: f64,
    /// Share of checked rows that agree with themselves and each other.
    pub consistency: f64,
    /// How fresh the source is.
    pub timeliness: f64,
    /// Mean of the four.
    pub total: f64,
    /// The computation with its numbers.
    pub formula: String,
}

/// Scores rows from the results of their rules, their profile and the freshness of their source.
#[must_use]
pub fn score(results: &[RuleResult], profile: &TableProfile, freshness: &Freshness) -> QualityScore {
    let (accuracy, accuracy_text) = passed(results, Dimension::Accuracy);
    let (completeness, completeness_text) = filled(profile);
    let (consistency, consistency_text) = passed(results, Dimension::Consistency);
    let (timeliness, timeliness_text) = timely(freshness);
    let total = (accuracy + completeness + consistency + timeliness) / 4.0;
    let formula = format!(
        "accuracy {accuracy:.2} = {accuracy_text}; completeness {completeness:.2} = {completeness_text}; \
         consistency {consistency:.2} = {consistency_text}; timeliness {timeliness:.2} = {timeliness_text}; \
         total {total:.2} = ({accuracy:.2} + {completeness:.2} + {consistency:.2} + {timeliness:.2}) / 4"
    );
    QualityScore { accuracy, completeness, consistency, timeliness, total, formula }
}

fn passed(results: &[RuleResult], dimension: Dimension) -> (f64, String) {
    let (mut failed, mut checked) = (0, 0);
    for result in results.iter().filter(|r| r.dimension == dimension) {
        failed += result.failed;
        checked += result.checked;
    }
    if checked == 0 {
        return (100.0, "100 (nothing was checked)".to_owned());
    }
    (100.0 * (1.0 - failed as f64 / checked as f64), format!("100 * (1 - {failed} / {checked})"))
}

fn filled(profile: &TableProfile) -> (f64, String) {
    let (mut cells, mut missing) = (0, 0);
    for column in profile.columns.iter().filter(|c| !c.name.starts_with(columns::PREFIX)) {
        cells += column.count;
        missing += column.nulls + column.nans;
    }
    if cells == 0 {
        return (100.0, "100 (no rows)".to_owned());
    }
    let present = cells.saturating_sub(missing);
    (100.0 * present as f64 / cells as f64, format!("100 * {present} / {cells}"))
}

fn timely(freshness: &Freshness) -> (f64, String) {
    let seconds = |millis: i64| millis as f64 / 1000.0;
    let within = seconds(freshness.within.unwrap_or_default());
    let silence = seconds(freshness.silence().unwrap_or_default());
    match freshness.state() {
        FreshnessState::Undeclared => (100.0, "100 (no freshness was promised)".to_owned()),
        FreshnessState::Empty => (0.0, "0 (no rows were ever seen)".to_owned()),
        FreshnessState::Fresh => (100.0, format!("100 * min(1, {within} s / {silence} s)")),
        FreshnessState::Stale => (100.0 * within / silence, format!("100 * min(1, {within} s / {silence} s)")),
    }
}
