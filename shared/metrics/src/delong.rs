//! DeLong's variance of the AUC, for one model and for two models on the same rows.
//!
//! DeLong, DeLong & Clarke-Pearson (1988), in the O(n log n) midrank form of Sun & Xu (2014).

use crate::{Estimate, Result, check, interval, rank};
use serde::{Deserialize, Serialize};

/// Placements of each row: for a positive the share of negatives below it, for a negative of positives above it.
struct Placements {
    auc: f64,
    positives: Vec<f64>,
    negatives: Vec<f64>,
}

fn placements(scores: &[f64], labels: &[bool]) -> Result<Placements> {
    check::scored(scores, labels)?;
    let m = check::both_classes(labels)?;
    let n = labels.len() - m;
    check::at_least("DeLong variance (positives)", 2, m)?;
    check::at_least("DeLong variance (negatives)", 2, n)?;
    let of_class = |class: bool| -> Vec<f64> {
        scores.iter().zip(labels).filter(|(_, l)| **l == class).map(|(s, _)| *s).collect()
    };
    let within = [rank::midranks(&of_class(false)), rank::midranks(&of_class(true))];
    let mut next = [0_usize; 2];
    let (mut positives, mut negatives) = (Vec::with_capacity(m), Vec::with_capacity(n));
    for (overall, label) in rank::midranks(scores).into_iter().zip(labels) {
        let class = usize::from(*label);
        let own = within[class][next[class]];
        next[class] += 1;
        if *label {
            positives.push((overall - own) / n as f64);
        } else {
            negatives.push(1.0 - (overall - own) / m as f64);
        }
    }
    let auc = positives.iter().sum::<f64>() / m as f64;
    Ok(Placements { auc, positives, negatives })
}

/// Sample covariance, divisor n − 1.
fn covariance(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (mean_a, mean_b) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    a.iter().zip(b).map(|(x, y)| (x - mean_a) * (y - mean_b)).sum::<f64>() / (n - 1.0)
}

fn joint(a: &Placements, b: &Placements) -> f64 {
    covariance(&a.positives, &b.positives) / a.positives.len() as f64
        + covariance(&a.negatives, &b.negatives) / a.negatives.len() as f64
}

/// AUC with its DeLong variance.
///
/// # Errors
/// Bad input, or fewer than two rows of a class.
pub fn auc_variance(scores: &[f64], labels: &[bool]) -> Result<(f64, f64)> {
    let p = placements(scores, labels)?;
    Ok((p.auc, joint(&p, &p)))
}

/// AUC with a 95 % normal interval from DeLong's variance, cut to [0, 1].
///
/// With perfect separation that variance is zero and says nothing; Wilson's interval over the smaller class,
/// each of its rows one trial, is given instead (method `wilson-smaller-class`).
///
/// # Errors
/// As [`auc_variance`].
pub fn auc_interval(scores: &[f64], labels: &[bool]) -> Result<Estimate> {
    let p = placements(scores, labels)?;
    let variance = joint(&p, &p);
    if variance <= 0.0 {
        let smaller = p.positives.len().min(p.negatives.len());
        let bounds = interval::wilson_bounds(p.auc, smaller as f64);
        return Ok(Estimate::new(p.auc, bounds, "wilson-smaller-class", scores.len()));
    }
    let half = interval::Z * variance.sqrt();
    Ok(Estimate::new(p.auc, (p.auc - half, p.auc + half), "delong", scores.len()).within(0.0, 1.0))
}

/// Result of DeLong's paired test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AucDifference {
    /// AUC of the first scores.
    pub first: f64,
    /// AUC of the second scores.
    pub second: f64,
    /// Second minus first, with its interval.
    pub difference: Estimate,
    /// Standard error of the difference.
    pub se: f64,
    /// Two-sided p-value of "no difference".
    pub p: f64,
}

/// DeLong's test of two score vectors on the same labels; the difference is `second − first`.
///
/// # Errors
/// As [`auc_variance`].
pub fn paired_auc(first: &[f64], second: &[f64], labels: &[bool]) -> Result<AucDifference> {
    let (a, b) = (placements(first, labels)?, placements(second, labels)?);
    let difference = b.auc - a.auc;
    // Rounding can leave a tiny negative variance when both order the rows alike.
    let se = (joint(&a, &a) + joint(&b, &b) - 2.0 * joint(&a, &b)).max(0.0).sqrt();
    let p = if difference == 0.0 { 1.0 } else { interval::normal_p(difference / se) };
    let half = interval::Z * se;
    let estimate = Estimate::new(difference, (difference - half, difference + half), "delong-paired", labels.len())
        .within(-1.0, 1.0);
    Ok(AucDifference { first: a.auc, second: b.auc, difference: estimate, se, p })
}
