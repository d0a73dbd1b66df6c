//! Tests of "all groups have one mean", "one spread" and "one distribution".

use super::{at_least, contingency::upper_tail, finite};
use crate::{Error, Moments, Result};
use statrs::function::beta::checked_beta_reg;

/// Result of a test over groups.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupTest {
    /// F for [`anova`] and [`levene`], H for [`kruskal_wallis`].
    pub statistic: f64,
    /// Degrees of freedom between the groups.
    pub between: f64,
    /// Degrees of freedom within the groups; infinite for [`kruskal_wallis`].
    pub within: f64,
    /// The chance of a statistic at least as large.
    pub p: f64,
    /// Share of the variance (of the ranks, for [`kruskal_wallis`]) that the groups explain: η².
    pub eta_squared: f64,
}

/// One-way analysis of variance; scipy's `f_oneway`.
///
/// # Errors
/// Fewer than two groups, an empty group, no more values than groups, a value that is not finite, or no variance.
pub fn anova(groups: &[&[f64]]) -> Result<GroupTest> {
    at_least("ANOVA groups", 2, groups.len())?;
    let mut parts = Vec::with_capacity(groups.len());
    for group in groups {
        at_least("ANOVA group", 1, group.len())?;
        finite("ANOVA value", group)?;
        parts.push(Moments::of(group));
    }
    let n: f64 = parts.iter().map(|part| part.count as f64).sum();
    at_least("ANOVA values", groups.len() + 1, n as usize)?;
    let mean = parts.iter().map(|part| part.count as f64 * part.mean).sum::<f64>() / n;
    let between: f64 = parts.iter().map(|part| part.count as f64 * (part.mean - mean).powi(2)).sum();
    let within: f64 = parts.iter().map(|part| part.m2).sum();
    if between + within <= 0.0 {
        return Err(Error::Value { what: "variance of all groups", value: between + within });
    }
    let (d1, d2) = (groups.len() as f64 - 1.0, n - groups.len() as f64);
    let statistic = (between / d1) / (within / d2);
    let eta_squared = between / (between + within);
    Ok(GroupTest { statistic, between: d1, within: d2, p: f_upper(statistic, d1, d2), eta_squared })
}

/// The test of equal spread of Levene (1960) about the medians, as Brown & Forsythe (1974) made it robust; scipy's
/// `levene`.
///
/// # Errors
/// As [`anova`] of the distances from the medians.
pub fn levene(groups: &[&[f64]]) -> Result<GroupTest> {
    let distances: Vec<Vec<f64>> = groups
        .iter()
        .map(|group| {
            let middle = median(group);
            group.iter().map(|value| (value - middle).abs()).collect()
        })
        .collect();
    anova(&distances.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// The rank test of Kruskal & Wallis (1952) with correction for ties; scipy's `kruskal`. Two groups make it the
/// two-sided Mann–Whitney test in its normal approximation without continuity correction.
///
/// # Errors
/// Fewer than two groups, an empty group, a value that is not finite, or only one value overall.
pub fn kruskal_wallis(groups: &[&[f64]]) -> Result<GroupTest> {
    at_least("Kruskal–Wallis groups", 2, groups.len())?;
    let mut all = Vec::new();
    for group in groups {
        at_least("Kruskal–Wallis group", 1, group.len())?;
        finite("Kruskal–Wallis value", group)?;
        all.extend_from_slice(group);
    }
    let n = all.len() as f64;
    let (ranks, ties) = ranked(&all);
    let correction = 1.0 - ties / (n * n * n - n);
    if correction <= 0.0 {
        return Err(Error::Value { what: "spread of all ranks", value: correction });
    }
    let (mut sum, mut start) = (0.0, 0);
    for group in groups {
        let part: f64 = ranks[start..start + group.len()].iter().sum();
        sum += part * part / group.len() as f64;
        start += group.len();
    }
    let statistic = (12.0 / (n * (n + 1.0)) * sum - 3.0 * (n + 1.0)) / correction;
    let dof = groups.len() as u64 - 1;
    let within = n - groups.len() as f64;
    // η² of the ranks after Tomczak & Tomczak (2014).
    let eta_squared = if within > 0.0 { ((statistic - dof as f64) / within).clamp(0.0, 1.0) } else { 0.0 };
    let p = upper_tail(statistic, dof);
    Ok(GroupTest { statistic, between: dof as f64, within: f64::INFINITY, p, eta_squared })
}

/// Cohen's d of two samples: the difference of the means in pooled standard deviations.
///
/// # Errors
/// Fewer than two values on a side, a value that is not finite, or no variance.
pub fn cohens_d(first: &[f64], second: &[f64]) -> Result<f64> {
    finite("sample value", first)?;
    finite("sample value", second)?;
    let (a, b) = (Moments::of(first), Moments::of(second));
    at_least("Cohen's d", 2, a.count.min(b.count) as usize)?;
    let pooled = ((a.m2 + b.m2) / (a.count + b.count - 2) as f64).sqrt();
    if pooled <= 0.0 {
        return Err(Error::Value { what: "pooled standard deviation", value: pooled });
    }
    Ok((a.mean - b.mean) / pooled)
}

/// Average ranks from one, in the order of the values, and Σ (t³ − t) over runs of `t` equal values.
#[must_use]
pub fn ranked(values: &[f64]) -> (Vec<f64>, f64) {
    let mut order: Vec<u32> = (0..values.len() as u32).collect();
    order.sort_unstable_by(|a, b| values[*a as usize].total_cmp(&values[*b as usize]));
    let mut ranks = vec![0.0; values.len()];
    let (mut start, mut ties) = (0, 0.0);
    while start < order.len() {
        let value = values[order[start] as usize];
        let run = order[start..].iter().take_while(|row| values[**row as usize] == value).count();
        let shared = start as f64 + (run as f64 + 1.0) / 2.0;
        order[start..start + run].iter().for_each(|row| ranks[*row as usize] = shared);
        ties += (run as f64).powi(3) - run as f64;
        start += run;
    }
    (ranks, ties)
}

/// The middle value, or the mean of the two middle ones; NaN for none.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

/// P(F ≥ x) with `d1` and `d2` degrees of freedom.
fn f_upper(x: f64, d1: f64, d2: f64) -> f64 {
    if x.is_infinite() {
        return 0.0;
    }
    if x.is_nan() || x <= 0.0 {
        return 1.0;
    }
    checked_beta_reg(d2 / 2.0, d1 / 2.0, d2 / (d2 + d1 * x)).unwrap_or(1.0)
}
