//! What every run told of itself, as graphs.

use crate::error::Result;
use std::sync::Arc;
use tidemill_dataset::{Condition, DataFile, Error as TableError, Table};
use tidemill_lineage::{ColumnGraph, Graph, record};
use tidemill_storage::Storage;
use tidemill_types::ProjectName;
use tokio::sync::Mutex;

/// The graph of all runs that were told so far.
///
/// # Errors
/// When the store does not answer, or a file is damaged.
pub async fn runs(storage: &Storage, project: &ProjectName) -> Result<Graph> {
    let mut graph = Graph::default();
    if let Some(table) = open(storage, project).await? {
        let all = table.find(&table.known().await, &record::GRAPH, &[vec![]]).await?;
        record::add_runs(&mut graph, &all.concat());
    }
    Ok(graph)
}

/// The graph of all columns that were told of so far. Of the table only that part is read which tells of columns.
///
/// # Errors
/// When the store does not answer, or a file is damaged.
pub async fn columns(storage: &Storage, project: &ProjectName) -> Result<ColumnGraph> {
    let mut graph = ColumnGraph::default();
    if let Some(table) = open(storage, project).await? {
        let told = vec![Condition::Given { column: record::TOLD.to_owned() }];
        let found = table.find(&table.known().await, &record::COLUMNS, &[told]).await?;
        record::add_columns(&mut graph, &found.concat());
    }
    Ok(graph)
}

async fn open(storage: &Storage, project: &ProjectName) -> Result<Option<Table>> {
    match Table::open(storage, &record::table(project)).await {
        Ok(table) => Ok(Some(table)),
        Err(TableError::Absent { .. }) => Ok(None),
        Err(other) => Err(other.into()),
    }
}

/// Both graphs at one version of the table.
#[derive(Clone, Debug, Default)]
pub struct Graphs {
    /// Of runs.
    pub runs: Graph,
    /// Of columns.
    pub columns: ColumnGraph,
}

/// Both graphs, kept and extended by what is told later.
#[derive(Default)]
pub struct Kept(Mutex<Option<Held>>);

struct Held {
    table: Table,
    version: u64,
    rewinds: u32,
    graphs: Arc<Graphs>,
}

impl Kept {
    /// The graphs as of now. Reads what was told since they were asked for last.
    ///
    /// # Errors
    /// When the store does not answer, or a file is damaged.
    pub async fn now(&self, storage: &Storage, project: &ProjectName) -> Result<Arc<Graphs>> {
        let mut kept = self.0.lock().await;
        if kept.is_none() {
            let Some(table) = open(storage, project).await? else { return Ok(Arc::default()) };
            *kept = Some(Held { table, version: 0, rewinds: 0, graphs: Arc::default() });
        }
        let Some(held) = kept.as_mut() else { return Ok(Arc::default()) };
        held.catch_up().await?;
        Ok(Arc::clone(&held.graphs))
    }
}

impl Held {
    async fn catch_up(&mut self) -> Result<()> {
        let snapshot = self.table.load().await?;
        let (version, rewinds) = (snapshot.version(), snapshot.rewinds());
        if version == self.version && rewinds == self.rewinds {
            return Ok(());
        }
        let wanted: Vec<&str> = record::GRAPH.into_iter().chain([record::TOLD]).collect();
        let is_new = self.version == 0 || rewinds != self.rewinds;
        let news = if is_new { None } else { self.news(version).await? };
        let batches = match news {
            Some(files) => self.table.read_files(&files, Some(&wanted)).await?,
            // Nothing was read yet, or what was read does not stand any more.
            None => {
                self.graphs = Arc::default();
                self.table.find(&snapshot, &wanted, &[vec![]]).await?.concat()
            }
        };
        let graphs = Arc::make_mut(&mut self.graphs);
        record::add_runs(&mut graphs.runs, &batches);
        record::add_columns(&mut graphs.columns, &batches);
        (self.version, self.rewinds) = (version, rewinds);
        Ok(())
    }

    /// Files with what was told since; `None` when it does not simply follow what was read.
    async fn news(&self, to: u64) -> Result<Option<Vec<DataFile>>> {
        match self.table.added_between(self.version, to).await {
            Ok(versions) => Ok(Some(versions.into_iter().flat_map(|version| version.files).collect())),
            Err(TableError::Rewritten { .. } | TableError::Absent { .. }) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }
}
