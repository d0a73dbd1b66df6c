//! What is asked about: a dataset, a column or a prediction, however it was written.

use super::Place;
use crate::cli::lifecycle::resolve_model;
use crate::error::{Error, Result};
use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{Float64Type, TimestampMillisecondType};
use serde_json::Value;
use tidemill_contracts::{paths, prediction_log as log};
use tidemill_dataset::{DataFile, Table};
use tidemill_lineage::names;
use tidemill_types::{Digest, Millis};

/// Columns of the log that tell of a prediction.
const TOLD: [&str; 6] = [log::PREDICTION_ID, log::KEY, log::MODEL, log::SCORE, log::AS_OF, log::ANSWERED_AT];

/// What is asked about.
pub(super) enum Subject {
    /// A dataset, up to or from a version; of events, a sequence.
    Dataset { name: String, version: Option<u64> },
    /// A column of a dataset.
    Column { dataset: String, column: String },
    /// A prediction.
    Prediction(Box<Prediction>),
}

/// A logged prediction.
pub(super) struct Prediction {
    /// Its id.
    pub(super) id: String,
    /// Digest of the model that answered.
    pub(super) model: String,
    /// Its score, if there was one.
    pub(super) score: Option<f64>,
    /// The instant for which features were read.
    pub(super) as_of: Option<Millis>,
    /// When it was answered.
    pub(super) answered_at: Option<Millis>,
    /// What the log tells of it, but for the features.
    pub(super) row: RecordBatch,
}

impl Prediction {
    /// The model as a dataset.
    pub(super) fn model_dataset(&self) -> String {
        Digest::parse(&self.model).map_or_else(|| format!("model/{}", self.model), |digest| names::model(&digest))
    }
}

/// Finds what `what` names.
///
/// # Errors
/// When it names nothing that is known.
pub(super) async fn resolve(place: &Place<'_>, what: &str) -> Result<Subject> {
    if is_uuid(what) {
        let missing = || Error::NotFound { what: "logged prediction", name: what.to_owned(), list: "tidemill status" };
        return Ok(Subject::Prediction(Box::new(prediction(place, what).await?.ok_or_else(missing)?)));
    }
    if place.spec.features.define.contains_key(what) {
        let dataset = format!("features/{}", place.spec.features.set);
        return Ok(Subject::Column { dataset, column: what.to_owned() });
    }
    if let Some(found) = dataset(place, what)? {
        return Ok(found);
    }
    let digest = resolve_model(place.bus, &place.spec.project, what).await.map_err(|_| unknown(what))?;
    Ok(Subject::Dataset { name: names::model(&digest), version: None })
}

fn unknown(what: &str) -> Error {
    let what = what.to_owned();
    Error::NotFound { what: "prediction, model, feature, table or column", name: what, list: "tidemill dataset ls" }
}

/// A path with a version or column behind it. The events of a source need not name the project.
fn dataset(place: &Place<'_>, what: &str) -> Result<Option<Subject>> {
    if !what.contains('/') {
        return Ok(None);
    }
    let (name, version) = match what.split_once('@') {
        None => (what, None),
        Some((name, version)) => {
            let bad = |_| Error::Usage(format!("{version} is no version or sequence number"));
            (name, Some(version.parse().map_err(bad)?))
        }
    };
    let full = |name: &str| match name.strip_prefix("events/") {
        Some(source) if !source.contains('/') => format!("events/{}/{source}", place.spec.project),
        _ => name.to_owned(),
    };
    if place.graph.knows(&full(name)) {
        return Ok(Some(Subject::Dataset { name: full(name), version }));
    }
    if let Some((dataset, column)) = name.rsplit_once('.')
        && place.graph.knows_column(&full(dataset), column)
    {
        return Ok(Some(Subject::Column { dataset: full(dataset), column: column.to_owned() }));
    }
    Err(unknown(what))
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The logged prediction of an id. Ids grow with time, so the statistics of the files leave few to be read.
async fn prediction(place: &Place<'_>, id: &str) -> Result<Option<Prediction>> {
    let path = paths::predictions_table(&place.spec.project, &place.spec.serve.deployment);
    let table = match Table::open(place.storage, &path).await {
        Ok(table) => table,
        Err(tidemill_dataset::Error::Absent { .. }) => return Ok(None),
        Err(other) => return Err(other.into()),
    };
    let snapshot = table.load().await?;
    for file in snapshot.files().filter(|file| may_hold(file, id)) {
        let file = std::slice::from_ref(file);
        // The ids first: they are a small part of the file.
        let ids = table.read_files(file, Some(&[log::PREDICTION_ID])).await?;
        let is_there = ids.iter().any(|batch| batch.column(0).as_string::<i32>().iter().flatten().any(|i| i == id));
        if !is_there {
            continue;
        }
        // Not the features, which are most of it.
        for batch in table.read_files(file, Some(&TOLD)).await? {
            let ids = batch.column_by_name(log::PREDICTION_ID).and_then(|c| c.as_string_opt::<i32>());
            let row = ids.and_then(|ids| (0..ids.len()).find(|row| ids.is_valid(*row) && ids.value(*row) == id));
            if let Some(row) = row {
                return Ok(Some(read(id, batch.slice(row, 1))));
            }
        }
    }
    Ok(None)
}

/// Whether the bounds of a file's ids leave room for one.
fn may_hold(file: &DataFile, id: &str) -> bool {
    let stats: Option<Value> = file.stats.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let bound = |which: &str| stats.as_ref()?.get(which)?.get(log::PREDICTION_ID)?.as_str().map(str::to_owned);
    bound("minValues").is_none_or(|low| low.as_str() <= id) && bound("maxValues").is_none_or(|high| high.as_str() >= id)
}

fn read(id: &str, row: RecordBatch) -> Prediction {
    let instant = |name: &str| {
        let column = row.column_by_name(name)?.as_primitive_opt::<TimestampMillisecondType>()?;
        column.is_valid(0).then(|| Millis(column.value(0)))
    };
    let model = row.column_by_name(log::MODEL).and_then(|c| c.as_string_opt::<i32>());
    let score = row.column_by_name(log::SCORE).and_then(|c| c.as_primitive_opt::<Float64Type>());
    Prediction {
        id: id.to_owned(),
        model: model.filter(|m| m.is_valid(0)).map(|m| m.value(0).to_owned()).unwrap_or_default(),
        score: score.filter(|s| s.is_valid(0)).map(|s| s.value(0)),
        as_of: instant(log::AS_OF),
        answered_at: instant(log::ANSWERED_AT),
        row,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prediction_ids_are_told_from_other_names() {
        assert!(is_uuid("0198c9d2-7b1e-7c3a-9f00-0123456789ab"));
        for other in ["champion", "clean/flights/weather", "3f9a2c", "0198c9d2-7b1e-7c3a-9f00", "w-x-y-z-a"] {
            assert!(!is_uuid(other), "{other}");
        }
    }
}
