//! Checkpoints of the online state in the object store.

use crate::error::FeatureServiceError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidemill_storage::Storage;
use tidemill_types::{Digest, Millis, SourceName};

/// How far one source was applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Incarnation of the stream in which the sequence counts; empty where an earlier version noted none.
    #[serde(default)]
    pub(crate) incarnation: String,
    /// Last sequence.
    pub(crate) seq: u64,
    /// Rows applied in all.
    pub(crate) rows: u64,
    /// Rows that came after the oldest answerable instant.
    pub(crate) late: u64,
    /// Instant up to which the source is complete, if its producer says so.
    pub(crate) watermark: Option<Millis>,
}

/// The engine with its positions, taken at one instant.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoint {
    pub(crate) plan_digest: String,
    pub(crate) positions: BTreeMap<SourceName, Position>,
    pub(crate) engine: Vec<u8>,
    /// Keys taken by `unique` rules, by source.
    pub(crate) unique: BTreeMap<SourceName, Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    plan_digest: String,
    positions: BTreeMap<SourceName, Position>,
    engine_sha256: Digest,
    unique_sha256: BTreeMap<SourceName, Digest>,
}

impl Manifest {
    fn parts(&self) -> impl Iterator<Item = &Digest> {
        self.unique_sha256.values().chain(std::iter::once(&self.engine_sha256))
    }
}

/// Reads and writes checkpoints of one feature set.
///
/// Parts are written under their digests first, then the manifest that names them; so a manifest never names
/// half a file.
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
        let previous = self.manifest().await?;
        let engine_sha256 = self.keep(&checkpoint.engine).await?;
        let mut unique_sha256 = BTreeMap::new();
        for (source, keys) in &checkpoint.unique {
            unique_sha256.insert(source.clone(), self.keep(keys).await?);
        }
        let (plan_digest, positions) = (checkpoint.plan_digest.clone(), checkpoint.positions.clone());
        let manifest = Manifest { plan_digest, positions, engine_sha256, unique_sha256 };
        let text = serde_json::to_vec_pretty(&manifest).unwrap_or_default();
        self.storage.put(&self.manifest_path(), text).await?;
        let kept: Vec<&Digest> = manifest.parts().collect();
        for old in previous.iter().flat_map(Manifest::parts).filter(|old| !kept.contains(old)) {
            self.storage.delete(&self.part_path(old)).await?;
        }
        Ok(())
    }

    /// The newest checkpoint; a damaged one counts as none, since the streams can rebuild it.
    pub(crate) async fn newest(&self) -> Result<Option<Checkpoint>, FeatureServiceError> {
        let Some(manifest) = self.manifest().await? else {
            return Ok(None);
        };
        let Some(engine) = self.part(&manifest.engine_sha256).await? else {
            return Ok(None);
        };
        let mut unique = BTreeMap::new();
        for (source, digest) in &manifest.unique_sha256 {
            let Some(keys) = self.part(digest).await? else {
                return Ok(None);
            };
            unique.insert(source.clone(), keys);
        }
        Ok(Some(Checkpoint { plan_digest: manifest.plan_digest, positions: manifest.positions, engine, unique }))
    }

    /// Stores a part under its digest.
    async fn keep(&self, part: &[u8]) -> Result<Digest, FeatureServiceError> {
        let digest = Digest::of(part);
        self.storage.put_if_absent(&self.part_path(&digest), part.to_vec()).await?;
        Ok(digest)
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
        format!("{}/{digest}.part", self.folder)
    }
}
