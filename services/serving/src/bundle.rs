//! From a stored bundle to a model that may answer: signature, files, examples.
//!
//! What is assumed of a bundle: the manifest's inputs and threshold, `model/…` (the learner's files), `examples.arrow`
//! (an Arrow IPC stream of up to fifty feature rows) and `examples.json` (a JSON array with the score of each). The
//! signature and digests are checked by the registry before anything here is parsed; the examples are replayed
//! here, bit for bit, before the model counts as loaded.

use crate::domain::router::Versioned;
use crate::domain::row::select;
use crate::error::Error;
use crate::sender::blocking;
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field};
use arrow::ipc::reader::StreamReader;
use tidemill_bus::Bus;
use tidemill_learn::Model;
use tidemill_registry::{Bundle, Input, InputKind, Registry, TrustedKeys, file};
use tidemill_storage::Storage;
use tidemill_types::{Classified as _, Digest, ErrorKind, ProjectName};

/// Where models come from: aliases that move, and bundles that are verified before they are handed out.
#[derive(Clone, Debug)]
pub(crate) struct ModelStore {
    pub(crate) bus: Bus,
    pub(crate) registry: Registry,
    pub(crate) storage: Storage,
    pub(crate) trusted: TrustedKeys,
}

impl ModelStore {
    /// A bundle of that project, verified and with its examples replayed off the network threads.
    pub(crate) async fn load(&self, project: &ProjectName, digest: &Digest) -> Result<LoadedModel, Error> {
        let bundle = tidemill_registry::load(&self.storage, digest, &self.trusted).await;
        let bundle = bundle.map_err(|e| Error::Bundle {
            digest: digest.short().to_owned(),
            reason: e.to_string(),
            kind: e.kind(),
        })?;
        if bundle.manifest.about.project != *project {
            let reason = format!("it belongs to project \"{}\"", bundle.manifest.about.project);
            return Err(refused(digest, reason));
        }
        blocking(move || LoadedModel::from_bundle(&bundle)).await
    }
}

/// A verified model.
#[derive(Debug)]
pub struct LoadedModel {
    /// Digest of its bundle: its version.
    pub digest: Digest,
    /// The model with its transforms.
    pub model: Model,
    /// What it reads, in the order of the manifest.
    pub features: Vec<Field>,
    /// Score from which a prediction alerts.
    pub threshold: f64,
}

impl Versioned for LoadedModel {
    fn digest(&self) -> &Digest {
        &self.digest
    }
}

impl LoadedModel {
    /// Builds a model from a verified bundle and replays its examples.
    ///
    /// # Errors
    /// A file is missing or damaged, or an example gives another score than in training.
    pub fn from_bundle(bundle: &Bundle) -> Result<Self, Error> {
        let digest = bundle.digest.clone();
        let refused = |reason: String| refused(&digest, reason);
        let about = &bundle.manifest.about;
        let threshold = about.threshold.filter(|t| t.is_finite());
        let threshold = threshold.ok_or_else(|| refused("the manifest has no threshold".to_owned()))?;
        let model = Model::load(&bundle.model_files()).map_err(|e| refused(e.to_string()))?;
        let file = |name| bundle.require(name).map_err(|e| refused(e.to_string()));
        let examples = examples(file(file::EXAMPLES)?).map_err(|e| refused(e.to_string()))?;
        let expected = bundle.file(file::EXPECTED);
        let expected = expected.ok_or_else(|| refused(format!("file \"{}\" is missing", file::EXPECTED)))?;
        let expected: Vec<f64> =
            serde_json::from_slice(expected).map_err(|e| refused(format!("{}: {e}", file::EXPECTED)))?;
        let features = about.inputs.iter().map(field).collect();
        let loaded = Self { digest: digest.clone(), model, features, threshold };
        check(&loaded.score(&examples)?, &expected).map_err(refused)?;
        Ok(loaded)
    }

    /// Probabilities for rows that hold at least the model's features.
    ///
    /// # Errors
    /// A feature is missing, or the model fails.
    pub fn score(&self, rows: &RecordBatch) -> Result<Vec<f64>, Error> {
        let features = select(rows, &self.features)?;
        self.model.predict(&features).map_err(|e| Error::Predict {
            model: self.digest.short().to_owned(),
            rows: rows.num_rows(),
            reason: e.to_string(),
        })
    }
}

/// The Arrow field of an input.
fn field(input: &Input) -> Field {
    let stored = match input.kind {
        InputKind::Number => DataType::Float64,
        InputKind::Integer => DataType::Int64,
        InputKind::Flag => DataType::Boolean,
        InputKind::Category => DataType::Utf8,
    };
    Field::new(&input.name, stored, true)
}

fn refused(digest: &Digest, reason: String) -> Error {
    Error::Bundle { digest: digest.short().to_owned(), reason, kind: ErrorKind::Corrupt }
}

fn examples(stream: &[u8]) -> Result<RecordBatch, arrow::error::ArrowError> {
    let reader = StreamReader::try_new(stream, None)?;
    let schema = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>()?;
    arrow::compute::concat_batches(&schema, &batches)
}

/// The same score means the same bits; anything else is another model or another computation.
fn check(scores: &[f64], expected: &[f64]) -> Result<(), String> {
    if expected.is_empty() || scores.len() != expected.len() {
        return Err(format!("{} examples with {} expected scores", scores.len(), expected.len()));
    }
    match scores.iter().zip(expected).position(|(s, e)| s.to_bits() != e.to_bits()) {
        Some(i) => Err(format!("example {i} scores {} here, {} in training", scores[i], expected[i])),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_of_difference_is_another_model() {
        assert!(check(&[0.25, 0.5], &[0.25, 0.5]).is_ok());
        let reason = check(&[0.25, 0.5], &[0.25, 0.500_000_000_000_000_1]);
        assert!(reason.is_err_and(|r| r.contains("example 1")));
        assert!(check(&[0.25], &[0.25, 0.5]).is_err());
        assert!(check(&[], &[]).is_err());
    }
}
