//! Benchmarks: each prints its figures and a ratio to something measured in the same run.
//!
//! Ignored by `cargo test`; `cargo bench-all` runs them one after the other.

mod console;
mod features;
mod flights;
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "the tests of the console need more of it"
)]
#[path = "../../services/tidemill/tests/console/http.rs"]
mod http;
mod ingestion;
mod intake_costs;
mod lineage;
mod profile;
mod rules;
mod serving;
mod training;
