//! Who relies on which versions: tags, models that are or were in service, roles that have not read on.

use crate::error::{Error, Result};
use std::collections::BTreeMap;
use tidemill_bus::Bus;
use tidemill_contracts::paths;
use tidemill_dataset::{Table, Tags};
use tidemill_registry::{Registry, manifest};
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tidemill_types::{Digest, ProjectName, SourceName};

/// Versions that must stay readable, by table: each with those who need it.
#[derive(Debug, Default)]
pub(super) struct Protected {
    versions: BTreeMap<String, BTreeMap<u64, Vec<String>>>,
}

impl Protected {
    /// Everything that relies on a version of a table of the project.
    ///
    /// # Errors
    /// A bus or store that does not answer, a manifest that is damaged: what is needed is then not known.
    pub(super) async fn find(bus: &Bus, storage: &Storage, project: &ProjectName) -> Result<Self> {
        let mut found = Self::default();
        for (tag, dropped) in Tags::new(storage, project).all().await? {
            for table in tag.tables.iter().filter(|_| dropped.is_none()) {
                found.add(&table.table, table.version, format!("tag {}", tag.name));
            }
        }
        for (model, by) in served(bus, project).await? {
            for made_from in manifest(storage, &model).await?.about.lineage {
                if let ("table", Some(version)) = (made_from.kind.as_str(), made_from.version) {
                    let name =
                        made_from.name.parse().map_err(|e: tidemill_types::id::BadName| Error::Usage(e.to_string()))?;
                    found.add(&paths::clean_table(project, &name), version, format!("model {} ({by})", model.short()));
                }
            }
        }
        Ok(found)
    }

    fn add(&mut self, table: &str, version: u64, by: String) {
        self.versions.entry(table.to_owned()).or_default().entry(version).or_default().push(by);
    }

    /// The versions of one table with those who need them.
    pub(super) fn of(&self, table: &str) -> BTreeMap<u64, Vec<String>> {
        self.versions.get(table).cloned().unwrap_or_default()
    }
}

/// Models that an alias points to or pointed to, each with the alias: they answered, or may be rolled back to.
async fn served(bus: &Bus, project: &ProjectName) -> Result<BTreeMap<Digest, String>> {
    let mut models = BTreeMap::new();
    for (alias, state) in Registry::open(bus).await?.aliases(project).await? {
        let entry = state.entry;
        let moved = entry.moves.iter().flat_map(|made| [Some(&made.to), made.from.as_ref()]).flatten();
        let before = entry.previous.iter().map(|previous| &previous.digest);
        for digest in std::iter::once(&entry.digest).chain(before).chain(moved) {
            models.entry(digest.clone()).or_insert_with(|| alias.clone());
        }
    }
    Ok(models)
}

/// The version up to which the role that follows a table has read it; `None` when nobody reads it on by version.
pub(super) async fn follower(storage: &Storage, spec: &Spec, path: &str) -> Result<Option<u64>> {
    let raw = spec.sources.keys().find(|source| paths::raw_table(&spec.project, source) == path);
    let Some(source) = raw else { return Ok(None) };
    Ok(Some(validated(storage, spec, source).await?))
}

/// How far validation has read a raw table: what the clean table says, as it is the cursor.
async fn validated(storage: &Storage, spec: &Spec, source: &SourceName) -> Result<u64> {
    let clean = match Table::open(storage, &paths::clean_table(&spec.project, source)).await {
        Ok(clean) => clean,
        Err(tidemill_dataset::Error::Absent { .. }) => return Ok(0),
        Err(other) => return Err(other.into()),
    };
    let done = clean.load().await?.done(&paths::raw_table(&spec.project, source)).await?;
    Ok(done.and_then(|version| u64::try_from(version).ok()).unwrap_or(0))
}
