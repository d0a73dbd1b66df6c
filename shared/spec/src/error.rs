//! What can be wrong with a spec.

use std::fmt;
use tidemill_types::{Classified, Code, ErrorKind};

/// One thing wrong in a spec, with where it is and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecProblem {
    /// Dotted path of the key, such as `features.inputs.dep_o3.by`.
    pub path: String,
    /// Line from 1, when the key stands in the text.
    pub line: Option<usize>,
    /// Column from 1.
    pub column: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub mend: Option<String>,
}

impl fmt::Display for SpecProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "{line}:{column}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.mend {
            Some(mend) => write!(f, " ({mend})"),
            None => Ok(()),
        }
    }
}

/// Why a spec was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// The text is no YAML, or has unknown keys or values of the wrong type.
    #[error("spec cannot be read: {0}")]
    Syntax(SpecProblem),
    /// The text is well formed but does not make sense; every problem is listed.
    #[error("spec is refused: {}", list(.0))]
    Meaning(Vec<SpecProblem>),
}

fn list(problems: &[SpecProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl SpecError {
    /// Every problem found.
    #[must_use]
    pub fn problems(&self) -> &[SpecProblem] {
        match self {
            Self::Syntax(problem) => std::slice::from_ref(problem),
            Self::Meaning(problems) => problems,
        }
    }
}

impl Classified for SpecError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }

    fn code(&self) -> Code {
        match self {
            Self::Syntax(_) => Code(101),
            Self::Meaning(_) => Code(102),
        }
    }
}
