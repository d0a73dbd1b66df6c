//! Facets: what is known of datasets and runs. Each carries the address of its schema in the OpenLineage
//! specification.

use crate::PRODUCER;
use arrow::datatypes::Schema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tidemill_types::Millis;

pub(crate) fn facet(name: &str, version: &str, fields: Value) -> Value {
    let mut all = Map::new();
    all.insert("_producer".to_owned(), PRODUCER.into());
    let url = format!("https://openlineage.io/spec/facets/{version}/{name}.json#/$defs/{name}");
    all.insert("_schemaURL".to_owned(), url.into());
    if let Value::Object(fields) = fields {
        all.extend(fields);
    }
    Value::Object(all)
}

/// The columns of a dataset.
#[must_use]
pub fn schema(columns: &Schema) -> Value {
    let field = |f: &arrow::datatypes::FieldRef| json!({"name": f.name(), "type": f.data_type().to_string()});
    let fields: Vec<Value> = columns.fields().iter().map(field).collect();
    facet("SchemaDatasetFacet", "1-2-0", json!({"fields": fields}))
}

/// The version of a dataset.
#[must_use]
pub fn version(version: &str) -> Value {
    facet("DatasetVersionDatasetFacet", "1-0-1", json!({"datasetVersion": version}))
}

/// Where a dataset lies.
#[must_use]
pub fn data_source(name: &str, uri: &str) -> Value {
    facet("DatasourceDatasetFacet", "1-0-1", json!({"name": name, "uri": uri}))
}

/// How much of a dataset a run read or wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// Rows.
    #[serde(rename = "rowCount", skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Bytes of the files.
    #[serde(rename = "size", skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Files.
    #[serde(rename = "fileCount", skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
}

/// How much a run read.
#[must_use]
pub fn input_statistics(volume: &Volume) -> Value {
    facet("InputStatisticsInputDatasetFacet", "1-0-0", json!(volume))
}

/// How much a run wrote.
#[must_use]
pub fn output_statistics(volume: &Volume) -> Value {
    facet("OutputStatisticsOutputDatasetFacet", "1-0-2", json!(volume))
}

/// What a run did to a dataset as a whole; one that adds to it does nothing of the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Change {
    /// It was not there before.
    Create,
    /// What stood in it was replaced.
    Overwrite,
    /// What stood in it was taken away.
    Truncate,
}

/// What a run did to a dataset as a whole.
#[must_use]
pub fn lifecycle(change: Change) -> Value {
    facet("LifecycleStateChangeDatasetFacet", "1-0-1", json!({"lifecycleStateChange": change}))
}

fn owners(of: &BTreeMap<String, String>) -> Value {
    json!({"owners": of.iter().map(|(role, name)| json!({"name": name, "type": role})).collect::<Vec<_>>()})
}

/// Who answers for a job: role → person or team.
#[must_use]
pub fn owners_of_job(of: &BTreeMap<String, String>) -> Value {
    facet("OwnershipJobFacet", "1-0-1", owners(of))
}

/// Who answers for a dataset: role → person or team.
#[must_use]
pub fn owners_of_dataset(of: &BTreeMap<String, String>) -> Value {
    facet("OwnershipDatasetFacet", "1-0-1", owners(of))
}

/// How an input column takes part in an output column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Transformation {
    /// `DIRECT`: its values do; `INDIRECT`: they decide which values do.
    #[serde(rename = "type")]
    pub kind: String,
    /// `IDENTITY`, `TRANSFORMATION`, `AGGREGATION`; `JOIN`, `FILTER`, `WINDOW`.
    pub subtype: String,
    /// The expression, as it stands in the project file.
    pub description: String,
    /// Whether it masks the values.
    pub masking: bool,
}

impl Transformation {
    /// Values take part.
    #[must_use]
    pub fn direct(subtype: &str, description: &str) -> Self {
        Self::of("DIRECT", subtype, description)
    }

    /// Values decide which others take part.
    #[must_use]
    pub fn indirect(subtype: &str, description: &str) -> Self {
        Self::of("INDIRECT", subtype, description)
    }

    fn of(kind: &str, subtype: &str, description: &str) -> Self {
        let (kind, subtype, description) = (kind.to_owned(), subtype.to_owned(), description.to_owned());
        Self { kind, subtype, description, masking: false }
    }
}

/// A column that an output column is made from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InputField {
    /// Namespace of its dataset.
    pub namespace: String,
    /// Its dataset.
    pub name: String,
    /// Its name.
    pub field: String,
    /// How it takes part.
    pub transformations: Vec<Transformation>,
}

/// What one output column is made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputColumn {
    /// The columns.
    pub input_fields: Vec<InputField>,
}

/// Which column came from which.
#[must_use]
pub fn column_lineage(columns: &BTreeMap<String, OutputColumn>) -> Value {
    facet("ColumnLineageDatasetFacet", "1-2-0", json!({"fields": columns}))
}

/// Why a run failed.
#[must_use]
pub fn error_message(message: &str) -> Value {
    facet("ErrorMessageRunFacet", "1-0-1", json!({"message": message, "programmingLanguage": "rust"}))
}

/// What the run was about in time: for instance the knowledge instant of a training set.
#[must_use]
pub fn nominal_time(at: Millis) -> Value {
    facet("NominalTimeRunFacet", "1-0-1", json!({"nominalStartTime": at.to_string()}))
}

/// What ran: Tidemill in its version.
#[must_use]
pub fn processing_engine() -> Value {
    let version = env!("CARGO_PKG_VERSION");
    facet("ProcessingEngineRunFacet", "1-1-1", json!({"version": version, "name": "tidemill"}))
}

/// What kind of job it is: each run has a beginning and an end.
#[must_use]
pub fn job_type() -> Value {
    facet("JobTypeJobFacet", "2-0-4", json!({"processingType": "BATCH", "integration": "TIDEMILL", "jobType": "JOB"}))
}

/// The run that this run is a part of.
#[must_use]
pub fn parent(namespace: &str, job: &str, run_id: &str) -> Value {
    facet("ParentRunFacet", "1-2-0", json!({"run": {"runId": run_id}, "job": {"namespace": namespace, "name": job}}))
}

/// Tidemill's own facet of datasets: which part of one a run read or wrote.
#[must_use]
pub fn part(first: Option<i64>, last: Option<i64>) -> Value {
    let mut all = Map::new();
    all.insert("_producer".to_owned(), PRODUCER.into());
    all.insert("_schemaURL".to_owned(), format!("{PRODUCER}/facets/TidemillPartDatasetFacet.json").into());
    all.extend(first.map(|first| ("firstSequence".to_owned(), first.into())));
    all.extend(last.map(|last| ("lastSequence".to_owned(), last.into())));
    Value::Object(all)
}
