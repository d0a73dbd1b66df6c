//! Waiting longer after each failure, at random, so that many waiters do not come back at the same instant.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;
use tidemill_types::{Classified, Pauses};
use tokio_util::sync::CancellationToken;

/// Counts failures, and waits after each as [`Pauses`] say.
#[derive(Clone, Debug)]
pub struct Backoff {
    pauses: Pauses,
    failures: u64,
}

impl Default for Backoff {
    /// From 100 ms to 10 s.
    fn default() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(10))
    }
}

impl Backoff {
    /// Starts at `base` and never waits longer than `cap`.
    #[must_use]
    pub fn new(base: Duration, cap: Duration) -> Self {
        Self { pauses: Pauses::new(base, cap), failures: 0 }
    }

    /// After a success: the next wait is short again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// The wait after one more failure.
    #[must_use]
    pub fn next_delay(&mut self) -> Duration {
        self.delay_at(unit_interval())
    }

    /// The wait after one more failure, at a given point of the interval (0 to 1).
    fn delay_at(&mut self, point: f64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.pauses.at(self.failures, point)
    }

    /// Waits; false when `token` was cancelled meanwhile.
    pub async fn wait(&mut self, token: &CancellationToken) -> bool {
        let delay = self.next_delay();
        token.run_until_cancelled(tokio::time::sleep(delay)).await.is_some()
    }
}

/// A number in [0, 1). The keys of the standard hasher are seeded by the system: good enough to part waiters.
fn unit_interval() -> f64 {
    let bits = u32::try_from(RandomState::new().hash_one(0_u8) >> 32).unwrap_or(u32::MAX);
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}

/// Repeats `attempt` while it fails for a passing reason, saying so in the log; `None` when `token` was cancelled.
///
/// # Errors
/// The first error that does not pass by itself.
pub async fn retry<T, E, F>(
    what: &str,
    token: &CancellationToken,
    mut backoff: Backoff,
    mut attempt: impl FnMut() -> F,
) -> Result<Option<T>, E>
where
    E: Classified,
    F: Future<Output = Result<T, E>>,
{
    loop {
        let Some(result) = token.run_until_cancelled(attempt()).await else { return Ok(None) };
        match result {
            Ok(value) => return Ok(Some(value)),
            Err(error) if !error.is_transient() => return Err(error),
            Err(error) => tracing::warn!(code = %error.code(), %error, "{what} is not available yet, trying again"),
        }
        if !backoff.wait(token).await {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_start_again_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let millis: Vec<u128> = (0..6).map(|_| backoff.delay_at(1.0).as_millis()).collect();
        assert_eq!(millis, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff.delay_at(0.0), Duration::ZERO);
        backoff.reset();
        assert_eq!(backoff.delay_at(0.5), Duration::from_millis(50));
    }

    #[test]
    fn jitter_fills_the_interval() {
        let points: Vec<f64> = (0..400).map(|_| unit_interval()).collect();
        assert!(points.iter().all(|p| (0.0..1.0).contains(p)));
        let mean = points.iter().sum::<f64>() / 400.0;
        // Standard error of the mean of 400 uniform numbers is 0.0144; seven of them leave no chance.
        assert!((mean - 0.5).abs() < 0.1, "{mean}");
    }
}
