//! The common form of a metric with its uncertainty, and closed-form intervals.

use crate::{Result, check};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Confidence level of every interval of this crate.
pub const LEVEL: f64 = 0.95;

/// The 97.5 % point of the standard normal distribution.
pub(crate) const Z: f64 = 1.959_963_984_540_054;

/// A metric's value with a confidence interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The point estimate.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Confidence level, for example 0.95.
    pub level: f64,
    /// How the interval was made: `delong`, `wilson`, `student-t`, `bootstrap-percentile` …
    pub method: String,
    /// Rows behind the value.
    pub n: u64,
}

impl Estimate {
    pub(crate) fn new(value: f64, (low, high): (f64, f64), method: &str, n: usize) -> Self {
        Self { value, low, high, level: LEVEL, method: method.to_owned(), n: n as u64 }
    }

    /// Cuts the interval to the metric's range.
    pub(crate) fn within(mut self, low: f64, high: f64) -> Self {
        self.low = self.low.clamp(low, high);
        self.high = self.high.clamp(low, high);
        self
    }

    /// True when `value` lies in the interval, ends included.
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

pub(crate) fn wilson_bounds(share: f64, n: f64) -> (f64, f64) {
    let z2 = Z * Z;
    let centre = (share + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z / (1.0 + z2 / n) * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    // At 0 and 1 the bound equals the share; rounding must not push it past.
    ((centre - half).clamp(0.0, share), (centre + half).clamp(share, 1.0))
}

/// Wilson's score interval (1927) of the proportion `successes / n`, without continuity correction.
///
/// # Errors
/// No trials, or more successes than trials.
pub fn wilson(successes: u64, n: u64) -> Result<Estimate> {
    check::at_least("proportion", 1, n as usize)?;
    check::at_least("proportion", successes as usize, n as usize)?;
    let share = successes as f64 / n as f64;
    Ok(Estimate::new(share, wilson_bounds(share, n as f64), "wilson", n as usize))
}

/// Mean of row values with Student's t interval (n − 1 degrees of freedom) from the standard error of the mean.
///
/// # Errors
/// Fewer than two rows, or a value that is not finite.
pub fn mean(values: &[f64]) -> Result<Estimate> {
    check::at_least("interval of a mean", 2, values.len())?;
    check::finite("value", values)?;
    let (value, se) = mean_and_se(values);
    let half = t_quantile(values.len() - 1) * se;
    Ok(Estimate::new(value, (value - half, value + half), "student-t", values.len()))
}

/// Sum of row values (a money KPI, say) with n times the interval of their mean; the number of rows is held fixed.
///
/// # Errors
/// As [`mean`].
pub fn sum(values: &[f64]) -> Result<Estimate> {
    let of_mean = mean(values)?;
    let n = values.len() as f64;
    let total = values.iter().sum();
    Ok(Estimate::new(total, (of_mean.low * n, of_mean.high * n), "student-t", values.len()))
}

/// Mean and its standard error s/√n, in two passes.
pub(crate) fn mean_and_se(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    (mean, (squares / (n - 1.0) / n).sqrt())
}

/// The 97.5 % point of Student's t.
pub(crate) fn t_quantile(df: usize) -> f64 {
    // Beyond 10⁶ degrees of freedom t and normal agree to six digits, and the search is not worth its time.
    if df > 1_000_000 {
        return Z;
    }
    StudentsT::new(0.0, 1.0, df as f64).map_or(Z, |t| t.inverse_cdf(0.5 + LEVEL / 2.0))
}

/// Two-sided p-value of a standard normal statistic.
pub(crate) fn normal_p(z: f64) -> f64 {
    statrs::function::erf::erfc(z.abs() / std::f64::consts::SQRT_2)
}

/// Two-sided p-value of Student's t by the regularised incomplete beta function.
pub(crate) fn t_p(t: f64, df: f64) -> f64 {
    if !t.is_finite() {
        return 0.0;
    }
    statrs::function::beta::checked_beta_reg(df / 2.0, 0.5, df / (df + t * t)).unwrap_or(1.0)
}
