//! Events as rows of the lineage table, and back into a graph.
//!
//! The whole event is kept, beside the few columns from which the graph is made: those are small, so that a question
//! is answered without reading the events.

use crate::column_graph::{ColumnGraph, Told, family, is_made_once};
use crate::event::{Dataset, EventType, RunEvent};
use crate::graph::{Graph, Node, Run};
use arrow::array::{Array as _, AsArray as _, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimestampMillisecondType};
use arrow::error::ArrowError;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidemill_types::{Millis, ProjectName, columns};

/// Columns from which a graph is made.
pub const GRAPH: [&str; 6] = ["at", "event_type", "job", "run_id", "inputs", "outputs"];
/// Columns from which a graph of columns is made. Rows without [`TOLD`] tell nothing.
pub const COLUMNS: [&str; 3] = ["at", "outputs", TOLD];
/// The column that holds the column lineage of the outputs, where it is news.
pub const TOLD: &str = "columns";

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
        text(TOLD, true),
        text("event", false),
    ]))
}

/// Turns events into rows; column lineage that was told of a dataset before is left out.
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

    /// Column lineage of the outputs, where it is not what was said of them last.
    fn news(&mut self, event: &RunEvent) -> Option<String> {
        if event.event_type != EventType::Complete {
            return None;
        }
        let mut said = serde_json::Map::new();
        for output in &event.outputs {
            let Some(fields) = output.facets.get("columnLineage").and_then(|facet| facet.get("fields")) else {
                continue;
            };
            let dataset = family(&output.name);
            if self.told.get(dataset) == Some(fields) {
                continue;
            }
            said.insert(dataset.to_owned(), fields.clone());
            // Of what is made once there are ever more, and nothing is told of it again.
            if !is_made_once(dataset) {
                self.told.insert(dataset.to_owned(), fields.clone());
            }
        }
        (!said.is_empty()).then(|| Value::Object(said).to_string())
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

/// Adds the runs of rows with the columns [`GRAPH`] to a graph. Rows that are damaged are left out.
pub fn add_runs(graph: &mut Graph, batches: &[RecordBatch]) {
    for batch in batches {
        let text = |name: &str| batch.column_by_name(name).and_then(|c| c.as_string_opt::<i32>());
        let (Some(at), Some(kinds), Some(jobs), Some(ids), Some(inputs), Some(outputs)) =
            (instants(batch), text("event_type"), text("job"), text("run_id"), text("inputs"), text("outputs"))
        else {
            continue;
        };
        for row in (0..batch.num_rows()).filter(|row| kinds.value(*row) != "START") {
            graph.add(Run {
                at: Millis(at.value(row)),
                job: jobs.value(row).to_owned(),
                run_id: ids.value(row).to_owned(),
                failed: kinds.value(row) == "FAIL",
                inputs: read(inputs.value(row)),
                outputs: read(outputs.value(row)),
            });
        }
    }
}

/// Adds what rows with the columns [`COLUMNS`] tell of columns to a graph. Rows that are damaged are left out.
pub fn add_columns(graph: &mut ColumnGraph, batches: &[RecordBatch]) {
    let mut all = Vec::new();
    for batch in batches {
        let text = |name: &str| batch.column_by_name(name).and_then(|c| c.as_string_opt::<i32>());
        let (Some(at), Some(outputs), Some(told)) = (instants(batch), text("outputs"), text(TOLD)) else { continue };
        for row in (0..batch.num_rows()).filter(|row| told.is_valid(*row)) {
            let Ok(fields) = serde_json::from_str::<BTreeMap<String, Told>>(told.value(row)) else { continue };
            for (mut dataset, columns) in fields {
                // Models were once told of under one name.
                if dataset == "model"
                    && let Some(node) = read(outputs.value(row)).into_iter().find(|node| is_made_once(&node.name))
                {
                    dataset = node.name;
                }
                all.push((Millis(at.value(row)), dataset, columns));
            }
        }
    }
    all.sort_by_key(|(at, ..)| *at);
    for (at, dataset, columns) in all {
        graph.tell(&dataset, at, columns);
    }
}

fn instants(batch: &RecordBatch) -> Option<&TimestampMillisecondArray> {
    batch.column_by_name("at").and_then(|c| c.as_primitive_opt::<TimestampMillisecondType>())
}

fn read(nodes: &str) -> Vec<Node> {
    serde_json::from_str(nodes).unwrap_or_default()
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
        let mut graph = Graph::default();
        add_runs(&mut graph, std::slice::from_ref(&rows));
        assert_eq!(graph.up("raw/flights/weather", Some(2))[0].node.name, "events/flights/weather");
        let mut columns = ColumnGraph::default();
        add_columns(&mut columns, &[rows]);
        assert_eq!(columns.up("raw/flights/weather", "temp", None)[0].dataset, "events/flights/weather");
    }

    #[test]
    fn each_dataset_that_a_run_writes_is_told_of_when_it_changes_and_not_for_the_others() {
        let spec = tidemill_spec::Spec::parse(include_str!("../../../infra/examples/flights/project.yaml")).unwrap();
        let source = "weather".parse().unwrap();
        let event = |version: u64, aside: bool| {
            let place = |name: &str| Place::new(name).at(version).with_columns(crate::columns::cleaned(&spec, &source));
            let mut step = Step::new(&spec.project, "validation.weather", &version.to_string());
            step = step.writes(place("clean/flights/weather"));
            if aside {
                step = step.writes(place("quarantine/flights/weather"));
            }
            serde_json::to_vec(&step.complete(Millis(5))).unwrap()
        };
        let events: Vec<Vec<u8>> = (1..=6).map(|version| event(version, version % 2 == 0)).collect();
        let events: Vec<(i64, &[u8])> = (1..).zip(events.iter().map(Vec::as_slice)).collect();
        let (rows, _) = Recorder::default().rows(&events).unwrap();
        assert_eq!(rows[TOLD].len() - rows[TOLD].null_count(), 2, "one of each table");
    }

    #[test]
    fn models_that_were_told_of_under_one_name_are_told_apart() {
        let score = |set: &str| {
            let spec =
                tidemill_spec::Spec::parse(include_str!("../../../infra/examples/flights/project.yaml")).unwrap();
            json!({"model": crate::columns::score(&spec, set, "trees", &["w_temp".to_owned()])}).to_string()
        };
        let outputs = ["model/1", "model/2"].map(|name| json!([{"name": name}]).to_string());
        let told = ["features/s/training/1", "features/s/training/2"].map(score);
        let columns: [(&str, arrow::array::ArrayRef); 3] = [
            ("at", Arc::new(TimestampMillisecondArray::from(vec![1, 2]).with_timezone("UTC"))),
            ("outputs", Arc::new(StringArray::from(outputs.to_vec()))),
            (TOLD, Arc::new(StringArray::from(told.to_vec()))),
        ];
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        let mut graph = ColumnGraph::default();
        add_columns(&mut graph, &[rows]);
        assert!(graph.knows("model/1", "score") && graph.knows("model/2", "score") && !graph.knows("model", "score"));
    }
}
