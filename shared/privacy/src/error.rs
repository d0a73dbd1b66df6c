//! Why a source is held back.

use crate::class::PiiClass;
use crate::verdict::Verdict;
use arrow::error::ArrowError;
use std::fmt;
use tidemill_types::{Classified, Code, ErrorKind};

/// A column that looks personal and that nobody has classified, with the line that mends it.
#[derive(Clone, Debug, PartialEq)]
pub struct Unclassified {
    /// What is believed of it.
    pub verdict: Verdict,
    /// The column's line of the project file as it would be with the class.
    pub line: String,
}

impl fmt::Display for Unclassified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { column, class, confidence, example, reason, .. } = &self.verdict;
        let class = class.map_or("personal data", PiiClass::as_str);
        write!(f, "\"{column}\" looks like {class} (confidence {confidence:.2}, such as {example}: {reason}); ")?;
        write!(f, "write \"{}\", or pii: none", self.line)
    }
}

/// Errors of looking for personal data.
#[derive(Debug, thiserror::Error)]
pub enum PrivacyError {
    /// Columns look like personal data and the project does not say whether they are.
    #[error("source {name} is held back until its columns are classified: {}", list(.columns))]
    Unclassified {
        /// The source.
        name: String,
        /// Its columns that wait.
        columns: Vec<Unclassified>,
    },
    /// Values of a column cannot be written as text.
    #[error("the values of a column cannot be looked at: {0}")]
    Values(#[from] ArrowError),
}

fn list(columns: &[Unclassified]) -> String {
    columns.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Classified for PrivacyError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unclassified { .. } => ErrorKind::Refused,
            Self::Values(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Unclassified { .. } => Code(1801),
            Self::Values(_) => Code(1802),
        }
    }
}
