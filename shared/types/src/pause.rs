//! How long to wait after a failure, so that many who failed together do not come back together.

use std::time::Duration;

/// Pauses that double from failure to failure up to a limit, with full jitter: the n-th is uniform between zero and
/// `min(longest, first · 2^(n − 1))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pauses {
    /// Most that is waited after the first failure.
    pub first: Duration,
    /// Most that is ever waited.
    pub longest: Duration,
}

impl Pauses {
    /// Pauses from `first` to `longest`.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// The pause after so many failures in a row (none counts as one), at a point of its interval from 0 to 1 that the
    /// caller draws at random.
    #[must_use]
    pub fn at(&self, failures: u64, point: f64) -> Duration {
        let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        let most = self.first.saturating_mul(2_u32.saturating_pow(doublings)).min(self.longest);
        most.mul_f64(point.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_at_zero() {
        let pauses = Pauses::new(Duration::from_millis(100), Duration::from_secs(1));
        let most: Vec<u128> = (0..7).map(|failures| pauses.at(failures, 1.0).as_millis()).collect();
        assert_eq!(most, [100, 100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(pauses.at(u64::MAX, 1.0), Duration::from_secs(1));
        assert_eq!(pauses.at(3, 0.25), Duration::from_millis(100));
        assert!((0..7).all(|failures| pauses.at(failures, 0.0) == Duration::ZERO));
        assert_eq!(pauses.at(2, 7.0), Duration::from_millis(200), "a point outside is the nearest inside");
    }
}
