//! What can go wrong in fitting, predicting, saving and loading.

use tidemill_types::{Classified, Code, ErrorKind};

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of a learner or a model.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A transform could not be fitted or applied.
    #[error(transparent)]
    Transform(#[from] tidemill_transform::Error),
    /// No learner has this name.
    #[error("unknown learner \"{name}\"; known: {known}")]
    UnknownLearner {
        /// Name asked for.
        name: String,
        /// Names that exist.
        known: String,
    },
    /// A parameter the learner does not have.
    #[error("{learner} has no parameter \"{name}\"; it has: {known}")]
    UnknownParam {
        /// Name of the learner.
        learner: &'static str,
        /// Name of the parameter.
        name: String,
        /// Parameters that exist.
        known: String,
    },
    /// A parameter of the wrong type or out of range.
    #[error("parameter \"{name}\" = {value}: expected {expected}")]
    Param {
        /// Name of the parameter.
        name: String,
        /// Value given.
        value: String,
        /// What is accepted.
        expected: &'static str,
    },
    /// All training labels are equal, so there is nothing to learn.
    #[error("all {rows} training labels are {label}; {learner} needs both")]
    SingleClass {
        /// Name of the learner.
        learner: &'static str,
        /// Training rows.
        rows: usize,
        /// The label they all have.
        label: bool,
    },
    /// The solver did not reach its tolerance.
    #[error("{learner} did not converge in {iterations} iterations (gradient {gradient:.3e}, wanted {wanted:.3e})")]
    NotConverged {
        /// Name of the learner.
        learner: &'static str,
        /// Iterations done.
        iterations: usize,
        /// Largest gradient component left.
        gradient: f64,
        /// Largest one accepted.
        wanted: f64,
    },
    /// A model file is absent.
    #[error("model file \"{file}\" is missing")]
    MissingFile {
        /// Name of the file.
        file: &'static str,
    },
    /// A model file cannot be read.
    #[error("model file \"{file}\" is damaged: {reason}")]
    DamagedFile {
        /// Name of the file.
        file: &'static str,
        /// What the reader said.
        reason: String,
    },
    /// A search range that contains nothing.
    #[error("search range of \"{name}\" is empty or invalid: {reason}")]
    SearchRange {
        /// Name of the parameter.
        name: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// The boosting engine refused.
    #[error("gradient boosting: {0}")]
    Engine(String),
}

impl Classified for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Transform(inner) => inner.kind(),
            Self::UnknownLearner { .. } => ErrorKind::NotFound,
            Self::UnknownParam { .. } | Self::Param { .. } | Self::SingleClass { .. } | Self::SearchRange { .. } => {
                ErrorKind::Invalid
            }
            Self::MissingFile { .. } | Self::DamagedFile { .. } => ErrorKind::Corrupt,
            Self::NotConverged { .. } | Self::Engine(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> Code {
        Code(match self {
            Self::Transform(inner) => return inner.code(),
            Self::UnknownLearner { .. } => 920,
            Self::UnknownParam { .. } => 921,
            Self::Param { .. } => 922,
            Self::SingleClass { .. } => 923,
            Self::NotConverged { .. } => 924,
            Self::MissingFile { .. } => 925,
            Self::DamagedFile { .. } => 926,
            Self::SearchRange { .. } => 927,
            Self::Engine(_) => 928,
        })
    }
}
