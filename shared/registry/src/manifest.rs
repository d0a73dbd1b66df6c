//! What a bundle says about itself.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidemill_types::{Digest, Millis, ProjectName, RunId};

/// Names of the files that services look for in a bundle.
pub mod file {
    /// The manifest itself.
    pub const MANIFEST: &str = "manifest.json";
    /// Its signature: 128 hexadecimal characters.
    pub const SIGNATURE: &str = "manifest.sig";
    /// The files of the model lie below this.
    pub const MODEL: &str = "model";
    /// The spec as applied.
    pub const SPEC: &str = "spec.yaml";
    /// The compiled feature plan.
    pub const FEATURES: &str = "features.json";
    /// Example rows (Arrow IPC) that serving replays before it is ready.
    pub const EXAMPLES: &str = "examples.arrow";
    /// Expected outputs of the example rows (JSON).
    pub const EXPECTED: &str = "examples.json";
    /// Distributions of the training data that monitoring compares with (JSON).
    pub const REFERENCE: &str = "reference.json";
    /// The model card.
    pub const CARD: &str = "card.html";
}

/// The manifest format this version writes and reads.
const FORMAT: u32 = 1;

/// Type of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// Floating point number.
    Number,
    /// Whole number.
    Integer,
    /// True or false.
    Flag,
    /// Category by its text.
    Category,
}

/// One input feature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Name of the column.
    pub name: String,
    /// What it holds.
    pub kind: InputKind,
}

/// Something the model was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lineage {
    /// What it is: `table`, `features`, `split`, `parent`, `scorecard`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its version, for instance that of a table.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<u64>,
    /// Digest of its content.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<Digest>,
}

/// Size and hash of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// SHA-256 of the content.
    pub sha256: Digest,
    /// Length in bytes.
    pub bytes: u64,
}

/// Quality of the rows of one source behind a training set, from 0 (nothing is right) to 100; none where nothing is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataQuality {
    /// Whether values are possible.
    pub accuracy: Option<f64>,
    /// Whether values and rows are there.
    pub completeness: Option<f64>,
    /// Whether values agree with each other.
    pub consistency: Option<f64>,
    /// Whether rows come in time, at the instant of knowledge of the model.
    pub timeliness: Option<f64>,
    /// Mean of those that are known.
    pub total: Option<f64>,
    /// The computation with its numbers.
    pub formula: String,
    /// Rows behind it, those set aside included.
    pub rows: u64,
    /// Commits behind it.
    pub commits: u64,
}

/// What the maker of a bundle says; the writer adds the files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ManifestDraft {
    /// Project.
    pub project: ProjectName,
    /// Training run.
    pub run: RunId,
    /// When it was made; given, not read from a clock.
    pub created_at: Millis,
    /// Kind of task, for instance `binary`.
    pub task: String,
    /// Name of the learner.
    pub learner: String,
    /// Input features, in order.
    pub inputs: Vec<Input>,
    /// Name of the target.
    pub target: String,
    /// Parameters in force.
    pub params: serde_json::Value,
    /// Seeds by purpose.
    pub seeds: BTreeMap<String, u64>,
    /// Metrics on the validation rows, by name.
    pub metrics: BTreeMap<String, f64>,
    /// Score from which a row counts as positive, fixed by the budget of the spec.
    pub threshold: Option<f64>,
    /// Share of rows the budget admits.
    pub budget: Option<f64>,
    /// Digest of the spec.
    pub spec_digest: Digest,
    /// Version and, where known, digest of the code.
    pub code: String,
    /// Digest of the training set.
    pub data_digest: Digest,
    /// What else it was made from.
    pub lineage: Vec<Lineage>,
    /// Quality of the data behind the training set, by source; empty: it was not measured.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub quality: BTreeMap<String, DataQuality>,
}

/// A bundle's manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format of the manifest.
    pub format: u32,
    /// What the maker says.
    #[serde(flatten)]
    pub about: ManifestDraft,
    /// Every other file of the bundle but the signature.
    pub files: BTreeMap<String, FileEntry>,
}

impl Manifest {
    pub(crate) fn new(about: ManifestDraft, files: BTreeMap<String, FileEntry>) -> Self {
        Self { format: FORMAT, about, files }
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self).map_err(|e| Error::Manifest(e.to_string()))
    }

    /// Reads a manifest whose signature was verified.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let manifest: Self = serde_json::from_slice(bytes).map_err(|e| Error::Manifest(e.to_string()))?;
        if manifest.format != FORMAT {
            return Err(Error::Manifest(format!("format {} is not {FORMAT}", manifest.format)));
        }
        manifest.files.keys().try_for_each(|name| check_name(name))?;
        Ok(manifest)
    }
}

/// Accepts relative paths of plain segments, lower-case letters, digits, `.`, `_` and `-`.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let plain = |segment: &str| {
        let starts_well = segment.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        starts_well && segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    let reserved = name == file::MANIFEST || name == file::SIGNATURE;
    if !reserved && name.len() <= 200 && name.split('/').all(plain) {
        return Ok(());
    }
    Err(Error::FileName(name.to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_manifest_from_before_quality_was_noted_is_read_and_written_as_it_was() {
        let digest = Digest::of(b"");
        let old = serde_json::json!({
            "format": 1, "project": "shop", "run": "c-1", "created_at": 0, "task": "binary", "learner": "logistic",
            "inputs": [], "target": "t", "params": {}, "seeds": {}, "metrics": {}, "threshold": null, "budget": null,
            "spec_digest": digest, "code": "0", "data_digest": digest, "lineage": [], "files": {},
        });
        let manifest = Manifest::from_bytes(old.to_string().as_bytes()).unwrap();
        assert!(manifest.about.quality.is_empty());
        let again: serde_json::Value = serde_json::from_slice(&manifest.to_bytes().unwrap()).unwrap();
        assert_eq!(again, old);
    }

    #[test]
    fn file_names_cannot_leave_the_bundle() {
        for bad in ["", "/a", "a/", "../a", "a/../b", "a//b", ".hidden", "manifest.json", "manifest.sig", "a b", "ä"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        assert!(check_name("model/trees.xgboost.json").is_ok());
    }
}
