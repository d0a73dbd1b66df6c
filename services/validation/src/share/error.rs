//! Why something is not shared.

use tidemill_types::{Classified, Code, ErrorKind};

/// Why a partner gets nothing, or a manifest is not believed.
#[derive(Debug, thiserror::Error)]
pub enum ShareError {
    /// No token, or one that belongs to nobody.
    #[error("no partner is known by the token shown: send \"authorization: Bearer TOKEN\"")]
    Token,
    /// A share that does not exist, or not for this partner: the answer is the same.
    #[error("nothing named \"{0}\" is shared with {1}")]
    Unknown(String, String),
    /// A ticket that this service did not give out.
    #[error("the ticket cannot be read: ask for the flight's information and use the ticket in it")]
    Ticket,
    /// A file of tokens that cannot be read.
    #[error("{path}: {reason}")]
    Tokens {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// A manifest that is none, or not signed by a trusted key.
    #[error("the manifest is not to be believed: {0}")]
    Manifest(String),
    /// Rows that are not those of the manifest.
    #[error("the rows are not those of the manifest: {0}")]
    Rows(String),
    /// A table.
    #[error(transparent)]
    Table(#[from] tidemill_dataset::Error),
    /// The object store.
    #[error(transparent)]
    Storage(#[from] tidemill_storage::Error),
    /// The bus.
    #[error(transparent)]
    Bus(#[from] tidemill_bus::Error),
    /// A condition on rows.
    #[error(transparent)]
    Expression(#[from] tidemill_expr::ExprError),
    /// Arrow refused a batch.
    #[error("rows could not be shared: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
}

impl Classified for ShareError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Token => ErrorKind::Denied,
            Self::Unknown(..) => ErrorKind::NotFound,
            Self::Ticket | Self::Tokens { .. } => ErrorKind::Invalid,
            Self::Manifest(_) | Self::Rows(_) => ErrorKind::Refused,
            Self::Table(e) => e.kind(),
            Self::Storage(e) => e.kind(),
            Self::Bus(e) => e.kind(),
            Self::Expression(e) => e.kind(),
            Self::Arrow(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Token => Code(760),
            Self::Unknown(..) => Code(761),
            Self::Ticket => Code(762),
            Self::Tokens { .. } => Code(763),
            Self::Manifest(_) => Code(764),
            Self::Rows(_) => Code(765),
            Self::Arrow(_) => Code(766),
            Self::Table(e) => e.code(),
            Self::Storage(e) => e.code(),
            Self::Bus(e) => e.code(),
            Self::Expression(e) => e.code(),
        }
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Table(e) => e.is_transient(),
            Self::Storage(e) => e.is_transient(),
            Self::Bus(e) => e.is_transient(),
            _ => false,
        }
    }
}
