//! Rows of the prediction log: the columns of [`tidemill_contracts::prediction_log`] and all features.

use super::answer::Answer;
use crate::error::Error;
use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Float64Type, Schema, SchemaRef};
use arrow::ipc::writer::StreamWriter;
use std::sync::Arc;
use tidemill_contracts::prediction_log as column;
use tidemill_types::Millis;

/// The log rows of one request, before the shadow was asked.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Everything but the shadow columns and features.
    pub log: RecordBatch,
    /// Features as the model saw them, and further ones that were read.
    pub features: RecordBatch,
}

/// What the shadow said about the rows of an entry.
#[derive(Clone, Debug)]
pub struct ShadowScores {
    /// Digest of the shadow.
    pub model: String,
    /// One score a row; `None` where there is none.
    pub scores: Vec<Option<f64>>,
}

impl Entry {
    /// The log rows of an answer.
    ///
    /// # Errors
    /// When lengths differ, which is a defect.
    pub fn new(
        answer: &Answer,
        keys: ArrayRef,
        as_of: TimestampMillisecondArray,
        answered_at: Millis,
        features: RecordBatch,
    ) -> Result<Self, Error> {
        let rows = answer.scores.len();
        let same = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text; rows])) };
        let (oldest, age_s) = answer.oldest_input().unzip();
        let instant = TimestampMillisecondArray::from(vec![answered_at.0; rows]).with_timezone("UTC");
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(answer.prediction_ids.clone())),
            Arc::clone(&keys),
            Arc::new(as_of.with_timezone("UTC")),
            Arc::new(instant),
            same(&answer.model),
            same(answer.variant),
            Arc::new(Float64Array::from(answer.scores.clone())),
            Arc::new(BooleanArray::from(answer.alerted.clone())),
            Arc::new(StringArray::from(answer.statuses.clone())),
            Arc::new(StringArray::from(vec![answer.trace_id.as_deref(); rows])),
            Arc::new(StringArray::from(vec![oldest; rows])),
            Arc::new(Float64Array::from(vec![age_s; rows])),
        ];
        let log = RecordBatch::try_new(log_schema(keys.data_type()), columns)
            .map_err(Error::arrow("assembling the log rows of an answer"))?;
        Ok(Self { log, features })
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.log.num_rows()
    }

    /// The scores that were answered.
    #[must_use]
    pub fn scores(&self) -> Vec<Option<f64>> {
        let column = self.log.column_by_name(column::SCORE);
        column.and_then(|c| c.as_primitive_opt::<Float64Type>()).map(|c| c.iter().collect()).unwrap_or_default()
    }

    /// Whether both can stand in one batch.
    #[must_use]
    pub fn fits(&self, other: &Self) -> bool {
        self.log.schema() == other.log.schema() && self.features.schema() == other.features.schema()
    }

    /// One entry out of several that fit each other.
    ///
    /// # Errors
    /// When they do not fit, or there are none.
    pub fn join(entries: &[Self]) -> Result<Self, Error> {
        let Some(first) = entries.first() else {
            return Err(Error::BadRequest("no log entries to join".to_owned()));
        };
        let joined = |pick: fn(&Self) -> &RecordBatch| {
            concat_batches(&pick(first).schema(), entries.iter().map(pick)).map_err(Error::arrow("joining log entries"))
        };
        Ok(Self { log: joined(|e| &e.log)?, features: joined(|e| &e.features)? })
    }

    /// The finished rows: log columns, shadow columns, features.
    ///
    /// # Errors
    /// When lengths differ, which is a defect.
    pub fn finish(&self, shadow: Option<ShadowScores>) -> Result<RecordBatch, Error> {
        let rows = self.rows();
        let (model, scores) = match shadow {
            Some(shadow) => (Some(shadow.model), shadow.scores),
            None => (None, vec![None; rows]),
        };
        let mut fields: Vec<Field> = self.log.schema().fields().iter().map(|f| f.as_ref().clone()).collect();
        fields.push(Field::new(column::SHADOW_MODEL, DataType::Utf8, true));
        fields.push(Field::new(column::SHADOW_SCORE, DataType::Float64, true));
        let features = self.features.schema();
        fields.extend(features.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)));
        let mut columns = self.log.columns().to_vec();
        columns.push(Arc::new(StringArray::from(vec![model.as_deref(); rows])));
        columns.push(Arc::new(Float64Array::from(scores)));
        columns.extend(self.features.columns().iter().cloned());
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(Error::arrow("finishing log rows"))
    }
}

fn log_schema(key: &DataType) -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new(column::PREDICTION_ID, DataType::Utf8, false),
        Field::new(column::KEY, key.clone(), true),
        Field::new(column::AS_OF, Millis::arrow_type(), false),
        Field::new(column::ANSWERED_AT, Millis::arrow_type(), false),
        Field::new(column::MODEL, DataType::Utf8, false),
        Field::new(column::VARIANT, DataType::Utf8, false),
        Field::new(column::SCORE, DataType::Float64, true),
        Field::new(column::ALERTED, DataType::Boolean, false),
        Field::new(column::STATUS, DataType::Utf8, false),
        Field::new(column::TRACE_ID, DataType::Utf8, true),
        Field::new(column::OLDEST_INPUT, DataType::Utf8, true),
        Field::new(column::OLDEST_INPUT_AGE_S, DataType::Float64, true),
    ]))
}

/// A batch as uncompressed Arrow IPC streams of at most `limit` bytes each, with their row counts. A single row
/// is never cut: its stream may be larger.
///
/// # Errors
/// When Arrow cannot write the batch.
pub fn bodies(batch: &RecordBatch, limit: usize) -> Result<Vec<(usize, Vec<u8>)>, Error> {
    let body = stream(batch)?;
    if body.len() <= limit || batch.num_rows() < 2 {
        return Ok(vec![(batch.num_rows(), body)]);
    }
    let half = batch.num_rows() / 2;
    let mut parts = bodies(&batch.slice(0, half), limit)?;
    parts.extend(bodies(&batch.slice(half, batch.num_rows() - half), limit)?);
    Ok(parts)
}

/// A batch as one Arrow IPC stream.
///
/// # Errors
/// When Arrow cannot write the batch.
pub fn stream(batch: &RecordBatch) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    let mut writer =
        StreamWriter::try_new(&mut body, &batch.schema()).map_err(Error::arrow("writing an Arrow stream"))?;
    writer.write(batch).and_then(|()| writer.finish()).map_err(Error::arrow("writing an Arrow stream"))?;
    drop(writer);
    Ok(body)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::domain::answer::PRESENT;
    use arrow::array::Int32Array;
    use arrow::ipc::reader::StreamReader;

    fn entry(rows: usize) -> Entry {
        let answer = Answer {
            model: "m".into(),
            variant: "champion",
            trace_id: None,
            plan_digest: String::new(),
            feature_ages_s: [("weather".to_owned(), 90.5), ("flights".to_owned(), 2.0)].into(),
            scores: vec![Some(0.5); rows],
            alerted: vec![true; rows],
            prediction_ids: (0..rows).map(|i| i.to_string()).collect(),
            statuses: vec![PRESENT.to_owned(); rows],
        };
        let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::Float64, true)]));
        let features = RecordBatch::try_new(schema, vec![Arc::new(Float64Array::from(vec![1.0; rows]))]).unwrap();
        let as_of = TimestampMillisecondArray::from(vec![0; rows]);
        Entry::new(&answer, Arc::new(Int32Array::from(vec![1; rows])), as_of, Millis(1), features).unwrap()
    }

    #[test]
    fn splitting_by_size_keeps_every_row_in_order() {
        let batch = Entry::join(&[entry(700), entry(300)]).unwrap().finish(None).unwrap();
        let bodies = bodies(&batch, 20_000).unwrap();
        assert!(bodies.len() > 1);
        let mut read = Vec::new();
        for (rows, body) in &bodies {
            assert!(body.len() <= 20_000);
            let batches: Vec<_> = StreamReader::try_new(body.as_slice(), None).unwrap().map(Result::unwrap).collect();
            assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), *rows);
            read.extend(batches);
        }
        let read = concat_batches(&batch.schema(), &read).unwrap();
        assert_eq!(read, batch);
    }

    #[test]
    fn a_finished_row_has_every_column_of_the_contract() {
        let shadow = ShadowScores { model: "s".into(), scores: vec![Some(0.1)] };
        let batch = entry(1).finish(Some(shadow)).unwrap();
        for name in [
            column::PREDICTION_ID,
            column::KEY,
            column::AS_OF,
            column::ANSWERED_AT,
            column::MODEL,
            column::VARIANT,
            column::SCORE,
            column::ALERTED,
            column::SHADOW_MODEL,
            column::SHADOW_SCORE,
            column::STATUS,
            column::TRACE_ID,
            column::OLDEST_INPUT,
            column::OLDEST_INPUT_AGE_S,
            "x",
        ] {
            assert!(batch.column_by_name(name).is_some(), "{name}");
        }
        let shadow = batch.column_by_name(column::SHADOW_MODEL).unwrap();
        assert_eq!(shadow.as_string::<i32>().value(0), "s");
        let oldest = batch.column_by_name(column::OLDEST_INPUT).unwrap().as_string::<i32>().value(0);
        let age_s = batch.column_by_name(column::OLDEST_INPUT_AGE_S).unwrap().as_primitive::<Float64Type>().value(0);
        assert_eq!((oldest, age_s), ("weather", 90.5));
    }
}
