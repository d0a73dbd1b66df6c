//! What can go wrong in the evaluation role.

use tidemill_types::{Classified, Code, ErrorKind};

/// Why the role stopped, an evaluation failed or a request was refused.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    /// A model.
    #[error(transparent)]
    Learn(#[from] tidemill_learn::Error),
    /// A metric.
    #[error(transparent)]
    Metric(#[from] tidemill_metrics::Error),
    /// A test over slices.
    #[error(transparent)]
    Stats(#[from] tidemill_stats::Error),
    /// The feature plan.
    #[error(transparent)]
    Plan(#[from] tidemill_features::FeatureError),
    /// The business measure.
    #[error(transparent)]
    Expr(#[from] tidemill_expr::ExprError),
    /// The training set.
    #[error(transparent)]
    Table(#[from] tidemill_dataset::Error),
    /// The object store.
    #[error(transparent)]
    Storage(#[from] tidemill_storage::Error),
    /// The bus.
    #[error(transparent)]
    Bus(#[from] tidemill_bus::Error),
    /// Bundles and aliases.
    #[error(transparent)]
    Registry(#[from] tidemill_registry::Error),
    /// Arrow refused a batch.
    #[error("rows could not be read: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// The gRPC server.
    #[error("gRPC server failed: {0}")]
    Server(#[from] tonic::transport::Error),
    /// A stored object that cannot be read.
    #[error("{path} cannot be read: {reason}")]
    Object {
        /// Path of the object.
        path: String,
        /// Cause.
        reason: String,
    },
    /// The sealed test has no usable row.
    #[error("the sealed test of {cycle} has {rows} labelled rows, {positives} of them positive: too few to judge")]
    TooFewRows {
        /// Turn of the loop.
        cycle: String,
        /// Rows.
        rows: usize,
        /// Positive ones.
        positives: usize,
    },
    /// A run or scorecard that does not exist.
    #[error("there is no {0}")]
    Missing(String),
    /// The candidate was made from other features than this service knows.
    #[error("model {model} cannot be scored: {reason}")]
    Incomparable {
        /// Short digest.
        model: String,
        /// Why.
        reason: String,
    },
    /// A request that makes no sense.
    #[error("{0}")]
    Request(String),
    /// A task of this process ended by panic.
    #[error("a task ended: {0}")]
    Task(String),
}

impl Classified for EvaluationError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Learn(e) => e.kind(),
            Self::Metric(e) => e.kind(),
            Self::Stats(e) => e.kind(),
            Self::Plan(e) => e.kind(),
            Self::Expr(e) => e.kind(),
            Self::Table(e) => e.kind(),
            Self::Storage(e) => e.kind(),
            Self::Bus(e) => e.kind(),
            Self::Registry(e) => e.kind(),
            Self::Server(_) => ErrorKind::Unavailable,
            Self::Object { .. } => ErrorKind::Corrupt,
            Self::TooFewRows { .. } | Self::Request(_) => ErrorKind::Invalid,
            Self::Missing(_) => ErrorKind::NotFound,
            Self::Incomparable { .. } => ErrorKind::Refused,
            Self::Arrow(_) | Self::Task(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> Code {
        Code(match self {
            Self::Learn(e) => return e.code(),
            Self::Metric(e) => return e.code(),
            Self::Stats(e) => return e.code(),
            Self::Plan(e) => return e.code(),
            Self::Expr(e) => return e.code(),
            Self::Table(e) => return e.code(),
            Self::Storage(e) => return e.code(),
            Self::Bus(e) => return e.code(),
            Self::Registry(e) => return e.code(),
            Self::Arrow(_) => 1050,
            Self::Server(_) => 1051,
            Self::Object { .. } => 1052,
            Self::TooFewRows { .. } => 1053,
            Self::Missing(_) => 1054,
            Self::Incomparable { .. } => 1055,
            Self::Request(_) => 1056,
            Self::Task(_) => 1057,
        })
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Table(e) => e.is_transient(),
            Self::Storage(e) => e.is_transient(),
            Self::Bus(e) => e.is_transient(),
            Self::Registry(e) => e.is_transient(),
            other => matches!(other.kind(), ErrorKind::Unavailable | ErrorKind::Overloaded | ErrorKind::TimedOut),
        }
    }
}
