//! What a rule says about every row, as bit masks.

use crate::error::QualityError;
use crate::row::Condition;
use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;

/// Rows that failed a rule, and how many were tested.
#[derive(Clone, Debug)]
pub(crate) struct Marks {
    pub(crate) failed: BooleanBuffer,
    pub(crate) checked: usize,
    pub(crate) failures: usize,
}

impl Marks {
    /// Nothing was tested.
    pub(crate) fn none(rows: usize) -> Self {
        Self { failed: BooleanBuffer::new_unset(rows), checked: 0, failures: 0 }
    }

    /// From which rows pass; null: nothing to test there. `when` restricts the rows that are looked at.
    pub(crate) fn of(passes: &BooleanArray, when: Option<&BooleanBuffer>) -> Self {
        let tested = match (passes.nulls(), when) {
            (None, None) => None,
            (Some(nulls), None) => Some(nulls.inner().clone()),
            (None, Some(when)) => Some(when.clone()),
            (Some(nulls), Some(when)) => Some(nulls.inner() & when),
        };
        let failed = match &tested {
            None => !passes.values(),
            Some(tested) => tested & &!passes.values(),
        };
        let checked = tested.map_or(passes.len(), |tested| tested.count_set_bits());
        let failures = failed.count_set_bits();
        Self { failed, checked, failures }
    }

    /// Share of tested rows that passed; none without any.
    pub(crate) fn share_passed(&self) -> Option<f64> {
        (self.checked > 0).then(|| (self.checked - self.failures) as f64 / self.checked as f64)
    }
}

/// Rows that a condition chooses.
pub(crate) fn chosen(when: Option<&Condition>, batch: &RecordBatch) -> Result<Option<BooleanBuffer>, QualityError> {
    when.map(|condition| condition.is_true(batch)).transpose()
}
