//! What can stop ingestion.

use tidemill_intake::IntakeError;
use tidemill_types::{Classified, Code, ErrorKind};

/// Why the role stopped.
#[derive(Debug, thiserror::Error)]
pub enum IngestionError {
    /// Stream into table.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// The bus.
    #[error(transparent)]
    Bus(#[from] tidemill_bus::Error),
    /// The table.
    #[error(transparent)]
    Table(#[from] tidemill_dataset::Error),
    /// The declared schema.
    #[error(transparent)]
    Conform(#[from] tidemill_conform::Error),
    /// A source that the spec does not declare.
    #[error("the project declares no source {0}")]
    NoSource(String),
    /// A consumer ended by panic.
    #[error("consumer ended: {0}")]
    Task(String),
}

impl IngestionError {
    /// Whether stream and table of one source disagree, or one of them is not what it should be, which is no reason to
    /// stop any other source.
    pub(crate) fn halts_one_source(&self) -> bool {
        use tidemill_dataset::Error as TableError;
        let of_one = match self {
            Self::Table(error) | Self::Intake(IntakeError::Table(error)) => !matches!(error, TableError::Storage(_)),
            Self::Intake(IntakeError::LettersFull { .. }) => true,
            Self::Bus(_) | Self::Intake(_) => {
                matches!(self.kind(), ErrorKind::Corrupt | ErrorKind::NotFound | ErrorKind::Invalid)
            }
            Self::Conform(_) | Self::NoSource(_) | Self::Task(_) => false,
        };
        of_one && !self.is_transient()
    }
}

impl Classified for IngestionError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Intake(e) => e.kind(),
            Self::Bus(e) => e.kind(),
            Self::Table(e) => e.kind(),
            Self::Conform(e) => e.kind(),
            Self::NoSource(_) => ErrorKind::NotFound,
            Self::Task(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Intake(e) => e.code(),
            Self::Bus(e) => e.code(),
            Self::Table(e) => e.code(),
            Self::Conform(e) => e.code(),
            Self::NoSource(_) => Code(450),
            Self::Task(_) => Code(451),
        }
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Intake(e) => e.is_transient(),
            Self::Bus(e) => e.is_transient(),
            // A table that is gone is one that the store lost as a whole: it is made anew.
            Self::Table(e) => e.is_transient() || matches!(e, tidemill_dataset::Error::Absent { .. }),
            _ => false,
        }
    }
}
