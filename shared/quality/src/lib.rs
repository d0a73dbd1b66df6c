//! Data-quality rules, verdicts, scores and freshness.
//!
//! [`Rules::compile`] types the rules of a source once. A rule judges single rows (a kernel over whole columns that
//! gives a bit mask), rows with memory ([`Memory`], [`CommitMemory`]), or the rows of a commit together.
//! [`Rules::check`] applies what a stream can tell; [`Rules::check_commit`] applies everything. Both split a batch into
//! accepted and quarantined rows, with a count per rule and a few rows as evidence. [`suggest`] proposes rules from
//! history; [`contract`] speaks ODCS. Before rules judge rows, a [`Cleaner`] mends them as the project decided. Pure: no clock, no files.

mod check;
pub mod clean;
mod commit;
pub mod contract;
mod error;
mod freshness;
mod marks;
mod memory;
mod report;
mod row;
mod rule;
mod score;
pub mod suggest;
mod tally;
mod verdict;

pub use clean::{Cleaned, Cleaner, merge_cleaned};
pub use commit::CommitMemory;
pub use error::QualityError;
pub use freshness::{Freshness, FreshnessState};
pub use memory::{Memory, Position, positions};
pub use report::QualityReport;
pub use rule::Rules;
pub use score::{COMMIT_WEIGHT, QualityScore, score};
pub use tally::{Side, Tally};
pub use tidemill_spec::Dimension;
pub use verdict::{RuleResult, Verdict, merge_results};
