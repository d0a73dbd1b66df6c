//! Rows of a training set that learners may see.

use crate::error::TrainingError;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{cast, concat_batches, filter_record_batch, sort_to_indices, take_record_batch};
use arrow::datatypes::{DataType, SchemaRef, TimestampMillisecondType};
use std::sync::Arc;
use tidemill_contracts::training_set as names;
use tidemill_types::Millis;

/// Labelled rows in the order of their instants; every column of the batch is a feature.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    /// Features, in the order of the plan.
    pub(crate) features: RecordBatch,
    /// One label per row.
    pub(crate) labels: Vec<bool>,
    /// Instant of the prediction per row, ascending.
    pub(crate) as_of: Vec<i64>,
}

/// Columns that decide which rows are kept, to be read beside the features.
pub(crate) const KEEPING: [&str; 3] = [names::LABEL, names::AS_OF, names::EXCLUDED];

impl Rows {
    /// Keeps the labelled rows of `[from, until)` that are not excluded. What is sealed must lie outside.
    ///
    /// # Errors
    /// A column is missing or has another type.
    pub(crate) fn keep(
        batches: &[RecordBatch],
        features: &SchemaRef,
        from: Millis,
        until: Millis,
    ) -> Result<Self, TrainingError> {
        let mut kept = Vec::with_capacity(batches.len());
        for batch in batches {
            let mask = usable(batch, from, until, Excluded::Drop)?;
            kept.push(filter_record_batch(batch, &mask)?);
        }
        let Some(schema) = kept.first().map(RecordBatch::schema) else {
            return Err(TrainingError::NoRows { from, until });
        };
        let mut all = concat_batches(&schema, &kept)?;
        drop(kept);
        if all.num_rows() == 0 {
            return Err(TrainingError::NoRows { from, until });
        }
        if !instants(&all)?.is_sorted() {
            let order = sort_to_indices(column(&all, names::AS_OF)?, None, None)?;
            all = take_record_batch(&all, &UInt32Array::from(order.values().to_vec()))?;
        }
        let labels = column(&all, names::LABEL)?.as_boolean().iter().map(|label| label == Some(true)).collect();
        let as_of = instants(&all)?;
        let columns = features.fields().iter().map(|field| {
            let found = column(&all, field.name())?;
            if found.data_type() == field.data_type() {
                Ok(Arc::clone(found))
            } else {
                Ok(cast(found, field.data_type())?)
            }
        });
        let columns = columns.collect::<Result<Vec<ArrayRef>, TrainingError>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(all.num_rows()));
        let features = RecordBatch::try_new_with_options(Arc::clone(features), columns, &options)?;
        Ok(Self { features, labels, as_of })
    }

    /// Number of rows.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.labels.len()
    }

    /// The rows of `[from, until)`, without a copy of the features.
    #[must_use]
    pub(crate) fn between(&self, from: Millis, until: Millis) -> Self {
        let start = self.as_of.partition_point(|t| *t < from.0);
        let end = self.as_of.partition_point(|t| *t < until.0).max(start);
        Self {
            features: self.features.slice(start, end - start),
            labels: self.labels[start..end].to_vec(),
            as_of: self.as_of[start..end].to_vec(),
        }
    }

    /// Share of positive labels; zero without rows.
    #[must_use]
    pub(crate) fn positive_rate(&self) -> f64 {
        let positives = self.labels.iter().filter(|label| **label).count();
        positives as f64 / self.labels.len().max(1) as f64
    }

    /// At most `count` rows, evenly spaced.
    ///
    /// # Errors
    /// Arrow refuses to take rows.
    pub(crate) fn sample(&self, count: usize) -> Result<RecordBatch, TrainingError> {
        let step = self.len().div_ceil(count.max(1)).max(1);
        let chosen: UInt32Array = (0..self.len()).step_by(step).map(|row| row as u32).collect();
        Ok(take_record_batch(&self.features, &chosen)?)
    }
}

/// What to do with rows that `train.exclude` names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Excluded {
    /// They are left out.
    Drop,
    /// They are looked at, for leak checks.
    Include,
}

/// Which rows have a label and lie in `[from, until)`.
pub(crate) fn usable(
    batch: &RecordBatch,
    from: Millis,
    until: Millis,
    excluded: Excluded,
) -> Result<BooleanArray, TrainingError> {
    let labels = column(batch, names::LABEL)?;
    let out = column(batch, names::EXCLUDED)?.as_boolean_opt().cloned();
    let out = out.ok_or_else(|| TrainingError::Column(names::EXCLUDED.to_owned()))?;
    let instants = instants(batch)?;
    let keep = |row: usize| {
        let inside = instants[row] >= from.0 && instants[row] < until.0;
        let left_out = excluded == Excluded::Drop && out.is_valid(row) && out.value(row);
        inside && labels.is_valid(row) && !left_out
    };
    Ok((0..batch.num_rows()).map(|row| Some(keep(row))).collect())
}

fn instants(batch: &RecordBatch) -> Result<Vec<i64>, TrainingError> {
    let found = cast(column(batch, names::AS_OF)?, &Millis::arrow_type())?;
    Ok(found.as_primitive::<TimestampMillisecondType>().values().to_vec())
}

pub(crate) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, TrainingError> {
    let found = batch.column_by_name(name).ok_or_else(|| TrainingError::Column(name.to_owned()))?;
    if name == names::LABEL && found.data_type() != &DataType::Boolean {
        return Err(TrainingError::Column(name.to_owned()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use arrow::array::{Float64Array, TimestampMillisecondArray};
    use arrow::datatypes::{Field, Schema};

    #[test]
    fn sealed_unlabelled_and_excluded_rows_never_arrive() {
        let as_of = TimestampMillisecondArray::from(vec![30, 10, 20, 40, 50]).with_timezone("UTC");
        let batch = RecordBatch::try_from_iter([
            (names::AS_OF, Arc::new(as_of) as ArrayRef),
            (names::LABEL, Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, Some(true), Some(true)]))),
            (names::EXCLUDED, Arc::new(BooleanArray::from(vec![false, false, false, true, false]))),
            ("x", Arc::new(Float64Array::from(vec![3.0, 1.0, 2.0, 4.0, 5.0]))),
        ])
        .unwrap();
        let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::Float64, true)]));
        let rows = Rows::keep(&[batch], &schema, Millis(0), Millis(50)).unwrap();
        assert_eq!((rows.as_of.clone(), rows.labels.clone()), (vec![10, 30], vec![false, true]));
        assert_eq!(rows.features.num_columns(), 1);
        assert_eq!(rows.between(Millis(20), Millis(40)).labels, [true]);
        assert_eq!(rows.sample(1).unwrap().num_rows(), 1);
    }
}
