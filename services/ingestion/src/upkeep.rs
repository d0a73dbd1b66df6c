//! Keeps the files of the raw tables well-sized while they are filled.
//!
//! Rows stay in the order of their events: the ids of the newest ones are read from there at a start.

use crate::consumer::raw_table_path;
use crate::error::IngestionError;
use tidemill_conform::Conform;
use tidemill_dataset::{Table, Upkeep};
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Joins small files of every raw table now and then, until `stop`. Safe beside ingestion and beside another process
/// that does the same.
///
/// # Errors
/// A table that cannot be opened.
pub async fn upkeep(
    storage: Storage,
    spec: std::sync::Arc<Spec>,
    upkeep: Upkeep,
    stop: CancellationToken,
) -> Result<(), IngestionError> {
    let mut tasks = JoinSet::new();
    for (source, declared) in &spec.sources {
        let schema = Conform::new(&declared.conform_schema())?.schema();
        let table = Table::open_or_create(&storage, &raw_table_path(&spec.project, source), &schema).await?;
        tasks.spawn(async move { table.stay_compact(upkeep).await });
    }
    stop.cancelled().await;
    tasks.shutdown().await;
    Ok(())
}
