//! Settings of the monitoring role.

use std::time::Duration;

/// Settings; defaults stand in `infra/config/tidemill.default.toml`.
#[derive(Clone, Debug)]
pub struct Options {
    /// Commit logged predictions when this many payload bytes are gathered.
    pub commit_bytes: usize,
    /// Commit logged predictions when the oldest gathered message has waited this long.
    pub commit_age: Duration,
    /// Messages in the dedupe window of the prediction log.
    pub dedupe_window: usize,
    /// Address of a server that speaks OpenLineage and is told of all runs; none is told without.
    pub lineage_url: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { commit_bytes: 64 << 20, commit_age: Duration::from_secs(5), dedupe_window: 100_000, lineage_url: None }
    }
}
