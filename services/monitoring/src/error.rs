//! What can stop monitoring.

use tidemill_types::{Classified, Code, ErrorKind};

/// Why the role stopped, or a request was refused.
#[derive(Debug, thiserror::Error)]
pub enum MonitoringError {
    /// The bus.
    #[error(transparent)]
    Bus(#[from] tidemill_bus::Error),
    /// A table.
    #[error(transparent)]
    Table(#[from] tidemill_dataset::Error),
    /// The object store.
    #[error(transparent)]
    Storage(#[from] tidemill_storage::Error),
    /// The prediction log into its table.
    #[error(transparent)]
    Intake(#[from] tidemill_intake::IntakeError),
    /// The schema of the prediction log.
    #[error(transparent)]
    Conform(#[from] tidemill_conform::Error),
    /// An address in the settings.
    #[error(transparent)]
    Sources(#[from] tidemill_sources::Error),
    /// The feature plan.
    #[error(transparent)]
    Features(#[from] tidemill_features::FeatureError),
    /// An expression of the spec.
    #[error(transparent)]
    Expression(#[from] tidemill_expr::ExprError),
    /// The registry.
    #[error(transparent)]
    Registry(#[from] tidemill_registry::Error),
    /// A drift test.
    #[error(transparent)]
    Drift(#[from] tidemill_stats::Error),
    /// Rows that cannot be computed with.
    #[error("compute with rows")]
    Arrow(#[from] arrow::error::ArrowError),
    /// A stored report, alert or marker that cannot be read.
    #[error("stored object {path} cannot be read: {reason}")]
    Stored {
        /// The object.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// A source that the spec does not declare.
    #[error("the project declares no source {0}")]
    NoSource(String),
    /// A table without a column that it must have.
    #[error("rows lack the column {0}, or it has another type")]
    Column(String),
    /// A request that cannot be answered.
    #[error("{0}")]
    Request(String),
    /// The gRPC server.
    #[error("serve gRPC")]
    Serve(#[from] tonic::transport::Error),
    /// Another monitoring process committed at the same time.
    #[error("{0}")]
    Conflict(String),
    /// A task ended by panic.
    #[error("task ended: {0}")]
    Task(String),
}

impl Classified for MonitoringError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Bus(e) => e.kind(),
            Self::Table(e) => e.kind(),
            Self::Storage(e) => e.kind(),
            Self::Intake(e) => e.kind(),
            Self::Conform(e) => e.kind(),
            Self::Sources(e) => e.kind(),
            Self::Features(e) => e.kind(),
            Self::Expression(e) => e.kind(),
            Self::Registry(e) => e.kind(),
            Self::Drift(e) => e.kind(),
            Self::Stored { .. } => ErrorKind::Corrupt,
            Self::NoSource(_) => ErrorKind::NotFound,
            Self::Request(_) => ErrorKind::Invalid,
            Self::Serve(_) => ErrorKind::Unavailable,
            Self::Arrow(_) | Self::Column(_) | Self::Conflict(_) => ErrorKind::Conflict,
            Self::Task(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Bus(e) => e.code(),
            Self::Table(e) => e.code(),
            Self::Storage(e) => e.code(),
            Self::Intake(e) => e.code(),
            Self::Conform(e) => e.code(),
            Self::Sources(e) => e.code(),
            Self::Features(e) => e.code(),
            Self::Expression(e) => e.code(),
            Self::Registry(e) => e.code(),
            Self::Drift(e) => e.code(),
            Self::Arrow(_) => Code(1300),
            Self::Stored { .. } => Code(1301),
            Self::NoSource(_) => Code(1302),
            Self::Column(_) => Code(1303),
            Self::Request(_) => Code(1304),
            Self::Serve(_) => Code(1305),
            Self::Task(_) => Code(1306),
            Self::Conflict(_) => Code(1307),
        }
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Bus(e) => e.is_transient(),
            Self::Table(e) => e.is_transient(),
            Self::Storage(e) => e.is_transient(),
            Self::Intake(e) => e.is_transient(),
            Self::Registry(e) => e.is_transient(),
            _ => false,
        }
    }
}
