//! The typed tree that the checker builds and the evaluator runs.

use crate::functions::Function;
use crate::time::{Part, Unit};
use crate::value::Type;
use arrow::array::ArrayRef;
use chrono_tz::Tz;
use regex::Regex;
use std::sync::Arc;

/// A node with its type.
#[derive(Clone, Debug)]
pub(crate) struct Typed {
    /// What is computed.
    pub node: Node,
    /// Type of the result.
    pub data_type: Type,
    /// True when some rows may be an error (overflow): such a branch of a `case` is evaluated only where it is taken.
    pub fallible: bool,
    /// The sub-expression as text, for messages.
    pub text: Arc<str>,
}

/// Arithmetic operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`, always on doubles.
    Divide,
    /// `%`
    Remainder,
}

/// Comparison operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `is distinct from`
    Distinct,
    /// `is not distinct from`
    NotDistinct,
}

/// What a node computes. Operands have been converted to a common type.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// A column, by its place in the list of columns that the expression reads.
    Column(usize),
    /// A constant: an array of length one.
    Literal(ArrayRef),
    /// Conversion; what cannot be converted becomes null.
    Cast(Box<Typed>),
    /// `- x`
    Negate(Box<Typed>),
    /// `not x`
    Not(Box<Typed>),
    /// Arithmetic on two numbers, or on instants and intervals.
    Arithmetic(Arithmetic, Box<Typed>, Box<Typed>),
    /// Comparison of two values of one type.
    Compare(Comparison, Box<Typed>, Box<Typed>),
    /// Kleene `and`
    And(Box<Typed>, Box<Typed>),
    /// Kleene `or`
    Or(Box<Typed>, Box<Typed>),
    /// `x is null`, or `is not null`.
    IsNull { input: Box<Typed>, negated: bool },
    /// `x is true`, `is not true`, `is false`, `is not false`.
    IsTruth { input: Box<Typed>, truth: bool, negated: bool },
    /// `x between low and high`
    Between { input: Box<Typed>, low: Box<Typed>, high: Box<Typed>, negated: bool },
    /// `x in (…)`
    InList { input: Box<Typed>, list: Vec<Typed>, negated: bool },
    /// `x like pattern`
    Like { input: Box<Typed>, pattern: Box<Typed>, negated: bool, insensitive: bool },
    /// `case [operand] when … then … else … end`
    Case { operand: Option<Box<Typed>>, branches: Vec<(Typed, Typed)>, otherwise: Box<Typed> },
    /// First value that is not null.
    Coalesce(Vec<Typed>),
    /// Null where both are equal, else the first.
    NullIf(Box<Typed>, Box<Typed>),
    /// Least or greatest of the values that are not null.
    Extreme { greatest: bool, inputs: Vec<Typed> },
    /// Texts joined.
    Concat(Vec<Typed>),
    /// A part of an instant.
    DatePart { part: Part, zone: Tz, input: Box<Typed> },
    /// Start of the unit an instant lies in.
    Truncate { unit: Unit, zone: Tz, input: Box<Typed> },
    /// Does the pattern occur in the text?
    Regexp { pattern: Regex, input: Box<Typed> },
    /// A function of the table.
    Call(&'static Function, Vec<Typed>),
}

impl Typed {
    /// True for a constant.
    pub(crate) fn is_literal(&self) -> bool {
        matches!(self.node, Node::Literal(_))
    }

    /// The constant, if it is one.
    pub(crate) fn literal(&self) -> Option<&ArrayRef> {
        match &self.node {
            Node::Literal(array) => Some(array),
            _ => None,
        }
    }
}

impl Node {
    /// The operands.
    pub(crate) fn operands(&self) -> Vec<&Typed> {
        match self {
            Self::Column(_) | Self::Literal(_) => Vec::new(),
            Self::Cast(input)
            | Self::Negate(input)
            | Self::Not(input)
            | Self::IsNull { input, .. }
            | Self::IsTruth { input, .. }
            | Self::DatePart { input, .. }
            | Self::Truncate { input, .. }
            | Self::Regexp { input, .. } => vec![input],
            Self::Arithmetic(_, left, right)
            | Self::Compare(_, left, right)
            | Self::And(left, right)
            | Self::Or(left, right)
            | Self::NullIf(left, right)
            | Self::Like { input: left, pattern: right, .. } => vec![left, right],
            Self::Between { input, low, high, .. } => vec![input, low, high],
            Self::InList { input, list, .. } => std::iter::once(input.as_ref()).chain(list).collect(),
            Self::Case { operand, branches, otherwise } => operand
                .as_deref()
                .into_iter()
                .chain(branches.iter().flat_map(|(when, then)| [when, then]))
                .chain(std::iter::once(otherwise.as_ref()))
                .collect(),
            Self::Coalesce(inputs) | Self::Extreme { inputs, .. } | Self::Concat(inputs) | Self::Call(_, inputs) => {
                inputs.iter().collect()
            }
        }
    }
}
