//! Which models a difference between two versions makes stale: those that were trained before it.

use crate::cli::target::Target;
use crate::error::{Error, Result};
use serde::Serialize;
use tidemill_contracts::paths;
use tidemill_dataset::{Snapshot, Table};
use tidemill_registry::{Registry, manifest};
use tidemill_storage::Storage;
use tidemill_types::{Digest, SourceName};

/// A model of the registry that was trained on an older version of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Stale {
    /// Its number.
    pub(super) model: u64,
    /// Its digest.
    pub(super) digest: Digest,
    /// Version of the table that it was trained on.
    pub(super) trained_on: u64,
    /// Aliases that point to it.
    pub(super) aliases: Vec<String>,
}

/// The models that were trained on the older of two versions of a clean table, or between them, and after whose training
/// rows came or went up to the newer one. Empty for two tables, and for tables that no model is trained on.
///
/// # Errors
/// A bus or store that does not answer: which models there are is then not known.
pub(super) async fn models(
    target: &Target,
    storage: &Storage,
    table: &Table,
    sides: [&Snapshot; 2],
) -> Result<Vec<Stale>> {
    let mut versions = sides.map(Snapshot::version);
    versions.sort_unstable();
    let [older, newer] = versions;
    let clean = table.path().strip_prefix("clean/").and_then(|rest| rest.split_once('/'));
    let Some((project, _)) = clean.filter(|_| older < newer) else { return Ok(Vec::new()) };
    let project = project.parse().map_err(|e: tidemill_types::id::BadName| Error::Usage(e.to_string()))?;
    let bus = target.bus().await?;
    let registry = Registry::open(&bus).await?;
    let aliases = registry.aliases(&project).await?;
    let mut found = Vec::new();
    for entry in registry.versions(&project).await? {
        let is_table = |name: &str| {
            name.parse::<SourceName>().is_ok_and(|name| paths::clean_table(&project, &name) == table.path())
        };
        let made_from = manifest(storage, &entry.digest).await?.about.lineage;
        let read = made_from.iter().filter(|from| from.kind == "table" && is_table(&from.name));
        let Some(trained_on) = read.filter_map(|from| from.version).max() else { continue };
        if trained_on < older || trained_on >= newer || !changed(table, trained_on, newer).await? {
            continue;
        }
        let here = aliases.iter().filter(|(_, state)| state.entry.digest == entry.digest);
        let aliases = here.map(|(alias, _)| alias.clone()).collect();
        found.push(Stale { model: entry.version, digest: entry.digest, trained_on, aliases });
    }
    Ok(found)
}

/// Whether rows came or went after a version; joined files are none of it.
async fn changed(table: &Table, after: u64, to: u64) -> Result<bool> {
    let went = async || -> Result<bool> {
        let (then, now) = (table.load_version(after).await?, table.load_version(to).await?);
        Ok(then.num_rows() != now.num_rows())
    };
    match table.added_between(after, to).await {
        Ok(versions) if versions.iter().any(|version| version.rows() > 0) => Ok(true),
        Ok(_) => went().await,
        Err(tidemill_dataset::Error::Absent { .. } | tidemill_dataset::Error::Rewritten { .. }) => Ok(true),
        Err(other) => Err(other.into()),
    }
}
