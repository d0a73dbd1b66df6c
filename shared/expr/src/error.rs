//! What can be wrong with an expression.

use tidemill_types::{Classified, Code, ErrorKind};

/// An expression that cannot be read, typed or evaluated. Every message names the sub-expression at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExprError {
    /// The text is longer than [`crate::MAX_TEXT_BYTES`].
    #[error("expression has {bytes} bytes; at most {limit} are allowed", limit = crate::MAX_TEXT_BYTES)]
    TooLong {
        /// Length of the text in bytes.
        bytes: usize,
    },
    /// The expression is nested too deeply, or has too many parts.
    #[error("expression is too large: {what}")]
    TooComplex {
        /// The bound that was passed.
        what: String,
    },
    /// The text is not one SQL expression.
    #[error("cannot read `{text}`: {message}")]
    Syntax {
        /// What the parser says.
        message: String,
        /// The text, shortened.
        text: String,
    },
    /// SQL that Tidemill's expression language leaves out.
    #[error("{what} is not part of the expression language, in `{text}`")]
    Unsupported {
        /// The construct.
        what: String,
        /// The sub-expression.
        text: String,
    },
    /// No column of this name in the schema.
    #[error("unknown column `{name}`{}", hint(.suggestion.as_deref()))]
    UnknownColumn {
        /// The name as written.
        name: String,
        /// The nearest name that exists, if one is near.
        suggestion: Option<String>,
    },
    /// No function of this name.
    #[error("unknown function `{name}` in `{text}`{}", hint(.suggestion.as_deref()))]
    UnknownFunction {
        /// The name as written, in lower case.
        name: String,
        /// The sub-expression.
        text: String,
        /// The nearest name that exists, if one is near.
        suggestion: Option<String>,
    },
    /// Operand or argument types do not fit.
    #[error("{message}, in `{text}`")]
    Type {
        /// What was expected and what was found.
        message: String,
        /// The sub-expression.
        text: String,
    },
    /// Wrong number or shape of arguments.
    #[error("{message}, in `{text}`")]
    Arguments {
        /// What the function takes.
        message: String,
        /// The sub-expression.
        text: String,
    },
    /// A literal that cannot be read (number, timestamp, interval, time zone, pattern).
    #[error("bad literal: {message}, in `{text}`")]
    Literal {
        /// Why.
        message: String,
        /// The sub-expression.
        text: String,
    },
    /// An aggregate stands where a row expression is needed, or a column outside an aggregate.
    #[error("{message}, in `{text}`")]
    Placement {
        /// What stands where it must not.
        message: String,
        /// The sub-expression.
        text: String,
    },
    /// An integer or timestamp result is out of range.
    #[error("overflow while evaluating `{text}`")]
    Overflow {
        /// The sub-expression.
        text: String,
    },
    /// A batch lacks a column that the expression reads.
    #[error("the batch has no column `{name}`, which `{text}` reads")]
    MissingColumn {
        /// The column.
        name: String,
        /// The whole expression.
        text: String,
    },
    /// A batch has a column of another type than the schema the expression was compiled for.
    #[error("column `{name}` has type {found} where {expected} was expected")]
    ColumnType {
        /// The column.
        name: String,
        /// The type of the expression language.
        expected: String,
        /// The Arrow type found.
        found: String,
    },
    /// A kernel failed for another reason than overflow.
    #[error("cannot evaluate `{text}`: {message}")]
    Kernel {
        /// What the kernel says.
        message: String,
        /// The sub-expression.
        text: String,
    },
}

impl Classified for ExprError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }

    fn code(&self) -> Code {
        Code(match self {
            Self::TooLong { .. } => 201,
            Self::TooComplex { .. } => 202,
            Self::Syntax { .. } => 203,
            Self::Unsupported { .. } => 204,
            Self::UnknownColumn { .. } => 205,
            Self::UnknownFunction { .. } => 206,
            Self::Type { .. } => 207,
            Self::Arguments { .. } => 208,
            Self::Literal { .. } => 209,
            Self::Placement { .. } => 210,
            Self::Overflow { .. } => 211,
            Self::MissingColumn { .. } => 212,
            Self::ColumnType { .. } => 213,
            Self::Kernel { .. } => 214,
        })
    }
}

/// Shortens the text of a sub-expression so that a message stays readable.
pub(crate) fn shorten(text: &str) -> String {
    const LONGEST: usize = 160;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(LONGEST).collect();
    short.push('…');
    short
}

/// The candidate nearest to `name`, if it is near enough to be a likely slip of the pen.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    const NEAR: f64 = 0.8;
    let name = name.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&name, &candidate.to_lowercase()), candidate))
        .filter(|(score, _)| *score >= NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, candidate)| candidate.to_owned())
}

fn hint(suggestion: Option<&str>) -> String {
    suggestion.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}
