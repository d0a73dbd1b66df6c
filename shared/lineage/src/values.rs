//! Facets about values: what a profile knows of them, and what rules found in them.

use crate::facets::facet;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tidemill_types::Millis;

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
    /// Sum of the values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<f64>,
    /// Rows with a value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<f64>,
    /// Smallest value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Largest value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Values below which a share of all values lies, by that share.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub quantiles: BTreeMap<String, f64>,
}

/// What is known of the values of a dataset, as far as a run read them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// Rows that were looked at.
    #[serde(rename = "rowCount")]
    pub rows: u64,
    /// Bytes of the files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Files.
    #[serde(rename = "fileCount", skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// When the dataset was last written.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub last_updated: Option<Millis>,
    /// What is known of its columns.
    #[serde(rename = "columnMetrics")]
    pub columns: BTreeMap<String, ColumnMetrics>,
}

#[expect(clippy::ref_option, reason = "serde asks for it")]
fn as_text<S: serde::Serializer>(at: &Option<Millis>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&at.unwrap_or_default())
}

/// What one rule found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Assertion {
    /// Kind of the rule.
    pub assertion: String,
    /// Whether it found nothing to object to.
    pub success: bool,
    /// The column it is about, when it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// `warn` where rows go on all the same, `error` where they do not.
    pub severity: &'static str,
    /// Id of the rule.
    pub name: String,
    /// What it asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What it found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
    /// The rule, as it stands in the project file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// How the content is written: `json` or `expression`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<&'static str>,
    /// Further numbers: what was checked, and what failed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Value>,
}

/// What is known of the values of a dataset.
#[must_use]
pub(crate) fn data_quality_metrics(metrics: &Metrics) -> Value {
    facet("DataQualityMetricsInputDatasetFacet", "1-0-3", json!(metrics))
}

/// What rules found in a dataset.
#[must_use]
pub(crate) fn data_quality_assertions(assertions: &[Assertion]) -> Value {
    facet("DataQualityAssertionsDatasetFacet", "1-1-0", json!({"assertions": assertions}))
}
