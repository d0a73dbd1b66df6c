//! Waiting for a condition rather than for a time.

use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;

/// Asks `condition` again and again until it is true; false when it was not within `timeout`.
pub async fn eventually<F, Fut>(timeout: Duration, mut condition: F) -> bool
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let deadline = Instant::now() + timeout;
    let mut pause = Duration::from_millis(5);
    loop {
        if condition().await {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_waits_no_longer_than_needed_and_gives_up() {
        let mut left = 3;
        let met = eventually(Duration::from_secs(5), || {
            left -= 1;
            std::future::ready(left == 0)
        });
        assert!(met.await);
        assert!(!eventually(Duration::from_millis(30), || std::future::ready(false)).await);
    }
}
