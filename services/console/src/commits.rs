//! Stored reports of the newest commits of a source, merged; what is read is bounded, however long the history is.

use crate::error::{Error, Result};
use crate::tables::Tables;
use futures::stream::{self, StreamExt as _};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tidemill_contracts::paths;
use tidemill_dataset::{REPLACE, Table};
use tidemill_explore::Merged;
use tidemill_quality::QualityReport;
use tidemill_spec::{Source, Spec};
use tidemill_types::{ProjectName, SourceName};

/// Objects read at the same time.
const AT_A_TIME: usize = 16;

/// Merges that are kept until their table has a new version.
const KEPT: usize = 4;

/// Merges, each with the version it is of, by source and number of versions.
type Kept = HashMap<(SourceName, u64), (u64, Arc<Merged>)>;

/// Stored reports, merged once for each version of their table.
pub(crate) struct Commits {
    tables: Arc<Tables>,
    spec: Arc<Spec>,
    kept: Mutex<Kept>,
}

impl Commits {
    /// Nothing is read yet.
    #[must_use]
    pub(crate) fn new(spec: &Arc<Spec>, tables: &Arc<Tables>) -> Self {
        Self { tables: Arc::clone(tables), spec: Arc::clone(spec), kept: Mutex::default() }
    }

    /// The reports of the newest versions of the clean table, back to where its rows were made anew or its columns were
    /// others; nothing while there is no table.
    ///
    /// # Errors
    /// The store fails, or holds a report that is none.
    pub(crate) async fn newest(&self, source: &SourceName, versions: u64) -> Result<Arc<Merged>> {
        let table = match self.tables.open(&paths::clean_table(&self.spec.project, source)).await {
            Ok(table) => table,
            Err(tidemill_dataset::Error::Absent { .. }) => return Ok(Arc::default()),
            Err(error) => return Err(error.into()),
        };
        let newest = table.load().await?.version();
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (source.clone(), versions);
        if let Some((_, merged)) = kept().get(&key).filter(|(version, _)| *version == newest) {
            return Ok(Arc::clone(merged));
        }
        let merged = Arc::new(self.merge(&table, source, versions, newest).await?);
        let mut kept = kept();
        if kept.len() >= KEPT && !kept.contains_key(&key) {
            kept.clear();
        }
        kept.insert(key, (newest, Arc::clone(&merged)));
        Ok(merged)
    }

    async fn merge(&self, table: &Table, source: &SourceName, versions: u64, newest: u64) -> Result<Merged> {
        let wanted = (newest + 1).saturating_sub(versions)..=newest;
        let mut read = stream::iter(wanted).map(|version| self.one(table, source, version)).buffered(AT_A_TIME);
        let mut merged = Merged::default();
        while let Some(found) = read.next().await {
            let Found { is_anew, report } = found?;
            if is_anew {
                merged = Merged::default();
            }
            if let Some(report) = report {
                merged.add(report);
            }
        }
        Ok(merged)
    }

    async fn one(&self, table: &Table, source: &SourceName, version: u64) -> Result<Found> {
        let adds = match table.version_adds(version).await {
            Ok(adds) => adds,
            Err(tidemill_dataset::Error::Absent { .. }) => return Ok(Found::default()),
            Err(error) => return Err(error.into()),
        };
        let is_anew = adds.operation == REPLACE;
        // The commit notes how far the raw table was validated; the report has that number as its name.
        let Some(raw_version) = adds.txns.get(&paths::raw_table(&self.spec.project, source)) else {
            return Ok(Found { is_anew, report: None });
        };
        let Some(declared) = self.spec.sources.get(source) else { return Ok(Found { is_anew, report: None }) };
        let report = report(&self.tables, &self.spec.project, (source, declared), *raw_version).await?;
        Ok(Found { is_anew, report })
    }
}

/// What one version tells.
#[derive(Default)]
struct Found {
    is_anew: bool,
    report: Option<QualityReport>,
}

/// The report on a raw version, without the values of personal columns; none when there is none any more.
///
/// # Errors
/// The store fails, or holds a report that is none.
pub(crate) async fn report(
    tables: &Tables,
    project: &ProjectName,
    (source, declared): (&SourceName, &Source),
    raw_version: i64,
) -> Result<Option<QualityReport>> {
    let path = paths::profile(project, source, raw_version);
    let bytes = match tables.storage().get(&path).await {
        Ok(bytes) => bytes,
        Err(tidemill_storage::Error::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let parsed = tokio::task::spawn_blocking(move || QualityReport::from_json(&bytes)).await;
    let damaged = |reason: String| Error::Stored { path: path.clone(), reason };
    let mut report = parsed.map_err(|e| damaged(e.to_string()))?.map_err(|e| damaged(e.to_string()))?;
    // Reports of older versions, or from before the column was called personal, still have values.
    let masks = declared.masks();
    report.profile.withhold(|column| masks.covers(column));
    Ok(Some(report))
}
