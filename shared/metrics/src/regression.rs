//! Metrics of numeric predictions.

use crate::bootstrap::{Resampler, percentile};
use crate::report::RESAMPLES;
use crate::{Error, Estimate, Result, check, interval};
use serde::{Deserialize, Serialize};

fn checked(predictions: &[f64], targets: &[f64]) -> Result<()> {
    check::same_length(predictions.len(), targets.len())?;
    check::at_least("metric", 1, predictions.len())?;
    check::finite("prediction", predictions)?;
    check::finite("target", targets)
}

fn errors(predictions: &[f64], targets: &[f64], f: fn(f64) -> f64) -> Vec<f64> {
    predictions.iter().zip(targets).map(|(p, t)| f(t - p)).collect()
}

fn square(x: f64) -> f64 {
    x * x
}

/// Root mean squared error, in the target's unit.
///
/// # Errors
/// Empty input, unequal lengths, a value that is not finite.
pub fn rmse(predictions: &[f64], targets: &[f64]) -> Result<f64> {
    checked(predictions, targets)?;
    Ok((errors(predictions, targets, square).iter().sum::<f64>() / targets.len() as f64).sqrt())
}

/// Mean absolute error, in the target's unit.
///
/// # Errors
/// As [`rmse`].
pub fn mae(predictions: &[f64], targets: &[f64]) -> Result<f64> {
    checked(predictions, targets)?;
    Ok(errors(predictions, targets, f64::abs).iter().sum::<f64>() / targets.len() as f64)
}

/// Coefficient of determination 1 − SSE/SST; as scikit-learn's `r2_score` for targets that vary.
///
/// # Errors
/// As [`rmse`]; and targets that are all equal, where it is undefined.
pub fn r2(predictions: &[f64], targets: &[f64]) -> Result<f64> {
    checked(predictions, targets)?;
    let value = weighted_r2(predictions, targets, &vec![1; targets.len()]);
    if value.is_finite() { Ok(value) } else { Err(Error::OneClass { rows: targets.len() }) }
}

/// NaN when the drawn targets do not vary.
fn weighted_r2(predictions: &[f64], targets: &[f64], counts: &[u32]) -> f64 {
    let (n, total) = targets
        .iter()
        .zip(counts)
        .fold((0.0, 0.0), |(n, total), (t, c)| (n + f64::from(*c), total + f64::from(*c) * t));
    let mean = total / n;
    let (mut residual, mut spread) = (0.0, 0.0);
    for ((p, t), c) in predictions.iter().zip(targets).zip(counts) {
        residual += f64::from(*c) * square(t - p);
        spread += f64::from(*c) * square(t - mean);
    }
    if spread > 0.0 { 1.0 - residual / spread } else { f64::NAN }
}

/// Quality of a regressor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegressionReport {
    /// Rows.
    pub n: u64,
    /// Root mean squared error (square root of the t interval of the mean squared error).
    pub rmse: Estimate,
    /// Mean absolute error (Student's t).
    pub mae: Estimate,
    /// Mean of target − prediction (Student's t).
    pub bias: Estimate,
    /// Coefficient of determination (bootstrap).
    pub r2: Estimate,
}

/// Every regression metric with its interval. Deterministic in `seed`.
///
/// # Errors
/// As [`r2`]; fewer than two rows.
pub fn regression_report(predictions: &[f64], targets: &[f64], seed: u64) -> Result<RegressionReport> {
    let value = r2(predictions, targets)?;
    let n = targets.len();
    let mse = interval::mean(&errors(predictions, targets, square))?;
    let mut resampler = Resampler::new(n, seed);
    let replicates = (0..RESAMPLES).map(|_| weighted_r2(predictions, targets, resampler.draw())).collect();
    Ok(RegressionReport {
        n: n as u64,
        rmse: Estimate { value: mse.value.sqrt(), low: mse.low.max(0.0).sqrt(), high: mse.high.sqrt(), ..mse },
        mae: interval::mean(&errors(predictions, targets, f64::abs))?.within(0.0, f64::INFINITY),
        bias: interval::mean(&errors(predictions, targets, |e| e))?,
        r2: percentile(value, replicates, n)?,
    })
}
