//! What becomes of a batch, and what each rule found.

use crate::check::going_on;
use crate::commit::Finding;
use crate::error::QualityError;
use crate::marks::Marks;
use crate::memory::{Position, positions};
use crate::rule::{CompiledRule, Judge, Rules};
use crate::tally::Tally;
use arrow::array::{BooleanArray, RecordBatch, StringArray, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{filter_record_batch, not, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::json::LineDelimitedWriter;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::Arc;
use tidemill_privacy::{HIDDEN, Masks};
use tidemill_spec::{Dimension, Rule, Severity};
use tidemill_types::columns;

/// Failing rows shown per rule.
const SAMPLES: usize = 5;

/// What one rule found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleResult {
    /// Id of the rule.
    pub id: String,
    /// What happens when it fails.
    pub severity: Severity,
    /// The side of quality it speaks about.
    pub dimension: Dimension,
    /// Rows tested, of which rows without a value are none (except for rules that ask for one); commits tested, for
    /// a rule on commits.
    pub checked: u64,
    /// Rows, or commits, that failed.
    pub failed: u64,
    /// The first failing rows as JSON objects.
    pub samples: Vec<String>,
    /// Whether the rule judges commits as a whole, by its kind or by `mostly`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_commit: bool,
    /// Whether it failed for the commit as a whole.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub commit_failed: bool,
    /// What was seen in the newest commit, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
}

impl RuleResult {
    /// The result as it may be shown: samples masked; of a rule about masked columns, what it has seen is hidden.
    #[must_use]
    pub fn masked(&self, rule: Option<&Rule>, masks: &Masks) -> Self {
        // Of a rule that nobody knows, nobody knows what it is about.
        let is_told = masks.is_empty() || rule.is_some_and(|rule| !rule.is_about(masks));
        let observed = self.observed.as_ref().map(|seen| if is_told { seen.clone() } else { HIDDEN.to_owned() });
        Self { samples: self.samples.iter().map(|row| masks.line(row)).collect(), observed, ..self.clone() }
    }
}

/// What becomes of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// True for rows that go on; all false when the batch is held.
    pub mask: BooleanArray,
    /// Rows that go on, in the batch's schema.
    pub accepted: RecordBatch,
    /// The other rows, with `tm_failed_rules` behind the batch's columns.
    pub quarantined: RecordBatch,
    /// The first rule for which the whole batch is held back.
    pub held: Option<String>,
    /// The first rule with severity `block` that failed.
    pub blocked: Option<String>,
    /// One result per rule, in the order of the rules.
    pub results: Vec<RuleResult>,
    /// What is counted for the score, of all rows of the batch.
    pub tally: Tally,
}

impl Verdict {
    /// The verdict, with exactly the rows at these positions set aside: what was decided before stands. Also tells
    /// whether that is another decision than this one.
    ///
    /// # Errors
    /// A batch without positions.
    pub fn settled(self, batch: &RecordBatch, aside: &HashSet<Position>) -> Result<(Self, bool), QualityError> {
        let goes: Vec<bool> = positions(batch)?.iter().map(|position| !aside.contains(position)).collect();
        let mask = BooleanArray::from(goes);
        if mask == self.mask {
            return Ok((self, false));
        }
        let accepted = filter_record_batch(batch, &mask)?;
        let others = filter_record_batch(batch, &not(&mask)?)?;
        let reasons = StringArray::from_iter_values(std::iter::repeat_n("", others.num_rows()));
        Ok((Self { mask, accepted, quarantined: with_reasons(&others, reasons)?, ..self }, true))
    }
}

/// Adds the results of another batch of the same rules.
pub fn merge_results(into: &mut Vec<RuleResult>, from: &[RuleResult]) {
    for result in from {
        let Some(mine) = into.iter_mut().find(|mine| mine.id == result.id) else {
            into.push(result.clone());
            continue;
        };
        mine.checked += result.checked;
        mine.failed += result.failed;
        mine.on_commit |= result.on_commit;
        mine.commit_failed |= result.commit_failed;
        if result.observed.is_some() {
            mine.observed.clone_from(&result.observed);
        }
        let room = SAMPLES.saturating_sub(mine.samples.len());
        mine.samples.extend(result.samples.iter().take(room).cloned());
    }
}

/// Everything that decides about a batch.
pub(crate) struct Outcome<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) batch: &'a RecordBatch,
    pub(crate) marks: &'a [Marks],
    pub(crate) failing: &'a BooleanBuffer,
    /// What rules say about the commit as a whole.
    pub(crate) findings: &'a [Option<Finding>],
}

impl Outcome<'_> {
    pub(crate) fn verdict(&self) -> Result<Verdict, QualityError> {
        let rules = &self.rules.rules;
        let mut results = Vec::with_capacity(rules.len());
        for ((rule, marks), finding) in rules.iter().zip(self.marks).zip(self.findings) {
            results.push(result(rule, marks, finding.as_ref(), self.batch)?);
        }
        let tally = Tally::of(self.rules, self.batch, self.marks, self.findings)?;
        let id = |place: usize| rules[place].id.clone();
        let blocked = (0..rules.len()).find(|i| self.holds_back(*i, Severity::Block)).map(id);
        let held =
            blocked.clone().or_else(|| (0..rules.len()).find(|i| self.holds_back(*i, Severity::Quarantine)).map(id));
        if held.is_none() {
            let reasons = self.reasons(self.failing.set_indices(), "");
            let accepted = going_on(self.batch, self.failing)?;
            let mask = BooleanArray::new(!self.failing, None);
            let rejected = if accepted.num_rows() == self.batch.num_rows() {
                self.batch.slice(0, 0)
            } else {
                filter_record_batch(self.batch, &BooleanArray::new(self.failing.clone(), None))?
            };
            let quarantined = with_reasons(&rejected, reasons)?;
            return Ok(Verdict { mask, accepted, quarantined, held, blocked, results, tally });
        }
        let fate = held.clone().unwrap_or_default();
        let reasons = self.reasons(0..self.batch.num_rows(), &fate);
        let mask = BooleanArray::new(BooleanBuffer::new_unset(self.batch.num_rows()), None);
        let quarantined = with_reasons(self.batch, reasons)?;
        Ok(Verdict { mask, accepted: self.batch.slice(0, 0), quarantined, held, blocked, results, tally })
    }

    /// Whether a rule of at least this severity holds the whole batch back.
    fn holds_back(&self, place: usize, severity: Severity) -> bool {
        let rule = &self.rules.rules[place];
        if rule.severity < severity {
            return false;
        }
        match &self.findings[place] {
            Some(finding) => !finding.holds,
            // A row that fails a blocking rule blocks; one that fails a lesser rule goes alone.
            None => rule.severity == Severity::Block && rule.stops_rows() && self.marks[place].failures > 0,
        }
    }

    /// Ids of the rules that each row failed; a row in order itself shares the fate of its commit.
    fn reasons(&self, rows: impl Iterator<Item = usize>, fate: &str) -> StringArray {
        let failed: Vec<_> = self.rules.rules.iter().zip(self.marks).filter(|(_, marks)| marks.failures > 0).collect();
        let mut text = String::new();
        let reason = |row: usize| {
            text.clear();
            for (rule, _) in failed.iter().filter(|(_, marks)| marks.failed.value(row)) {
                if !text.is_empty() {
                    text.push(',');
                }
                text.push_str(&rule.id);
            }
            if !self.failing.value(row) && !text.split(',').any(|id| id == fate) {
                // Rules that only warn are not why the row is here.
                fate.clone_into(&mut text);
            }
            Some(text.clone())
        };
        rows.map(reason).collect()
    }
}

fn result(
    rule: &CompiledRule,
    marks: &Marks,
    finding: Option<&Finding>,
    batch: &RecordBatch,
) -> Result<RuleResult, QualityError> {
    let first = marks.failed.set_indices().take(SAMPLES).filter_map(|row| u32::try_from(row).ok());
    let first = UInt32Array::from_iter_values(first);
    let commit_failed = finding.is_some_and(|finding| !finding.holds);
    let by_commit = matches!(rule.judge, Judge::Commit(_));
    let rows = (marks.checked as u64, marks.failures as u64);
    let (checked, failed) = if by_commit { (u64::from(finding.is_some()), u64::from(commit_failed)) } else { rows };
    Ok(RuleResult {
        id: rule.id.clone(),
        severity: rule.severity,
        dimension: rule.dimension,
        checked,
        failed,
        samples: if first.is_empty() { vec![] } else { as_json(&take_record_batch(batch, &first)?)? },
        on_commit: by_commit || rule.mostly.is_some(),
        commit_failed,
        observed: finding.map(|finding| finding.observed.clone()),
    })
}

fn as_json(rows: &RecordBatch) -> Result<Vec<String>, QualityError> {
    let mut writer = LineDelimitedWriter::new(Vec::new());
    writer.write(rows)?;
    writer.finish()?;
    Ok(String::from_utf8_lossy(&writer.into_inner()).lines().map(str::to_owned).collect())
}

fn with_reasons(rows: &RecordBatch, reasons: StringArray) -> Result<RecordBatch, QualityError> {
    let mut fields: Vec<Field> = rows.schema().fields().iter().map(|f| f.as_ref().clone()).collect();
    fields.push(Field::new(columns::FAILED_RULES, DataType::Utf8, false));
    let mut arrays = rows.columns().to_vec();
    arrays.push(Arc::new(reasons));
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}
