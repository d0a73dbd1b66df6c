//! A logged prediction, found by its id.

use crate::error::Result;
use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, TimestampMillisecondType};
use tidemill_contracts::{paths, prediction_log as log};
use tidemill_dataset::{Condition, Error as TableError, Table};
use tidemill_storage::Storage;
use tidemill_types::{DeploymentName, Millis, ProjectName};

/// Columns of the log that tell of a prediction. Not the features, which are most of it.
const TOLD: [&str; 5] = [log::KEY, log::MODEL, log::SCORE, log::AS_OF, log::ANSWERED_AT];

/// A logged prediction.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Its id.
    pub id: String,
    /// Key of the entity it is about, as text; `None` when it was given features.
    pub key: Option<String>,
    /// Digest of the model that answered.
    pub model: String,
    /// Its score, if there was one.
    pub score: Option<f64>,
    /// The instant for which features were read.
    pub as_of: Option<Millis>,
    /// When it was answered.
    pub answered_at: Option<Millis>,
}

impl Prediction {
    /// The model as a dataset of lineage.
    #[must_use]
    pub fn model_dataset(&self) -> String {
        format!("model/{}", self.model)
    }
}

/// The logged prediction of an id. Ids grow with time, so the bounds of files and pages leave few rows to be read.
///
/// # Errors
/// When the store does not answer, or a file is damaged.
pub async fn prediction(
    storage: &Storage,
    project: &ProjectName,
    deployment: &DeploymentName,
    id: &str,
) -> Result<Option<Prediction>> {
    let table = match Table::open(storage, &paths::predictions_table(project, deployment)).await {
        Ok(table) => table,
        Err(TableError::Absent { .. }) => return Ok(None),
        Err(other) => return Err(other.into()),
    };
    let is = Condition::Is { column: log::PREDICTION_ID.to_owned(), value: id.to_owned() };
    let found = table.find(&table.known().await, &TOLD, &[vec![is]]).await?;
    found.concat().first().map(|row| read(id, row)).transpose()
}

fn read(id: &str, row: &RecordBatch) -> Result<Prediction> {
    let instant = |name: &str| {
        let column = row.column_by_name(name)?.as_primitive_opt::<TimestampMillisecondType>()?;
        column.is_valid(0).then(|| Millis(column.value(0)))
    };
    let text = |name: &str| -> Result<Option<String>> {
        let Some(column) = row.column_by_name(name) else { return Ok(None) };
        let texts = cast(column, &DataType::Utf8)?;
        let texts = texts.as_string::<i32>();
        Ok(texts.is_valid(0).then(|| texts.value(0).to_owned()))
    };
    let score = row.column_by_name(log::SCORE).and_then(|c| c.as_primitive_opt::<Float64Type>());
    Ok(Prediction {
        id: id.to_owned(),
        key: text(log::KEY)?,
        model: text(log::MODEL)?.unwrap_or_default(),
        score: score.filter(|s| s.is_valid(0)).map(|s| s.value(0)),
        as_of: instant(log::AS_OF),
        answered_at: instant(log::ANSWERED_AT),
    })
}
