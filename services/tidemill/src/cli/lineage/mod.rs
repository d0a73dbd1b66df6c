//! `lineage`: what came from what, from source events to predictions and back.

mod subject;

use super::output::{Output, next, say};
use super::target::Target;
use crate::error::{Error, Result};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::time::Instant;
use subject::Subject;
use tidemill_bus::Bus;
use tidemill_lineage::{ColumnGraph, Graph, Hop};
use tidemill_provenance::Prediction;
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tidemill_types::Digest;

const EXAMPLES: &str = "\
Examples:
  tidemill lineage up champion                        the model's training set, tables and events
  tidemill lineage down events/weather@1200           everything that was made after event 1200 of weather
  tidemill lineage up clean/flights/weather@12
  tidemill lineage up w_temp                          the columns a feature is made of
  tidemill lineage down clean/flights/weather.temp    the features and models that read a column
  tidemill lineage why 0198c9d2-…                     the very events behind one prediction
A model is named by number, alias or the beginning of its digest; an event by source and sequence.";

/// `tidemill lineage …`.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum LineageCommand {
    /// Show what something came from, back to source events.
    #[command(after_help = EXAMPLES)]
    Up(What),
    /// Show what was made of something, forward to models and predictions.
    #[command(after_help = EXAMPLES)]
    Down(What),
    /// Explain a prediction by the events that were read for it, a column or feature by its expressions.
    #[command(after_help = EXAMPLES)]
    Why(What),
}

/// What is asked about.
#[derive(Debug, Args)]
pub(super) struct What {
    /// A prediction id, model, feature, TABLE[@VERSION], TABLE.COLUMN[@VERSION], or events/SOURCE[@SEQUENCE].
    #[arg(value_name = "WHAT")]
    what: String,
}

/// Where questions are asked.
struct Place {
    bus: Bus,
    storage: Storage,
    spec: Spec,
}

impl Place {
    async fn runs(&self) -> Result<Graph> {
        Ok(tidemill_provenance::runs(&self.storage, &self.spec.project).await?)
    }

    async fn columns(&self) -> Result<ColumnGraph> {
        Ok(tidemill_provenance::columns(&self.storage, &self.spec.project).await?)
    }
}

/// Runs the command.
pub(super) async fn run(target: &Target, out: Output, command: LineageCommand) -> Result<u8> {
    let bus = target.bus().await?;
    let (storage, spec) = (target.storage()?, target.spec(&bus).await?);
    let began = Instant::now();
    let place = Place { bus, storage, spec };
    let (What { what }, way) = match command {
        LineageCommand::Up(what) => (what, Way::Up),
        LineageCommand::Down(what) => (what, Way::Down),
        LineageCommand::Why(what) => (what, Way::Why),
    };
    let subject = subject::resolve(&place, &what).await?;
    answer(&place, out, way, &subject).await?;
    say(&format!("answered in {} ms", began.elapsed().as_millis()));
    next(match way {
        Way::Up => "tidemill lineage down WHAT",
        Way::Down => "tidemill lineage up WHAT",
        Way::Why => "tidemill dataset show TABLE --rows 5",
    });
    Ok(0)
}

/// In which direction is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Up,
    Down,
    Why,
}

async fn answer(place: &Place, out: Output, way: Way, subject: &Subject) -> Result<()> {
    match (subject, way) {
        (Subject::Column { graph, dataset, column, at }, Way::Down) => columns(out, &graph.down(dataset, column, *at)),
        (Subject::Column { graph, dataset, column, at }, _) => columns(out, &graph.up(dataset, column, *at)),
        (Subject::Dataset { graph, name, version }, Way::Down) => hops(out, &graph.down(name, *version)),
        (Subject::Dataset { graph, name, version }, _) => hops(out, &graph.up(name, *version)),
        (Subject::Prediction(found), Way::Why) => why(place, out, found).await,
        (Subject::Prediction(found), Way::Up) => {
            let mut all = vec![prediction(found)];
            all.extend(place.runs().await?.up(&found.model_dataset(), None).into_iter().map(|mut hop| {
                hop.distance += 1;
                hop_row(&hop)
            }));
            out.rows(&HOPS, &all)
        }
        (Subject::Prediction(_), Way::Down) => {
            say("nothing is made of a single prediction; its outcome is joined to it by monitoring");
            out.rows(&HOPS, &[])
        }
    }
}

/// A prediction by the events that were read for it, and its model by what it was trained on.
async fn why(place: &Place, out: Output, found: &Prediction) -> Result<()> {
    let as_of = found.as_of.ok_or_else(|| Error::Usage("the prediction was about no instant".to_owned()))?;
    let missing = || Error::NotFound { what: "model", name: found.model.clone(), list: "tidemill models ls" };
    let model = Digest::parse(&found.model).ok_or_else(missing)?;
    let read = async {
        let spec = tidemill_provenance::spec_of(&place.bus, &place.storage, &place.spec, &model).await?;
        Ok::<_, Error>(tidemill_provenance::why(&place.storage, &spec, found, as_of).await?)
    };
    let (why, runs) = tokio::try_join!(read, place.runs())?;
    let mut why = serde_json::to_value(why).map_err(|e| Error::Output(e.into()))?;
    if !out.is_table() {
        why["training"] = json!(runs.up(&found.model_dataset(), None));
        return out.record(&why);
    }
    out.record(&json!({
        "prediction": why["prediction"],
        "model": why["model"],
        "score": why["score"],
        "as_of": why["as_of"],
        "entity": why["entity"],
        "oldest_input": why["oldest_input"],
    }))?;
    let inputs = why["inputs"].as_array().cloned().unwrap_or_default();
    out.rows(&["input", "source", "rows", "first_event", "last_event", "newest_known_at", "age_s", "features"], &inputs)
}

const HOPS: [&str; 7] = ["distance", "what", "version", "events", "rows", "job", "at"];

fn prediction(found: &Prediction) -> Value {
    json!({
        "distance": 1,
        "what": found.model_dataset(),
        "name": found.model_dataset(),
        "version": Value::Null,
        "from": found.id,
        "job": "serving",
        "at": found.answered_at.map(|at| at.to_string()),
    })
}

fn hops(out: Output, hops: &[Hop]) -> Result<()> {
    out.rows(&HOPS, &hops.iter().map(hop_row).collect::<Vec<_>>())
}

fn hop_row(hop: &Hop) -> Value {
    let events = hop.node.last.map(|last| match hop.node.first {
        Some(first) => format!("{first} to {last}"),
        None => format!("to {last}"),
    });
    json!({
        "distance": hop.distance,
        "what": hop.node.name,
        "name": hop.node.name,
        "version": hop.node.version,
        "first": hop.node.first,
        "last": hop.node.last,
        "events": events,
        "rows": hop.node.rows,
        "from": hop.from,
        "job": hop.job,
        "run_id": hop.run_id,
        "at": hop.at.to_string(),
    })
}

fn columns(out: Output, hops: &[tidemill_lineage::ColumnHop]) -> Result<()> {
    let rows: std::result::Result<Vec<Value>, _> = hops.iter().map(serde_json::to_value).collect();
    let rows = rows.map_err(|e| Error::Output(e.into()))?;
    out.rows(&["distance", "dataset", "column", "direct", "how", "text", "from"], &rows)
}
