//! Calibration: do probabilities mean what they say?

use crate::{Result, check, interval};
use serde::{Deserialize, Serialize};

/// One bin of a reliability diagram.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Lower edge, exclusive except in the first bin.
    pub low: f64,
    /// Upper edge, inclusive.
    pub high: f64,
    /// Rows in the bin.
    pub count: usize,
    /// Mean probability of those rows; the middle of the bin when there are none.
    pub mean_score: f64,
    /// Share of positives among them; zero when there are none.
    pub positive_share: f64,
    /// Lower end of the 95 % Wilson interval of that share.
    pub share_low: f64,
    /// Upper end of it.
    pub share_high: f64,
}

/// The bin of a probability: equal widths, right-closed, as scikit-learn's `calibration_curve`.
pub(crate) fn bin_of(probability: f64, count: usize) -> usize {
    let width = 1.0 / count as f64;
    let guess = ((probability * count as f64).ceil() as usize).clamp(1, count) - 1;
    // The product can land one bin off at an edge; the edges themselves decide.
    if guess > 0 && probability <= guess as f64 * width {
        return guess - 1;
    }
    if guess + 1 < count && probability > (guess + 1) as f64 * width {
        return guess + 1;
    }
    guess
}

/// Reliability diagram with `count` bins of equal width.
///
/// # Errors
/// Empty input, unequal lengths, a score that is no probability, no bins.
pub fn bins(scores: &[f64], labels: &[bool], count: usize) -> Result<Vec<Bin>> {
    check::probabilities(scores, labels)?;
    check::at_least("bins", 1, count)?;
    let mut sums = vec![(0_usize, 0.0_f64, 0_usize); count];
    for (score, label) in scores.iter().zip(labels) {
        let cell = &mut sums[bin_of(*score, count)];
        *cell = (cell.0 + 1, cell.1 + score, cell.2 + usize::from(*label));
    }
    let width = 1.0 / count as f64;
    Ok(sums
        .into_iter()
        .enumerate()
        .map(|(i, (rows, score_sum, positives))| {
            let (low, high) = (i as f64 * width, (i + 1) as f64 * width);
            if rows == 0 {
                let mean_score = 0.5 * (low + high);
                return Bin { low, high, count: 0, mean_score, positive_share: 0.0, share_low: 0.0, share_high: 1.0 };
            }
            let positive_share = positives as f64 / rows as f64;
            let (share_low, share_high) = interval::wilson_bounds(positive_share, rows as f64);
            Bin { low, high, count: rows, mean_score: score_sum / rows as f64, positive_share, share_low, share_high }
        })
        .collect())
}

/// Expected calibration error: Σ nᵦ/n · |mean score − share of positives| over `count` equal-width bins
/// (Naeini et al. 2015, right-closed bins).
///
/// # Errors
/// As [`bins`].
pub fn ece(scores: &[f64], labels: &[bool], count: usize) -> Result<f64> {
    let n = scores.len() as f64;
    Ok(bins(scores, labels, count)?.iter().map(|b| b.count as f64 / n * (b.mean_score - b.positive_share).abs()).sum())
}
