//! Ranking metrics under row counts, on rows sorted once: each resample costs one pass.

use crate::{calibration, rank};

/// Bins of the calibration error in reports.
pub(crate) const ECE_BINS: usize = 10;

/// Rows from the highest to the lowest score.
pub(crate) struct Sorted {
    order: Vec<u32>,
    /// True at the last row of a group of equal scores.
    ends_tie: Vec<bool>,
    labels: Vec<bool>,
    scores: Vec<f64>,
    bins: Vec<u8>,
}

/// The metrics of one resample; NaN where a resample has no positives.
pub(crate) struct Replicate {
    pub(crate) pr_auc: f64,
    pub(crate) precision: f64,
    pub(crate) recall: f64,
    pub(crate) ece: f64,
}

impl Sorted {
    /// Scores must be probabilities and as many as labels.
    pub(crate) fn new(scores: &[f64], labels: &[bool]) -> Self {
        let order = rank::descending(scores);
        let sorted: Vec<f64> = order.iter().map(|row| scores[*row]).collect();
        let ends_tie = (0..sorted.len()).map(|i| i + 1 == sorted.len() || sorted[i + 1] != sorted[i]).collect();
        Self {
            ends_tie,
            labels: order.iter().map(|row| labels[*row]).collect(),
            bins: sorted.iter().map(|s| calibration::bin_of(*s, ECE_BINS) as u8).collect(),
            order: order.into_iter().map(|row| row as u32).collect(),
            scores: sorted,
        }
    }

    /// Metrics when row `i` occurs `counts[i]` times and the first `alerts` rows are flagged.
    pub(crate) fn replicate(&self, counts: &[u32], alerts: usize) -> Replicate {
        let (mut seen, mut caught, mut caught_before) = (0_u64, 0_u64, 0_u64);
        let (mut flagged_caught, mut left) = (0_u64, alerts as u64);
        let mut area = 0.0;
        let mut gaps = [0.0_f64; ECE_BINS];
        for (i, row) in self.order.iter().enumerate() {
            let count = u64::from(counts[*row as usize]);
            let hits = if self.labels[i] { count } else { 0 };
            gaps[usize::from(self.bins[i])] += count as f64 * self.scores[i] - hits as f64;
            if left > 0 {
                let taken = count.min(left);
                left -= taken;
                flagged_caught += hits.min(taken);
            }
            seen += count;
            caught += hits;
            if self.ends_tie[i] && caught > caught_before {
                area += (caught - caught_before) as f64 * (caught as f64 / seen as f64);
                caught_before = caught;
            }
        }
        let positives = if caught == 0 { f64::NAN } else { caught as f64 };
        Replicate {
            pr_auc: area / positives,
            precision: flagged_caught as f64 / alerts as f64,
            recall: flagged_caught as f64 / positives,
            ece: gaps.iter().map(|g| g.abs()).sum::<f64>() / seen as f64,
        }
    }
}
