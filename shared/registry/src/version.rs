//! Numbered versions of a project's models.

use serde::{Deserialize, Serialize};
use tidemill_types::{CycleId, Digest, Millis, RunId};

/// A model to be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewVersion {
    /// Digest of its bundle.
    pub digest: Digest,
    /// Training run.
    pub run: RunId,
    /// Turn of the loop it belongs to.
    pub cycle: Option<CycleId>,
    /// When it was registered; given, not read from a clock.
    pub created: Millis,
}

/// A registered model; never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionEntry {
    /// Number, from 1, without holes as long as nothing is deleted.
    pub version: u64,
    /// Digest of its bundle.
    pub digest: Digest,
    /// Training run.
    pub run: RunId,
    /// Turn of the loop it belongs to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cycle: Option<CycleId>,
    /// When it was registered.
    pub created: Millis,
}

impl VersionEntry {
    pub(crate) fn new(version: u64, new: &NewVersion) -> Self {
        let NewVersion { digest, run, cycle, created } = new.clone();
        Self { version, digest, run, cycle, created }
    }
}
