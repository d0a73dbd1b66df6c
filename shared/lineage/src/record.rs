//! Events as rows of the lineage table, and back into a graph.
//!
//! The whole event is kept, beside the few columns from which the graph is made: those are small, so that a question
//! is answered without reading the events.

use crate::event::{Dataset, EventType, RunEvent};
use crate::facets::OutputColumn;
use crate::graph::{Graph, Node, Run};
use arrow::array::{Array as _, AsArray as _, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimestampMillisecondType};
use arrow::error::ArrowError;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidemill_types::{Millis, ProjectName, columns};

/// Columns from which a graph is made.
pub const GRAPH: [&str; 7] = ["at", "event_type", "job", "run_id", "inputs", "outputs", "columns"];

/// Path of the table of a project.
#[must_use]
pub fn table(project: &ProjectName) -> String {
    format!("lineage/{project}")
}

/// Columns of the table.
#[must_use]
pub fn schema() -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    Arc::new(Schema::new(vec![
        Field::new(columns::SEQ, DataType::Int64, false),
        Field::new("at", Millis::arrow_type(), false),
        text("event_type", false),
        text("job", false),
        text("run_id", false),
        text("inputs", false),
        text("outputs", false),
        text("columns", true),
        text("event", false),
    ]))
}

/// Turns events into rows; column lineage that a job told before is left out.
#[derive(Debug, Default)]
pub struct Recorder {
    told: BTreeMap<String, Value>,
}

impl Recorder {
    /// Rows of some events, each with its sequence. Bytes that are no event are left out and counted.
    ///
    /// # Errors
    /// None in practice; Arrow's, should it refuse the columns.
    pub fn rows(&mut self, events: &[(i64, &[u8])]) -> Result<(RecordBatch, usize), ArrowError> {
        let read: Vec<(i64, RunEvent, &[u8])> = events
            .iter()
            .filter_map(|(seq, bytes)| Some((*seq, serde_json::from_slice(bytes).ok()?, *bytes)))
            .collect();
        let refused = events.len() - read.len();
        let at = read.iter().map(|(_, event, _)| Millis::parse(&event.event_time).unwrap_or_default().0);
        let columns: Vec<Option<String>> = read.iter().map(|(_, event, _)| self.news(event)).collect();
        let texts = |of: fn(&RunEvent) -> String| -> StringArray {
            StringArray::from_iter_values(read.iter().map(|(_, event, _)| of(event)))
        };
        let batch = RecordBatch::try_new(
            schema(),
            vec![
                Arc::new(Int64Array::from_iter_values(read.iter().map(|(seq, ..)| *seq))),
                Arc::new(TimestampMillisecondArray::from_iter_values(at).with_timezone("UTC")),
                Arc::new(texts(|event| kind(event.event_type).to_owned())),
                Arc::new(texts(|event| event.job.name.clone())),
                Arc::new(texts(|event| event.run.run_id.clone())),
                Arc::new(texts(|event| nodes(&event.inputs))),
                Arc::new(texts(|event| nodes(&event.outputs))),
                Arc::new(StringArray::from(columns)),
                Arc::new(StringArray::from_iter_values(
                    read.iter().map(|(.., bytes)| String::from_utf8_lossy(bytes).into_owned()),
                )),
            ],
        )?;
        Ok((batch, refused))
    }

    /// Column lineage of the outputs, when it is not what the job said last.
    fn news(&mut self, event: &RunEvent) -> Option<String> {
        let mut said = serde_json::Map::new();
        for output in &event.outputs {
            if let Some(fields) = output.facets.get("columnLineage").and_then(|facet| facet.get("fields")) {
                said.insert(crate::graph::family(&output.name).to_owned(), fields.clone());
            }
        }
        if said.is_empty() || event.event_type != EventType::Complete {
            return None;
        }
        let said = Value::Object(said);
        if self.told.get(&event.job.name) == Some(&said) {
            return None;
        }
        let text = said.to_string();
        self.told.insert(event.job.name.clone(), said);
        Some(text)
    }
}

fn kind(event_type: EventType) -> &'static str {
    match event_type {
        EventType::Start => "START",
        EventType::Complete => "COMPLETE",
        EventType::Fail => "FAIL",
    }
}

fn nodes(datasets: &[Dataset]) -> String {
    let node = |dataset: &Dataset| {
        let facet = |name: &str| dataset.facets.get(name);
        let part = |key: &str| facet("tidemill_part").and_then(|part| part.get(key)).and_then(Value::as_i64);
        let version = facet("version").and_then(|v| v.get("datasetVersion")).and_then(Value::as_str);
        let written = dataset.output_facets.get("outputStatistics").and_then(|s| s.get("rowCount"));
        Node {
            name: dataset.name.clone(),
            version: version.and_then(|v| v.parse().ok()),
            first: part("firstSequence"),
            last: part("lastSequence"),
            rows: written.and_then(Value::as_u64),
        }
    };
    json!(datasets.iter().map(node).collect::<Vec<_>>()).to_string()
}

/// Makes the graph of rows with the columns [`GRAPH`]. Rows that are damaged are left out.
#[must_use]
pub fn graph(batches: &[RecordBatch]) -> Graph {
    let (mut runs, mut columns) = (Vec::new(), Vec::new());
    for batch in batches {
        let text = |name: &str| batch.column_by_name(name).and_then(|c| c.as_string_opt::<i32>());
        let at = batch.column_by_name("at").and_then(|c| c.as_primitive_opt::<TimestampMillisecondType>());
        let (Some(at), Some(kinds), Some(jobs), Some(ids), Some(inputs), Some(outputs), Some(told)) =
            (at, text("event_type"), text("job"), text("run_id"), text("inputs"), text("outputs"), text("columns"))
        else {
            continue;
        };
        for row in 0..batch.num_rows() {
            if told.is_valid(row)
                && let Ok(fields) =
                    serde_json::from_str::<BTreeMap<String, BTreeMap<String, OutputColumn>>>(told.value(row))
            {
                columns.push((at.value(row), fields));
            }
            if kinds.value(row) == "START" {
                continue;
            }
            let read = |text: &str| serde_json::from_str::<Vec<Node>>(text).unwrap_or_default();
            runs.push(Run {
                at: Millis(at.value(row)),
                job: jobs.value(row).to_owned(),
                run_id: ids.value(row).to_owned(),
                failed: kinds.value(row) == "FAIL",
                inputs: read(inputs.value(row)),
                outputs: read(outputs.value(row)),
            });
        }
    }
    columns.sort_by_key(|(at, _)| *at);
    Graph::new(runs, columns.into_iter().map(|(_, fields)| fields))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::{Place, Step};

    #[test]
    fn events_become_rows_and_column_lineage_is_told_once() {
        let spec = tidemill_spec::Spec::parse(include_str!("../../../infra/examples/flights/project.yaml")).unwrap();
        let source = "weather".parse().unwrap();
        let event = |version: u64| {
            let step = Step::new(&spec.project, "ingestion.weather", &version.to_string())
                .reads(Place::new("events/flights/weather").between(Some(1), Some(9)))
                .writes(
                    Place::new("raw/flights/weather")
                        .at(version)
                        .with_rows(3)
                        .with_columns(crate::columns::raw(&spec, &source)),
                );
            serde_json::to_vec(&step.complete(Millis(5))).unwrap()
        };
        let (one, two) = (event(1), event(2));
        let mut recorder = Recorder::default();
        let (rows, refused) = recorder.rows(&[(7, &one), (8, b"nonsense"), (9, &two)]).unwrap();
        assert_eq!((rows.num_rows(), refused), (2, 1));
        assert_eq!(rows["columns"].null_count(), 1);
        let inputs: serde_json::Value = serde_json::from_str(rows["inputs"].as_string::<i32>().value(0)).unwrap();
        assert_eq!(inputs, serde_json::json!([{"name": "events/flights/weather", "first": 1, "last": 9}]));
        let found = graph(&[rows]).up("raw/flights/weather", Some(2));
        assert_eq!(found[0].node.name, "events/flights/weather");
    }
}
