//! Data-quality rules, verdicts, scores and freshness.
//!
//! [`Rules::compile`] types the rules of a source once. [`Rules::check`] then splits batches into accepted and
//! quarantined rows, with a count per rule and a few rows as evidence. Row rules are stateless, so the stream and
//! the table come to the same verdict; `unique` remembers keys in a bounded [`UniqueState`] that its owner keeps.
//! Pure: no clock, no files.

mod check;
mod error;
mod freshness;
mod report;
mod rule;
mod score;
mod unique;

pub use check::{RuleResult, Verdict, merge_results};
pub use error::QualityError;
pub use freshness::{Freshness, FreshnessState};
pub use report::QualityReport;
pub use rule::{Dimension, Rules};
pub use score::{QualityScore, score};
pub use unique::UniqueState;
