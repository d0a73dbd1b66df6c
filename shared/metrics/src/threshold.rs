//! Metrics of yes/no decisions at a score threshold.

use crate::{Result, check};
use serde::{Deserialize, Serialize};

/// The four counts of a binary decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// Positives called positive.
    pub true_positives: u64,
    /// Negatives called positive.
    pub false_positives: u64,
    /// Negatives called negative.
    pub true_negatives: u64,
    /// Positives called negative.
    pub false_negatives: u64,
}

/// Counts with "positive" meaning `score >= threshold`.
///
/// # Errors
/// Empty input, unequal lengths, a score that is not finite.
pub fn confusion(scores: &[f64], labels: &[bool], threshold: f64) -> Result<Confusion> {
    check::scored(scores, labels)?;
    let mut counts = Confusion::default();
    for (score, label) in scores.iter().zip(labels) {
        match (*score >= threshold, *label) {
            (true, true) => counts.true_positives += 1,
            (true, false) => counts.false_positives += 1,
            (false, false) => counts.true_negatives += 1,
            (false, true) => counts.false_negatives += 1,
        }
    }
    Ok(counts)
}

/// Scikit-learn's `zero_division=0`: a ratio without cases is zero.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

impl Confusion {
    fn parts(&self) -> (f64, f64, f64, f64) {
        let f = |count: u64| count as f64;
        (f(self.true_positives), f(self.false_positives), f(self.true_negatives), f(self.false_negatives))
    }

    /// TP / (TP + FP); zero when nothing was called positive.
    #[must_use]
    pub fn precision(&self) -> f64 {
        let (tp, fp, ..) = self.parts();
        ratio(tp, tp + fp)
    }

    /// TP / (TP + FN); zero when there are no positives.
    #[must_use]
    pub fn recall(&self) -> f64 {
        let (tp, _, _, fn_) = self.parts();
        ratio(tp, tp + fn_)
    }

    /// FP / (FP + TN); zero when there are no negatives.
    #[must_use]
    pub fn false_positive_rate(&self) -> f64 {
        let (_, fp, tn, _) = self.parts();
        ratio(fp, fp + tn)
    }

    /// 2 TP / (2 TP + FP + FN), the harmonic mean of precision and recall.
    #[must_use]
    pub fn f1(&self) -> f64 {
        let (tp, fp, _, fn_) = self.parts();
        ratio(2.0 * tp, 2.0 * tp + fp + fn_)
    }

    /// (TP + TN) / n.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        let (tp, fp, tn, fn_) = self.parts();
        ratio(tp + tn, tp + fp + tn + fn_)
    }

    /// Matthews correlation coefficient; zero when a margin is empty, as scikit-learn.
    #[must_use]
    pub fn mcc(&self) -> f64 {
        let (tp, fp, tn, fn_) = self.parts();
        ratio(tp * tn - fp * fn_, ((tp + fp) * (tp + fn_)).sqrt() * ((tn + fp) * (tn + fn_)).sqrt())
    }
}
