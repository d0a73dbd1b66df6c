//! What is asked about: a dataset, a column or a prediction, however it was written; with the graph that answers.

use super::Place;
use crate::cli::lifecycle::resolve_model;
use crate::error::{Error, Result};
use tidemill_lineage::{ColumnGraph, Graph, names};
use tidemill_provenance::{Prediction, Written, is_prediction_id};
use tidemill_types::Millis;

/// What is asked about.
pub(super) enum Subject {
    /// A dataset, up to or from a version; of events, a sequence.
    Dataset { graph: Graph, name: String, version: Option<u64> },
    /// A column of a dataset, as it was at an instant, or as it is.
    Column { graph: ColumnGraph, dataset: String, column: String, at: Option<Millis> },
    /// A prediction.
    Prediction(Box<Prediction>),
}

/// Finds what `what` names.
///
/// # Errors
/// When it names nothing that is known.
pub(super) async fn resolve(place: &Place, what: &str) -> Result<Subject> {
    let spec = &place.spec;
    if is_prediction_id(what) {
        let missing = || Error::NotFound { what: "logged prediction", name: what.to_owned(), list: "tidemill status" };
        let deployment = &spec.serve.deployment;
        let found = tidemill_provenance::prediction(&place.storage, &spec.project, deployment, what).await?;
        return Ok(Subject::Prediction(Box::new(found.ok_or_else(missing)?)));
    }
    if spec.features.define.contains_key(what) {
        let (graph, dataset) = (place.columns().await?, format!("features/{}", spec.features.set));
        return Ok(Subject::Column { graph, dataset, column: what.to_owned(), at: None });
    }
    if what.contains('/') {
        return dataset(place, what).await;
    }
    let digest = resolve_model(&place.bus, &spec.project, what).await.map_err(|_| unknown(what))?;
    Ok(Subject::Dataset { graph: place.runs().await?, name: names::model(&digest), version: None })
}

fn unknown(what: &str) -> Error {
    let what = what.to_owned();
    Error::NotFound { what: "prediction, model, feature, table or column", name: what, list: "tidemill dataset ls" }
}

/// A path with a version or column behind it.
async fn dataset(place: &Place, what: &str) -> Result<Subject> {
    let project = &place.spec.project;
    let written = Written::of(what).ok_or_else(|| Error::Usage(format!("{what} has no version or sequence number")))?;
    if let Some((dataset, column)) = written.column(project) {
        let graph = place.columns().await?;
        if graph.knows(&dataset, column) {
            let is_of_old = graph.is_of_an_instant(&dataset, written.version);
            let at = if is_of_old { place.runs().await?.made_at(&dataset, written.version) } else { None };
            return Ok(Subject::Column { graph, dataset, column: column.to_owned(), at });
        }
    }
    let (graph, name) = (place.runs().await?, written.dataset(project));
    if graph.knows(&name) {
        return Ok(Subject::Dataset { graph, name, version: written.version });
    }
    Err(unknown(what))
}
