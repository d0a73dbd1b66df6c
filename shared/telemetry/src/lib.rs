//! Traces, logs and metrics of a process.
//!
//! [`init`] installs one subscriber: logs on standard error (JSON with trace ids when that is not a terminal) and
//! spans sent by OTLP when an endpoint is given. Trace ids exist and travel also without an endpoint. Standard
//! output is never written. [`Metrics`] holds the metrics; [`names`] lists all that may exist.
//!
//! Span names are templates (`consume tidemill.<project>.events`), never ids, so that a backend can group them.

mod error;
mod json;
pub mod metrics;
pub mod names;
mod process;
mod setup;
pub mod trace;

pub use error::Error;
pub use metrics::{Counters, Gauges, Histograms, Labels, Metrics};
pub use setup::{JsonLogs, Telemetry, TelemetryOptions, init};
pub use trace::{MAX_LINKS, add_links, current_trace_id, current_traceparent, set_parent};
