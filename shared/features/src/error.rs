//! What can go wrong in the feature engine.

use arrow::error::ArrowError;
use tidemill_expr::ExprError;
use tidemill_types::{Classified, Code, Digest, ErrorKind, SourceName};

/// Errors of compiling a feature set, feeding the engine, reading from it and restoring it.
#[derive(Debug, thiserror::Error)]
pub enum FeatureError {
    /// An expression of the feature set is wrong, or failed on a batch.
    #[error("{place}: {source}")]
    Expression {
        /// Path in the spec, such as `features.define.carrier`.
        place: String,
        /// What the expression language says.
        source: ExprError,
    },
    /// The feature set cannot be honoured as written.
    #[error("{place}: {message}")]
    Definition {
        /// Path in the spec.
        place: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// Rows of a source that the plan does not read.
    #[error("source \"{0}\" is not read by this feature set")]
    UnknownSource(SourceName),
    /// A batch lacks a column or has it with another type.
    #[error("the batch does not fit: {0}")]
    Batch(String),
    /// Arguments that contradict each other.
    #[error("{0}")]
    Arguments(String),
    /// A feed of a replay failed or is out of order.
    #[error("feed of source \"{feed}\": {message}")]
    Feed {
        /// Source of the feed.
        feed: SourceName,
        /// What happened.
        message: String,
    },
    /// An instant was asked for that lies before one already answered by the replay.
    #[error("replay stands at {at} ms and cannot go back to {asked} ms")]
    Backwards {
        /// Where the replay stands.
        at: i64,
        /// What was asked.
        asked: i64,
    },
    /// A checkpoint is damaged.
    #[error("checkpoint is damaged: {0}")]
    Damaged(String),
    /// A checkpoint was written by another feature set; replay the clean tables instead.
    #[error("checkpoint belongs to feature plan {found}, not {expected}", found = .found.short(), expected = .expected.short())]
    OtherPlan {
        /// Digest in the checkpoint.
        found: Digest,
        /// Digest of the plan at hand.
        expected: Digest,
    },
    /// A columnar kernel failed.
    #[error("columnar kernel: {0}")]
    Arrow(#[from] ArrowError),
}

impl Classified for FeatureError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Expression { .. } | Self::Definition { .. } | Self::Batch(_) | Self::Arguments(_) => {
                ErrorKind::Invalid
            }
            Self::Backwards { .. } => ErrorKind::Invalid,
            Self::UnknownSource(_) => ErrorKind::NotFound,
            Self::Feed { .. } | Self::Damaged(_) => ErrorKind::Corrupt,
            Self::OtherPlan { .. } => ErrorKind::Conflict,
            Self::Arrow(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> Code {
        Code(match self {
            Self::Expression { .. } => 801,
            Self::Definition { .. } => 802,
            Self::UnknownSource(_) => 803,
            Self::Batch(_) => 804,
            Self::Arguments(_) => 805,
            Self::Feed { .. } => 806,
            Self::Backwards { .. } => 807,
            Self::Damaged(_) => 808,
            Self::OtherPlan { .. } => 809,
            Self::Arrow(_) => 810,
        })
    }
}

pub(crate) fn definition(place: impl Into<String>, message: impl Into<String>) -> FeatureError {
    FeatureError::Definition { place: place.into(), message: message.into() }
}
