//! Metrics that depend on the order of the scores only.

use crate::{Result, check};

/// Row numbers from the highest to the lowest score; equal scores keep their row order.
#[must_use]
pub fn descending(scores: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    order
}

/// Midranks (1-based; equal values share the mean of their ranks), in the order of the input.
#[must_use]
pub fn midranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let mut end = start + 1;
        while end < order.len() && values[order[end]] == values[order[start]] {
            end += 1;
        }
        let midrank = 0.5 * (start + 1 + end) as f64;
        for row in &order[start..end] {
            ranks[*row] = midrank;
        }
        start = end;
    }
    ranks
}

/// Area under the ROC curve: the chance that a positive outranks a negative, ties counting one half.
///
/// The Mann–Whitney form with midranks, equal to scikit-learn's `roc_auc_score`; O(n log n).
///
/// # Errors
/// Empty input, unequal lengths, a score that is not finite, one class only.
pub fn roc_auc(scores: &[f64], labels: &[bool]) -> Result<f64> {
    check::scored(scores, labels)?;
    let positives = check::both_classes(labels)? as f64;
    let negatives = labels.len() as f64 - positives;
    let ranks = midranks(scores);
    let rank_sum: f64 = ranks.iter().zip(labels).filter(|(_, l)| **l).map(|(r, _)| r).sum();
    Ok((rank_sum - positives * (positives + 1.0) / 2.0) / (positives * negatives))
}

/// Area under the precision–recall curve as the step sum Σ (Rₖ − Rₖ₋₁) Pₖ over distinct scores.
///
/// Equal to scikit-learn's `average_precision_score` (no interpolation; equal scores form one step).
///
/// # Errors
/// As [`roc_auc`].
pub fn pr_auc(scores: &[f64], labels: &[bool]) -> Result<f64> {
    check::scored(scores, labels)?;
    let positives = check::both_classes(labels)? as f64;
    let order = descending(scores);
    let (mut caught, mut area, mut start) = (0.0, 0.0, 0);
    while start < order.len() {
        let (mut end, before) = (start, caught);
        while end < order.len() && scores[order[end]] == scores[order[start]] {
            caught += f64::from(u8::from(labels[order[end]]));
            end += 1;
        }
        area += (caught - before) / positives * (caught / end as f64);
        start = end;
    }
    Ok(area)
}
