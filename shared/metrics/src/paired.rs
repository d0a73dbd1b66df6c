//! Two models on the same rows: differences with intervals and p-values.
//!
//! Pairing removes the noise both models share; comparing two single intervals would not.

use crate::bootstrap::{Resampler, percentile, two_sided_p};
use crate::report::RESAMPLES;
use crate::weighted::Sorted;
use crate::{Estimate, Result, budget, check, delong, interval, probability};
use serde::{Deserialize, Serialize};

/// One metric of two models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The champion's value.
    pub champion: f64,
    /// The challenger's value.
    pub challenger: f64,
    /// Challenger minus champion, with its interval.
    pub difference: Estimate,
    /// Two-sided p-value of "no difference".
    pub p: f64,
}

/// Every metric of a challenger against a champion, differences being challenger − champion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairedReport {
    /// Rows.
    pub n: u64,
    /// Positive rows.
    pub positives: u64,
    /// Area under the ROC curve (DeLong's paired test).
    pub roc_auc: Difference,
    /// Average precision (paired bootstrap).
    pub pr_auc: Difference,
    /// Log loss; lower is better (paired t).
    pub log_loss: Difference,
    /// Brier score; lower is better (paired t).
    pub brier: Difference,
    /// Calibration error; lower is better (paired bootstrap).
    pub ece: Difference,
    /// Precision at the budget (paired bootstrap).
    pub precision_at_budget: Difference,
    /// Recall at the budget (paired bootstrap).
    pub recall_at_budget: Difference,
}

/// Compares probabilities of two models on the same labels. Deterministic in `seed`.
///
/// # Errors
/// As [`crate::binary_report`].
pub fn paired_report(
    champion: &[f64],
    challenger: &[f64],
    labels: &[bool],
    budget: f64,
    seed: u64,
) -> Result<PairedReport> {
    check::probabilities(champion, labels)?;
    check::probabilities(challenger, labels)?;
    check::share("budget", budget)?;
    let positives = check::both_classes(labels)?;
    let auc = delong::paired_auc(champion, challenger, labels)?;
    let [pr_auc, precision_at_budget, recall_at_budget, ece] =
        bootstrapped(champion, challenger, labels, budget, seed)?;
    let rows = |scores: &[f64], f: fn(f64, bool) -> f64| -> Vec<f64> {
        scores.iter().zip(labels).map(|(s, l)| f(*s, *l)).collect()
    };
    let by_rows = |f| paired_mean(&rows(champion, f), &rows(challenger, f));
    Ok(PairedReport {
        n: labels.len() as u64,
        positives: positives as u64,
        roc_auc: Difference { champion: auc.first, challenger: auc.second, difference: auc.difference, p: auc.p },
        pr_auc,
        log_loss: by_rows(probability::row_log_loss)?,
        brier: by_rows(probability::row_brier)?,
        ece,
        precision_at_budget,
        recall_at_budget,
    })
}

/// Paired bootstrap of average precision, precision, recall and calibration error: one draw serves both models.
fn bootstrapped(
    champion: &[f64],
    challenger: &[f64],
    labels: &[bool],
    share: f64,
    seed: u64,
) -> Result<[Difference; 4]> {
    let n = labels.len();
    let alerts = budget::alerts(n, share);
    let models = [Sorted::new(champion, labels), Sorted::new(challenger, labels)];
    let both = |counts: &[u32]| {
        models.each_ref().map(|m| {
            let r = m.replicate(counts, alerts);
            [r.pr_auc, r.precision, r.recall, r.ece]
        })
    };
    let [points_a, points_b] = both(&vec![1; n]);
    let mut resampler = Resampler::new(n, seed);
    let mut series: [Vec<f64>; 4] = Default::default();
    for _ in 0..RESAMPLES {
        let [a, b] = both(resampler.draw());
        for (metric, values) in series.iter_mut().enumerate() {
            values.push(b[metric] - a[metric]);
        }
    }
    let difference = |metric: usize| -> Result<Difference> {
        let (a, b) = (points_a[metric], points_b[metric]);
        let p = two_sided_p(&series[metric]);
        Ok(Difference { champion: a, challenger: b, difference: percentile(b - a, series[metric].clone(), n)?, p })
    };
    Ok([difference(0)?, difference(1)?, difference(2)?, difference(3)?])
}

/// Paired t test of row values; `champion` and `challenger` carry means.
///
/// # Errors
/// Unequal lengths, fewer than two rows, a value that is not finite.
pub fn paired_mean(champion: &[f64], challenger: &[f64]) -> Result<Difference> {
    check::same_length(champion.len(), challenger.len())?;
    check::finite("champion value", champion)?;
    check::finite("challenger value", challenger)?;
    let gaps: Vec<f64> = challenger.iter().zip(champion).map(|(b, a)| b - a).collect();
    let mut difference = interval::mean(&gaps)?;
    "paired-t".clone_into(&mut difference.method);
    let (mean, se) = interval::mean_and_se(&gaps);
    let p = if mean == 0.0 { 1.0 } else { interval::t_p(mean / se, gaps.len() as f64 - 1.0) };
    let average = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    Ok(Difference { champion: average(champion), challenger: average(challenger), difference, p })
}

/// As [`paired_mean`], of sums: a business KPI, row by row, under two models.
///
/// # Errors
/// As [`paired_mean`].
pub fn paired_sum(champion: &[f64], challenger: &[f64]) -> Result<Difference> {
    let of_mean = paired_mean(champion, challenger)?;
    let n = champion.len() as f64;
    let d = of_mean.difference;
    Ok(Difference {
        champion: champion.iter().sum(),
        challenger: challenger.iter().sum(),
        difference: Estimate { value: d.value * n, low: d.low * n, high: d.high * n, ..d },
        p: of_mean.p,
    })
}
