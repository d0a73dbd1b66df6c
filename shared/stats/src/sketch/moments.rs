//! Count, mean, spread, skewness, kurtosis and extremes, merged without loss.

use serde::{Deserialize, Serialize};

/// Central moments up to the fourth.
///
/// Merging follows Chan, Golub & LeVeque (1979) for the variance and Pébay (2008) for the higher moments.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// Values seen.
    pub count: u64,
    /// Their mean; zero when there are none.
    pub mean: f64,
    /// Σ (x − mean)².
    pub m2: f64,
    /// Σ (x − mean)³.
    pub m3: f64,
    /// Σ (x − mean)⁴.
    pub m4: f64,
    /// The smallest value.
    pub min: Option<f64>,
    /// The largest value.
    pub max: Option<f64>,
}

impl Moments {
    /// Moments of a slice of finite values, in two passes.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        if values.is_empty() {
            return Self::default();
        }
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let (mut m2, mut m3, mut m4) = (0.0, 0.0, 0.0);
        let (mut min, mut max) = (values[0], values[0]);
        for value in values {
            let d = value - mean;
            let d2 = d * d;
            m2 += d2;
            m3 += d2 * d;
            m4 += d2 * d2;
            min = min.min(*value);
            max = max.max(*value);
        }
        Self { count: values.len() as u64, mean, m2, m3, m4, min: Some(min), max: Some(max) }
    }

    /// Adds one finite value.
    pub fn update(&mut self, value: f64) {
        self.merge(&Self { count: 1, mean: value, min: Some(value), max: Some(value), ..Self::default() });
    }

    /// Adds all values behind `other`.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            self.clone_from(other);
            return;
        }
        let (na, nb) = (self.count as f64, other.count as f64);
        let n = na + nb;
        let d = other.mean - self.mean;
        let m4 = self.m4
            + other.m4
            + d.powi(4) * na * nb * (na * na - na * nb + nb * nb) / n.powi(3)
            + 6.0 * d * d * (na * na * other.m2 + nb * nb * self.m2) / (n * n)
            + 4.0 * d * (na * other.m3 - nb * self.m3) / n;
        let m3 = self.m3
            + other.m3
            + d.powi(3) * na * nb * (na - nb) / (n * n)
            + 3.0 * d * (na * other.m2 - nb * self.m2) / n;
        *self = Self {
            count: self.count + other.count,
            mean: self.mean + d * nb / n,
            m2: self.m2 + other.m2 + d * d * na * nb / n,
            m3,
            m4,
            min: pick(self.min, other.min, f64::min),
            max: pick(self.max, other.max, f64::max),
        };
    }

    /// Sample variance, divisor n − 1; none below two values.
    #[must_use]
    pub fn variance(&self) -> Option<f64> {
        (self.count > 1).then(|| self.m2 / (self.count - 1) as f64)
    }

    /// Square root of [`Self::variance`].
    #[must_use]
    pub fn std_dev(&self) -> Option<f64> {
        self.variance().map(f64::sqrt)
    }

    /// Skewness √n·M₃/M₂^1.5 (the population form, scipy's default); none when all values are equal.
    #[must_use]
    pub fn skewness(&self) -> Option<f64> {
        (self.m2 > 0.0).then(|| (self.count as f64).sqrt() * self.m3 / self.m2.powf(1.5))
    }

    /// Excess kurtosis n·M₄/M₂² − 3 (the population form, scipy's default); none when all values are equal.
    #[must_use]
    pub fn kurtosis(&self) -> Option<f64> {
        (self.m2 > 0.0).then(|| self.count as f64 * self.m4 / (self.m2 * self.m2) - 3.0)
    }
}

fn pick(a: Option<f64>, b: Option<f64>, f: fn(f64, f64) -> f64) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(f(a, b)),
        (one, None) | (None, one) => one,
    }
}
