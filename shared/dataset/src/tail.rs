//! What a store lost of the newest versions of a table, and giving these versions up.
//!
//! A store that does not flush what it takes (SeaweedFS) comes back from a power cut with what the operating system had
//! written by then: of an object the name without its content, of a version the entry without its files. Such a version
//! can neither be read nor passed over. Whoever fills the table gives up its newest versions from there on. Then the
//! store has lost no more than the tail of the table, which is replayed from where the rows came from.

use crate::error::Error;
use crate::log::{self, Line};
use crate::table::{Table, new_id};
use std::collections::{BTreeMap, BTreeSet};
use tidemill_storage::{Error as StorageError, ObjectInfo, Storage};
use tidemill_types::{Digest, Millis};

/// What was written longer than this before the newest entry has reached the disk: Linux takes half a minute.
const WRITTEN_AFTER_MS: i64 = 120_000;
const LAST_CHECKPOINT: &str = "_last_checkpoint";

/// What is missing of the newest versions of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The newest version before which nothing is missing; `None` when there is none.
    pub whole: Option<u64>,
    /// The newest version.
    pub newest: u64,
    /// The first object that is lost, and how that showed.
    pub reason: String,
    /// Last sequences that the young versions up to the whole one note, by application.
    noted: BTreeMap<String, i64>,
    /// What has to go, in this order.
    objects: Vec<String>,
}

impl Table {
    /// Looks whether the newest versions of a table can still be read, and all that they added; `None` when they can,
    /// when there is no table, and for folders, which are flushed.
    ///
    /// # Errors
    /// When the store is away or refuses: only a store that works otherwise has lost something.
    pub async fn damage(storage: &Storage, path: &str) -> Result<Option<Damage>, Error> {
        if storage.is_folder() {
            return Ok(None);
        }
        let log = Log::list(storage, path).await?;
        let Some(newest) = log.newest() else { return Ok(None) };
        let young = log.young().await?;
        let whole = young.lost.as_ref().map_or(Some(newest), |(version, _)| version.checked_sub(1));
        let (objects, derived) = log.behind(whole).await?;
        let noted = young.noted(whole);
        let reason = young.lost.map(|(_, reason)| reason).or(derived);
        Ok(reason.map(|reason| Damage { whole, newest, reason, noted, objects }))
    }

    /// Gives up the versions behind the last whole one. Whoever else knew them sees that they are gone before the next
    /// look or commit, as after any other loss.
    ///
    /// # Errors
    /// When the store fails; what is left is found by looking again.
    pub async fn give_up(storage: &Storage, damage: &Damage) -> Result<(), Error> {
        for object in &damage.objects {
            storage.delete(object).await?;
        }
        Ok(())
    }

    /// Last sequence that an application had committed at the last whole version; zero when it had none.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn done_before(storage: &Storage, path: &str, damage: &Damage, app_id: &str) -> Result<i64, Error> {
        let done = match (damage.noted.get(app_id), damage.whole) {
            (Some(done), _) => Some(*done),
            (None, None) => None,
            (None, version) => crate::delta::load(storage, path, version).await?.base.done(app_id).await?,
        };
        Ok(done.unwrap_or(0))
    }
}

/// Versions that were written of late.
struct Young {
    /// Those of which everything can be read, up to the first that is damaged.
    versions: Vec<(u64, Vec<Line>)>,
    /// The oldest of which something is missing, and what.
    lost: Option<(u64, String)>,
}

impl Young {
    fn noted(&self, until: Option<u64>) -> BTreeMap<String, i64> {
        let known = self.versions.iter().filter(|(version, _)| until.is_some_and(|until| *version <= until));
        let notes = known.flat_map(|(_, lines)| lines).filter_map(|line| line.txn.as_ref());
        notes.map(|txn| (txn.app_id.clone(), txn.version)).collect()
    }
}

/// The log of a table as a listing shows it.
struct Log<'a> {
    storage: &'a Storage,
    table: &'a str,
    /// Entries and checkpoints with their versions, in that order.
    objects: Vec<(u64, ObjectInfo)>,
    /// From when on it is not certain that what was written is on the disk.
    since: Millis,
}

impl<'a> Log<'a> {
    async fn list(storage: &'a Storage, table: &'a str) -> Result<Self, Error> {
        let found = storage.list(&format!("{table}/_delta_log")).await?;
        let objects: Vec<_> = found.into_iter().filter_map(|object| Some((version_of(&object)?, object))).collect();
        let newest = objects.iter().map(|(_, object)| object.modified).max().unwrap_or(Millis(0));
        Ok(Self { storage, table, objects, since: Millis(newest.0.saturating_sub(WRITTEN_AFTER_MS)) })
    }

    fn newest(&self) -> Option<u64> {
        self.objects.last().map(|(version, _)| *version)
    }

    fn entries(&self) -> impl Iterator<Item = &(u64, ObjectInfo)> {
        self.objects.iter().filter(|(_, object)| object.path.ends_with(".json"))
    }

    async fn young(&self) -> Result<Young, Error> {
        let mut versions: Vec<(u64, Vec<Line>)> = Vec::new();
        let mut lost = None;
        for (version, object) in self.entries().filter(|(_, object)| object.modified >= self.since) {
            let follows = versions.last().is_none_or(|(before, _)| before + 1 == *version);
            match self.content(&object.path, |bytes| log::parse(&object.path, bytes)).await? {
                Ok(lines) if follows => versions.push((*version, lines)),
                Ok(_) => lost = Some((*version, format!("\"{}\" has no predecessor", object.path))),
                Err(reason) => lost = Some((*version, reason)),
            }
            if lost.is_some() {
                break;
            }
        }
        let actions = versions.iter().flat_map(|(_, lines)| lines);
        let removed: BTreeSet<String> =
            actions.filter_map(|line| line.remove.as_ref()).map(|remove| remove.path.clone()).collect();
        for (version, lines) in &versions {
            for add in lines.iter().filter_map(|line| line.add.as_ref()).filter(|add| !removed.contains(&*add.path)) {
                let path = format!("{}/{}", self.table, add.path);
                let is_whole = |bytes: &[u8]| {
                    let damaged = |reason: &str| Error::Corrupt { path: path.clone(), reason: reason.to_owned() };
                    if bytes.len() as u64 != add.size {
                        return Err(damaged("its size differs from what was written"));
                    }
                    match digest_in(&add.path) {
                        Some(short) if short != Digest::of(bytes).short() => Err(damaged("its content differs")),
                        _ => Ok(()),
                    }
                };
                if let Err(reason) = self.content(&path, is_whole).await? {
                    let lost = Some((*version, reason));
                    return Ok(Young { versions, lost });
                }
            }
        }
        Ok(Young { versions, lost })
    }

    /// Everything behind a version in the order in which it has to go, and which checkpoint of the others is lost. The
    /// newest entry goes first, so that at every instant the log is that of a store which lost its tail. Checkpoints only
    /// repeat what entries say.
    async fn behind(&self, whole: Option<u64>) -> Result<(Vec<String>, Option<String>), Error> {
        let is_behind = |version: u64| whole.is_none_or(|whole| version > whole);
        let mut gone = Vec::new();
        let mut lost = None;
        for (version, object) in self.objects.iter().rev() {
            let is_checkpoint = !object.path.ends_with(".json");
            if is_behind(*version) {
                gone.push(object.path.clone());
            } else if is_checkpoint
                && object.modified >= self.since
                && let Err(reason) = self.content(&object.path, |_| Ok(())).await?
            {
                lost = Some(reason);
                gone.push(object.path.clone());
            }
        }
        // A checkpoint alone would bring its version back.
        gone.sort_by_key(|path| path.ends_with(".json"));
        let pointer = format!("{}/_delta_log/{LAST_CHECKPOINT}", self.table);
        let has_lost_checkpoints = gone.iter().any(|path| !path.ends_with(".json"));
        match self.content(&pointer, |bytes| Ok(bytes.to_vec())).await? {
            Ok(_) if !has_lost_checkpoints => {}
            Err(_) if !self.storage.exists(&pointer).await? => {}
            found => {
                lost = lost.or(found.err());
                // Before what it points at.
                gone.insert(0, pointer);
            }
        }
        Ok((gone, lost))
    }

    /// What an object holds as `read` sees it, or how it showed that it is lost.
    async fn content<T>(
        &self,
        path: &str,
        read: impl Fn(&[u8]) -> Result<T, Error>,
    ) -> Result<Result<T, String>, Error> {
        let said = |error: Error| error.to_string();
        match self.storage.get(path).await {
            Ok(bytes) => return Ok(read(&bytes).map_err(said)),
            Err(error @ StorageError::NotFound(_)) => return Ok(Err(error.to_string())),
            Err(error @ StorageError::Unavailable { .. }) => {
                tracing::warn!(%error, "an object cannot be read; trying whether the store is away or has lost it");
            }
            Err(error) => return Err(error.into()),
        }
        // The store may have been away: it has to give back something else, and then still not this.
        let other = format!("{}/_delta_log/.probe-{}", self.table, new_id());
        self.storage.put(&other, other.clone()).await?;
        let given_back = self.storage.get(&other).await;
        self.storage.delete(&other).await?;
        given_back?;
        match self.storage.get(path).await {
            Ok(bytes) => Ok(read(&bytes).map_err(said)),
            Err(error) => Ok(Err(error.to_string())),
        }
    }
}

/// The version that an object of the log is about; `None` for what is neither entry nor checkpoint.
fn version_of(object: &ObjectInfo) -> Option<u64> {
    let name = object.path.rsplit('/').next()?;
    let (version, kind) = name.split_once('.')?;
    let is_known = kind == "json" || kind.starts_with("checkpoint") && kind.ends_with("parquet");
    (is_known && version.len() == 20).then(|| version.parse().ok()).flatten()
}

/// The digest of its content that a file of ours is named by.
fn digest_in(path: &str) -> Option<&str> {
    let (_, short) = path.strip_suffix(".parquet")?.rsplit_once('-')?;
    (short.len() == 12 && short.bytes().all(|b| b.is_ascii_hexdigit())).then_some(short)
}
