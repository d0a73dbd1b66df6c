//! Metrics at an alert budget: the share of rows that people can look at.

use crate::{Result, check, rank};
use serde::{Deserialize, Serialize};

/// What the highest-scored share of rows contains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AtBudget {
    /// Rows flagged: ⌊n · share⌋, at least one.
    pub alerts: usize,
    /// Positives among them.
    pub caught: usize,
    /// The lowest flagged score.
    pub threshold: f64,
    /// `caught / alerts`.
    pub precision: f64,
    /// `caught / positives`; zero when there are no positives.
    pub recall: f64,
    /// Precision over prevalence; zero when there are no positives.
    pub lift: f64,
}

/// Rows that a budget allows among `rows`: ⌊rows · share⌋ and at least one.
///
/// A billionth of a row is forgiven, so that 29 % of 100 rows are 29 though 0.29 · 100 is less than 29 in binary.
#[must_use]
pub fn alerts(rows: usize, share: f64) -> usize {
    ((rows as f64 * share + 1e-9).floor() as usize).clamp(1, rows.max(1))
}

/// Flags the top `share` of the rows by score. Equal scores are taken in row order, so the answer is deterministic
/// and the budget is kept exactly.
///
/// # Errors
/// Empty input, unequal lengths, a score that is not finite, a share outside (0, 1].
pub fn at_budget(scores: &[f64], labels: &[bool], share: f64) -> Result<AtBudget> {
    check::scored(scores, labels)?;
    check::share("budget", share)?;
    let order = rank::descending(scores);
    let flagged = &order[..alerts(scores.len(), share)];
    let caught = flagged.iter().filter(|row| labels[**row]).count();
    let positives = labels.iter().filter(|l| **l).count();
    let precision = caught as f64 / flagged.len() as f64;
    let of_positives = |x: f64| if positives == 0 { 0.0 } else { x / positives as f64 };
    Ok(AtBudget {
        alerts: flagged.len(),
        caught,
        threshold: flagged.last().map_or(f64::INFINITY, |row| scores[*row]),
        precision,
        recall: of_positives(caught as f64),
        lift: of_positives(precision * labels.len() as f64),
    })
}
