//! From table rows to what the join takes in.

use crate::domain::join::{Outcome, Prediction};
use crate::error::MonitoringError;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Float64Type, Schema, SchemaRef, TimestampMillisecondType};
use std::collections::HashMap;
use std::sync::Arc;
use tidemill_conform::{ColumnDef, ConformSchema, Values};
use tidemill_contracts::prediction_log as log;
use tidemill_expr::Compiled;
use tidemill_features::Plan;
use tidemill_spec::{Label, Source, Spec};
use tidemill_types::{Millis, columns};

/// Columns that the join reads of the prediction table.
pub(crate) const PREDICTION_COLUMNS: [&str; 7] =
    [log::KEY, log::AS_OF, log::ANSWERED_AT, log::MODEL, log::SCORE, log::ALERTED, log::SHADOW_SCORE];

/// Which columns a table of predictions has, by its age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogSince {
    /// It was made before the log told of the oldest input.
    Before,
    /// It has all columns of the contract.
    Ages,
}

/// The prediction log as rows that can be conformed: its own columns, then every feature of the plan.
///
/// # Errors
/// When the plan does not compile.
pub(crate) fn log_schema(spec: &Spec, since: LogSince) -> Result<ConformSchema, MonitoringError> {
    let plan = Plan::compile(spec)?;
    let key = plan.entity_columns().field_with_name(plan.entity_key())?.data_type().clone();
    let own = [
        (log::PREDICTION_ID, DataType::Utf8),
        (log::KEY, key),
        (log::AS_OF, Millis::arrow_type()),
        (log::ANSWERED_AT, Millis::arrow_type()),
        (log::MODEL, DataType::Utf8),
        (log::VARIANT, DataType::Utf8),
        (log::SCORE, DataType::Float64),
        (log::ALERTED, DataType::Boolean),
        (log::SHADOW_MODEL, DataType::Utf8),
        (log::SHADOW_SCORE, DataType::Float64),
        (log::STATUS, DataType::Utf8),
        (log::TRACE_ID, DataType::Utf8),
    ];
    let ages = [(log::OLDEST_INPUT, DataType::Utf8), (log::OLDEST_INPUT_AGE_S, DataType::Float64)];
    let ages = ages.into_iter().filter(|_| since == LogSince::Ages);
    let own = own.into_iter().chain(ages).map(|(name, data_type)| (name.to_owned(), data_type));
    let features = plan.schema().fields().iter().map(|f| (f.name().clone(), f.data_type().clone()));
    let column = |(name, data_type)| ColumnDef { name, data_type, nullable: true, values: Values::default() };
    Ok(ConformSchema {
        columns: own.chain(features).map(column).collect(),
        event_time: log::AS_OF.to_owned(),
        known_at: Some(log::AS_OF.to_owned()),
    })
}

fn column<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b ArrayRef, MonitoringError> {
    batch.column_by_name(name).ok_or_else(|| MonitoringError::Column(name.to_owned()))
}

fn wrong(name: &str) -> impl Fn() -> MonitoringError + '_ {
    move || MonitoringError::Column(name.to_owned())
}

/// Keys as text, so that both sides meet whatever integer width they use.
fn keys(batch: &RecordBatch, name: &str) -> Result<StringArray, MonitoringError> {
    Ok(cast(column(batch, name)?, &DataType::Utf8)?.as_string::<i32>().clone())
}

/// The predictions of a batch that are about an entity.
pub(crate) fn predictions(batch: &RecordBatch) -> Result<Vec<(String, Prediction)>, MonitoringError> {
    let keys = keys(batch, log::KEY)?;
    let models = keys_of_models(batch)?;
    let instant = |name| column(batch, name)?.as_primitive_opt::<TimestampMillisecondType>().ok_or_else(wrong(name));
    let number = |name| column(batch, name)?.as_primitive_opt::<Float64Type>().ok_or_else(wrong(name));
    let (as_of, answered_at) = (instant(log::AS_OF)?, instant(log::ANSWERED_AT)?);
    let (score, shadow_score) = (number(log::SCORE)?, number(log::SHADOW_SCORE)?);
    let alerted = column(batch, log::ALERTED)?.as_boolean_opt().ok_or_else(wrong(log::ALERTED))?;
    let mut names: HashMap<&str, Arc<str>> = HashMap::new();
    let mut found = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        if keys.is_null(row) || as_of.is_null(row) {
            continue;
        }
        let model = if models.is_valid(row) { models.value(row) } else { "" };
        let prediction = Prediction {
            as_of: Millis(as_of.value(row)),
            answered_at: if answered_at.is_valid(row) { Millis(answered_at.value(row)) } else { Millis::MIN },
            score: score.is_valid(row).then(|| score.value(row)),
            shadow_score: shadow_score.is_valid(row).then(|| shadow_score.value(row)),
            alerted: alerted.is_valid(row) && alerted.value(row),
            // One text per model, not one per row.
            model: Arc::clone(names.entry(model).or_insert_with(|| model.into())),
        };
        found.push((keys.value(row).to_owned(), prediction));
    }
    Ok(found)
}

fn keys_of_models(batch: &RecordBatch) -> Result<StringArray, MonitoringError> {
    keys(batch, log::MODEL)
}

/// Rows whose features were found.
pub(crate) fn with_features(batch: &RecordBatch, present: &str) -> Result<RecordBatch, MonitoringError> {
    let status = keys(batch, log::STATUS)?;
    let mask: BooleanArray = status.iter().map(|s| Some(s == Some(present))).collect();
    Ok(filter_record_batch(batch, &mask)?)
}

/// Reads outcomes from rows of the label's source.
#[derive(Clone, Debug)]
pub(crate) struct OutcomeReader {
    key: String,
    value: Compiled,
}

impl OutcomeReader {
    pub(crate) fn new(label: &Label, source: &Source) -> Result<Self, MonitoringError> {
        let nullable = |schema: Schema| -> SchemaRef {
            Arc::new(Schema::new(
                schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect::<Vec<_>>(),
            ))
        };
        let value = Compiled::new(&label.value, &nullable(source.declared_schema()))?;
        Ok(Self { key: label.key.clone(), value })
    }

    /// Columns that are read.
    pub(crate) fn columns(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.value.columns().iter().map(String::as_str).collect();
        names.extend([self.key.as_str(), columns::KNOWN_AT]);
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The outcomes of a batch that name an entity.
    pub(crate) fn outcomes(&self, batch: &RecordBatch) -> Result<Vec<(String, Outcome)>, MonitoringError> {
        let keys = keys(batch, &self.key)?;
        let values = cast(&self.value.evaluate(batch)?, &DataType::Boolean)?;
        let labels = values.as_boolean();
        let known = column(batch, columns::KNOWN_AT)?;
        let known = known.as_primitive_opt::<TimestampMillisecondType>().ok_or_else(wrong(columns::KNOWN_AT))?;
        let outcome = |row: usize| Outcome {
            label: labels.is_valid(row).then(|| labels.value(row)),
            known_at: Millis(known.value(row)),
        };
        let rows = (0..batch.num_rows()).filter(|row| keys.is_valid(*row) && known.is_valid(*row));
        Ok(rows.map(|row| (keys.value(row).to_owned(), outcome(row))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float64Array, Int16Array, Int32Array, TimestampMillisecondArray};

    fn instants(values: Vec<Option<i64>>) -> ArrayRef {
        Arc::new(TimestampMillisecondArray::from(values).with_timezone("UTC"))
    }

    #[test]
    fn a_logged_row_becomes_a_prediction_and_a_row_about_nobody_none() {
        let text = |v: Vec<Option<&str>>| -> ArrayRef { Arc::new(StringArray::from(v)) };
        let batch = RecordBatch::try_from_iter([
            (log::KEY, Arc::new(Int32Array::from(vec![Some(7), None])) as ArrayRef),
            (log::AS_OF, instants(vec![Some(5), Some(5)])),
            (log::ANSWERED_AT, instants(vec![Some(9), Some(9)])),
            (log::MODEL, text(vec![Some("m"), Some("m")])),
            (log::SCORE, Arc::new(Float64Array::from(vec![Some(0.25), None])) as ArrayRef),
            (log::ALERTED, Arc::new(BooleanArray::from(vec![true, false])) as ArrayRef),
            (log::SHADOW_SCORE, Arc::new(Float64Array::from(vec![None, Some(0.5)])) as ArrayRef),
        ])
        .unwrap();
        let found = predictions(&batch).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, "7");
        assert_eq!((found[0].1.score, found[0].1.shadow_score, found[0].1.alerted), (Some(0.25), None, true));
        assert!(predictions(&batch.project(&[0, 1]).unwrap()).is_err());
    }

    #[test]
    fn the_label_is_the_expression_of_the_spec() {
        let source: Source = serde_json::from_value(serde_json::json!({
            "key": ["id"], "event_time": "at",
            "columns": {"id": {"type": "int64"}, "at": {"type": "timestamp"}, "delay": {"type": "int16", "nullable": true}}
        }))
        .unwrap();
        let label: Label = serde_json::from_value(serde_json::json!({
            "name": "late", "source": "ends", "key": "id", "value": "delay >= 15", "matures_within": "36h"
        }))
        .unwrap();
        let reader = OutcomeReader::new(&label, &source).unwrap();
        assert_eq!(reader.columns(), ["delay", "id", columns::KNOWN_AT]);
        let batch = RecordBatch::try_from_iter([
            ("id", Arc::new(arrow::array::Int64Array::from(vec![7, 8, 9])) as ArrayRef),
            ("delay", Arc::new(Int16Array::from(vec![Some(20), Some(3), None])) as ArrayRef),
            (columns::KNOWN_AT, instants(vec![Some(1), Some(2), Some(3)])),
        ])
        .unwrap();
        let found = reader.outcomes(&batch).unwrap();
        // The key of another integer type is the same text.
        assert_eq!(found[0], ("7".to_owned(), Outcome { label: Some(true), known_at: Millis(1) }));
        let labels: Vec<_> = found.iter().map(|(_, outcome)| outcome.label).collect();
        assert_eq!(labels, [Some(true), Some(false), None]);
    }

    #[test]
    fn the_log_as_serving_writes_it_conforms_and_what_it_lacks_is_null() {
        let spec = tidemill_spec::Spec::parse(include_str!("../../../infra/examples/flights/project.yaml")).unwrap();
        let conform = tidemill_conform::Conform::new(&log_schema(&spec, LogSince::Ages).unwrap()).unwrap();
        let text = |v: &str| -> ArrayRef { Arc::new(StringArray::from(vec![v])) };
        let batch = RecordBatch::try_from_iter([
            (log::PREDICTION_ID, text("p")),
            (log::KEY, Arc::new(Int32Array::from(vec![7])) as ArrayRef),
            (log::AS_OF, instants(vec![Some(5)])),
            (log::ANSWERED_AT, instants(vec![Some(9)])),
            (log::MODEL, text("m")),
            (log::VARIANT, text("champion")),
            (log::SCORE, Arc::new(Float64Array::from(vec![0.25])) as ArrayRef),
            (log::ALERTED, Arc::new(BooleanArray::from(vec![true])) as ArrayRef),
            (log::STATUS, text("present")),
            ("carrier", text("UA")),
            ("distance", Arc::new(Float64Array::from(vec![719.0])) as ArrayRef),
        ])
        .unwrap();
        let message = tidemill_conform::MessageIn {
            seq: 1,
            content_type: tidemill_conform::ARROW_STREAM,
            event_id: "e",
            arrived_at: Millis(100),
            body: &tidemill_conform::encode_stream(std::slice::from_ref(&batch)).unwrap(),
        };
        let conformed = conform.message(&message);
        assert!(conformed.rejects.is_empty(), "{:?}", conformed.rejects);
        let rows = conformed.batch.unwrap();
        let known = rows.column_by_name(columns::KNOWN_AT).unwrap().as_primitive::<TimestampMillisecondType>();
        assert_eq!(known.value(0), 5, "known as of the instant of the prediction, not of its arrival");
        assert_eq!(rows.column_by_name("weekday").unwrap().null_count(), 1);
        assert_eq!(
            rows.column_by_name(log::OLDEST_INPUT_AGE_S).unwrap().null_count(),
            1,
            "an older serving says nothing"
        );
        let before = log_schema(&spec, LogSince::Before).unwrap();
        assert!(before.columns.iter().all(|column| column.name != log::OLDEST_INPUT));
        assert_eq!(predictions(&rows).unwrap().len(), 1);
        assert_eq!(with_features(&rows, "present").unwrap().num_rows(), 1);
    }
}
