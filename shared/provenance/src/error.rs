//! Why a question about lineage cannot be answered.

use tidemill_types::{Classified, Code, ErrorKind};

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A question that cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A table.
    #[error(transparent)]
    Table(#[from] tidemill_dataset::Error),
    /// The bundle of a model.
    #[error(transparent)]
    Registry(#[from] tidemill_registry::Error),
    /// The bus, or a project file that it does not hold.
    #[error(transparent)]
    Bus(#[from] tidemill_bus::Error),
    /// A project file that cannot be read any more.
    #[error(transparent)]
    Spec(#[from] tidemill_spec::SpecError),
    /// A formula of the project file that does not fit the rows.
    #[error(transparent)]
    Formula(#[from] tidemill_expr::ExprError),
}

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Self {
        tidemill_dataset::Error::Encode(error.to_string()).into()
    }
}

impl Classified for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Table(e) => e.kind(),
            Self::Registry(e) => e.kind(),
            Self::Bus(e) => e.kind(),
            Self::Spec(e) => e.kind(),
            Self::Formula(e) => e.kind(),
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Table(e) => e.code(),
            Self::Registry(e) => e.code(),
            Self::Bus(e) => e.code(),
            Self::Spec(e) => e.code(),
            Self::Formula(e) => e.code(),
        }
    }
}
