//! Versions and aliases in the bucket `registry`.
//!
//! Keys: `<project>.versions.<n>` (written once) and `<project>.aliases.<alias>` (moved by compare-and-set). The
//! bucket holds pointers only; what they point to is immutable in the object store.

use crate::alias::{AliasEntry, AliasMove, AliasState, MoveKind, MoveRequest, Previous, check_alias};
use crate::error::{Error, Result};
use crate::version::{NewVersion, VersionEntry};
use futures::{Stream, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tidemill_bus::{Bus, Kv, KvEntry, KvSpec};
use tidemill_types::{Digest, ProjectName};

/// Name of the bucket.
pub const BUCKET: &str = "registry";

/// The registry of one bus; cheap to clone.
#[derive(Clone, Debug)]
pub struct Registry {
    kv: Kv,
}

impl Registry {
    /// Opens the registry, making its bucket when it is missing.
    ///
    /// # Errors
    /// The bus' errors.
    pub async fn open(bus: &Bus) -> Result<Self> {
        let mut spec = KvSpec::new(BUCKET);
        spec.description = "model versions and aliases".to_owned();
        Ok(Self { kv: Kv::open(bus, &spec).await? })
    }

    /// Gives a model the next version number of its project. A model that is registered already keeps its number,
    /// so a repeated call changes nothing.
    ///
    /// # Errors
    /// The bus' errors.
    pub async fn register(&self, project: &ProjectName, new: &NewVersion) -> Result<VersionEntry> {
        let known = self.versions(project).await?;
        if let Some(entry) = known.iter().find(|entry| entry.digest == new.digest) {
            return Ok(entry.clone());
        }
        let mut version = known.last().map_or(1, |entry| entry.version + 1);
        loop {
            let entry = VersionEntry::new(version, new);
            let key = version_key(project, version);
            match self.kv.create(&key, encode(&key, &entry)?).await {
                Ok(_) => return Ok(entry),
                Err(tidemill_bus::Error::Conflict { .. } | tidemill_bus::Error::Unknown { .. }) => {}
                Err(other) => return Err(other.into()),
            }
            // Somebody took the number, or an earlier attempt of this very call did.
            match self.read::<VersionEntry>(&key).await? {
                Some((taken, _)) if taken.digest == new.digest => return Ok(taken),
                Some(_) => version += 1,
                None => {}
            }
        }
    }

    /// All versions of a project, oldest first.
    ///
    /// # Errors
    /// The bus' errors; [`Error::Entry`].
    pub async fn versions(&self, project: &ProjectName) -> Result<Vec<VersionEntry>> {
        let prefix = format!("{project}.versions.");
        let mut versions = Vec::new();
        for key in self.kv.keys().await?.into_iter().filter(|key| key.starts_with(&prefix)) {
            versions.extend(self.read::<VersionEntry>(&key).await?.map(|(entry, _)| entry));
        }
        versions.sort_by_key(|entry| entry.version);
        Ok(versions)
    }

    /// One version; `None` when the number is not taken.
    ///
    /// # Errors
    /// The bus' errors; [`Error::Entry`].
    pub async fn version(&self, project: &ProjectName, version: u64) -> Result<Option<VersionEntry>> {
        Ok(self.read(&version_key(project, version)).await?.map(|(entry, _)| entry))
    }

    /// Where an alias points; `None` when it does not exist.
    ///
    /// # Errors
    /// [`Error::AliasName`], [`Error::Entry`], the bus' errors.
    pub async fn alias(&self, project: &ProjectName, alias: &str) -> Result<Option<AliasState>> {
        let found = self.read(&alias_key(project, alias)?).await?;
        Ok(found.map(|(entry, revision)| AliasState { entry, revision }))
    }

    /// All aliases of a project, sorted by name.
    ///
    /// # Errors
    /// The bus' errors; [`Error::Entry`].
    pub async fn aliases(&self, project: &ProjectName) -> Result<Vec<(String, AliasState)>> {
        let prefix = format!("{project}.aliases.");
        let mut aliases = Vec::new();
        for key in self.kv.keys().await? {
            let Some(alias) = key.strip_prefix(&prefix) else { continue };
            let found = self.read(&key).await?;
            aliases.extend(found.map(|(entry, revision)| (alias.to_owned(), AliasState { entry, revision })));
        }
        Ok(aliases)
    }

    /// The last moves of an alias, oldest first.
    ///
    /// # Errors
    /// As [`Self::alias`].
    pub async fn history(&self, project: &ProjectName, alias: &str) -> Result<Vec<AliasMove>> {
        Ok(self.alias(project, alias).await?.map(|state| state.entry.moves).unwrap_or_default())
    }

    /// Points an alias to a registered model, if it still points to `expected` (`None`: does not exist). The move
    /// comes back for the audit log.
    ///
    /// # Errors
    /// [`Error::AliasMoved`] when somebody else was faster; [`Error::UnknownVersion`]; the bus' errors.
    pub async fn set_alias(
        &self,
        project: &ProjectName,
        alias: &str,
        to: &Digest,
        expected: Option<&Digest>,
        request: MoveRequest,
    ) -> Result<AliasMove> {
        let key = alias_key(project, alias)?;
        let versions = self.versions(project).await?;
        let unknown = || Error::UnknownVersion { project: project.to_string(), digest: to.clone() };
        let target = versions.iter().find(|entry| entry.digest == *to).ok_or_else(unknown)?;
        let current = self.alias(project, alias).await?;
        require(alias, expected, current.as_ref())?;
        let made = moved(project, alias, MoveKind::Set, current.as_ref(), (to, target.version), request);
        // Setting it to where it points is a move for the record; it does not lose the way back.
        let previous = match &current {
            Some(state) if state.entry.digest == *to => state.entry.previous.clone(),
            Some(state) => Some(state.entry.as_previous()),
            None => None,
        };
        self.write(&key, alias, expected, current.as_ref(), made, previous).await
    }

    /// Points an alias back to the model before `from`. A second rollback goes further back.
    ///
    /// # Errors
    /// [`Error::AliasMoved`] when it does not point to `from` any more; [`Error::UnknownAlias`];
    /// [`Error::NoPrevious`]; the bus' errors.
    pub async fn rollback(
        &self,
        project: &ProjectName,
        alias: &str,
        from: &Digest,
        request: MoveRequest,
    ) -> Result<AliasMove> {
        let key = alias_key(project, alias)?;
        let missing = || Error::UnknownAlias { project: project.to_string(), alias: alias.to_owned() };
        let current = self.alias(project, alias).await?.ok_or_else(missing)?;
        require(alias, Some(from), Some(&current))?;
        let nothing = || Error::NoPrevious { project: project.to_string(), alias: alias.to_owned() };
        let back = current.entry.previous.clone().ok_or_else(nothing)?;
        let made = moved(project, alias, MoveKind::Rollback, Some(&current), (&back.digest, back.version), request);
        let previous = current.entry.below(&back.digest);
        self.write(&key, alias, Some(from), Some(&current), made, previous).await
    }

    /// The alias now, if it exists, then after every move.
    ///
    /// # Errors
    /// [`Error::AliasName`], the bus' errors; items may be errors too.
    pub async fn watch_alias(
        &self,
        project: &ProjectName,
        alias: &str,
    ) -> Result<impl Stream<Item = Result<AliasState>> + Send + Unpin + use<>> {
        let changes = self.kv.watch(Some(&alias_key(project, alias)?)).await?;
        let state = |change: tidemill_bus::Result<KvEntry>| -> Result<Option<AliasState>> {
            let found = decode(change?)?;
            Ok(found.map(|(entry, revision)| AliasState { entry, revision }))
        };
        Ok(Box::pin(changes.filter_map(move |change| std::future::ready(state(change).transpose()))))
    }

    async fn write(
        &self,
        key: &str,
        alias: &str,
        expected: Option<&Digest>,
        current: Option<&AliasState>,
        made: AliasMove,
        previous: Option<Previous>,
    ) -> Result<AliasMove> {
        let entry = AliasEntry::after(current.map(|state| &state.entry), made.clone(), previous);
        let value = encode(key, &entry)?;
        let written = match current {
            Some(state) => self.kv.update(key, value, state.revision).await,
            None => self.kv.create(key, value).await,
        };
        match written {
            Ok(_) => Ok(made),
            // Lost the race, or the answer was lost: what stands there now tells.
            Err(tidemill_bus::Error::Conflict { .. } | tidemill_bus::Error::Unknown { .. }) => {
                match self.read::<AliasEntry>(key).await? {
                    Some((found, _)) if found == entry => Ok(made),
                    Some((found, _)) => Err(not_there(alias, expected, Some(&found.digest))),
                    None => Err(not_there(alias, expected, None)),
                }
            }
            Err(other) => Err(other.into()),
        }
    }

    async fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<(T, u64)>> {
        self.kv.get(key).await?.map_or(Ok(None), decode)
    }
}

fn moved(
    project: &ProjectName,
    alias: &str,
    kind: MoveKind,
    current: Option<&AliasState>,
    (to, version): (&Digest, u64),
    MoveRequest { by, reason, at, traceparent }: MoveRequest,
) -> AliasMove {
    AliasMove {
        project: project.clone(),
        alias: alias.to_owned(),
        kind,
        from: current.map(|state| state.entry.digest.clone()),
        to: to.clone(),
        version,
        at,
        by,
        reason,
        traceparent,
    }
}

fn require(alias: &str, expected: Option<&Digest>, current: Option<&AliasState>) -> Result<()> {
    let found = current.map(|state| &state.entry.digest);
    if found == expected { Ok(()) } else { Err(not_there(alias, expected, found)) }
}

fn not_there(alias: &str, expected: Option<&Digest>, found: Option<&Digest>) -> Error {
    let name = |digest: Option<&Digest>| digest.map_or_else(|| "nothing".to_owned(), ToString::to_string);
    Error::AliasMoved { alias: alias.to_owned(), expected: name(expected), found: name(found) }
}

fn version_key(project: &ProjectName, version: u64) -> String {
    format!("{project}.versions.{version}")
}

fn alias_key(project: &ProjectName, alias: &str) -> Result<String> {
    check_alias(alias)?;
    Ok(format!("{project}.aliases.{alias}"))
}

fn encode(key: &str, value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|e| Error::Entry { key: key.to_owned(), reason: e.to_string() })
}

/// The value of an entry with its revision; `None` when the key was deleted.
fn decode<T: DeserializeOwned>(entry: KvEntry) -> Result<Option<(T, u64)>> {
    let Some(value) = entry.value else { return Ok(None) };
    match serde_json::from_slice(&value) {
        Ok(parsed) => Ok(Some((parsed, entry.revision))),
        Err(e) => Err(Error::Entry { key: entry.key, reason: e.to_string() }),
    }
}
