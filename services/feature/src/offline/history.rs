//! Reads clean tables in knowledge-time order.

use crate::error::FeatureServiceError;
use arrow::array::{AsArray, RecordBatch, UInt64Array};
use arrow::compute::{concat_batches, sort_to_indices, take_record_batch};
use arrow::datatypes::TimestampMillisecondType;
use std::collections::{BTreeMap, HashMap};
use tidemill_contracts::{commits, training_set};
use tidemill_dataset::{Between, Table};
use tidemill_features::Plan;
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tidemill_types::{Millis, SourceName, columns};

/// Newest versions looked at for a watermark.
const RECENT: u64 = 16;

/// The clean tables of a project's sources.
pub(crate) struct History {
    tables: BTreeMap<SourceName, Table>,
}

/// Rows of every source of one stretch of knowledge time, each sorted by it.
pub(crate) struct Chunk {
    rows: Vec<(SourceName, RecordBatch, Vec<i64>)>,
}

impl History {
    /// Opens the tables of the plan's sources and of the outcome source.
    pub(crate) async fn open(storage: &Storage, spec: &Spec, plan: &Plan) -> Result<Self, FeatureServiceError> {
        let mut tables = BTreeMap::new();
        let label = std::iter::once(&spec.features.label.source);
        for source in plan.sources().iter().chain(label) {
            let declared = spec.sources.get(source);
            let declared = declared.ok_or_else(|| FeatureServiceError::Request(format!("no source {source}")))?;
            let path = format!("clean/{}/{source}", spec.project);
            tables.insert(source.clone(), Table::open_or_create(storage, &path, &declared.table_schema()).await?);
        }
        Ok(Self { tables })
    }

    /// The earliest knowledge instant, at the start of its day.
    pub(crate) async fn first(&self) -> Result<Option<Millis>, FeatureServiceError> {
        let mut first: Option<i64> = None;
        for table in self.tables.values() {
            let snapshot = table.load().await?;
            let oldest = snapshot.files().filter_map(|f| f.instants(columns::KNOWN_AT)).map(|(low, _)| low.0).min();
            first = [first, oldest].into_iter().flatten().min();
        }
        Ok(first.map(|t| Millis(t - t.rem_euclid(super::STEP))))
    }

    /// A source that is not complete up to `instant`, with how far it is; sources whose producers send no
    /// watermark are complete when their newest commit is.
    pub(crate) async fn lagging(&self, instant: Millis) -> Result<Option<(SourceName, Millis)>, FeatureServiceError> {
        for (source, table) in &self.tables {
            let recent = table.history(RECENT).await?;
            let watermark = recent.iter().filter_map(|v| v.metadata.get(commits::WATERMARK)?.parse::<i64>().ok()).max();
            // A table without any commit of rows has told nothing yet, and one that is held tells nothing more.
            let last_word = recent.iter().find_map(|v| commits::held(&v.metadata, &v.txns));
            let have = watermark.unwrap_or(if last_word == Some(None) { i64::MAX } else { i64::MIN });
            if have < instant.0 {
                return Ok(Some((source.clone(), Millis(have))));
            }
        }
        Ok(None)
    }

    /// Versions of the tables, for lineage.
    pub(crate) async fn versions(&self) -> Result<HashMap<String, i64>, FeatureServiceError> {
        let mut versions = HashMap::new();
        for (source, table) in &self.tables {
            let version = table.load().await?.version();
            versions.insert(source.to_string(), i64::try_from(version).unwrap_or(i64::MAX));
        }
        Ok(versions)
    }

    /// Everything that became known in `[from, to)`.
    pub(crate) async fn chunk(&self, from: Millis, to: Millis) -> Result<Chunk, FeatureServiceError> {
        let mut rows = Vec::with_capacity(self.tables.len());
        for (source, table) in &self.tables {
            let (sorted, known) = self.sorted(table, from, to).await?;
            rows.push((source.clone(), sorted, known));
        }
        Ok(Chunk { rows })
    }

    /// Outcomes known by an instant, inclusive, oldest first.
    pub(crate) async fn outcomes(
        &self,
        source: &SourceName,
        known_by: Millis,
    ) -> Result<RecordBatch, FeatureServiceError> {
        let table = self.tables.get(source);
        let table = table.ok_or_else(|| FeatureServiceError::Request(format!("no source {source}")))?;
        Ok(self.sorted(table, Millis::MIN, Millis(known_by.0.saturating_add(1))).await?.0)
    }

    /// Feature rows with `as_of` in `[from, to)`.
    pub(crate) async fn rows_between(
        &self,
        table: &Table,
        from: Millis,
        to: Millis,
    ) -> Result<Vec<RecordBatch>, FeatureServiceError> {
        let snapshot = table.load().await?;
        let between = Between { column: training_set::AS_OF.to_owned(), from, to };
        Ok(table.scan(&snapshot, None, Some(between)).collect().await?)
    }

    async fn sorted(
        &self,
        table: &Table,
        from: Millis,
        to: Millis,
    ) -> Result<(RecordBatch, Vec<i64>), FeatureServiceError> {
        let snapshot = table.load().await?;
        let between = Between { column: columns::KNOWN_AT.to_owned(), from, to };
        let batches = table.scan(&snapshot, None, Some(between)).collect().await?;
        let all = concat_batches(&table.schema(), &batches)?;
        let known = all.column_by_name(columns::KNOWN_AT).cloned();
        let known =
            known.ok_or_else(|| FeatureServiceError::Request(format!("{} has no knowledge time", table.path())))?;
        let order = sort_to_indices(&known, None, None)?;
        let sorted = take_record_batch(&all, &order)?;
        let order: UInt64Array =
            arrow::compute::cast(&order, &arrow::datatypes::DataType::UInt64)?.as_primitive().clone();
        let known = arrow::compute::take(&known, &order, None)?;
        Ok((sorted, known.as_primitive::<TimestampMillisecondType>().values().to_vec()))
    }
}

impl Chunk {
    /// Rows of each source that became known in `[from, to)`.
    pub(crate) fn between(&self, from: Millis, to: Millis) -> impl Iterator<Item = (&SourceName, RecordBatch)> {
        self.rows.iter().filter_map(move |(source, rows, known)| {
            let start = known.partition_point(|t| *t < from.0);
            let end = known.partition_point(|t| *t < to.0);
            (end > start).then(|| (source, rows.slice(start, end - start)))
        })
    }
}
