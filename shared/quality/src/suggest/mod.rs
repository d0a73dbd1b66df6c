//! Rules proposed from history, each with the rate of false alarms to expect of it.
//!
//! The history is cut into blocks in its own order. For each block but the first ones, rules are mined from all blocks
//! before it and applied to it: what fails there would have been an alarm, in data that nobody complained about. The
//! rate over all such blocks, with its upper 95 % Wilson bound, stands beside the rule that is mined from everything.

mod columns;
mod numbers;
mod relations;
mod texts;

use crate::commit::CommitMemory;
use crate::error::QualityError;
use crate::memory::Memory;
use crate::rule::Rules;
use arrow::array::{AsArray, Int32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidemill_spec::{Check, Rule, Scope, Source};
use tidemill_types::columns as names;

/// 97.5 % quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// How rules are mined and tried.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Blocks the history is cut into, at least 4.
    pub blocks: usize,
    /// Rules with a larger rate of false alarms are not proposed.
    pub at_most: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { blocks: 10, at_most: 0.01 }
    }
}

/// A rule, and what to expect of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Proposal {
    /// The rule, mined from the whole history.
    pub rule: Rule,
    /// Alarms in blocks that the rule had not seen.
    pub false_alarms: FalseAlarms,
}

/// Alarms in data that were held out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct FalseAlarms {
    /// Rows, or blocks for rules on commits, that failed.
    pub failed: u64,
    /// Rows, or blocks, that were tested.
    pub tested: u64,
    /// Their share.
    pub rate: f64,
    /// Upper bound of the rate with 97.5 % confidence (Wilson).
    pub at_most: f64,
}

impl FalseAlarms {
    fn of(failed: u64, tested: u64) -> Self {
        Self { failed, tested, rate: failed as f64 / tested.max(1) as f64, at_most: wilson_upper(failed, tested) }
    }
}

/// Upper end of the Wilson interval of a share.
#[must_use]
pub fn wilson_upper(part: u64, of: u64) -> f64 {
    if of == 0 {
        return 1.0;
    }
    let (n, p) = (of as f64, part as f64 / of as f64);
    let middle = p + Z * Z / (2.0 * n);
    let spread = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    ((middle + spread) / (1.0 + Z * Z / n)).min(1.0)
}

/// Proposes rules for a source from rows in the order in which they came. Of the columns that `is_personal` names no
/// rule is proposed that has values in it: bounds and sets of persons' values are persons' values.
///
/// # Errors
/// Rows without the source's columns, or fewer than ten rows a block.
pub fn suggest(
    source: &Source,
    history: &RecordBatch,
    options: &Options,
    is_personal: &dyn Fn(&str) -> bool,
) -> Result<Vec<Proposal>, QualityError> {
    let blocks = options.blocks.max(4);
    let rows = history.num_rows();
    if rows < 10 * blocks {
        return Err(QualityError::Batch(format!(
            "{rows} rows are too few to propose rules: {} are needed",
            10 * blocks
        )));
    }
    let history = placed(history)?;
    let edge = |block: usize| rows * block / blocks;
    let mut seen: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    // The first third only teaches.
    for block in blocks.div_ceil(3)..blocks {
        let (before, now) = (history.slice(0, edge(block)), history.slice(edge(block), edge(block + 1) - edge(block)));
        let mined = mine(source, &before, block, is_personal)?;
        let rules = Rules::compile(source, &mined)?;
        let mut memory = Memory::new(&rules, Memory::CAPACITY);
        memory.remember(&rules, &before)?;
        let mut commits = CommitMemory::new(&rules);
        commits.remember(&rules, &before)?;
        for result in rules.check_commit(&mut memory, &commits, &now)?.results {
            let counts = seen.entry(result.id).or_default();
            counts.0 += result.failed;
            counts.1 += result.checked;
        }
    }
    let propose = |rule: Rule| {
        let (failed, tested) = seen.get(&rule.id).copied().unwrap_or_default();
        let false_alarms = FalseAlarms::of(failed, tested);
        (tested > 0 && false_alarms.rate <= options.at_most).then_some(Proposal { rule, false_alarms })
    };
    Ok(mine(source, &history, blocks, is_personal)?.into_iter().filter_map(propose).collect())
}

/// Rules that hold for all rows, taken as so many blocks.
fn mine(
    source: &Source,
    rows: &RecordBatch,
    blocks: usize,
    is_personal: &dyn Fn(&str) -> bool,
) -> Result<Vec<Rule>, QualityError> {
    let mut rules = Vec::new();
    for (name, column) in &source.columns {
        columns::mine(name, column, rows, blocks, &mut rules)?;
    }
    relations::mine(source, rows, &mut rules)?;
    rules.retain(|rule| !has_values(&rule.check) || !rule.columns().into_iter().any(is_personal));
    let mut ids = BTreeMap::new();
    rules.retain(|rule| ids.insert(rule.id.clone(), ()).is_none());
    // Nothing is proposed that the rows themselves contradict; rules on commits are judged by the blocks held out.
    let compiled = Rules::compile(source, &rules)?;
    let mut memory = Memory::new(&compiled, Memory::CAPACITY);
    let verdict = compiled.check(&mut memory, rows)?;
    let holds = |(rule, failed): (Rule, u64)| (failed == 0 || rule.check.kind().scope == Scope::Commit).then_some(rule);
    let failed = verdict.results.into_iter().map(|result| result.failed);
    Ok(rules.into_iter().zip(failed).filter_map(holds).collect())
}

/// Whether a rule that is mined here has values of its column in it.
fn has_values(check: &Check) -> bool {
    matches!(check, Check::InSet(_) | Check::Range(_) | Check::DateRange(_) | Check::Mean(_) | Check::Distribution(_))
}

/// The rows with a position each, which rules with memory ask for.
fn placed(rows: &RecordBatch) -> Result<RecordBatch, QualityError> {
    if rows.column_by_name(names::SEQ).is_some() {
        return Ok(rows.clone());
    }
    let mut fields: Vec<Field> = rows.schema().fields().iter().map(|f| f.as_ref().clone()).collect();
    fields.push(Field::new(names::SEQ, DataType::Int64, false));
    fields.push(Field::new(names::ROW, DataType::Int32, false));
    let mut arrays = rows.columns().to_vec();
    arrays.push(Arc::new(Int64Array::from_iter_values(0..rows.num_rows() as i64)));
    arrays.push(Arc::new(Int32Array::from_iter_values(std::iter::repeat_n(0, rows.num_rows()))));
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}

/// Name of a rule: the column, then the kind.
fn id(column: &str, kind: &str) -> String {
    format!("{column}-{kind}").replace(['_', ',', ' '], "-")
}

/// A text column as it is compared here.
fn texts(array: &arrow::array::ArrayRef) -> Result<arrow::array::StringArray, QualityError> {
    Ok(arrow::compute::cast(array, &DataType::Utf8)?.as_string::<i32>().clone())
}
