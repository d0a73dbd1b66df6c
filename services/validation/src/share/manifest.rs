//! The manifest of a share: what was given to whom, with its contract, its quality and what is known of personal data,
//! signed so that it can be shown years later.

use super::error::ShareError;
use arrow::array::RecordBatch;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidemill_dataset::ContentHasher;
use tidemill_quality::QualityReport;
use tidemill_registry::{SigningKey, TrustedKeys};
use tidemill_types::Digest;

/// Keeps the signatures of manifests apart from all others.
const SEAL: &str = "share manifest 1";

/// What was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format: 1.
    pub format: u32,
    /// Name of the share.
    pub share: String,
    /// Project and source that the rows are of.
    pub project: String,
    /// The source.
    pub source: String,
    /// Who it was given to.
    pub partner: String,
    /// What the rows may be used for.
    pub purpose: String,
    /// From when on nothing is given any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Version of the clean table.
    pub version: u64,
    /// When the manifest was made.
    pub made_at: String,
    /// Conditions that all rows meet.
    pub conditions: Vec<String>,
    /// Number of rows.
    pub rows: u64,
    /// Hash of the rows, whatever their order: that of `dataset show --hash`.
    pub content: Digest,
    /// The columns.
    pub columns: Vec<SharedColumn>,
    /// Quality of the source when the manifest was made; absent while nothing was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<SharedQuality>,
    /// The data contract, in ODCS 3.1.
    pub contract: Value,
}

/// One column, with what is known of personal data in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether values may be absent.
    pub nullable: bool,
    /// Class of personal data; `none` where a person said so, `not found` where detectors looked and nobody spoke.
    pub personal: String,
    /// Whether it is an attribute that law protects.
    pub sensitive: bool,
}

/// Quality of the newest rows that were judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SharedQuality {
    /// Version of the raw table up to which rows were judged.
    pub raw_version: i64,
    /// Rows judged, and those of them kept out.
    pub checked: u64,
    /// Rows in quarantine, which are not shared.
    pub quarantined: u64,
    /// Total and dimensions, 0 to 100.
    pub score: Value,
    /// Rules with the rows that failed them.
    pub rules: Vec<(String, u64)>,
}

impl SharedQuality {
    pub(super) fn of(report: &QualityReport) -> Self {
        Self {
            raw_version: report.raw_version,
            checked: report.checked,
            quarantined: report.quarantined,
            score: serde_json::to_value(&report.score).unwrap_or_default(),
            rules: report.rules.iter().map(|rule| (rule.id.clone(), rule.failed)).collect(),
        }
    }
}

/// A manifest as it travels: its exact text, and who signed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedManifest {
    /// JSON of the manifest, as it was signed.
    pub manifest: String,
    /// The public key (ed25519, hexadecimal).
    pub key: String,
    /// Signature over `tidemill share manifest 1`, a line feed and the text of the manifest, in hexadecimal.
    pub signature: String,
}

impl SignedManifest {
    /// Signs a manifest.
    pub(super) fn sign(manifest: &Manifest, key: &SigningKey) -> Result<Self, ShareError> {
        let text = serde_json::to_string(manifest).map_err(|e| ShareError::Manifest(e.to_string()))?;
        Ok(Self { key: key.id().to_string(), signature: key.seal(SEAL, text.as_bytes()), manifest: text })
    }

    /// The manifest, if a trusted key signed it.
    ///
    /// # Errors
    /// [`ShareError::Manifest`] otherwise.
    pub fn verify(&self, trusted: &TrustedKeys) -> Result<Manifest, ShareError> {
        if trusted.sealed_by(SEAL, self.manifest.as_bytes(), &self.signature).is_none() {
            return Err(ShareError::Manifest("no trusted key signed it".to_owned()));
        }
        serde_json::from_str(&self.manifest).map_err(|e| ShareError::Manifest(e.to_string()))
    }
}

impl Manifest {
    /// Whether some rows are exactly those that the manifest speaks of, in whatever order.
    ///
    /// # Errors
    /// [`ShareError::Rows`] when they are not.
    pub fn check(&self, rows: &[RecordBatch]) -> Result<(), ShareError> {
        let Some(first) = rows.first() else {
            return if self.rows == 0 { Ok(()) } else { Err(ShareError::Rows(format!("0 of {}", self.rows))) };
        };
        let mut hasher = ContentHasher::new(&first.schema());
        for batch in rows {
            hasher.update(batch)?;
        }
        let found = hasher.finish();
        if found.rows != self.rows {
            return Err(ShareError::Rows(format!("{} instead of {}", found.rows, self.rows)));
        }
        if found.hash != self.content {
            return Err(ShareError::Rows("their hash is another".to_owned()));
        }
        Ok(())
    }
}
