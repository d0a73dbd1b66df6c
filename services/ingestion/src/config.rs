//! Settings of the ingestion role.

use std::path::PathBuf;
use std::time::Duration;
use tidemill_types::Digest;

/// Settings; defaults stand in `infra/config/tidemill.default.toml`.
#[derive(Clone, Debug)]
pub struct Options {
    /// Commit when this many payload bytes are gathered.
    pub commit_bytes: usize,
    /// Commit when the oldest gathered message has waited this long.
    pub commit_age: Duration,
    /// Messages in the dedupe window of a source.
    pub dedupe_window: usize,
    /// Share of refused rows among the newest ones of a source from which on an alert is raised; zero: never.
    pub dead_share: f64,
    /// Rows that are the newest ones.
    pub dead_window: u64,
    /// Folder for copies of files while they are read; `None` takes the system's.
    pub scratch: Option<PathBuf>,
    /// Digest of the token that senders over HTTP must show; `None` lets in everybody who is no page in a browser.
    pub push_token: Option<Digest>,
    /// Names, besides addresses and `localhost`, under which senders without a token reach the HTTP interface.
    pub push_names: Vec<String>,
    /// Requests over HTTP that are taken at once.
    pub push_requests: usize,
    /// Longest time in which the body of a request must arrive.
    pub push_body_time: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            commit_bytes: 64 << 20,
            commit_age: Duration::from_secs(4),
            dedupe_window: 100_000,
            dead_share: 0.05,
            dead_window: 1_000,
            scratch: None,
            push_token: None,
            push_names: Vec::new(),
            push_requests: 32,
            push_body_time: Duration::from_secs(30),
        }
    }
}
