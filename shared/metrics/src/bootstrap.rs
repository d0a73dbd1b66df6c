//! The seeded bootstrap with percentile intervals (Efron 1979).

use crate::{Error, Estimate, Result, check, interval::LEVEL};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// Quantile of sorted values with linear interpolation (numpy's default).
pub(crate) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = q * last as f64;
    let low = at.floor() as usize;
    let high = (low + 1).min(last);
    sorted[low] + (at - low as f64) * (sorted[high] - sorted[low])
}

/// The percentile interval of `replicates`, widened where needed to contain `value`.
///
/// Widening matters for statistics with bias, as the calibration error, whose replicates may all lie above it.
pub(crate) fn percentile(value: f64, mut replicates: Vec<f64>, n: usize) -> Result<Estimate> {
    replicates.retain(|r| r.is_finite());
    check::at_least("bootstrap interval (usable resamples)", 2, replicates.len())?;
    replicates.sort_by(f64::total_cmp);
    let tail = (1.0 - LEVEL) / 2.0;
    let bounds = (quantile(&replicates, tail).min(value), quantile(&replicates, 1.0 - tail).max(value));
    Ok(Estimate::new(value, bounds, "bootstrap-percentile", n))
}

/// Two-sided p-value of "the statistic is zero" from its replicates, with one added to numerator and denominator.
pub(crate) fn two_sided_p(replicates: &[f64]) -> f64 {
    let usable = replicates.iter().filter(|r| r.is_finite()).count() as f64;
    let below = replicates.iter().filter(|r| **r <= 0.0).count() as f64;
    let above = replicates.iter().filter(|r| **r >= 0.0).count() as f64;
    (2.0 * (below.min(above) + 1.0) / (usable + 1.0)).min(1.0)
}

/// Resampling of `n` rows as counts per row: the multinomial form, which lets sorted inputs stay sorted.
pub(crate) struct Resampler {
    rng: Pcg64,
    counts: Vec<u32>,
}

impl Resampler {
    pub(crate) fn new(n: usize, seed: u64) -> Self {
        Self { rng: Pcg64::seed_from_u64(seed), counts: vec![0; n] }
    }

    /// How often each row is drawn in the next resample; the counts sum to n.
    pub(crate) fn draw(&mut self) -> &[u32] {
        self.counts.fill(0);
        let n = self.counts.len();
        for _ in 0..n {
            self.counts[self.rng.random_range(0..n)] += 1;
        }
        &self.counts
    }
}

/// Bootstrap interval of any statistic of row numbers.
///
/// `statistic` gets the drawn row numbers (with repetition, ascending) and may answer NaN where it is undefined, as
/// an AUC of one class; such resamples are left out. Deterministic in `seed`.
///
/// # Errors
/// No rows, a statistic undefined on the sample itself, or defined on fewer than two resamples.
pub fn bootstrap(n: usize, resamples: usize, seed: u64, statistic: impl Fn(&[usize]) -> f64) -> Result<Estimate> {
    check::at_least("bootstrap", 1, n)?;
    let mut rows: Vec<usize> = (0..n).collect();
    let value = statistic(&rows);
    if !value.is_finite() {
        return Err(Error::NotFinite { what: "statistic", row: 0 });
    }
    let mut resampler = Resampler::new(n, seed);
    let replicates = (0..resamples)
        .map(|_| {
            rows.clear();
            for (row, count) in resampler.draw().iter().enumerate() {
                rows.extend(std::iter::repeat_n(row, *count as usize));
            }
            statistic(&rows)
        })
        .collect();
    percentile(value, replicates, n)
}

/// Sum of row values with a bootstrap interval, for skewed values where [`crate::sum`] is too optimistic.
///
/// # Errors
/// No rows, or a value that is not finite.
pub fn bootstrap_sum(values: &[f64], resamples: usize, seed: u64) -> Result<Estimate> {
    check::at_least("bootstrap", 1, values.len())?;
    check::finite("value", values)?;
    let mut resampler = Resampler::new(values.len(), seed);
    let replicates = (0..resamples)
        .map(|_| resampler.draw().iter().zip(values).map(|(count, v)| f64::from(*count) * v).sum())
        .collect();
    percentile(values.iter().sum(), replicates, values.len())
}
