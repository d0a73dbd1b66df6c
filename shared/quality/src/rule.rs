//! Rules, typed: each is a test of rows, a test of rows with memory, or a test of commits.

use crate::commit::{self, CommitCheck};
use crate::error::QualityError;
use crate::memory::{self, MemoryCheck};
use crate::row::{self, Condition, Kernel};
use arrow::datatypes::{DataType, Schema};
use std::collections::HashSet;
use tidemill_expr::Compiled;
use tidemill_spec::{Dimension, Rule, Severity, Source};

/// The rules of one source, ready to run.
#[derive(Debug)]
pub struct Rules {
    pub(crate) rules: Vec<CompiledRule>,
}

#[derive(Debug)]
pub(crate) struct CompiledRule {
    pub(crate) id: String,
    pub(crate) severity: Severity,
    pub(crate) dimension: Dimension,
    /// Only rows for which this is true are looked at.
    pub(crate) when: Option<Condition>,
    pub(crate) mostly: Option<f64>,
    pub(crate) judge: Judge,
}

/// Who judges.
#[derive(Debug)]
pub(crate) enum Judge {
    /// Each row by itself.
    Row(Kernel),
    /// Each row, beside what was seen before.
    Memory(MemoryCheck),
    /// The rows of a commit together.
    Commit(Box<dyn CommitCheck>),
}

impl Rules {
    /// Types the rules of a source, in the order given.
    ///
    /// # Errors
    /// A rule with a column that is not declared or has the wrong type, with bounds that exclude everything, or with
    /// a pattern or expression that cannot be read.
    pub fn compile(source: &Source, rules: &[Rule]) -> Result<Self, QualityError> {
        let schema = source.declared_schema();
        let mut seen = HashSet::new();
        let mut compiled = Vec::with_capacity(rules.len());
        for rule in rules {
            let typing = Typing { rule, schema: &schema, event_time: &source.event_time };
            if rule.id.is_empty() || rule.id.contains(',') || !seen.insert(&rule.id) {
                return Err(typing.bad("ids must be unique, not empty and without commas"));
            }
            compiled.push(compile(&typing)?);
        }
        Ok(Self { rules: compiled })
    }

    /// Ids of all rules, in order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|r| r.id.as_str())
    }
}

impl CompiledRule {
    /// Whether a failing row is set aside by itself.
    pub(crate) fn stops_rows(&self) -> bool {
        self.severity >= Severity::Quarantine && self.mostly.is_none() && !matches!(self.judge, Judge::Commit(_))
    }
}

fn compile(typing: &Typing<'_>) -> Result<CompiledRule, QualityError> {
    let rule = typing.rule;
    let judge = match row::compile(typing, &rule.check)? {
        Some(kernel) => Judge::Row(kernel),
        None => match memory::compile(typing, &rule.check)? {
            Some(check) => Judge::Memory(check),
            None => Judge::Commit(commit::compile(typing, &rule.check)?),
        },
    };
    if let Some(share) = rule.mostly
        && (!(share > 0.0 && share <= 1.0) || matches!(judge, Judge::Commit(_)))
    {
        return Err(typing.bad("mostly is a share in (0, 1] of rows, and rules on the commit as a whole have none"));
    }
    Ok(CompiledRule {
        id: rule.id.clone(),
        severity: rule.on_fail,
        dimension: rule.check.kind().dimension,
        when: rule.when.as_deref().map(|text| typing.condition(text)).transpose()?,
        mostly: rule.mostly,
        judge,
    })
}

/// What compiling a rule needs to know.
pub(crate) struct Typing<'a> {
    pub(crate) rule: &'a Rule,
    pub(crate) schema: &'a Schema,
    pub(crate) event_time: &'a str,
}

impl Typing<'_> {
    pub(crate) fn bad(&self, message: impl Into<String>) -> QualityError {
        QualityError::Rule { rule: self.rule.id.clone(), message: message.into() }
    }

    pub(crate) fn type_of(&self, column: &str) -> Result<&DataType, QualityError> {
        let field = self.schema.field_with_name(column);
        Ok(field.map_err(|_| self.bad(format!("there is no column {column}")))?.data_type())
    }

    fn typed(&self, column: &str, fits: impl Fn(&DataType) -> bool, needed: &str) -> Result<(), QualityError> {
        let found = self.type_of(column)?;
        if fits(found) {
            return Ok(());
        }
        Err(self.bad(format!("column {column} has type {found}, {needed} is needed")))
    }

    pub(crate) fn any(&self, column: &str) -> Result<(), QualityError> {
        self.typed(column, |_| true, "any")
    }

    pub(crate) fn number(&self, column: &str) -> Result<(), QualityError> {
        self.typed(column, DataType::is_numeric, "a number")
    }

    pub(crate) fn is_text(&self, column: &str) -> bool {
        self.type_of(column).is_ok_and(|found| *found == DataType::Utf8)
    }

    pub(crate) fn text(&self, column: &str) -> Result<(), QualityError> {
        self.typed(column, |found| *found == DataType::Utf8, "a text")
    }

    pub(crate) fn instant(&self, column: &str) -> Result<(), QualityError> {
        self.typed(column, |found| matches!(found, DataType::Timestamp(_, _)), "an instant")
    }

    /// An expression over the row that is true or false.
    pub(crate) fn condition(&self, text: &str) -> Result<Condition, QualityError> {
        let rule = self.rule.id.clone();
        let expr = Compiled::new(text, self.schema)
            .map_err(|source| QualityError::Expression { rule: rule.clone(), source })?;
        if *expr.data_type() != DataType::Boolean {
            return Err(self.bad(format!("a condition is needed, this has type {}", expr.data_type())));
        }
        Ok(Condition { rule, expr })
    }
}

/// Bounds that leave something between them; an absent one is open.
pub(crate) fn bounds(typing: &Typing<'_>, low: Option<f64>, high: Option<f64>) -> Result<(f64, f64), QualityError> {
    let none = low.is_none() && high.is_none();
    let (low, high) = (low.unwrap_or(f64::NEG_INFINITY), high.unwrap_or(f64::INFINITY));
    if none || low.is_nan() || high.is_nan() || low > high {
        return Err(typing.bad("bounds are needed: one at least, and the lower must not be above the upper"));
    }
    Ok((low, high))
}
