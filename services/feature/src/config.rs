//! Settings of the feature role.

use std::time::Duration;

/// Settings; defaults stand in `infra/config/tidemill.default.toml`.
#[derive(Clone, Debug)]
pub struct Options {
    /// Time between two checkpoints of the online state.
    pub checkpoint_every: Duration,
    /// Longest wait for clean tables to be complete before a training set is refused.
    pub settle: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { checkpoint_every: Duration::from_secs(60), settle: Duration::from_secs(120) }
    }
}
