//! What can be counted of the soundness of rows, before anything is made of it: sums, so that those of commits add up.

use crate::commit::{Finding, missing};
use crate::error::QualityError;
use crate::marks::Marks;
use crate::rule::{Judge, Rules};
use arrow::array::RecordBatch;
use arrow::buffer::BooleanBuffer;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidemill_spec::Dimension;
use tidemill_types::columns;

/// Counts over all rows that came: those that went on, those set aside, and those of commits that were held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Rows.
    pub rows: u64,
    /// Cells of their declared columns.
    pub cells: u64,
    /// Those of them that are null or NaN.
    pub missing: u64,
    /// What rules found, by the side of quality they speak about; sides about which no rule speaks are absent.
    pub sides: BTreeMap<Dimension, Side>,
}

/// What the rules on one side of quality found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Side {
    /// Rows that rules on rows looked at, each once however many rules there are.
    pub rows: u64,
    /// Those of them that failed a rule, each once.
    pub faulty: u64,
    /// Verdicts on commits as a whole: one for each commit and rule, also of rules with `mostly`.
    pub verdicts: u64,
    /// Those of them that failed.
    pub failed: u64,
}

impl Tally {
    pub(crate) fn of(
        rules: &Rules,
        batch: &RecordBatch,
        marks: &[Marks],
        findings: &[Option<Finding>],
    ) -> Result<Self, QualityError> {
        let mut tally = Self { rows: batch.num_rows() as u64, ..Self::default() };
        for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            if !field.name().starts_with(columns::PREFIX) {
                tally.cells += array.len() as u64;
                tally.missing += missing(array)? as u64;
            }
        }
        let mut faulty: BTreeMap<Dimension, BooleanBuffer> = BTreeMap::new();
        for ((rule, marks), finding) in rules.rules.iter().zip(marks).zip(findings) {
            let side = tally.sides.entry(rule.dimension).or_default();
            side.verdicts += u64::from(finding.is_some());
            side.failed += u64::from(finding.as_ref().is_some_and(|finding| !finding.holds));
            // Rules with memory judge nothing where only single rows are looked at.
            if marks.checked > 0 || matches!(rule.judge, Judge::Row(_)) {
                let rows = faulty.entry(rule.dimension).or_insert_with(|| BooleanBuffer::new_unset(batch.num_rows()));
                *rows = &*rows | &marks.failed;
            }
        }
        for (dimension, failed) in faulty {
            let side = tally.sides.entry(dimension).or_default();
            (side.rows, side.faulty) = (tally.rows, failed.count_set_bits() as u64);
        }
        Ok(tally)
    }

    /// Adds the counts of other rows.
    pub fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.cells += other.cells;
        self.missing += other.missing;
        for (dimension, side) in &other.sides {
            let mine = self.sides.entry(*dimension).or_default();
            mine.rows += side.rows;
            mine.faulty += side.faulty;
            mine.verdicts += side.verdicts;
            mine.failed += side.failed;
        }
    }
}
