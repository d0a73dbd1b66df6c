//! Settings of the training role.

use std::time::Duration;

/// Settings; defaults stand in `infra/config/tidemill.default.toml`.
#[derive(Clone, Debug)]
pub struct Options {
    /// Base URL of the feature service, `http://host:port`.
    pub feature_url: String,
    /// Trials computed at the same time in this process; learners use threads of their own.
    pub workers: usize,
    /// A cycle gives up waiting for its trials after this long without a new result.
    pub trial_limit: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { feature_url: "http://127.0.0.1:8013".to_owned(), workers: 1, trial_limit: Duration::from_secs(30 * 60) }
    }
}
