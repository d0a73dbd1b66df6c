//! Checkpoints of the online state in the object store.

use crate::error::FeatureServiceError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidemill_storage::Storage;
use tidemill_types::{Digest, Millis, SourceName};

/// End of the names of what manifests name.
const PART: &str = ".part";

/// How far the rows of one source are those of its clean table, for good.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// `<stream>@<created>` of the sequences; empty when nothing is settled.
    pub(crate) stream: String,
    /// Last sequence.
    pub(crate) seq: u64,
    /// The newest version of the clean table that notes it.
    pub(crate) version: u64,
    /// Rows in all.
    pub(crate) rows: u64,
    /// Rows that came after the oldest answerable instant.
    pub(crate) late: u64,
    /// Rows that were taken in once and taken back.
    pub(crate) retracted: u64,
    /// Instant up to which they are complete, if their producer says so.
    pub(crate) watermark: Option<Millis>,
    /// The newest knowledge time among them.
    pub(crate) newest: Option<Millis>,
    /// Whether there are rows of an earlier stream among them, whose sequences tell nothing here.
    pub(crate) is_mixed: bool,
}

/// The engine, taken at one instant, with what of it is settled. It may hold more, which a restart takes back.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoint {
    pub(crate) plan_digest: String,
    pub(crate) positions: BTreeMap<SourceName, Position>,
    pub(crate) engine: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    plan_digest: String,
    positions: BTreeMap<SourceName, Position>,
    engine_sha256: Digest,
}

/// Reads and writes checkpoints of one feature set.
///
/// The engine is written under its digest first, then the manifest that names it; so a manifest never names half a file.
#[derive(Clone)]
pub(crate) struct Checkpoints {
    storage: Storage,
    folder: String,
}

impl Checkpoints {
    pub(crate) fn new(storage: Storage, set: &str) -> Self {
        Self { storage, folder: format!("features/{set}/state") }
    }

    pub(crate) async fn write(&self, checkpoint: &Checkpoint) -> Result<(), FeatureServiceError> {
        let engine_sha256 = Digest::of(&checkpoint.engine);
        let kept = self.part_path(&engine_sha256);
        self.storage.put_if_absent(&kept, checkpoint.engine.clone()).await?;
        let (plan_digest, positions) = (checkpoint.plan_digest.clone(), checkpoint.positions.clone());
        let manifest = Manifest { plan_digest, positions, engine_sha256 };
        let text = serde_json::to_vec_pretty(&manifest).unwrap_or_default();
        self.storage.put(&self.manifest_path(), text).await?;
        for object in self.storage.list(&self.folder).await? {
            if object.path.ends_with(PART) && object.path != kept {
                self.storage.delete(&object.path).await?;
            }
        }
        Ok(())
    }

    /// The newest checkpoint; one that is damaged, or of another form, counts as none, since clean tables and streams can
    /// rebuild it.
    pub(crate) async fn newest(&self) -> Result<Option<Checkpoint>, FeatureServiceError> {
        let Some(manifest) = self.manifest().await? else {
            return Ok(None);
        };
        let Some(engine) = self.part(&manifest.engine_sha256).await? else {
            return Ok(None);
        };
        Ok(Some(Checkpoint { plan_digest: manifest.plan_digest, positions: manifest.positions, engine }))
    }

    async fn part(&self, digest: &Digest) -> Result<Option<Vec<u8>>, FeatureServiceError> {
        let path = self.part_path(digest);
        if !self.storage.exists(&path).await? {
            return Ok(None);
        }
        let part = self.storage.get(&path).await?.to_vec();
        if Digest::of(&part) != *digest {
            tracing::warn!(%path, "part of a checkpoint does not match its digest; building the online state anew");
            return Ok(None);
        }
        Ok(Some(part))
    }

    async fn manifest(&self) -> Result<Option<Manifest>, FeatureServiceError> {
        let path = self.manifest_path();
        if !self.storage.exists(&path).await? {
            return Ok(None);
        }
        Ok(serde_json::from_slice(&self.storage.get(&path).await?).ok())
    }

    fn manifest_path(&self) -> String {
        format!("{}/checkpoint.json", self.folder)
    }

    fn part_path(&self, digest: &Digest) -> String {
        format!("{}/{digest}{PART}", self.folder)
    }
}
