//! Values far from the others, by three rules.

use serde::Serialize;
use tidemill_stats::Moments;

/// Values beyond the limits of each rule, in a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Outliers {
    /// Values looked at.
    pub values: u64,
    /// Outside Tukey's fences: a quarter of the values and 1.5 interquartile ranges beyond.
    pub iqr: u64,
    /// The lower and the upper fence.
    pub fences: (f64, f64),
    /// More than 3 standard deviations from the mean.
    pub z: u64,
    /// Modified z above 3.5: 0.6745 · |x − median| / MAD (Iglewicz & Hoaglin 1993). None when more than half of the
    /// values are equal.
    pub mad: Option<u64>,
}

/// Outliers of finite values; none for fewer than three.
#[must_use]
pub fn outliers(values: &[f64]) -> Option<Outliers> {
    if values.len() < 3 {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let (q1, q3) = (quantile(&sorted, 0.25), quantile(&sorted, 0.75));
    let fences = (q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1));
    let outside = |low: f64, high: f64| {
        (sorted.partition_point(|v| *v < low) + sorted.len() - sorted.partition_point(|v| *v <= high)) as u64
    };
    let moments = Moments::of(&sorted);
    let sd = moments.std_dev().unwrap_or(0.0);
    let z = values.iter().filter(|v| (**v - moments.mean).abs() > 3.0 * sd).count() as u64;
    let median = quantile(&sorted, 0.5);
    let mut distances: Vec<f64> = sorted.iter().map(|v| (v - median).abs()).collect();
    distances.sort_unstable_by(f64::total_cmp);
    let spread = quantile(&distances, 0.5);
    let mad = (spread > 0.0).then(|| distances.iter().filter(|d| 0.6745 * **d / spread > 3.5).count() as u64);
    Some(Outliers { values: values.len() as u64, iqr: outside(fences.0, fences.1), fences, z, mad })
}

/// The quantile of ascending values between two neighbours, as numpy's default.
#[must_use]
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = share * last as f64;
    let (below, part) = (at.floor() as usize, at.fract());
    let (low, high) = (sorted[below], sorted[(below + 1).min(last)]);
    // Written as numpy writes it, so that equal inputs give equal bits.
    if part >= 0.5 { high - (high - low) * (1.0 - part) } else { low + (high - low) * part }
}
