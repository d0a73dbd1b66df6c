//! Rules on the rows of a commit together: volumes, statistics, shares, distributions, seasons.
//!
//! They look at the rows that would go on, after rules on rows have set others aside. What earlier commits were like
//! stands in a [`CommitMemory`], which its owner rebuilds from the clean table.

mod compile;
mod distribution;
mod eras;
mod history;
mod seasonal;
mod shape;
mod statistics;

pub(crate) use compile::compile;
pub(crate) use distribution::{binned, of_statistics};
pub use history::CommitMemory;
pub(crate) use statistics::{missing, present, quantile};

use crate::error::QualityError;
use arrow::array::RecordBatch;
use seasonal::Seasonal;

/// What a rule found about a commit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    pub(crate) holds: bool,
    /// What was seen, in words.
    pub(crate) observed: String,
}

/// A test of the rows of a commit together.
pub(crate) trait CommitCheck: std::fmt::Debug + Send + Sync {
    /// Judges the rows; none when there is nothing to judge yet. `place` is that of the rule among all.
    fn judge(&self, rows: &RecordBatch, memory: &CommitMemory, place: usize) -> Result<Option<Finding>, QualityError>;

    /// How many earlier commits it looks at.
    fn trailing(&self) -> usize {
        0
    }

    /// The rule on seasons, which keeps periods.
    fn seasonal(&self) -> Option<&Seasonal> {
        None
    }
}

/// A number with as many digits as tell something.
pub(crate) fn shown(value: f64) -> String {
    if value == value.round() && value.abs() < 1e15 {
        return format!("{value:.0}");
    }
    let size = value.abs();
    if (1e-3..1e6).contains(&size) {
        let digits = (4 - size.log10().floor() as i32).clamp(0, 6) as usize;
        return format!("{value:.digits$}");
    }
    format!("{value:.4e}")
}
