//! What can stop ingestion.

use tidemill_types::{Classified, Code, ErrorKind};

/// Why the role stopped.
#[derive(Debug, thiserror::Error)]
pub enum IngestionError {
    /// Stream into table.
    #[error(transparent)]
    Intake(#[from] tidemill_intake::IntakeError),
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
    /// Whether one source's stream and table disagree, which is no reason to stop any other source.
    pub(crate) fn halts_one_source(&self) -> bool {
        let of_books = matches!(self, Self::Intake(_) | Self::Bus(_));
        of_books && self.kind() == ErrorKind::Corrupt
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
