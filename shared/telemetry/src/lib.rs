//! Traces, logs and metrics of a process.
//!
//! [`init`] installs one subscriber: logs on standard error (JSON with trace ids when that is not a terminal) and
//! spans sent by OTLP when an endpoint is given. Trace ids exist and travel also without an endpoint. Standard
//! output is never written. [`Metrics`] holds the metrics; [`names`] lists all that may exist. [`Recent`] keeps
//! the latest traces in memory.
//!
//! Span names are templates (`tm.events.{project}.{source} publish`), never ids, so that a backend can group them;
//! `infra/docs/traces.md` lists them.

mod error;
mod export;
mod json;
pub mod metrics;
pub mod names;
mod process;
pub mod recent;
mod role;
mod setup;
pub mod trace;

pub use error::Error;
pub use metrics::{Counters, Gauges, Histograms, Labels, Metrics};
pub use recent::{Recent, RecentPage, RecentQuery, RecentSpan, RecentSummary, RecentTrace};
pub use role::ROLE;
pub use setup::{JsonLogs, Telemetry, TelemetryOptions, init};
pub use trace::{MAX_LINKS, add_links, current_trace_id, current_traceparent, failed, follow, set_parent};
