//! Distances between two distributions.

use crate::hypothesis::{at_least, chi_square_quantile, finite};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// The least share a bin counts with in [`psi`], so that an empty bin does not make it infinite.
pub const PSI_FLOOR: f64 = 1e-4;

/// The conventional reading of a PSI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PsiBand {
    /// Below 0.1.
    Stable,
    /// From 0.1 to 0.25.
    Watch,
    /// Above 0.25.
    Act,
}

impl PsiBand {
    /// The band of a value. Mind the sample size: see [`psi_critical`].
    #[must_use]
    pub fn of(psi: f64) -> Self {
        match psi {
            p if p < 0.1 => Self::Stable,
            p if p <= 0.25 => Self::Watch,
            _ => Self::Act,
        }
    }
}

fn same_bins(left: usize, right: usize) -> Result<()> {
    if left == right {
        return Ok(());
    }
    Err(Error::Mismatch { what: "numbers of bins", left: left.to_string(), right: right.to_string() })
}

/// Population stability index Σ (a − e)·ln(a/e) over bins, of counts; shares are floored at [`PSI_FLOOR`].
///
/// # Errors
/// Different numbers of bins, or a side without any count.
pub fn psi(expected: &[u64], actual: &[u64]) -> Result<f64> {
    same_bins(expected.len(), actual.len())?;
    let (n, m) = (expected.iter().sum::<u64>(), actual.iter().sum::<u64>());
    at_least("PSI", 1, n.min(m) as usize)?;
    let share = |count: u64, total: u64| (count as f64 / total as f64).max(PSI_FLOOR);
    let terms = expected.iter().zip(actual).map(|(e, a)| {
        let (e, a) = (share(*e, n), share(*a, m));
        (a - e) * (a / e).ln()
    });
    Ok(terms.sum())
}

/// The PSI that two samples of one distribution exceed in 5 % of cases: χ²₀.₉₅ with `bins` − 1 degrees of freedom times
/// (1/n + 1/m). The fixed limits 0.1 and 0.25 ignore the sample sizes and fire on small windows without any drift.
///
/// # Errors
/// An empty sample.
pub fn psi_critical(bins: u64, n: u64, m: u64) -> Result<f64> {
    at_least("PSI", 1, n.min(m) as usize)?;
    Ok(chi_square_quantile(0.95, bins.saturating_sub(1))? * (1.0 / n as f64 + 1.0 / m as f64))
}

/// Wasserstein-1 (earth mover's) distance ∫ |F − G| of two samples sorted in ascending order, in the values' unit.
///
/// # Errors
/// An empty sample, or a value that is not finite.
pub fn wasserstein(first: &[f64], second: &[f64]) -> Result<f64> {
    at_least("Wasserstein distance", 1, first.len())?;
    at_least("Wasserstein distance", 1, second.len())?;
    finite("Wasserstein sample value", first)?;
    finite("Wasserstein sample value", second)?;
    debug_assert!(first.is_sorted() && second.is_sorted(), "samples must be sorted");
    let (n, m) = (first.len() as f64, second.len() as f64);
    let (mut i, mut j, mut distance) = (0, 0, 0.0);
    let mut at = first[0].min(second[0]);
    loop {
        let next = match (first.get(i), second.get(j)) {
            (Some(a), Some(b)) => a.min(*b),
            (Some(one), None) | (None, Some(one)) => *one,
            (None, None) => return Ok(distance),
        };
        distance += (i as f64 / n - j as f64 / m).abs() * (next - at);
        at = next;
        while first.get(i).is_some_and(|v| *v <= at) {
            i += 1;
        }
        while second.get(j).is_some_and(|v| *v <= at) {
            j += 1;
        }
    }
}

/// Jensen–Shannon distance (the square root of the divergence, base 2) of two count vectors: 0 equal, 1 disjoint.
///
/// # Errors
/// Different numbers of bins, or a side without any count.
pub fn jensen_shannon(first: &[u64], second: &[u64]) -> Result<f64> {
    same_bins(first.len(), second.len())?;
    let (n, m) = (first.iter().sum::<u64>(), second.iter().sum::<u64>());
    at_least("Jensen–Shannon distance", 1, n.min(m) as usize)?;
    let relative = |p: f64, middle: f64| if p == 0.0 { 0.0 } else { p * (p / middle).log2() };
    let terms = first.iter().zip(second).map(|(a, b)| {
        let (p, q) = (*a as f64 / n as f64, *b as f64 / m as f64);
        let middle = 0.5 * (p + q);
        relative(p, middle) + relative(q, middle)
    });
    Ok((0.5 * terms.sum::<f64>()).max(0.0).sqrt())
}
