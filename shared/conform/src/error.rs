//! Why a conformer cannot be made. What is wrong with data is a [`crate::Reject`], not an error.

use crate::reject;
use tidemill_types::{Classified, Code, ErrorKind};

/// A declared schema that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The schema contradicts itself or uses a type that rows cannot have.
    #[error("cannot use the declared schema: {0}")]
    Schema(String),
    /// Rows could not be written as an Arrow stream.
    #[error("cannot encode rows as an arrow stream: {0}")]
    Encode(String),
}

impl Classified for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Schema(_) => ErrorKind::Invalid,
            Self::Encode(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Schema(_) => reject::BAD_SCHEMA,
            Self::Encode(_) => reject::DEFECT,
        }
    }
}
