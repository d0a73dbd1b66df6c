//! Why a table could not be explored.

use tidemill_types::{Classified, Code, ErrorKind};

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed exploration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A column that cannot be summarised, or a test on values that it does not take.
    #[error(transparent)]
    Stats(#[from] tidemill_stats::Error),
    /// A column that was named and is not there.
    #[error("there is no column \"{name}\"; the nearest is \"{near}\"")]
    Column {
        /// The name.
        name: String,
        /// The column whose name is most alike.
        near: String,
    },
    /// Values that could not be looked at for personal data.
    #[error(transparent)]
    Privacy(#[from] tidemill_privacy::PrivacyError),
    /// Rows that do not fit together.
    #[error("put sampled rows together: {0}")]
    Rows(#[from] arrow::error::ArrowError),
}

impl Classified for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Stats(e) => e.kind(),
            Self::Privacy(e) => e.kind(),
            Self::Column { .. } => ErrorKind::Invalid,
            Self::Rows(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Stats(e) => e.code(),
            Self::Privacy(e) => e.code(),
            Self::Column { .. } => Code(1361),
            Self::Rows(_) => Code(1362),
        }
    }
}
