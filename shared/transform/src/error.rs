//! What can go wrong when transforms are fitted or applied.

use tidemill_types::{Classified, Code, ErrorKind};

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of fitting or applying a transform.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A column that the transform was fitted on is not in the batch.
    #[error("column \"{column}\" is missing")]
    MissingColumn {
        /// Name of the column.
        column: String,
    },
    /// A column has a type that is no feature type, or another one than at fitting.
    #[error("column \"{column}\" is {found}, expected {expected}")]
    ColumnType {
        /// Name of the column.
        column: String,
        /// Type in the batch.
        found: String,
        /// What is accepted.
        expected: &'static str,
    },
    /// Labels, times or row sets belong to another number of rows.
    #[error("{what}: {found} rows, expected {expected}")]
    RowCount {
        /// What was counted.
        what: &'static str,
        /// Rows given.
        found: usize,
        /// Rows needed.
        expected: usize,
    },
    /// No training row is left.
    #[error("no training rows: {reason}")]
    NoTrainingRows {
        /// Why none is left.
        reason: String,
    },
    /// An option outside its range.
    #[error("{option} = {value} is out of range: {range}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// Value given.
        value: String,
        /// Accepted values.
        range: &'static str,
    },
    /// Arrow refused an operation.
    #[error("arrow: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
}

impl Classified for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Arrow(_) => ErrorKind::Internal,
            _ => ErrorKind::Invalid,
        }
    }

    fn code(&self) -> Code {
        Code(match self {
            Self::MissingColumn { .. } => 901,
            Self::ColumnType { .. } => 902,
            Self::RowCount { .. } => 903,
            Self::NoTrainingRows { .. } => 904,
            Self::Option { .. } => 905,
            Self::Arrow(_) => 906,
        })
    }
}
