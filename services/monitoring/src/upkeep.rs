//! Keeps the files of the lineage table and of the logged predictions well-sized while they are filled: both grow by a
//! small file every few seconds, and are read whole by those who ask for an explanation.

use crate::error::MonitoringError;
use crate::store::predictions_table_path;
use std::sync::Arc;
use std::time::Duration;
use tidemill_dataset::{Error, Table, Upkeep};
use tidemill_lineage::record;
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Wait before a table that is not there is looked for again, at least.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Joins small files of both tables now and then, until `stop`; rows keep their order. Safe beside monitoring and beside
/// another process that does the same. A table that nobody has made yet is looked for again.
///
/// # Errors
/// A table that cannot be opened.
pub async fn upkeep(
    storage: Storage,
    spec: Arc<Spec>,
    upkeep: Upkeep,
    stop: CancellationToken,
) -> Result<(), MonitoringError> {
    let mut tasks = JoinSet::new();
    for path in [record::table(&spec.project), predictions_table_path(&spec.project, &spec.serve.deployment)] {
        let storage = storage.clone();
        tasks.spawn(async move {
            let table = loop {
                match Table::open(&storage, &path).await {
                    Ok(table) => break table,
                    Err(Error::Absent { .. }) => tokio::time::sleep(upkeep.every.max(LOOK_AGAIN)).await,
                    Err(other) => return Err(MonitoringError::from(other)),
                }
            };
            table.stay_compact(upkeep).await;
            Ok(())
        });
    }
    let ended = stop.run_until_cancelled(tasks.join_next()).await;
    tasks.shutdown().await;
    match ended.flatten() {
        Some(Ok(result)) => result,
        Some(Err(lost)) => Err(MonitoringError::Task(lost.to_string())),
        None => Ok(()),
    }
}
