//! What can go wrong in the training role.

use tidemill_types::{Classified, Code, ErrorKind, Millis};

/// Why the role stopped, a cycle failed or a request was refused.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// A learner or a model.
    #[error(transparent)]
    Learn(#[from] tidemill_learn::Error),
    /// A split or a transform.
    #[error(transparent)]
    Transform(#[from] tidemill_transform::Error),
    /// A metric.
    #[error(transparent)]
    Metric(#[from] tidemill_metrics::Error),
    /// A reference distribution.
    #[error(transparent)]
    Stats(#[from] tidemill_stats::Error),
    /// The feature plan.
    #[error(transparent)]
    Plan(#[from] tidemill_features::FeatureError),
    /// The training set.
    #[error(transparent)]
    Table(#[from] tidemill_dataset::Error),
    /// The object store.
    #[error(transparent)]
    Storage(#[from] tidemill_storage::Error),
    /// The bus.
    #[error(transparent)]
    Bus(#[from] tidemill_bus::Error),
    /// The bundle.
    #[error(transparent)]
    Registry(#[from] tidemill_registry::Error),
    /// Arrow refused a batch.
    #[error("rows could not be read: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// The feature service refused or failed.
    #[error("the training set could not be built: {text}")]
    Features {
        /// What it said.
        text: String,
        /// How it classed it.
        kind: ErrorKind,
    },
    /// The gRPC server.
    #[error("gRPC server failed: {0}")]
    Server(#[from] tonic::transport::Error),
    /// The training set lacks a column or has it in another type.
    #[error("the training set has no usable column \"{0}\"")]
    Column(String),
    /// No labelled row in a window.
    #[error(
        "no labelled row lies between {from} and {until}; windows are counted back from the newest outcome by \
         split.test, split.embargo and split.validation"
    )]
    NoRows {
        /// Start of the window.
        from: Millis,
        /// End of the window.
        until: Millis,
    },
    /// No row of the training set has a label.
    #[error(
        "none of the {rows} rows that are known by {until} has a label: rows count from the instant at which they \
         became known, so the sources of a file of history need known_at; and each row needs an outcome with its key"
    )]
    NoHistory {
        /// Rows of the training set.
        rows: u64,
        /// Instant of the cycle.
        until: Millis,
    },
    /// Too little history for training, validation and test.
    #[error("{days} days of labelled history until {until} are too few to train, validate and test on")]
    TooLittleHistory {
        /// Days there are.
        days: i64,
        /// Newest instant whose outcome is known.
        until: Millis,
    },
    /// Features give the outcome away.
    #[error("features leak the outcome: {0}")]
    Leak(String),
    /// No trial could be scored.
    #[error("no trial succeeded: {0}")]
    NoTrial(String),
    /// Trials did not end in time.
    #[error("{missing} trials gave no result for {seconds} s; is a training worker running?")]
    TrialsLate {
        /// Trials without a result.
        missing: usize,
        /// How long the cycle waited.
        seconds: u64,
    },
    /// A training set that is not the one a job names.
    #[error("{path} has digest {found}, the job names {expected}")]
    Digest {
        /// Path of the file.
        path: String,
        /// Digest of its bytes.
        found: String,
        /// Digest in the job.
        expected: String,
    },
    /// A stored object that cannot be read.
    #[error("{path} cannot be read: {reason}")]
    Object {
        /// Path of the object.
        path: String,
        /// Cause.
        reason: String,
    },
    /// The project was applied anew after the cycle had begun.
    #[error("the cycle began with project file {began}, the applied one is {applied}; ask for a new cycle")]
    SpecChanged {
        /// Digest of the file that the cycle began with.
        began: String,
        /// Digest of the file that is applied.
        applied: String,
    },
    /// A request that makes no sense.
    #[error("{0}")]
    Request(String),
    /// There is no such run.
    #[error("there is no run \"{0}\"")]
    NoRun(String),
    /// A task of this process ended by panic.
    #[error("a task ended: {0}")]
    Task(String),
}

impl Classified for TrainingError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Learn(e) => e.kind(),
            Self::Transform(e) => e.kind(),
            Self::Metric(e) => e.kind(),
            Self::Stats(e) => e.kind(),
            Self::Plan(e) => e.kind(),
            Self::Table(e) => e.kind(),
            Self::Storage(e) => e.kind(),
            Self::Bus(e) => e.kind(),
            Self::Registry(e) => e.kind(),
            Self::Features { kind, .. } => *kind,
            Self::Server(_) => ErrorKind::Unavailable,
            Self::Column(_)
            | Self::NoRows { .. }
            | Self::NoHistory { .. }
            | Self::TooLittleHistory { .. }
            | Self::Request(_) => ErrorKind::Invalid,
            Self::Leak(_) => ErrorKind::Refused,
            Self::SpecChanged { .. } => ErrorKind::Conflict,
            Self::NoRun(_) => ErrorKind::NotFound,
            Self::TrialsLate { .. } => ErrorKind::TimedOut,
            Self::Digest { .. } | Self::Object { .. } => ErrorKind::Corrupt,
            Self::Arrow(_) | Self::NoTrial(_) | Self::Task(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> Code {
        Code(match self {
            Self::Learn(e) => return e.code(),
            Self::Transform(e) => return e.code(),
            Self::Metric(e) => return e.code(),
            Self::Stats(e) => return e.code(),
            Self::Plan(e) => return e.code(),
            Self::Table(e) => return e.code(),
            Self::Storage(e) => return e.code(),
            Self::Bus(e) => return e.code(),
            Self::Registry(e) => return e.code(),
            Self::Arrow(_) => 950,
            Self::Features { .. } => 951,
            Self::Server(_) => 952,
            Self::Column(_) => 953,
            Self::NoRows { .. } | Self::NoHistory { .. } => 954,
            Self::TooLittleHistory { .. } => 955,
            Self::Leak(_) => 956,
            Self::NoTrial(_) => 957,
            Self::TrialsLate { .. } => 958,
            Self::Digest { .. } => 959,
            Self::Object { .. } => 960,
            Self::Request(_) => 961,
            Self::NoRun(_) => 962,
            Self::Task(_) => 963,
            Self::SpecChanged { .. } => 964,
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
