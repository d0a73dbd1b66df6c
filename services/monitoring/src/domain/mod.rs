//! Decisions of monitoring: pure, synchronous, tested without servers.

pub mod alerts;
pub mod calendar;
pub mod drift;
pub mod heard;
pub mod join;
pub mod maturity;
pub mod performance;
pub mod report;
pub mod rhythm;
pub mod silence;
#[cfg(test)]
mod silence_test;
pub(crate) mod told;
pub mod trigger;
pub mod watermark;
