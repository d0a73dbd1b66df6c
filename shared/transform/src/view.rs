//! The rows a fit may see.

use crate::error::{Error, Result};
use crate::split::{TrainRows, ValidRows};
use arrow::array::UInt32Array;
use arrow::compute::take_record_batch;
use arrow::record_batch::RecordBatch;

/// Training rows, and nothing else: the other rows of the batch are not reachable from here.
#[derive(Clone, Debug)]
pub struct FitView {
    batch: RecordBatch,
    labels: Vec<bool>,
    row_keys: Vec<u64>,
}

impl FitView {
    /// Cuts the training rows out of a batch and its labels.
    ///
    /// # Errors
    /// [`Error::RowCount`] when labels or row set belong to another number of rows.
    pub fn new(batch: &RecordBatch, labels: &[bool], rows: &TrainRows) -> Result<Self> {
        let (batch, labels) = select(batch, labels, rows.indices(), rows.of())?;
        let row_keys = rows.indices().iter().map(|&row| u64::from(row)).collect();
        Ok(Self { batch, labels, row_keys })
    }

    /// Replaces the keys by which cross-fitting folds are drawn (by default the row number in the batch), for
    /// instance by a hash of the entity. One key per row of the whole batch.
    ///
    /// # Errors
    /// [`Error::RowCount`] when a row has no key.
    pub fn with_row_keys(mut self, keys: &[u64]) -> Result<Self> {
        let key_of = |&row: &u64| usize::try_from(row).ok().and_then(|row| keys.get(row)).copied();
        let taken: Option<Vec<u64>> = self.row_keys.iter().map(key_of).collect();
        self.row_keys =
            taken.ok_or(Error::RowCount { what: "row keys", found: keys.len(), expected: self.row_keys.len() })?;
        Ok(self)
    }

    /// The training rows' features.
    #[must_use]
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// The training rows' labels.
    #[must_use]
    pub fn labels(&self) -> &[bool] {
        &self.labels
    }

    /// One stable key per training row.
    #[must_use]
    pub fn row_keys(&self) -> &[u64] {
        &self.row_keys
    }

    /// Number of training rows (at least 1).
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Always false: a split without training rows cannot be made.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Share of positive labels.
    #[must_use]
    pub fn base_rate(&self) -> f64 {
        self.labels.iter().filter(|&&label| label).count() as f64 / self.labels.len() as f64
    }
}

/// Validation rows: transforms can be applied to them, not fitted on them.
#[derive(Clone, Debug)]
pub struct HeldOutView {
    batch: RecordBatch,
    labels: Vec<bool>,
}

impl HeldOutView {
    /// Cuts the validation rows out of a batch and its labels.
    ///
    /// # Errors
    /// [`Error::RowCount`] when labels or row set belong to another number of rows.
    pub fn new(batch: &RecordBatch, labels: &[bool], rows: &ValidRows) -> Result<Self> {
        let (batch, labels) = select(batch, labels, rows.indices(), rows.of())?;
        Ok(Self { batch, labels })
    }

    /// The validation rows' features.
    #[must_use]
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// The validation rows' labels.
    #[must_use]
    pub fn labels(&self) -> &[bool] {
        &self.labels
    }
}

fn select(batch: &RecordBatch, labels: &[bool], rows: &[u32], of: usize) -> Result<(RecordBatch, Vec<bool>)> {
    let expected = batch.num_rows();
    if labels.len() != expected {
        return Err(Error::RowCount { what: "labels", found: labels.len(), expected });
    }
    if of != expected {
        return Err(Error::RowCount { what: "split", found: of, expected });
    }
    let labels = rows.iter().map(|&row| labels[row as usize]).collect();
    // Rows sorted by time give one contiguous run per side, which needs no copy.
    if let (Some(&first), Some(&last)) = (rows.first(), rows.last())
        && (last - first) as usize + 1 == rows.len()
    {
        return Ok((batch.slice(first as usize, rows.len()), labels));
    }
    Ok((take_record_batch(batch, &UInt32Array::from(rows.to_vec()))?, labels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::{Split, SplitSpec};
    use arrow::array::{ArrayRef, Int64Array, cast::AsArray};
    use arrow::datatypes::Int64Type;
    use std::sync::Arc;

    #[test]
    fn a_view_holds_its_own_rows_in_order() {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![10, 11, 12, 13]));
        let batch = RecordBatch::try_from_iter([("x", column)]).unwrap();
        let labels = [true, false, false, true];
        for (times, expected) in [([0, 9, 0, 9], [10, 12]), ([0, 0, 9, 9], [10, 11])] {
            let split = Split::by_time(&times, SplitSpec { train_until: 5, gap: 0, valid_until: 10 }).unwrap();
            let view = FitView::new(&batch, &labels, split.train()).unwrap();
            assert_eq!(view.batch().column(0).as_primitive::<Int64Type>().values(), &expected);
            assert_eq!(view.labels(), [true, false]);
            let held_out = HeldOutView::new(&batch, &labels, split.valid()).unwrap();
            assert_eq!(held_out.labels().len(), 2);
            assert_eq!(view.clone().with_row_keys(&[5, 6, 7, 8]).unwrap().row_keys()[0], 5);
            assert!(view.with_row_keys(&[5]).is_err());
        }
        let other = Split::all_training(3).unwrap();
        assert!(matches!(FitView::new(&batch, &labels, other.train()), Err(Error::RowCount { .. })));
    }
}
