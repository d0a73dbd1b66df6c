//! Count, mean, spread, skewness, kurtosis and extremes, merged without loss.

use serde::{Deserialize, Serialize};

/// Values of one piece.
const CHUNK: usize = 2048;
/// Sums that run side by side.
const LANES: usize = 8;

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
    /// Moments of a slice of finite values, in two passes over pieces that stay near the processor.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        let mut all = Self::default();
        values.chunks(CHUNK).for_each(|chunk| all.merge(&Self::of_chunk(chunk)));
        all
    }

    /// Moments of `count` equal values.
    #[must_use]
    pub fn repeated(value: f64, count: u64) -> Self {
        if count == 0 {
            return Self::default();
        }
        Self { count, mean: value, min: Some(value), max: Some(value), ..Self::default() }
    }

    /// Sums run in lanes, so that the processor adds several at once; the order is fixed, so results are too.
    fn of_chunk(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let (lanes, rest) = values.as_chunks::<LANES>();
        let mut sums = [0.0; LANES];
        let (mut least, mut most) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
        for lane in lanes {
            for i in 0..LANES {
                sums[i] += lane[i];
                least[i] = if lane[i] < least[i] { lane[i] } else { least[i] };
                most[i] = if lane[i] > most[i] { lane[i] } else { most[i] };
            }
        }
        let mean = (sums.iter().sum::<f64>() + rest.iter().sum::<f64>()) / n;
        let mut powers = [[0.0; LANES]; 3];
        for lane in lanes {
            for i in 0..LANES {
                let d = lane[i] - mean;
                let d2 = d * d;
                powers[0][i] += d2;
                powers[1][i] += d2 * d;
                powers[2][i] += d2 * d2;
            }
        }
        let mut totals = powers.map(|power| power.iter().sum::<f64>());
        for value in rest {
            let d = value - mean;
            totals[0] += d * d;
            totals[1] += d * d * d;
            totals[2] += d * d * d * d;
        }
        let min = least.iter().chain(rest).copied().fold(f64::INFINITY, f64::min);
        let max = most.iter().chain(rest).copied().fold(f64::NEG_INFINITY, f64::max);
        let [m2, m3, m4] = totals;
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
