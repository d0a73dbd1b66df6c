//! What an HTTP source answered, and when: the bodies that the puller kept, listed, read, and dropped by age.
//!
//! A body lies under its digest, once however often it came; a note beside it says address and instant of each fetch.

use crate::error::{Error, Result};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tidemill_storage::{ObjectInfo, Storage};
use tidemill_types::{Digest, Millis, ProjectName, SourceName};

/// Notes read at the same time.
const AT_A_TIME: usize = 16;

/// One fetch of one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The address, without secrets.
    pub url: String,
    /// When it was fetched.
    #[serde(with = "as_text")]
    pub fetched_at: Millis,
    /// Status of the answer.
    pub status: u16,
    /// Entity tag of the answer.
    pub etag: Option<String>,
    /// `Last-Modified` of the answer.
    pub last_modified: Option<String>,
    /// Type of the body.
    pub content_type: Option<String>,
    /// Length of the body in bytes.
    pub bytes: u64,
    /// Digest of the body.
    pub sha256: Digest,
    /// Licence of the data, as the project said then.
    pub license: Option<String>,
}

/// Instants as people read them.
mod as_text {
    use serde::{Deserialize as _, Deserializer, Serializer};
    use tidemill_types::Millis;

    pub(super) fn serialize<S: Serializer>(at: &Millis, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(at)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Millis, D::Error> {
        let text = String::deserialize(deserializer)?;
        Millis::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("\"{text}\" is no instant")))
    }
}

/// The bodies of one source.
#[derive(Clone, Debug)]
pub struct Snapshots {
    storage: Storage,
    folder: String,
}

/// What would be dropped, and what stays.
#[derive(Clone, Debug, Default)]
pub struct SnapshotPlan {
    /// Notes of fetches that are too old.
    pub notes: Vec<ObjectInfo>,
    /// Bodies that no other fetch brought.
    pub bodies: Vec<ObjectInfo>,
    /// Fetches that stay.
    pub kept: usize,
}

impl SnapshotPlan {
    /// Bytes that would be freed.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.notes.iter().chain(&self.bodies).map(|object| object.size).sum()
    }
}

/// A note with its object.
struct Note {
    object: ObjectInfo,
    kept: Kept,
}

impl Snapshots {
    /// Folder of the bodies of all sources.
    pub const ROOT: &str = "raw/_snapshots";

    /// The bodies of a source.
    #[must_use]
    pub fn of(storage: &Storage, project: &ProjectName, source: &SourceName) -> Self {
        Self { storage: storage.clone(), folder: format!("{}/{project}/{source}", Self::ROOT) }
    }

    /// Their folder in the store.
    #[must_use]
    pub fn folder(&self) -> &str {
        &self.folder
    }

    fn body_path(&self, digest: &Digest) -> String {
        format!("{}/{digest}.body", self.folder)
    }

    /// Keeps a body and notes the fetch; durable when it returns.
    pub(crate) async fn keep(&self, kept: &Kept, body: &Bytes) -> Result<()> {
        let path = self.body_path(&kept.sha256);
        self.storage.put_if_absent(&path, body.clone()).await?;
        let note = serde_json::to_vec(kept).map_err(|e| self.damaged("a note", &e))?;
        let name = format!("{:015}-{}.json", kept.fetched_at.0, kept.sha256.short());
        self.storage.put(&format!("{}/{name}", self.folder), note).await?;
        // An old body of the same bytes may have been dropped before the note said that it is needed again.
        if !self.storage.exists(&path).await? {
            self.storage.put(&path, body.clone()).await?;
        }
        Ok(())
    }

    /// All fetches, oldest first.
    ///
    /// # Errors
    /// A note that is damaged; when the store fails.
    pub async fn all(&self) -> Result<Vec<Kept>> {
        Ok(self.notes().await?.into_iter().map(|note| note.kept).collect())
    }

    /// What was known at an instant: of each address the newest body that had been fetched by then.
    ///
    /// # Errors
    /// As [`Self::all`].
    pub async fn at(&self, instant: Millis) -> Result<Vec<Kept>> {
        let mut known: BTreeMap<String, Kept> = BTreeMap::new();
        for kept in self.all().await?.into_iter().filter(|kept| kept.fetched_at <= instant) {
            known.insert(kept.url.clone(), kept);
        }
        Ok(known.into_values().collect())
    }

    /// The body of a fetch, the bytes that were fetched; `None` when it was dropped.
    ///
    /// # Errors
    /// Bytes that are not those of the digest; when the store fails.
    pub async fn body(&self, digest: &Digest) -> Result<Option<Bytes>> {
        let path = self.body_path(digest);
        let bytes = match self.storage.get(&path).await {
            Ok(bytes) => bytes,
            Err(tidemill_storage::Error::NotFound(_)) => return Ok(None),
            Err(other) => return Err(other.into()),
        };
        if Digest::of(&bytes) != *digest {
            return Err(self.damaged(&path, &"its digest is not its name"));
        }
        Ok(Some(bytes))
    }

    /// Plans to drop the fetches that are older than `age`, counted back from the newest one as rows are from the newest
    /// event, and the bodies that are then named by none. Bodies written at or after `since` stay: a note may be about
    /// to name them.
    ///
    /// # Errors
    /// As [`Self::all`].
    pub async fn plan(&self, age: Millis, since: Millis) -> Result<SnapshotPlan> {
        let notes = self.notes().await?;
        let newest = notes.last().map_or(Millis::MIN, |note| note.kept.fetched_at);
        let before = newest.0.saturating_sub(age.0);
        let (old, kept): (Vec<Note>, Vec<Note>) = notes.into_iter().partition(|note| note.kept.fetched_at.0 < before);
        let needed = kept.iter().map(|note| self.body_path(&note.kept.sha256)).collect::<BTreeSet<_>>();
        let objects = self.storage.list(&self.folder).await?;
        let is_free = |object: &ObjectInfo| {
            object.path.ends_with(".body") && !needed.contains(&object.path) && object.modified < since
        };
        Ok(SnapshotPlan {
            kept: kept.len(),
            notes: old.into_iter().map(|note| note.object).collect(),
            bodies: objects.into_iter().filter(is_free).collect(),
        })
    }

    /// Drops what a plan names, but for bodies that a fetch since has brought again.
    ///
    /// # Errors
    /// When the store fails; what was dropped so far stays dropped, and planning again finds the rest.
    pub async fn drop(&self, plan: &SnapshotPlan) -> Result<()> {
        for note in &plan.notes {
            self.storage.delete(&note.path).await?;
        }
        let needed = self.all().await?.iter().map(|kept| self.body_path(&kept.sha256)).collect::<BTreeSet<_>>();
        for body in plan.bodies.iter().filter(|body| !needed.contains(&body.path)) {
            self.storage.delete(&body.path).await?;
        }
        Ok(())
    }

    async fn notes(&self) -> Result<Vec<Note>> {
        use futures::stream::{self, StreamExt as _, TryStreamExt as _};
        let objects = self.storage.list(&self.folder).await?;
        let notes = objects.into_iter().filter(|object| object.path.ends_with(".json"));
        let read = stream::iter(notes).map(|object| async move {
            let bytes = self.storage.get(&object.path).await?;
            let kept = serde_json::from_slice(&bytes).map_err(|e| self.damaged(&object.path, &e))?;
            Ok::<_, Error>(Note { object, kept })
        });
        let mut notes: Vec<Note> = read.buffered(AT_A_TIME).try_collect().await?;
        notes.sort_by(|a, b| (a.kept.fetched_at, &a.object.path).cmp(&(b.kept.fetched_at, &b.object.path)));
        Ok(notes)
    }

    fn damaged(&self, what: &str, reason: &dyn std::fmt::Display) -> Error {
        Error::Kept { path: what.to_owned(), reason: reason.to_string() }
    }
}
