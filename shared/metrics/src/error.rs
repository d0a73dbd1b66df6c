//! What can be wrong with the inputs of a metric.

use tidemill_types::{Classified, Code, ErrorKind};

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a metric has no value. All of them are defects of the input.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// Too few rows for the metric asked.
    #[error("{what} needs at least {need} rows, got {got}")]
    TooFew {
        /// What was counted.
        what: &'static str,
        /// The least number.
        need: usize,
        /// The number given.
        got: usize,
    },
    /// Two inputs that describe the same rows differ in length.
    #[error("compare inputs of {left} and {right} rows")]
    Length {
        /// Rows of the first input.
        left: usize,
        /// Rows of the second input.
        right: usize,
    },
    /// A NaN or infinite value.
    #[error("{what} of row {row} is not finite")]
    NotFinite {
        /// Which input.
        what: &'static str,
        /// Zero-based row.
        row: usize,
    },
    /// A value outside the range the metric is defined on.
    #[error("{what} is {value}, outside {range}")]
    Range {
        /// Which input.
        what: &'static str,
        /// The value found.
        value: f64,
        /// The range allowed.
        range: &'static str,
    },
    /// All labels are equal where both classes are needed.
    #[error("all {rows} labels are of one class")]
    OneClass {
        /// Rows given.
        rows: usize,
    },
}

impl Classified for Error {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }

    fn code(&self) -> Code {
        Code(match self {
            Self::TooFew { .. } => 1001,
            Self::Length { .. } => 1002,
            Self::NotFinite { .. } => 1003,
            Self::Range { .. } => 1004,
            Self::OneClass { .. } => 1005,
        })
    }
}
