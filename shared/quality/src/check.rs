//! Verdicts on batches.

use crate::error::QualityError;
use crate::rule::{Check, CompiledRule, Dimension, Mark, Rules};
use crate::unique::{Undo, UniqueState, keys, owners, unique_rules};
use arrow::array::{BooleanArray, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{filter_record_batch, not, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::json::LineDelimitedWriter;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tidemill_spec::Severity;
use tidemill_types::columns;

/// Failing rows shown per rule.
const SAMPLES: usize = 5;

/// What one rule found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleResult {
    /// Id of the rule.
    pub id: String,
    /// What happens to failing rows.
    pub severity: Severity,
    /// The side of quality it speaks about.
    pub dimension: Dimension,
    /// Rows tested; rows without a value are not (except by `not_null`).
    pub checked: u64,
    /// Rows that failed.
    pub failed: u64,
    /// The first failing rows as JSON objects.
    pub samples: Vec<String>,
}

/// What becomes of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// True for rows that go on; all false when blocked.
    pub mask: BooleanArray,
    /// Rows that go on, in the batch's schema.
    pub accepted: RecordBatch,
    /// The other rows, with `tm_failed_rules` behind the batch's columns.
    pub quarantined: RecordBatch,
    /// The first rule with severity `block` that a row failed.
    pub blocked: Option<String>,
    /// One result per rule, in the order of the rules.
    pub results: Vec<RuleResult>,
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
        let room = SAMPLES.saturating_sub(mine.samples.len());
        mine.samples.extend(result.samples.iter().take(room).cloned());
    }
}

impl Rules {
    /// Applies all rules. Row rules come first; `unique` then looks only at rows that would go on, so that a
    /// mended row may follow one that was quarantined. Keys are remembered for accepted rows only; of a blocked
    /// batch nothing is remembered.
    ///
    /// # Errors
    /// A batch without the columns that the rules read, or a state of other rules.
    pub fn check(&self, state: &mut UniqueState, batch: &RecordBatch) -> Result<Verdict, QualityError> {
        state.belongs_to(self)?;
        let mut marks = self.row_marks(batch)?;
        let mut failing = self.failing(&marks, batch.num_rows());
        let taken = self.unique_marks(state, batch, &mut marks, &mut failing)?;
        let verdict = self.verdict(batch, &marks, &failing);
        if verdict.as_ref().map_or(true, |verdict| verdict.blocked.is_some()) {
            state.undo(taken);
        }
        verdict
    }

    /// Applies row rules only; results of `unique` rules say that nothing was checked.
    ///
    /// # Errors
    /// A batch without the columns that the rules read.
    pub fn check_rows(&self, batch: &RecordBatch) -> Result<Verdict, QualityError> {
        let marks = self.row_marks(batch)?;
        let failing = self.failing(&marks, batch.num_rows());
        self.verdict(batch, &marks, &failing)
    }

    fn row_marks(&self, batch: &RecordBatch) -> Result<Vec<Vec<Mark>>, QualityError> {
        let absent = || vec![Mark::Absent; batch.num_rows()];
        self.rules.iter().map(|rule| Ok(rule.marks(batch)?.unwrap_or_else(absent))).collect()
    }

    /// Rows that do not go on.
    fn failing(&self, marks: &[Vec<Mark>], rows: usize) -> Vec<bool> {
        let hard: Vec<_> = self.rules.iter().zip(marks).filter(|(r, _)| stops(r)).map(|(_, m)| m).collect();
        (0..rows).map(|row| hard.iter().any(|marks| marks[row] == Mark::Failed)).collect()
    }

    /// Marks duplicates row by row and returns how to undo what was remembered.
    fn unique_marks(
        &self,
        state: &mut UniqueState,
        batch: &RecordBatch,
        marks: &mut [Vec<Mark>],
        failing: &mut [bool],
    ) -> Result<Vec<(usize, Undo)>, QualityError> {
        let mut undo = Vec::new();
        let positions: Vec<usize> =
            (0..self.rules.len()).filter(|i| matches!(self.rules[*i].check, Check::Unique(_))).collect();
        if positions.is_empty() {
            return Ok(undo);
        }
        let owners = owners(batch)?;
        let keys = unique_rules(self).map(|columns| keys(batch, columns)).collect::<Result<Vec<_>, _>>()?;
        for (row, owner) in owners.into_iter().enumerate() {
            if failing[row] {
                continue;
            }
            for (nth, position) in positions.iter().enumerate() {
                let Some(key) = keys[nth][row] else { continue };
                let doubled = state.taken[nth].by_other(key, owner);
                marks[*position][row] = if doubled { Mark::Failed } else { Mark::Passed };
                failing[row] |= doubled && stops(&self.rules[*position]);
            }
            if !failing[row] {
                let taken = (0..positions.len()).map(|nth| (nth, state.take(nth, keys[nth][row], owner)));
                undo.extend(taken.filter_map(|(nth, taken)| taken.map(|taken| (nth, taken))));
            }
        }
        Ok(undo)
    }

    fn verdict(&self, batch: &RecordBatch, marks: &[Vec<Mark>], failing: &[bool]) -> Result<Verdict, QualityError> {
        let mut results = Vec::with_capacity(self.rules.len());
        for (rule, marks) in self.rules.iter().zip(marks) {
            results.push(result(rule, marks, batch)?);
        }
        let blocking =
            |(rule, result): &(&CompiledRule, &RuleResult)| rule.severity == Severity::Block && result.failed > 0;
        let blocked = self.rules.iter().zip(&results).find(blocking).map(|(rule, _)| rule.id.clone());
        let mask: BooleanArray = failing.iter().map(|failing| Some(blocked.is_none() && !failing)).collect();
        let reasons = (0..batch.num_rows()).filter(|row| !mask.value(*row)).map(|row| {
            let failed = self.rules.iter().zip(marks).filter(|(_, marks)| marks[row] == Mark::Failed);
            let ids: Vec<&str> = failed.map(|(rule, _)| rule.id.as_str()).collect();
            // A row may be in order itself and share the fate of its commit.
            if failing[row] { ids.join(",") } else { blocked.clone().unwrap_or_default() }
        });
        let reasons: StringArray = reasons.map(Some).collect();
        let quarantined = with_reasons(&filter_record_batch(batch, &not(&mask)?)?, reasons)?;
        Ok(Verdict { accepted: filter_record_batch(batch, &mask)?, mask, quarantined, blocked, results })
    }
}

fn stops(rule: &CompiledRule) -> bool {
    rule.severity >= Severity::Quarantine
}

fn result(rule: &CompiledRule, marks: &[Mark], batch: &RecordBatch) -> Result<RuleResult, QualityError> {
    let failed = || (0_u32..).zip(marks).filter(|(_, mark)| **mark == Mark::Failed).map(|(row, _)| row);
    let first = UInt32Array::from_iter_values(failed().take(SAMPLES));
    Ok(RuleResult {
        id: rule.id.clone(),
        severity: rule.severity,
        dimension: rule.dimension,
        checked: marks.iter().filter(|mark| **mark != Mark::Absent).count() as u64,
        failed: failed().count() as u64,
        samples: if first.is_empty() { vec![] } else { as_json(&take_record_batch(batch, &first)?)? },
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
