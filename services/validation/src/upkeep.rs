//! Keeps the files of the clean tables well-sized while they are filled, their rows in the order of event time, and the
//! profiles by event time in few objects.

use crate::error::ValidationError;
use crate::rollup::RollUp;
use crate::store::clean_table_path;
use tidemill_dataset::{Table, Upkeep};
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Joins small files of every clean table, and stored profiles, now and then, until `stop`. Safe beside validation and beside another
/// process that does the same.
///
/// # Errors
/// A table that cannot be opened.
pub async fn upkeep(
    storage: Storage,
    spec: std::sync::Arc<Spec>,
    upkeep: Upkeep,
    stop: CancellationToken,
) -> Result<(), ValidationError> {
    let mut tasks = JoinSet::new();
    for (source, declared) in &spec.sources {
        let path = clean_table_path(&spec.project, source);
        let table = Table::open_or_create(&storage, &path, &declared.table_schema()).await?;
        let table = table.sorted_by(&declared.event_time)?;
        tasks.spawn(async move { table.stay_compact(upkeep).await });
        tasks.spawn(RollUp::new(&storage, &spec.project, source).stay_joined(upkeep.every));
    }
    stop.cancelled().await;
    tasks.shutdown().await;
    Ok(())
}
