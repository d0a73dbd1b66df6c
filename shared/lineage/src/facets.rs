//! Facets: what is known of datasets and runs. Each carries the address of its schema in the OpenLineage
//! specification.

use crate::PRODUCER;
use arrow::datatypes::Schema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tidemill_types::Millis;

fn facet(name: &str, version: &str, fields: Value) -> Value {
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

/// How much a run wrote.
#[must_use]
pub fn output_statistics(rows: u64) -> Value {
    facet("OutputStatisticsOutputDatasetFacet", "1-0-2", json!({"rowCount": rows}))
}

/// What is known of the values of one column.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ColumnMetrics {
    /// Rows without a value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub null_count: Option<u64>,
    /// Different values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distinct_count: Option<u64>,
    /// Rows with a value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<f64>,
    /// Smallest value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Largest value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
}

/// What is known of the values of a dataset.
#[must_use]
pub fn data_quality_metrics(rows: u64, columns: &BTreeMap<String, ColumnMetrics>) -> Value {
    facet("DataQualityMetricsInputDatasetFacet", "1-0-3", json!({"rowCount": rows, "columnMetrics": columns}))
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
