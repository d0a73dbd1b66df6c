//! What evaluation reads: run records, the sealed test, models.

use crate::domain::scorecard::{LeakNote, TestRows};
use crate::domain::twins::{Search, Side};
use crate::error::EvaluationError;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimestampMillisecondType};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidemill_contracts::training_set as names;
use tidemill_dataset::read_parquet;
use tidemill_learn::Model;
use tidemill_storage::Storage;
use tidemill_types::{Digest, Millis};
use uuid::Uuid;

/// What evaluation needs of a run record that training wrote.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Run {
    pub(crate) cycle: String,
    pub(crate) as_of: Millis,
    pub(crate) spec_digest: String,
    pub(crate) training_set: Option<SetRef>,
    pub(crate) windows: Option<Windows>,
    pub(crate) sealed: Option<Sealed>,
    pub(crate) chosen: Option<Chosen>,
    pub(crate) model_digest: Option<String>,
    #[serde(default)]
    pub(crate) leaks: Vec<LeakNote>,
    #[serde(default)]
    pub(crate) baselines: BTreeMap<String, String>,
}

/// The training set of a run.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct SetRef {
    pub(crate) path: String,
    pub(crate) digest: String,
    pub(crate) plan_digest: String,
}

/// How far the rows reach that a run was fitted on.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Windows {
    valid_until: Millis,
}

/// Where the sealed test of a run lies.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Sealed {
    path: String,
    digest: String,
    pub(crate) from: Millis,
    pub(crate) until: Millis,
}

/// The model of a run.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Chosen {
    pub(crate) learner: String,
    pub(crate) params: serde_json::Value,
    pub(crate) threshold: f64,
    pub(crate) validation: BTreeMap<String, f64>,
    pub(crate) importance: Vec<(String, f64)>,
}

/// The note left behind by everybody who looks at a sealed test.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Opening {
    at: Millis,
    by: String,
    cycle: String,
    model_digest: String,
    path: String,
    digest: String,
    from: Millis,
    until: Millis,
}

/// Reads a JSON object; `None` when it does not exist.
pub(crate) async fn read_json<T: DeserializeOwned>(
    storage: &Storage,
    path: &str,
) -> Result<Option<T>, EvaluationError> {
    let bytes = match storage.get(path).await {
        Ok(bytes) => bytes,
        Err(tidemill_storage::Error::NotFound(_)) => return Ok(None),
        Err(other) => return Err(other.into()),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|e| unreadable(path, e))
}

pub(crate) fn to_json<T: Serialize>(path: &str, value: &T) -> Result<Vec<u8>, EvaluationError> {
    serde_json::to_vec_pretty(value).map_err(|e| unreadable(path, e))
}

pub(crate) fn unreadable(path: &str, reason: impl std::fmt::Display) -> EvaluationError {
    EvaluationError::Object { path: path.to_owned(), reason: reason.to_string() }
}

/// The record of a run.
pub(crate) async fn run(storage: &Storage, project: &str, cycle: &str) -> Result<Run, EvaluationError> {
    let found = read_json(storage, &format!("runs/{project}/{cycle}.json")).await?;
    found.ok_or_else(|| EvaluationError::Missing(format!("run \"{cycle}\"")))
}

impl Sealed {
    /// Opens the sealed test. The note is durable before a row is read. Returns the rows, with which of them lie among
    /// those fitted on, and the path of the note.
    pub(crate) async fn open(
        &self,
        storage: &Storage,
        project: &str,
        (cycle, model): (&str, &Digest),
        (features, windows): (&SchemaRef, Option<&Windows>),
        now: Millis,
    ) -> Result<(TestRows, String), EvaluationError> {
        let note = format!("scorecards/{project}/openings/{}.json", Uuid::now_v7());
        let opening = Opening {
            at: now,
            by: "evaluation".to_owned(),
            cycle: cycle.to_owned(),
            model_digest: model.to_string(),
            path: self.path.clone(),
            digest: self.digest.clone(),
            from: self.from,
            until: self.until,
        };
        storage.put_if_absent(&note, to_json(&note, &opening)?).await?;
        let found = Digest::of(&storage.get(&self.path).await?);
        if found.as_str() != self.digest {
            return Err(unreadable(&self.path, format!("its digest is {found}, the run names {}", self.digest)));
        }
        let mut columns = vec![names::KEY, names::LABEL, names::AS_OF, names::EXCLUDED];
        columns.extend(features.fields().iter().map(|field| field.name().as_str()));
        let batches = read_parquet(storage, &self.path, Some(&columns)).await?;
        // Without a record of the windows, all that lies before the test.
        let fitted_until = windows.map_or(self.from, |windows| windows.valid_until);
        let (features, from, until) = (Arc::clone(features), self.from, self.until);
        let rows = tokio::task::spawn_blocking(move || test_rows(&batches, &features, (from, until), fitted_until));
        Ok((rows.await.map_err(|e| EvaluationError::Task(e.to_string()))??, note))
    }
}

/// The test rows, with those seen among the rows before `fitted_until`.
fn test_rows(
    batches: &[RecordBatch],
    features: &SchemaRef,
    (from, until): (Millis, Millis),
    fitted_until: Millis,
) -> Result<TestRows, EvaluationError> {
    let mut kept = Vec::with_capacity(batches.len());
    for batch in batches {
        kept.push(usable(batch, from, until)?);
    }
    let schema = kept.first().map(RecordBatch::schema);
    let schema = schema.ok_or_else(|| EvaluationError::Missing("row in the training set".to_owned()))?;
    let test = concat_batches(&schema, &kept)?;
    drop(kept);
    let columns = ordered(&test, features)?;
    let labels = column(&test, names::LABEL)?.as_boolean();
    let side = Side { features: &columns, labels, keys: column(&test, names::KEY)? };
    let mut search = Search::new(&side)?;
    for batch in batches {
        let fitted = usable(batch, Millis::MIN, fitted_until.min(from))?;
        let (columns, labels) = (ordered(&fitted, features)?, column(&fitted, names::LABEL)?.as_boolean());
        search.look(&Side { features: &columns, labels, keys: column(&fitted, names::KEY)? })?;
    }
    let labels = labels.iter().map(|label| label == Some(true)).collect();
    Ok(TestRows { features: RecordBatch::try_new(Arc::clone(features), columns)?, labels, seen: search.seen() })
}

/// The labelled rows of `[from, until)` that are not excluded.
fn usable(batch: &RecordBatch, from: Millis, until: Millis) -> Result<RecordBatch, EvaluationError> {
    let labels = column(batch, names::LABEL)?;
    let excluded = column(batch, names::EXCLUDED)?.as_boolean();
    let as_of = cast(column(batch, names::AS_OF)?, &Millis::arrow_type())?;
    let as_of = as_of.as_primitive::<TimestampMillisecondType>();
    let wanted = |row: usize| {
        let inside = as_of.is_valid(row) && as_of.value(row) >= from.0 && as_of.value(row) < until.0;
        inside && labels.is_valid(row) && !(excluded.is_valid(row) && excluded.value(row))
    };
    let mask: BooleanArray = (0..batch.num_rows()).map(|row| Some(wanted(row))).collect();
    Ok(filter_record_batch(batch, &mask)?)
}

/// Features in the order and types of the plan.
fn ordered(batch: &RecordBatch, features: &SchemaRef) -> Result<Vec<ArrayRef>, EvaluationError> {
    features.fields().iter().map(|field| Ok(cast(column(batch, field.name())?, field.data_type())?)).collect()
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, EvaluationError> {
    batch.column_by_name(name).ok_or_else(|| EvaluationError::Missing(format!("column {name} in the training set")))
}

/// Reads the model files of a baseline.
pub(crate) async fn baseline(storage: &Storage, folder: &str) -> Result<Model, EvaluationError> {
    let prefix = format!("{folder}/");
    let mut files = Vec::new();
    for object in storage.list(folder).await? {
        if let Some(name) = object.path.strip_prefix(&prefix) {
            files.push((name.to_owned(), storage.get(&object.path).await?.to_vec()));
        }
    }
    Ok(Model::load(&files)?)
}

/// Probabilities of a model. A table of rates looks texts up, so its columns are given as such.
pub(crate) fn score(model: &Model, features: &RecordBatch) -> Result<Vec<f64>, EvaluationError> {
    if !matches!(model, Model::RateTable(_)) {
        return Ok(model.predict(features)?);
    }
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for input in model.inputs() {
        fields.push(Field::new(&input.name, DataType::Utf8, true));
        columns.push(cast(column(features, &input.name)?, &DataType::Utf8)?);
    }
    Ok(model.predict(&RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)?)
}
