//! What can be wrong with the inputs of a sketch or test.

use tidemill_types::{Classified, Code, ErrorKind};

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a summary or test has no value.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Too few values for the test asked.
    #[error("{what} needs at least {need} values, got {got}")]
    TooFew {
        /// The test or sample.
        what: &'static str,
        /// The least number.
        need: usize,
        /// The number given.
        got: usize,
    },
    /// A NaN or infinite value where none is allowed, or an argument outside its range.
    #[error("{what} is not allowed: {value}")]
    Value {
        /// The argument.
        what: &'static str,
        /// What it was.
        value: f64,
    },
    /// Two summaries that do not describe the same thing.
    #[error("merge {what}: {left} with {right}")]
    Mismatch {
        /// What differs.
        what: &'static str,
        /// On the left.
        left: String,
        /// On the right.
        right: String,
    },
    /// A column of a type that cannot be read as asked.
    #[error("read column of type {data_type} as {wanted}")]
    Type {
        /// The type wanted.
        wanted: &'static str,
        /// The Arrow type found.
        data_type: String,
    },
    /// A stored profile that cannot be read.
    #[error("read stored profile")]
    Stored(#[from] serde_json::Error),
}

impl Classified for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Stored(_) => ErrorKind::Corrupt,
            _ => ErrorKind::Invalid,
        }
    }

    fn code(&self) -> Code {
        Code(match self {
            Self::TooFew { .. } => 1351,
            Self::Value { .. } => 1352,
            Self::Mismatch { .. } => 1353,
            Self::Type { .. } => 1354,
            Self::Stored(_) => 1355,
        })
    }
}
