//! Rules, typed: which rows fail.

use crate::error::QualityError;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema};
use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use tidemill_expr::{Compiled, ExprError};
use tidemill_spec::{Rule, Severity, Source};

/// Largest compiled size of a pattern, in bytes.
const PATTERN_BYTES: usize = 1 << 20;

/// The side of quality that a rule speaks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Values are possible: `range`, `in_set`, `regex`.
    Accuracy,
    /// Values are there: `not_null`.
    Completeness,
    /// Values agree with each other: `unique`, `expr`.
    Consistency,
}

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
    pub(crate) check: Check,
}

#[derive(Debug)]
pub(crate) enum Check {
    NotNull(String),
    Range { column: String, min: Option<f64>, max: Option<f64> },
    InSet { column: String, values: HashSet<String> },
    Matches { column: String, pattern: Regex },
    Unique(Vec<String>),
    Holds(Compiled),
}

impl Rules {
    /// Types the rules of a source, in the order given.
    ///
    /// # Errors
    /// A rule without exactly one check, with a column that is not declared or has the wrong type, with bounds
    /// that exclude everything, or with a pattern or expression that cannot be read.
    pub fn compile(source: &Source, rules: &[Rule]) -> Result<Self, QualityError> {
        let schema = source.declared_schema();
        let mut seen = HashSet::new();
        let mut compiled = Vec::with_capacity(rules.len());
        for rule in rules {
            if rule.id.is_empty() || rule.id.contains(',') || !seen.insert(&rule.id) {
                return Err(bad(rule, "ids must be unique, not empty and without commas"));
            }
            compiled.push(compile(rule, &schema)?);
        }
        Ok(Self { rules: compiled })
    }

    /// Ids of all rules, in order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|r| r.id.as_str())
    }
}

fn bad(rule: &Rule, message: impl Into<String>) -> QualityError {
    QualityError::Rule { rule: rule.id.clone(), message: message.into() }
}

fn compile(rule: &Rule, schema: &Schema) -> Result<CompiledRule, QualityError> {
    let mut checks = Vec::new();
    if let Some(column) = &rule.not_null {
        typed(rule, schema, column, |_| true, "of any type")?;
        checks.push((Dimension::Completeness, Check::NotNull(column.clone())));
    }
    if let Some(range) = &rule.range {
        typed(rule, schema, &range.column, DataType::is_numeric, "a number")?;
        let (low, high) = (range.min.unwrap_or(f64::NEG_INFINITY), range.max.unwrap_or(f64::INFINITY));
        // Written so that a NaN bound is refused too.
        if (range.min.is_none() && range.max.is_none()) || low.is_nan() || high.is_nan() || low > high {
            return Err(bad(rule, "a range needs min or max, and min must not be above max"));
        }
        let check = Check::Range { column: range.column.clone(), min: range.min, max: range.max };
        checks.push((Dimension::Accuracy, check));
    }
    if let Some(set) = &rule.in_set {
        typed(rule, schema, &set.column, is_text, "a text")?;
        let check = Check::InSet { column: set.column.clone(), values: set.values.iter().cloned().collect() };
        checks.push((Dimension::Accuracy, check));
    }
    if let Some(regex) = &rule.regex {
        typed(rule, schema, &regex.column, is_text, "a text")?;
        let pattern = RegexBuilder::new(&regex.pattern).size_limit(PATTERN_BYTES).build();
        let pattern = pattern.map_err(|e| bad(rule, e.to_string()))?;
        checks.push((Dimension::Accuracy, Check::Matches { column: regex.column.clone(), pattern }));
    }
    if let Some(columns) = &rule.unique {
        if columns.is_empty() {
            return Err(bad(rule, "unique needs at least one column"));
        }
        for column in columns {
            typed(rule, schema, column, |_| true, "of any type")?;
        }
        checks.push((Dimension::Consistency, Check::Unique(columns.clone())));
    }
    if let Some(text) = &rule.expr {
        let compiled =
            Compiled::new(text, schema).map_err(|source| QualityError::Expression { rule: rule.id.clone(), source })?;
        if *compiled.data_type() != DataType::Boolean {
            return Err(bad(rule, format!("a condition is needed, this has type {}", compiled.data_type())));
        }
        checks.push((Dimension::Consistency, Check::Holds(compiled)));
    }
    let one = <[_; 1]>::try_from(checks);
    let [(dimension, check)] =
        one.map_err(|_| bad(rule, "give exactly one of not_null, range, in_set, regex, unique and expr"))?;
    Ok(CompiledRule { id: rule.id.clone(), severity: rule.on_fail, dimension, check })
}

fn typed(
    rule: &Rule,
    schema: &Schema,
    column: &str,
    fits: impl Fn(&DataType) -> bool,
    needed: &str,
) -> Result<(), QualityError> {
    let field = schema.field_with_name(column).map_err(|_| bad(rule, format!("there is no column {column}")))?;
    if fits(field.data_type()) {
        return Ok(());
    }
    Err(bad(rule, format!("column {column} has type {}, {needed} is needed", field.data_type())))
}

fn is_text(data_type: &DataType) -> bool {
    *data_type == DataType::Utf8
}

/// Outcome of a rule on one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Passed,
    Failed,
    /// Null: nothing to test.
    Absent,
}

impl CompiledRule {
    /// The mark of every row; `None` for `unique`, which looks beyond the row.
    pub(crate) fn marks(&self, batch: &RecordBatch) -> Result<Option<Vec<Mark>>, QualityError> {
        let marks = match &self.check {
            Check::Unique(_) => return Ok(None),
            Check::NotNull(name) => {
                let array = column(batch, name)?;
                (0..array.len()).map(|i| mark(array.is_valid(i))).collect()
            }
            Check::Range { column: name, min, max } => {
                let array = cast(column(batch, name)?, &DataType::Float64)?;
                // A NaN lies in no range.
                let inside = |v: f64| min.unwrap_or(f64::NEG_INFINITY) <= v && v <= max.unwrap_or(f64::INFINITY);
                array.as_primitive::<Float64Type>().iter().map(|v| optional(v.map(inside))).collect()
            }
            Check::InSet { column: name, values } => texts(batch, name, |text| values.contains(text))?,
            Check::Matches { column: name, pattern } => texts(batch, name, |text| pattern.is_match(text))?,
            Check::Holds(expr) => self.holds(expr, batch)?,
        };
        Ok(Some(marks))
    }

    fn holds(&self, expr: &Compiled, batch: &RecordBatch) -> Result<Vec<Mark>, QualityError> {
        match expr.evaluate(batch) {
            Ok(array) => Ok(array.as_boolean().iter().map(optional).collect()),
            // One row that overflows must not stop the others: it fails the rule, alone.
            Err(ExprError::Overflow { .. } | ExprError::Kernel { .. }) if batch.num_rows() > 1 => {
                let half = batch.num_rows() / 2;
                let mut marks = self.holds(expr, &batch.slice(0, half))?;
                marks.extend(self.holds(expr, &batch.slice(half, batch.num_rows() - half))?);
                Ok(marks)
            }
            Err(ExprError::Overflow { .. } | ExprError::Kernel { .. }) => Ok(vec![Mark::Failed; batch.num_rows()]),
            Err(source) => Err(QualityError::Expression { rule: self.id.clone(), source }),
        }
    }
}

fn mark(passed: bool) -> Mark {
    if passed { Mark::Passed } else { Mark::Failed }
}

fn optional(passed: Option<bool>) -> Mark {
    passed.map_or(Mark::Absent, mark)
}

fn texts(batch: &RecordBatch, name: &str, test: impl Fn(&str) -> bool) -> Result<Vec<Mark>, QualityError> {
    let array = cast(column(batch, name)?, &DataType::Utf8)?;
    Ok(array.as_string::<i32>().iter().map(|text| optional(text.map(&test))).collect())
}

/// A column by name.
pub(crate) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, QualityError> {
    batch.column_by_name(name).ok_or_else(|| QualityError::Batch(format!("column {name} is missing")))
}
