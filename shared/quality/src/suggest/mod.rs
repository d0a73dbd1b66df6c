//! Rules proposed from history, each with the rate of false alarms to expect of it.
//!
//! The history is cut into blocks in its own order. For each block but the first ones, rules are mined from all blocks
//! before it and applied to it: what fails there would have been an alarm, in data that nobody complained about. Rules on
//! commits are tried on commits of the size that live ones have, for a mean of fifty rows scatters otherwise than one of
//! fifty thousand. The rate over all such blocks, with its upper 95 % Wilson bound, stands beside the rule that is mined
//! from everything.

mod columns;
mod commits;
mod numbers;
mod relations;
mod texts;

use crate::commit::CommitMemory;
use crate::error::QualityError;
use crate::memory::Memory;
use crate::rule::Rules;
use crate::verdict::RuleResult;
use arrow::array::{AsArray, Int32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use commits::History;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use tidemill_spec::{Check, Rule, Scope, Source};
use tidemill_types::columns as names;

/// 97.5 % quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// Commits that rules are tried on at most; of more, every so many.
const TRIED: usize = 2_000;

/// How rules are mined and tried.
#[derive(Clone, Debug)]
pub struct Options {
    /// Blocks the history is cut into, at least 4.
    pub blocks: usize,
    /// Rows of the newest commits, the oldest first; rows from before are cut by the median. Without any, a block is
    /// taken for a commit.
    pub commits: Vec<usize>,
    /// Rules with a larger rate of false alarms are not proposed.
    pub at_most: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { blocks: 10, commits: Vec::new(), at_most: 0.01 }
    }
}

/// A rule, and what to expect of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Proposal {
    /// The rule, mined from the whole history.
    pub rule: Rule,
    /// Alarms in rows or commits that the rule had not seen.
    pub false_alarms: FalseAlarms,
}

/// Alarms in data that were held out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct FalseAlarms {
    /// Rows, or commits for rules on commits, that failed.
    pub failed: u64,
    /// Rows, or commits, that were tested.
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
/// Rows without the source's columns, fewer than ten rows a block, or fewer than four commits.
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
    let sizes = if options.commits.is_empty() { &[rows.div_ceil(blocks)][..] } else { &options.commits };
    let history = History::cut(placed(history)?, sizes)?;
    // The first third only teaches.
    let bounds: Vec<usize> =
        (blocks.div_ceil(3)..=blocks).map(|block| history.place_of(rows * block / blocks).max(1)).collect();
    let mut seen = BTreeMap::new();
    let every = (history.commits() - bounds[0]).div_ceil(TRIED).max(1);
    for block in bounds.windows(2).filter(|pair| pair[0] < pair[1]) {
        try_on(source, &history, (block[0]..block[1], every), is_personal, &mut seen)?;
    }
    let propose = |rule: Rule| {
        let (failed, tested) = seen.get(&rule.id).copied().unwrap_or_default();
        let false_alarms = FalseAlarms::of(failed, tested);
        (tested > 0 && false_alarms.rate <= options.at_most).then_some(Proposal { rule, false_alarms })
    };
    Ok(mine(source, &history, is_personal)?.into_iter().filter_map(propose).collect())
}

/// Alarms by rule: how many, and of how many rows or commits.
type Alarms = BTreeMap<String, (u64, u64)>;

/// Applies the rules that a history suggests up to the first of these commits to these commits; of rules on commits, to
/// every so many.
fn try_on(
    source: &Source,
    history: &History,
    (commits, every): (Range<usize>, usize),
    is_personal: &dyn Fn(&str) -> bool,
    seen: &mut Alarms,
) -> Result<(), QualityError> {
    let before = history.before(commits.start);
    let (of_commits, of_rows): (Vec<Rule>, Vec<Rule>) =
        mine(source, &before, is_personal)?.into_iter().partition(|rule| rule.check.kind().scope == Scope::Commit);
    let mut count = |results: Vec<RuleResult>| {
        for result in results {
            let counts = seen.entry(result.id).or_default();
            counts.0 += result.failed;
            counts.1 += result.checked;
        }
    };
    let rules = Rules::compile(source, &of_rows)?;
    let mut memory = Memory::new(&rules, Memory::CAPACITY);
    memory.remember(&rules, &before.rows)?;
    let (first, last) = (history.commit(commits.start).start, history.commit(commits.end - 1).end);
    count(rules.check(&mut memory, &history.rows.slice(first, last - first))?.results);

    let rules = Rules::compile(source, &of_commits)?;
    let (mut memory, mut known) = (Memory::new(&rules, 0), CommitMemory::new(&rules));
    known.remember(&rules, &before.rows)?;
    for place in commits {
        let rows = history.commit(place);
        let commit = history.rows.slice(rows.start, rows.len());
        if place % every == 0 {
            count(rules.check_commit(&mut memory, &known, &commit)?.results);
        }
        known.remember(&rules, &commit)?;
    }
    Ok(())
}

/// Rules that hold for all rows, and for the commits they came in.
fn mine(source: &Source, history: &History, is_personal: &dyn Fn(&str) -> bool) -> Result<Vec<Rule>, QualityError> {
    let rows = &history.rows;
    let mut rules = Vec::new();
    for (name, column) in &source.columns {
        columns::mine(name, column, history, &mut rules)?;
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
