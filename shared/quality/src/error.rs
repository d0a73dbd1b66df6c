//! What can go wrong with quality rules.

use arrow::error::ArrowError;
use tidemill_expr::ExprError;
use tidemill_types::{Classified, Code, ErrorKind};

/// Errors of compiling and applying rules. Rows that fail a rule are no error.
#[derive(Debug, thiserror::Error)]
pub enum QualityError {
    /// A rule cannot be honoured as written.
    #[error("rule \"{rule}\": {message}")]
    Rule {
        /// Id of the rule.
        rule: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// A cleaning decision cannot be honoured as written.
    #[error("decision \"{decision}\": {message}")]
    Decision {
        /// Id of the decision.
        decision: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// The expression of a rule is wrong.
    #[error("rule \"{rule}\": {source}")]
    Expression {
        /// Id of the rule.
        rule: String,
        /// What the expression language says.
        source: ExprError,
    },
    /// A batch lacks a column, or has it with another type.
    #[error("the batch does not fit: {0}")]
    Batch(String),
    /// Saved keys are damaged.
    #[error("saved keys are damaged: {0}")]
    Damaged(&'static str),
    /// Saved keys belong to other `unique` rules; rebuild them from the clean table.
    #[error("saved keys belong to other unique rules")]
    OtherRules,
    /// A data contract cannot be read.
    #[error("data contract: {0}")]
    Contract(String),
    /// A columnar kernel failed.
    #[error("columnar kernel: {0}")]
    Arrow(#[from] ArrowError),
}

impl Classified for QualityError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Rule { .. }
            | Self::Decision { .. }
            | Self::Expression { .. }
            | Self::Batch(_)
            | Self::Contract(_) => ErrorKind::Invalid,
            Self::Damaged(_) => ErrorKind::Corrupt,
            Self::OtherRules => ErrorKind::Conflict,
            Self::Arrow(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> Code {
        Code(match self {
            Self::Rule { .. } => 701,
            Self::Expression { .. } => 702,
            Self::Batch(_) => 703,
            Self::Damaged(_) => 704,
            Self::OtherRules => 705,
            Self::Arrow(_) => 706,
            Self::Contract(_) => 707,
            Self::Decision { .. } => 708,
        })
    }
}
