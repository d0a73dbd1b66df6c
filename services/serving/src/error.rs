//! What can go wrong between a prediction request and its answer.

use tidemill_types::{Classified, Code, ErrorKind};

/// Errors of the serving service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No deployment of that name.
    #[error("model \"{name}\" is not served here; served: {known}")]
    UnknownModel {
        /// What was asked for.
        name: String,
        /// What there is, comma separated.
        known: String,
    },
    /// The deployment keeps no such version warm.
    #[error("model \"{name}\" has no version \"{version}\" in service; in service: {known}")]
    UnknownVersion {
        /// Deployment.
        name: String,
        /// What was asked for.
        version: String,
        /// Versions in service, comma separated.
        known: String,
    },
    /// The request breaks the protocol or the model's signature.
    #[error("{0}")]
    BadRequest(String),
    /// One tensor is wrong.
    #[error("tensor \"{name}\": {reason}")]
    BadTensor {
        /// Name of the tensor.
        name: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// Nothing was promoted yet.
    #[error("deployment \"{0}\" has no champion yet")]
    NoChampion(String),
    /// More requests at once than admitted.
    #[error("more than {0} requests at once: retry later")]
    Overloaded(usize),
    /// The prediction log cannot take more entries now.
    #[error("the prediction log holds {0} unwritten rows: retry later")]
    LogFull(u64),
    /// The deadline passed.
    #[error("the answer was not ready within {0} ms")]
    Deadline(u64),
    /// The process is shutting down.
    #[error("the server is draining")]
    Draining,
    /// The feature service refused or failed.
    #[error("features could not be read: {text}")]
    Features {
        /// What the feature service said.
        text: String,
        /// How it classed it.
        kind: ErrorKind,
    },
    /// A bundle cannot be taken into service.
    #[error("bundle {digest}: {reason}")]
    Bundle {
        /// Digest or alias asked for.
        digest: String,
        /// What is wrong with it.
        reason: String,
        /// Damaged, refused or unreachable.
        kind: ErrorKind,
    },
    /// The model failed on rows it should accept.
    #[error("model {model} failed on {rows} rows: {reason}")]
    Predict {
        /// Short digest.
        model: String,
        /// Rows in the batch.
        rows: usize,
        /// The learner's text.
        reason: String,
    },
    /// The spool folder cannot be written or read.
    #[error("spool file {path}: {source}")]
    Spool {
        /// File or folder.
        path: String,
        /// Cause.
        source: std::io::Error,
    },
    /// The bus did not take a message.
    #[error("prediction log: {0}")]
    Bus(String),
    /// Arrow could not put a batch together.
    #[error("{what}: {source}")]
    Arrow {
        /// What was attempted.
        what: &'static str,
        /// Cause.
        source: arrow::error::ArrowError,
    },
    /// A listener or server failed.
    #[error("{what}: {reason}")]
    Server {
        /// Which one.
        what: &'static str,
        /// Cause.
        reason: String,
    },
}

impl Error {
    /// A [`Error::BadTensor`].
    pub(crate) fn tensor(name: &str, reason: impl Into<String>) -> Self {
        Self::BadTensor { name: name.to_owned(), reason: reason.into() }
    }

    /// Wraps an Arrow error with what was attempted.
    pub(crate) fn arrow(what: &'static str) -> impl FnOnce(arrow::error::ArrowError) -> Self {
        move |source| Self::Arrow { what, source }
    }
}

impl Classified for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownModel { .. } | Self::UnknownVersion { .. } => ErrorKind::NotFound,
            Self::BadRequest(_) | Self::BadTensor { .. } => ErrorKind::Invalid,
            Self::NoChampion(_) | Self::Draining | Self::Bus(_) => ErrorKind::Unavailable,
            Self::Overloaded(_) | Self::LogFull(_) => ErrorKind::Overloaded,
            Self::Deadline(_) => ErrorKind::TimedOut,
            Self::Features { kind, .. } | Self::Bundle { kind, .. } => *kind,
            Self::Predict { .. } | Self::Spool { .. } | Self::Arrow { .. } | Self::Server { .. } => ErrorKind::Internal,
        }
    }

    fn code(&self) -> Code {
        Code(match self {
            Self::UnknownModel { .. } => 1200,
            Self::UnknownVersion { .. } => 1201,
            Self::BadRequest(_) => 1202,
            Self::BadTensor { .. } => 1203,
            Self::NoChampion(_) => 1204,
            Self::Overloaded(_) => 1205,
            Self::LogFull(_) => 1206,
            Self::Deadline(_) => 1207,
            Self::Draining => 1208,
            Self::Features { .. } => 1209,
            Self::Bundle { .. } => 1210,
            Self::Predict { .. } => 1211,
            Self::Spool { .. } => 1212,
            Self::Bus(_) => 1213,
            Self::Arrow { .. } => 1214,
            Self::Server { .. } => 1215,
        })
    }
}
