//! The OpenLineage RunEvent, as far as Tidemill speaks it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Facets by name.
pub(crate) type Facets = BTreeMap<String, Value>;

/// Schema of run events.
pub(crate) const SCHEMA_URL: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";

/// What happened to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EventType {
    /// It began.
    Start,
    /// It ended well.
    Complete,
    /// It ended otherwise.
    Fail,
}

/// One event of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunEvent {
    /// What happened.
    pub event_type: EventType,
    /// When, RFC 3339.
    pub event_time: String,
    /// The run.
    pub run: Run,
    /// The job it is a run of.
    pub job: Job,
    /// What it read.
    pub inputs: Vec<Dataset>,
    /// What it wrote.
    pub outputs: Vec<Dataset>,
    /// Who says so.
    pub producer: String,
    /// Schema of this event.
    #[serde(rename = "schemaURL")]
    pub schema_url: String,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Its id, a UUID.
    pub run_id: String,
    /// What else is known of it.
    #[serde(default)]
    pub facets: Facets,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Where its name is unique.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What else is known of it.
    #[serde(default)]
    pub facets: Facets,
}

/// A dataset that a run read or wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dataset {
    /// Where its name is unique.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What is known of it.
    #[serde(default)]
    pub facets: Facets,
    /// What is known of it as an input.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub input_facets: Facets,
    /// What is known of it as an output.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub output_facets: Facets,
}
