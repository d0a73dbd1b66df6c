//! Limits of the service. Every value has a default that suits one process on two cores.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Limits of the serving service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Requests worked on at once; more are refused with `RESOURCE_EXHAUSTED`.
    pub concurrent_requests: usize,
    /// Rows in one request.
    pub rows_per_request: usize,
    /// Bytes in one request.
    pub request_bytes: usize,
    /// Batches above this many rows are predicted off the network threads.
    pub inline_rows: usize,
    /// Log rows gathered before a batch is sent.
    pub log_rows: usize,
    /// Longest wait before a batch is sent, milliseconds.
    pub log_wait_ms: u64,
    /// Largest body of one log message; JetStream's default limit is 1 MiB with headers.
    pub log_body_bytes: usize,
    /// Encoded log messages that wait for the bus in memory; more go to the spool.
    pub log_messages_in_memory: usize,
    /// Log rows not yet encoded; above this requests are refused, because an answer must be logged.
    pub log_rows_in_memory: u64,
    /// Longest wait for one acknowledgement of the bus, milliseconds.
    pub log_ack_ms: u64,
    /// Pause between attempts to empty the spool, milliseconds.
    pub spool_retry_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            concurrent_requests: 256,
            rows_per_request: 10_000,
            request_bytes: 16 << 20,
            inline_rows: 256,
            log_rows: 2_000,
            log_wait_ms: 200,
            log_body_bytes: 900_000,
            log_messages_in_memory: 64,
            log_rows_in_memory: 200_000,
            log_ack_ms: 5_000,
            spool_retry_ms: 1_000,
        }
    }
}

impl Config {
    /// [`Config::log_wait_ms`] as a duration.
    #[must_use]
    pub fn log_wait(&self) -> Duration {
        Duration::from_millis(self.log_wait_ms)
    }

    /// [`Config::log_ack_ms`] as a duration.
    #[must_use]
    pub fn log_ack(&self) -> Duration {
        Duration::from_millis(self.log_ack_ms)
    }

    /// [`Config::spool_retry_ms`] as a duration.
    #[must_use]
    pub fn spool_retry(&self) -> Duration {
        Duration::from_millis(self.spool_retry_ms)
    }
}
