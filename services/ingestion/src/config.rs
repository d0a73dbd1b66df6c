//! Settings of the ingestion role.

use std::time::Duration;

/// Settings; defaults stand in `infra/config/tidemill.default.toml`.
#[derive(Clone, Debug)]
pub struct Options {
    /// Commit when this many payload bytes are gathered.
    pub commit_bytes: usize,
    /// Commit when the oldest gathered message has waited this long.
    pub commit_age: Duration,
    /// Messages in the dedupe window of a source.
    pub dedupe_window: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { commit_bytes: 64 << 20, commit_age: Duration::from_secs(5), dedupe_window: 100_000 }
    }
}
