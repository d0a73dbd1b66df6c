//! Metrics of probabilities: how good the numbers are, not only their order.

use crate::{Result, check};

/// Negative log-likelihood of one row, the probability clipped to [ε, 1 − ε] with ε the spacing of `f64` at one.
#[must_use]
pub fn row_log_loss(probability: f64, label: bool) -> f64 {
    let p = probability.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
    if label { -p.ln() } else { -(1.0 - p).ln() }
}

/// Squared error of one row's probability.
#[must_use]
pub fn row_brier(probability: f64, label: bool) -> f64 {
    let error = probability - f64::from(u8::from(label));
    error * error
}

/// Mean log loss in nats; equal to scikit-learn's `log_loss`, clipping included.
///
/// # Errors
/// Empty input, unequal lengths, a score that is no probability.
pub fn log_loss(scores: &[f64], labels: &[bool]) -> Result<f64> {
    check::probabilities(scores, labels)?;
    Ok(average(scores, labels, row_log_loss))
}

/// Mean squared error of the probabilities; equal to scikit-learn's `brier_score_loss`.
///
/// # Errors
/// As [`log_loss`].
pub fn brier(scores: &[f64], labels: &[bool]) -> Result<f64> {
    check::probabilities(scores, labels)?;
    Ok(average(scores, labels, row_brier))
}

fn average(scores: &[f64], labels: &[bool], row: impl Fn(f64, bool) -> f64) -> f64 {
    scores.iter().zip(labels).map(|(s, l)| row(*s, *l)).sum::<f64>() / scores.len() as f64
}
