//! Tests of equal means and equal proportions.

use super::{at_least, finite, normal_p};
use crate::{Error, Moments, Result};
use statrs::function::beta::checked_beta_reg;

/// Result of a test of means or proportions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanTest {
    /// First minus second, in standard errors.
    pub statistic: f64,
    /// Degrees of freedom; infinite for a normal statistic.
    pub dof: f64,
    /// Two-sided p-value.
    pub p: f64,
}

/// Welch's t test of equal means without the assumption of equal variances; scipy's `ttest_ind(equal_var=False)`.
///
/// # Errors
/// Fewer than two values on a side, a value that is not finite, or no variance on either side.
pub fn welch_t(first: &[f64], second: &[f64]) -> Result<MeanTest> {
    finite("sample value", first)?;
    finite("sample value", second)?;
    let (a, b) = (Moments::of(first), Moments::of(second));
    at_least("Welch test", 2, a.count.min(b.count) as usize)?;
    let part = |m: &Moments| m.m2 / ((m.count - 1) as f64 * m.count as f64);
    let (va, vb) = (part(&a), part(&b));
    let total = va + vb;
    if total <= 0.0 {
        return Err(Error::Value { what: "variance of both samples", value: total });
    }
    let statistic = (a.mean - b.mean) / total.sqrt();
    let dof = total * total / (va * va / (a.count - 1) as f64 + vb * vb / (b.count - 1) as f64);
    let p = checked_beta_reg(dof / 2.0, 0.5, dof / (dof + statistic * statistic)).unwrap_or(1.0);
    Ok(MeanTest { statistic, dof, p })
}

/// The pooled z test of equal proportions `a / n` and `b / m`; its square is the 2×2 chi-square statistic.
///
/// # Errors
/// No trials, or more successes than trials.
pub fn two_proportion_z(a: u64, n: u64, b: u64, m: u64) -> Result<MeanTest> {
    at_least("proportion test", 1, n.min(m) as usize)?;
    at_least("proportion test (trials)", a as usize, n as usize)?;
    at_least("proportion test (trials)", b as usize, m as usize)?;
    let (size_n, size_m) = (n as f64, m as f64);
    let pooled = (a + b) as f64 / (size_n + size_m);
    let se = (pooled * (1.0 - pooled) * (1.0 / size_n + 1.0 / size_m)).sqrt();
    let gap = a as f64 / size_n - b as f64 / size_m;
    // Both proportions are 0, or both 1: no evidence of a difference.
    let statistic = if se == 0.0 { 0.0 } else { gap / se };
    Ok(MeanTest { statistic, dof: f64::INFINITY, p: normal_p(statistic) })
}
