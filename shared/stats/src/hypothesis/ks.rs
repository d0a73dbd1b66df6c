//! The two-sample Kolmogorov–Smirnov test.

use super::{at_least, finite, kolmogorov_sf};
use crate::Result;

/// Product of the sample sizes up to which the p-value is exact by default (some milliseconds of work).
const EXACT_CELLS: u64 = 1_000_000;

/// How the p-value is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KsMethod {
    /// Exact when n·m ≤ 10⁶, asymptotic otherwise.
    #[default]
    Auto,
    /// The share of all orderings of both samples whose statistic is as large; O(n·m).
    Exact,
    /// The one-sample distribution at the rounded effective size n·m/(n+m), as scipy's `asymp`.
    Asymptotic,
}

/// Result of the test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KsTest {
    /// The largest distance of both distribution functions.
    pub statistic: f64,
    /// Two-sided p-value; conservative when there are ties.
    pub p: f64,
}

/// Compares two samples, each sorted in ascending order; equal to scipy's `ks_2samp`.
///
/// # Errors
/// An empty sample, or a value that is not finite.
pub fn ks_two_sample(first: &[f64], second: &[f64], method: KsMethod) -> Result<KsTest> {
    at_least("KS test", 1, first.len())?;
    at_least("KS test", 1, second.len())?;
    finite("KS sample value", first)?;
    finite("KS sample value", second)?;
    debug_assert!(first.is_sorted() && second.is_sorted(), "samples must be sorted");
    let (n, m) = (first.len() as u64, second.len() as u64);
    let gap = largest_gap(first, second);
    let statistic = gap as f64 / (n as f64 * m as f64);
    let exact = match method {
        KsMethod::Auto => n.saturating_mul(m) <= EXACT_CELLS,
        KsMethod::Exact => true,
        KsMethod::Asymptotic => false,
    };
    let p = if exact { exact_p(n, m, gap) } else { asymptotic_p(n as f64, m as f64, statistic) };
    Ok(KsTest { statistic, p })
}

/// max |i·m − j·n|, where i and j count the values of either sample up to some point: the statistic times n·m.
fn largest_gap(first: &[f64], second: &[f64]) -> u64 {
    let (n, m) = (first.len(), second.len());
    let (mut i, mut j, mut gap) = (0, 0, 0);
    while i < n && j < m {
        let at = first[i].min(second[j]);
        while i < n && first[i] <= at {
            i += 1;
        }
        while j < m && second[j] <= at {
            j += 1;
        }
        gap = gap.max((i as u64 * m as u64).abs_diff(j as u64 * n as u64));
    }
    gap
}

/// The chance that a random lattice path from (0, 0) to (n, m) touches |i·m − j·n| ≥ gap.
///
/// Of all paths to (i, j) the share i/(i+j) comes from (i−1, j). Only positive terms are added, so small p-values keep
/// their digits (Hodges 1958; Schröer & Trenkler 1995).
fn exact_p(n: u64, m: u64, gap: u64) -> f64 {
    let mut touched = vec![0.0_f64; m as usize + 1];
    for i in 0..=n {
        let mut left = 0.0;
        for (j, cell) in (0..=m).zip(&mut touched) {
            let outside = (i * m).abs_diff(j * n) >= gap;
            left = if outside {
                1.0
            } else if i + j == 0 {
                0.0
            } else {
                (i as f64 * *cell + j as f64 * left) / (i + j) as f64
            };
            *cell = left;
        }
    }
    touched[m as usize].min(1.0)
}

fn asymptotic_p(n: f64, m: f64, statistic: f64) -> f64 {
    // Ties in the rounding go to even, as numpy rounds.
    let effective = (n * m / (n + m)).round_ties_even();
    kolmogorov_sf(effective.max(1.0) as u64, statistic)
}
