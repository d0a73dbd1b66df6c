//! Why an object could not be read, written or listed.

use tidemill_types::{Classified, Code, ErrorKind};

/// A failed access to the object store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL is neither `file:///absolute/folder` nor `s3://bucket[/prefix]`, or its options are incomplete.
    #[error("cannot open the object store \"{url}\": {reason}")]
    Url {
        /// The URL as given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A path that could leave the store or would be stored under another name.
    #[error("the object path \"{0}\" is not made of plain segments")]
    Path(String),
    /// There is no such object.
    #[error("there is no object \"{0}\"")]
    NotFound(String),
    /// The store refuses the credentials or the access.
    #[error("the object store denies access to \"{0}\"")]
    Denied(String),
    /// The store did not answer, or the disk failed.
    #[error("cannot {action} \"{path}\" in the object store: {reason}")]
    Unavailable {
        /// What was attempted: `read`, `write`, `list`, `delete`.
        action: &'static str,
        /// The object or prefix.
        path: String,
        /// What the store said.
        reason: String,
    },
}

impl Error {
    pub(crate) fn of(action: &'static str, path: &str, error: object_store::Error) -> Self {
        use object_store::Error as Store;
        match error {
            Store::NotFound { .. } => Self::NotFound(path.to_owned()),
            Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => Self::Denied(path.to_owned()),
            Store::InvalidPath { .. } => Self::Path(path.to_owned()),
            other => Self::Unavailable { action, path: path.to_owned(), reason: other.to_string() },
        }
    }
}

impl Classified for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Url { .. } | Self::Path(_) => ErrorKind::Invalid,
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Denied(_) => ErrorKind::Denied,
            Self::Unavailable { .. } => ErrorKind::Unavailable,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Url { .. } => Code(501),
            Self::Path(_) => Code(502),
            Self::NotFound(_) => Code(503),
            Self::Denied(_) => Code(504),
            Self::Unavailable { .. } => Code(505),
        }
    }
}
