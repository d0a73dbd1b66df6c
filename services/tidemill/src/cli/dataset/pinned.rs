//! A table at a version, as it is named on the command line: `TABLE`, `TABLE@12`, `TABLE@TAG`, `TABLE@INSTANT`.

use crate::cli::target::Target;
use crate::error::{Error, Result};
use tidemill_dataset::{Snapshot, Table, Tags};
use tidemill_storage::Storage;

/// A table at a version.
pub(super) struct Pinned {
    /// The table.
    pub(super) table: Table,
    /// The version.
    pub(super) snapshot: Snapshot,
}

/// Opens what `named` says.
///
/// # Errors
/// A table, version or tag that does not exist; a tag that does not name this table.
pub(super) async fn open(target: &Target, storage: &Storage, named: &str) -> Result<Pinned> {
    let (path, which) = match named.split_once('@') {
        Some((path, which)) => (path, Some(which)),
        None => (named, None),
    };
    let table = table(storage, path).await?;
    let snapshot = match which {
        None => table.load().await?,
        Some(which) => table.load_version(version(target, storage, &table, which).await?).await?,
    };
    Ok(Pinned { table, snapshot })
}

/// Opens a table by its path.
pub(super) async fn table(storage: &Storage, path: &str) -> Result<Table> {
    let missing = || Error::NotFound { what: "table", name: path.to_owned(), list: "tidemill dataset ls" };
    Table::open(storage, path).await.map_err(|e| match e {
        tidemill_dataset::Error::Absent { version: None, .. } => missing(),
        other => other.into(),
    })
}

async fn version(target: &Target, storage: &Storage, table: &Table, which: &str) -> Result<u64> {
    if let Ok(version) = which.parse() {
        return Ok(version);
    }
    if let Ok(instant) = crate::cli::instant(which) {
        let young = || Error::Usage(format!("{} did not exist yet at {instant}", table.path()));
        return table.version_at(instant).await?.ok_or_else(young);
    }
    let name = which.strip_prefix("tag:").unwrap_or(which);
    let missing =
        || Error::NotFound { what: "version, instant or tag", name: name.to_owned(), list: "tidemill dataset tag" };
    let tag = Tags::new(storage, &target.project().await?).read(name).await?.ok_or_else(missing)?;
    let found = tag.tables.iter().find(|tagged| tagged.table == table.path());
    let other = || Error::Usage(format!("the tag {name} does not name {}", table.path()));
    Ok(found.ok_or_else(other)?.version)
}
