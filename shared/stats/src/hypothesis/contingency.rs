//! Pearson's chi-square test of homogeneity for two samples of categories.

use super::at_least;
use crate::{Error, Result};
use statrs::function::gamma::{checked_gamma_lr, checked_gamma_ur};

/// Result of the test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChiSquare {
    /// Σ (observed − expected)² / expected, without continuity correction.
    pub statistic: f64,
    /// Degrees of freedom: categories seen − 1.
    pub dof: u64,
    /// The chance of a statistic at least as large.
    pub p: f64,
    /// Cramér's V, √(χ²/N) for two rows: 0 none, 1 complete separation.
    pub cramers_v: f64,
}

/// Compares counts of the same categories; equal to scipy's `chi2_contingency(correction=False)` on a 2×k table.
///
/// Categories that neither sample has are left out. With a single category left nothing can differ: p is one.
///
/// # Errors
/// Different numbers of categories, or a sample without any count.
pub fn chi_square_test(first: &[u64], second: &[u64]) -> Result<ChiSquare> {
    if first.len() != second.len() {
        let (left, right) = (first.len().to_string(), second.len().to_string());
        return Err(Error::Mismatch { what: "numbers of categories", left, right });
    }
    let (n, m) = (first.iter().sum::<u64>(), second.iter().sum::<u64>());
    at_least("chi-square test", 1, n.min(m) as usize)?;
    let (n, m) = (n as f64, m as f64);
    let (mut statistic, mut categories) = (0.0, 0_u64);
    for (a, b) in first.iter().zip(second) {
        let (a, b) = (*a as f64, *b as f64);
        let both = a + b;
        if both == 0.0 {
            continue;
        }
        categories += 1;
        let (expected_a, expected_b) = (both * n / (n + m), both * m / (n + m));
        statistic += (a - expected_a).powi(2) / expected_a + (b - expected_b).powi(2) / expected_b;
    }
    let dof = categories.saturating_sub(1);
    let cramers_v = (statistic / (n + m)).sqrt();
    Ok(ChiSquare { statistic, dof, p: upper_tail(statistic, dof), cramers_v })
}

/// P(χ² ≥ statistic); one without degrees of freedom.
pub fn upper_tail(statistic: f64, dof: u64) -> f64 {
    if dof == 0 || statistic <= 0.0 {
        return 1.0;
    }
    checked_gamma_ur(dof as f64 / 2.0, statistic / 2.0).unwrap_or(1.0)
}

/// The `probability` quantile of χ² with `dof` degrees of freedom, by bisection; zero for no degrees of freedom.
///
/// # Errors
/// A probability outside (0, 1).
pub fn chi_square_quantile(probability: f64, dof: u64) -> Result<f64> {
    if !(probability > 0.0 && probability < 1.0) {
        return Err(Error::Value { what: "probability", value: probability });
    }
    if dof == 0 {
        return Ok(0.0);
    }
    let below = |x: f64| checked_gamma_lr(dof as f64 / 2.0, x / 2.0).unwrap_or(1.0) < probability;
    let (mut low, mut high) = (0.0, dof as f64 + 10.0);
    while below(high) {
        high *= 2.0;
    }
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if below(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(0.5 * (low + high))
}
