//! Objects of training in the store: training sets in, runs, trials and baselines out.

use crate::domain::leaks::{ColumnRole, LeakFinding, check_column};
use crate::domain::record::{RunRecord, TrialRecord};
use crate::domain::rows::{Excluded, KEEPING, Rows, column, usable};
use crate::error::TrainingError;
use arrow::array::{AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches, filter, filter_record_batch, is_not_null, max, min};
use arrow::datatypes::{SchemaRef, TimestampMillisecondType};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use tidemill_contracts::training_set as names;
use tidemill_dataset::read_parquet;
use tidemill_spec::LeakChecks;
use tidemill_storage::Storage;
use tidemill_types::{Digest, Millis};
use tokio::sync::Mutex;

/// Audit columns read at once: bounds the memory of a leak check.
const COLUMNS_AT_ONCE: usize = 6;

/// Path of a run's record.
#[must_use]
pub fn run_path(project: &str, cycle: &str) -> String {
    format!("runs/{project}/{cycle}.json")
}

/// Path of a trial's result.
#[must_use]
pub fn trial_path(project: &str, cycle: &str, learner: &str, index: u32) -> String {
    format!("runs/{project}/{cycle}/trials/{learner}-{index}.json")
}

/// Folder of a baseline's model files.
#[must_use]
pub fn baseline_folder(project: &str, cycle: &str, name: &str) -> String {
    format!("runs/{project}/{cycle}/baselines/{name}")
}

/// Reads a JSON object; `None` when it does not exist.
pub(crate) async fn read_json<T: DeserializeOwned>(storage: &Storage, path: &str) -> Result<Option<T>, TrainingError> {
    let bytes = match storage.get(path).await {
        Ok(bytes) => bytes,
        Err(tidemill_storage::Error::NotFound(_)) => return Ok(None),
        Err(other) => return Err(other.into()),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|e| unreadable(path, e))
}

pub(crate) fn to_json<T: Serialize>(path: &str, value: &T) -> Result<Vec<u8>, TrainingError> {
    serde_json::to_vec_pretty(value).map_err(|e| unreadable(path, e))
}

fn unreadable(path: &str, reason: impl std::fmt::Display) -> TrainingError {
    TrainingError::Object { path: path.to_owned(), reason: reason.to_string() }
}

/// Writes a run's record over the one before.
pub(crate) async fn write_run(storage: &Storage, record: &RunRecord) -> Result<(), TrainingError> {
    let path = run_path(&record.project, &record.cycle);
    Ok(storage.put(&path, to_json(&path, record)?).await?)
}

/// Stores a trial's result unless another worker was faster: trials are deterministic, so either will do.
pub(crate) async fn write_trial(
    storage: &Storage,
    project: &str,
    cycle: &str,
    trial: &TrialRecord,
) -> Result<(), TrainingError> {
    let path = trial_path(project, cycle, &trial.learner, trial.index);
    storage.put_if_absent(&path, to_json(&path, trial)?).await?;
    Ok(())
}

/// Which rows of which training set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SetKey {
    pub(crate) path: String,
    pub(crate) digest: String,
    /// First instant that is not read: what is sealed lies behind it.
    pub(crate) until: Millis,
}

type Held = (SetKey, Arc<Rows>);

/// The training set in memory, shared by coordinator and workers of one process. Holds one at most.
#[derive(Clone)]
pub(crate) struct Sets {
    storage: Storage,
    features: SchemaRef,
    held: Arc<Mutex<Option<Held>>>,
}

impl Sets {
    pub(crate) fn new(storage: Storage, features: SchemaRef) -> Self {
        Self { storage, features, held: Arc::new(Mutex::new(None)) }
    }

    /// The rows, read and checked against the digest once.
    pub(crate) async fn rows(&self, key: &SetKey) -> Result<Arc<Rows>, TrainingError> {
        let mut held = self.held.lock().await;
        if let Some((_, rows)) = held.as_ref().filter(|(known, _)| known == key) {
            return Ok(Arc::clone(rows));
        }
        // The old set goes first, so that two are never held.
        *held = None;
        let found = Digest::of(&self.storage.get(&key.path).await?);
        if found.as_str() != key.digest {
            let (path, expected) = (key.path.clone(), key.digest.clone());
            return Err(TrainingError::Digest { path, found: found.to_string(), expected });
        }
        let rows = Arc::new(load_rows(&self.storage, &key.path, &self.features, key.until).await?);
        *held = Some((key.clone(), Arc::clone(&rows)));
        Ok(rows)
    }

    /// Frees the memory.
    pub(crate) async fn forget(&self) {
        *self.held.lock().await = None;
    }
}

/// Labelled rows before `until` that are not excluded.
pub(crate) async fn load_rows(
    storage: &Storage,
    path: &str,
    features: &SchemaRef,
    until: Millis,
) -> Result<Rows, TrainingError> {
    let mut columns: Vec<&str> = KEEPING.to_vec();
    columns.extend(features.fields().iter().map(|field| field.name().as_str()));
    let batches = read_parquet(storage, path, Some(&columns)).await?;
    let features = Arc::clone(features);
    blocking(move || Rows::keep(&batches, &features, Millis::MIN, until)).await
}

/// The oldest instant of a training set, and the newest of which the outcome is known.
pub(crate) async fn stretch(storage: &Storage, path: &str) -> Result<Option<(Millis, Millis)>, TrainingError> {
    let (mut first, mut last): (Option<i64>, Option<i64>) = (None, None);
    for batch in read_parquet(storage, path, Some(&[names::AS_OF, names::LABEL])).await? {
        let instants = cast(column(&batch, names::AS_OF)?, &Millis::arrow_type())?;
        let instants = instants.as_primitive::<TimestampMillisecondType>();
        first = [first, min(instants)].into_iter().flatten().min();
        let labelled = is_not_null(column(&batch, names::LABEL)?)?;
        let labelled = filter(instants, &labelled)?;
        last = last.max(max(labelled.as_primitive::<TimestampMillisecondType>()));
    }
    Ok(first.zip(last).map(|(first, last)| (Millis(first), Millis(last))))
}

/// Judges audit columns over every labelled row before `until`, those that `train.exclude` names included: what an
/// exclusion hides is exactly what the check is to name.
pub(crate) async fn audit_leaks(
    storage: &Storage,
    path: &str,
    columns: &[(String, ColumnRole)],
    until: Millis,
    rules: &LeakChecks,
) -> Result<Vec<LeakFinding>, TrainingError> {
    let mut found = Vec::new();
    for group in columns.chunks(COLUMNS_AT_ONCE) {
        let mut wanted: Vec<&str> = KEEPING.to_vec();
        wanted.extend(group.iter().map(|(name, _)| name.as_str()));
        let batches = read_parquet(storage, path, Some(&wanted)).await?;
        let (group, rules) = (group.to_vec(), rules.clone());
        found.extend(blocking(move || judge(&batches, &group, until, &rules)).await?);
    }
    Ok(found)
}

fn judge(
    batches: &[RecordBatch],
    columns: &[(String, ColumnRole)],
    until: Millis,
    rules: &LeakChecks,
) -> Result<Vec<LeakFinding>, TrainingError> {
    let mut kept = Vec::with_capacity(batches.len());
    for batch in batches {
        kept.push(filter_record_batch(batch, &usable(batch, Millis::MIN, until, Excluded::Include)?)?);
    }
    let Some(schema) = kept.first().map(RecordBatch::schema) else {
        return Ok(Vec::new());
    };
    let rows = concat_batches(&schema, &kept)?;
    let labels: Vec<bool> = column(&rows, names::LABEL)?.as_boolean().iter().map(|l| l == Some(true)).collect();
    let mut found = Vec::new();
    for (name, role) in columns {
        found.extend(check_column(name, *role, column(&rows, name)?, &labels, rules)?);
    }
    Ok(found)
}

/// Runs heavy work beside the tasks that keep leases alive.
pub(crate) async fn blocking<T, F>(work: F) -> Result<T, TrainingError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, TrainingError> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.map_err(|e| TrainingError::Task(e.to_string()))?
}
