//! What can stop validation.

use tidemill_bus::Error as BusError;
use tidemill_dataset::CommitError;
use tidemill_types::{Classified, Code, ErrorKind};

/// Why the role stopped.
#[derive(Debug, thiserror::Error)]
pub enum ValidationError {
    /// The bus.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// A table.
    #[error(transparent)]
    Table(#[from] tidemill_dataset::Error),
    /// The object store.
    #[error(transparent)]
    Storage(#[from] tidemill_storage::Error),
    /// The rules.
    #[error(transparent)]
    Quality(#[from] tidemill_quality::QualityError),
    /// Sketches of the rows.
    #[error(transparent)]
    Stats(#[from] tidemill_stats::Error),
    /// Personal data.
    #[error(transparent)]
    Privacy(#[from] tidemill_privacy::PrivacyError),
    /// Arrow refused a batch.
    #[error("rows could not be assembled: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// A source that the spec does not declare.
    #[error("the project declares no source {0}")]
    NoSource(String),
    /// Another validation process committed at the same time.
    #[error("another writer committed to {0} first")]
    Conflict(String),
    /// A consumer ended by panic.
    #[error("consumer ended: {0}")]
    Task(String),
}

impl ValidationError {
    /// Whether a table of one source is not what it should be, which is no reason to stop any other source.
    pub(crate) fn halts_one_source(&self) -> bool {
        let of_one = matches!(self, Self::Table(error) if !matches!(error, tidemill_dataset::Error::Storage(_)));
        of_one && !self.is_transient()
    }

    /// Why a commit to a table did not happen: who was not first begins again.
    pub(crate) fn of_commit(error: CommitError, table: &str) -> Self {
        match error {
            CommitError::Other(error) => error.into(),
            _ => Self::Conflict(table.to_owned()),
        }
    }
}

impl Classified for ValidationError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Bus(e) => e.kind(),
            Self::Table(e) => e.kind(),
            Self::Storage(e) => e.kind(),
            Self::Quality(e) => e.kind(),
            Self::Stats(e) => e.kind(),
            Self::Privacy(e) => e.kind(),
            Self::Arrow(_) => ErrorKind::Internal,
            Self::NoSource(_) => ErrorKind::NotFound,
            Self::Conflict(_) => ErrorKind::Conflict,
            Self::Task(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Bus(e) => e.code(),
            Self::Table(e) => e.code(),
            Self::Storage(e) => e.code(),
            Self::Quality(e) => e.code(),
            Self::Stats(e) => e.code(),
            Self::Privacy(e) => e.code(),
            Self::Arrow(_) => Code(753),
            Self::NoSource(_) => Code(750),
            Self::Conflict(_) => Code(751),
            Self::Task(_) => Code(752),
        }
    }

    fn is_transient(&self) -> bool {
        match self {
            // Every pass begins at the clean table's cursor and may be repeated, so an unknown outcome passes here, and
            // so does a stream that its server has not recovered yet.
            Self::Bus(e) => !matches!(
                e,
                BusError::Denied(_)
                    | BusError::ServerTooOld { .. }
                    | BusError::Unsafe { .. }
                    | BusError::TooLarge { .. }
                    | BusError::Malformed(_)
            ),
            // A table that is gone is one that the store lost as a whole: it is made anew.
            Self::Table(e) => e.is_transient() || matches!(e, tidemill_dataset::Error::Absent { .. }),
            Self::Storage(e) => e.is_transient(),
            // The loser of a race begins again at the table's cursor.
            Self::Conflict(_) => true,
            _ => false,
        }
    }
}
