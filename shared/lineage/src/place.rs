//! A dataset as a run reads or writes it.

use crate::event::{Dataset, EventType, Facets};
use crate::facets::{self, Change, OutputColumn, Volume};
use crate::step::Step;
use crate::values::{self, Assertion, Metrics};
use arrow::datatypes::SchemaRef;
use std::collections::BTreeMap;

/// A dataset as a run read or wrote it.
#[derive(Clone, Debug, Default)]
pub struct Place {
    name: String,
    version: Option<u64>,
    first: Option<i64>,
    last: Option<i64>,
    schema: Option<SchemaRef>,
    uri: Option<String>,
    volume: Volume,
    change: Option<Change>,
    metrics: Option<Metrics>,
    assertions: Vec<Assertion>,
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
        self.volume.rows = Some(rows);
        self
    }

    /// Files that were read or written, by their sizes in bytes.
    #[must_use]
    pub fn with_files(mut self, sizes: impl IntoIterator<Item = u64>) -> Self {
        let (mut bytes, mut files) = (0, 0);
        for size in sizes {
            bytes += size;
            files += 1;
        }
        (self.volume.bytes, self.volume.files) = (Some(bytes), Some(files));
        self
    }

    /// What the run does to it as a whole.
    #[must_use]
    pub fn changed(mut self, change: Change) -> Self {
        self.change = Some(change);
        self
    }

    /// What is known of its values.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// What rules found in it.
    #[must_use]
    pub fn with_assertions(mut self, assertions: Vec<Assertion>) -> Self {
        self.assertions = assertions;
        self
    }

    /// Which of its columns came from which.
    #[must_use]
    pub fn with_columns(mut self, columns: BTreeMap<String, OutputColumn>) -> Self {
        self.columns = columns;
        self
    }

    /// As an event tells of it. What was read and written is known only when the run has ended.
    pub(crate) fn dataset(&self, step: &Step, event_type: EventType, is_output: bool) -> Dataset {
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
        if is_output && !step.owners.is_empty() {
            facets.insert("ownership".to_owned(), facets::owners_of_dataset(&step.owners));
        }
        let (mut input_facets, mut output_facets) = (Facets::new(), Facets::new());
        if event_type != EventType::Start {
            let (own, statistics) =
                if is_output { (&mut output_facets, "output") } else { (&mut input_facets, "input") };
            if self.volume != Volume::default() {
                let told = if is_output { facets::output_statistics } else { facets::input_statistics };
                own.insert(format!("{statistics}Statistics"), told(&self.volume));
            }
        }
        if event_type == EventType::Complete {
            facets.extend(self.change.map(|change| ("lifecycleStateChange".to_owned(), facets::lifecycle(change))));
            let metrics = self.metrics.as_ref().map(values::data_quality_metrics);
            input_facets.extend(metrics.map(|metrics| ("dataQualityMetrics".to_owned(), metrics)));
            if !self.assertions.is_empty() {
                let assertions = values::data_quality_assertions(&self.assertions);
                input_facets.insert("dataQualityAssertions".to_owned(), assertions);
            }
        }
        Dataset { namespace: step.namespace.clone(), name: self.name.clone(), facets, input_facets, output_facets }
    }
}
