//! What can go wrong in the feature role.

use tidemill_types::{Classified, Code, ErrorKind};

/// Why the role stopped or a request failed.
#[derive(Debug, thiserror::Error)]
pub enum FeatureServiceError {
    /// The feature plan or engine.
    #[error(transparent)]
    Features(#[from] tidemill_features::FeatureError),
    /// The declared schema of a source.
    #[error(transparent)]
    Conform(#[from] tidemill_conform::Error),
    /// The rules of a source.
    #[error(transparent)]
    Quality(#[from] tidemill_quality::QualityError),
    /// The bus.
    #[error(transparent)]
    Bus(#[from] tidemill_bus::Error),
    /// A table.
    #[error(transparent)]
    Table(#[from] tidemill_dataset::Error),
    /// The object store.
    #[error(transparent)]
    Storage(#[from] tidemill_storage::Error),
    /// An expression of the spec.
    #[error(transparent)]
    Expr(#[from] tidemill_expr::ExprError),
    /// Arrow refused a batch.
    #[error("rows could not be assembled: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// The gRPC server.
    #[error("gRPC server failed: {0}")]
    Server(#[from] tonic::transport::Error),
    /// A request that makes no sense.
    #[error("{0}")]
    Request(String),
    /// Clean tables did not become complete in time.
    #[error("clean tables are complete only until {have}, not {want}: {lagging} lags; is validation running?")]
    NotSettled {
        /// What was asked for.
        want: String,
        /// What there is.
        have: String,
        /// The source that lags most.
        lagging: String,
    },
}

impl Classified for FeatureServiceError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Features(e) => e.kind(),
            Self::Conform(e) => e.kind(),
            Self::Quality(e) => e.kind(),
            Self::Bus(e) => e.kind(),
            Self::Table(e) => e.kind(),
            Self::Storage(e) => e.kind(),
            Self::Expr(e) => e.kind(),
            Self::Arrow(_) => ErrorKind::Internal,
            Self::Server(_) => ErrorKind::Unavailable,
            Self::Request(_) => ErrorKind::Invalid,
            Self::NotSettled { .. } => ErrorKind::TimedOut,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Features(e) => e.code(),
            Self::Conform(e) => e.code(),
            Self::Quality(e) => e.code(),
            Self::Bus(e) => e.code(),
            Self::Table(e) => e.code(),
            Self::Storage(e) => e.code(),
            Self::Expr(e) => e.code(),
            Self::Arrow(_) => Code(850),
            Self::Server(_) => Code(851),
            Self::Request(_) => Code(852),
            Self::NotSettled { .. } => Code(853),
        }
    }
}
