//! The distributions of stretches of a table: merged from what validation stored, or read.

use crate::error::Error;
use crate::file::DataFile;
use crate::table::{Table, blocking};
use futures::stream::{self, StreamExt};
use tidemill_quality::QualityReport;
use tidemill_stats::TableProfile;

/// Stored profiles merged at most; beyond that, reading the rows is quicker.
const MOST_PROFILES: usize = 256;
/// Objects read at the same time.
const AT_A_TIME: usize = 8;

/// The merged profiles of the commits after `from` up to `to`; `None` unless the table is a clean one and each commit
/// that brought rows has its profile.
pub(super) async fn stored(table: &Table, from: u64, to: u64) -> Result<Option<TableProfile>, Error> {
    let Some((project, source)) = named(table.path()) else { return Ok(None) };
    let raw = format!("raw/{project}/{source}");
    let versions = stream::iter(from + 1..=to).map(|version| table.version_adds(version));
    let mut versions = versions.buffered(AT_A_TIME);
    let mut paths = Vec::new();
    while let Some(version) = versions.next().await {
        let adds = match version {
            Ok(adds) => adds,
            Err(Error::Absent { .. }) => return Ok(None),
            Err(other) => return Err(other),
        };
        if adds.rows() == 0 {
            continue;
        }
        let Some(raw_version) = adds.txns.get(&raw) else { return Ok(None) };
        paths.push(format!("profiles/{project}/{source}/{raw_version:010}.json"));
        if paths.len() > MOST_PROFILES {
            return Ok(None);
        }
    }
    let mut profiles = stream::iter(paths).map(|path| one(table, path)).buffered(AT_A_TIME);
    let mut merged = TableProfile::default();
    while let Some(profile) = profiles.next().await {
        // Profiles of other columns are from before the source changed: the rows tell.
        match profile? {
            Some(profile) if merged.merge(&profile).is_ok() => {}
            _ => return Ok(None),
        }
    }
    Ok(Some(merged))
}

/// One stored profile, `None` when it is gone.
async fn one(table: &Table, path: String) -> Result<Option<TableProfile>, Error> {
    let bytes = match table.storage.get(&path).await {
        Ok(bytes) => bytes,
        Err(tidemill_storage::Error::NotFound(_)) => return Ok(None),
        Err(other) => return Err(other.into()),
    };
    let parse = move || {
        let damaged = |e: serde_json::Error| Error::Corrupt { path, reason: e.to_string() };
        QualityReport::from_json(&bytes).map(|report| Some(report.profile)).map_err(damaged)
    };
    blocking(parse).await
}

/// Project and source of a clean table.
fn named(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix("clean/")?.split_once('/')
}

/// The distributions of all rows of some files.
pub(super) async fn read(table: &Table, files: &[DataFile]) -> Result<TableProfile, Error> {
    let mut merged = TableProfile::default();
    for file in files {
        for batch in table.read_files(std::slice::from_ref(file), None).await? {
            let profile = blocking(move || Ok(TableProfile::of(&batch)?)).await?;
            merged.merge(&profile)?;
        }
    }
    Ok(merged)
}
