//! One run of a job: what it read and what it wrote.

use crate::event::{Dataset, EventType, Facets, Job, Run, RunEvent, SCHEMA_URL};
use crate::facets::{self, ColumnMetrics, OutputColumn};
use crate::{PRODUCER, names};
use arrow::datatypes::SchemaRef;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use tidemill_types::{Millis, ProjectName};

/// A dataset as a run read or wrote it.
#[derive(Clone, Debug, Default)]
pub struct Place {
    name: String,
    version: Option<u64>,
    first: Option<i64>,
    last: Option<i64>,
    schema: Option<SchemaRef>,
    uri: Option<String>,
    rows: Option<u64>,
    metrics: BTreeMap<String, ColumnMetrics>,
    columns: BTreeMap<String, OutputColumn>,
}

impl Place {
    /// A dataset by its name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// At a version: read up to it, or made it.
    #[must_use]
    pub fn at(mut self, version: u64) -> Self {
        self.version = Some(version);
        self
    }

    /// The sequences of a stream, or of a log of versions, that were read.
    #[must_use]
    pub fn between(mut self, first: Option<i64>, last: Option<i64>) -> Self {
        (self.first, self.last) = (first, last);
        self
    }

    /// Its columns.
    #[must_use]
    pub fn with_schema(mut self, schema: SchemaRef) -> Self {
        self.schema = Some(schema);
        self
    }

    /// Where it lies.
    #[must_use]
    pub fn lying_at(mut self, uri: impl Into<String>) -> Self {
        self.uri = Some(uri.into());
        self
    }

    /// Rows that were read or written.
    #[must_use]
    pub fn with_rows(mut self, rows: u64) -> Self {
        self.rows = Some(rows);
        self
    }

    /// What is known of its values.
    #[must_use]
    pub fn with_metrics(mut self, metrics: BTreeMap<String, ColumnMetrics>) -> Self {
        self.metrics = metrics;
        self
    }

    /// Which of its columns came from which.
    #[must_use]
    pub fn with_columns(mut self, columns: BTreeMap<String, OutputColumn>) -> Self {
        self.columns = columns;
        self
    }

    fn dataset(&self, namespace: &str, is_output: bool) -> Dataset {
        let mut facets = Facets::new();
        facets.extend(self.schema.as_ref().map(|schema| ("schema".to_owned(), facets::schema(schema))));
        facets.extend(self.version.map(|v| ("version".to_owned(), facets::version(&v.to_string()))));
        facets.extend(self.uri.as_ref().map(|uri| ("dataSource".to_owned(), facets::data_source(&self.name, uri))));
        if self.first.or(self.last).is_some() {
            facets.insert("tidemill_part".to_owned(), facets::part(self.first, self.last));
        }
        if !self.columns.is_empty() {
            facets.insert("columnLineage".to_owned(), facets::column_lineage(&self.columns));
        }
        let (mut input_facets, mut output_facets) = (Facets::new(), Facets::new());
        if is_output {
            output_facets
                .extend(self.rows.map(|rows| ("outputStatistics".to_owned(), facets::output_statistics(rows))));
        } else if !self.metrics.is_empty() {
            let metrics = facets::data_quality_metrics(self.rows.unwrap_or_default(), &self.metrics);
            input_facets.insert("dataQualityMetrics".to_owned(), metrics);
        }
        Dataset { namespace: namespace.to_owned(), name: self.name.clone(), facets, input_facets, output_facets }
    }
}

/// One run of a job.
#[derive(Clone, Debug)]
pub struct Step {
    namespace: String,
    job: String,
    run_id: String,
    inputs: Vec<Place>,
    outputs: Vec<Place>,
    about: Option<Millis>,
}

impl Step {
    /// A run of `job`. `what` tells this run from every other one of the job, and is the same when the same work is
    /// done again: a version, a cycle.
    #[must_use]
    pub fn new(project: &ProjectName, job: impl Into<String>, what: &str) -> Self {
        let (namespace, job) = (names::namespace(project), job.into());
        let run_id = id(&format!("{namespace}\n{job}\n{what}"));
        Self { namespace, job, run_id, inputs: Vec::new(), outputs: Vec::new(), about: None }
    }

    /// Reads this.
    #[must_use]
    pub fn reads(mut self, place: Place) -> Self {
        self.inputs.push(place);
        self
    }

    /// Writes this.
    #[must_use]
    pub fn writes(mut self, place: Place) -> Self {
        self.outputs.push(place);
        self
    }

    /// Is about this instant.
    #[must_use]
    pub fn about(mut self, at: Millis) -> Self {
        self.about = Some(at);
        self
    }

    /// The run's id.
    #[must_use]
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// The event of its beginning.
    #[must_use]
    pub fn start(&self, at: Millis) -> RunEvent {
        self.event(EventType::Start, at, Facets::new())
    }

    /// The event of its good end.
    #[must_use]
    pub fn complete(&self, at: Millis) -> RunEvent {
        self.event(EventType::Complete, at, Facets::new())
    }

    /// The event of its bad end.
    #[must_use]
    pub fn fail(&self, at: Millis, reason: &str) -> RunEvent {
        self.event(EventType::Fail, at, Facets::from([("errorMessage".to_owned(), facets::error_message(reason))]))
    }

    fn event(&self, event_type: EventType, at: Millis, mut facets: Facets) -> RunEvent {
        facets.extend(self.about.map(|at| ("nominalTime".to_owned(), facets::nominal_time(at))));
        let datasets = |places: &[Place], outputs: bool| {
            places.iter().map(|place| place.dataset(&self.namespace, outputs)).collect()
        };
        RunEvent {
            event_type,
            event_time: at.to_string(),
            run: Run { run_id: self.run_id.clone(), facets },
            job: Job { namespace: self.namespace.clone(), name: self.job.clone(), facets: Facets::new() },
            inputs: datasets(&self.inputs, false),
            outputs: datasets(&self.outputs, true),
            producer: PRODUCER.to_owned(),
            schema_url: SCHEMA_URL.to_owned(),
        }
    }
}

/// A UUID of version 8 from a text.
fn id(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    let mut digits: Vec<u8> = hash.iter().take(16).flat_map(|byte| format!("{byte:02x}").into_bytes()).collect();
    // Version 8: made of what the maker chose. Variant: 10 in the two high bits.
    if let Some(version) = digits.get_mut(12) {
        *version = b'8';
    }
    if let Some(variant) = digits.get_mut(16) {
        *variant = b"89ab"[usize::from(hash[8] & 3)];
    }
    let text = String::from_utf8_lossy(&digits).into_owned();
    [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| text.get(range).unwrap_or_default().to_owned()).join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_work_is_the_same_run_and_its_id_a_uuid() {
        let project = "flights".parse().unwrap();
        let of = |what| Step::new(&project, "ingestion.weather", what).run_id().to_owned();
        assert_eq!(of("12"), of("12"));
        assert_ne!(of("12"), of("13"));
        let id = of("12");
        assert_eq!((id.len(), id.as_bytes()[14]), (36, b'8'));
        assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{id}");
    }

    #[test]
    fn an_event_says_what_was_read_and_written() {
        let step = Step::new(&"flights".parse().unwrap(), "ingestion.weather", "12")
            .reads(Place::new("events/flights/weather").between(Some(5), Some(9)))
            .writes(Place::new("raw/flights/weather").at(12).with_rows(4));
        let event = serde_json::to_value(step.complete(Millis(0))).unwrap();
        assert_eq!(event["eventType"], "COMPLETE");
        assert_eq!(event["inputs"][0]["facets"]["tidemill_part"]["lastSequence"], 9);
        assert_eq!(event["outputs"][0]["facets"]["version"]["datasetVersion"], "12");
        assert_eq!(event["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"], 4);
        let failed = serde_json::to_value(step.fail(Millis(0), "TM0001: no")).unwrap();
        assert_eq!(failed["run"]["facets"]["errorMessage"]["message"], "TM0001: no");
        assert_eq!(failed["run"]["runId"], event["run"]["runId"]);
    }
}
