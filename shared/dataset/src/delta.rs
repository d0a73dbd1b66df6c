//! What is left to the Delta library: loading a table from its checkpoints, and writing checkpoints.

use crate::error::Error;
use crate::file::DataFile;
use crate::log;
use crate::schema;
use arrow::datatypes::SchemaRef;
use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore};
use deltalake::protocol::checkpoints::create_checkpoint;
use deltalake::{DeltaTable, DeltaTableError};
use object_store::prefix::PrefixStore;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tidemill_storage::Storage;
use tokio::sync::Mutex;

/// A table as the library loaded it, the ground on which later log entries are applied.
pub(crate) struct Loaded {
    pub(crate) version: u64,
    pub(crate) schema: SchemaRef,
    pub(crate) files: BTreeMap<String, Arc<DataFile>>,
    pub(crate) base: Base,
}

/// Where transactions older than the first log entry applied by us are looked up.
pub(crate) struct Base {
    path: String,
    table: Option<DeltaTable>,
    asked: Mutex<HashMap<String, Option<i64>>>,
}

impl Base {
    /// The ground of a table that was just created: nothing is older.
    pub(crate) fn empty(path: &str) -> Self {
        Self { path: path.to_owned(), table: None, asked: Mutex::default() }
    }

    /// Last committed sequence of an application up to the version that was loaded.
    pub(crate) async fn done(&self, app_id: &str) -> Result<Option<i64>, Error> {
        let Some(table) = &self.table else { return Ok(None) };
        let mut asked = self.asked.lock().await;
        if let Some(known) = asked.get(app_id) {
            return Ok(*known);
        }
        let failed = |e: DeltaTableError| failure("load", &self.path, e);
        let state = table.snapshot().map_err(failed)?;
        let found = state.transaction_version(table.log_store().as_ref(), app_id).await.map_err(failed)?;
        asked.insert(app_id.to_owned(), found);
        Ok(found)
    }
}

fn failure(action: &'static str, path: &str, error: impl std::fmt::Display) -> Error {
    Error::Delta { action, table: path.to_owned(), reason: error.to_string() }
}

fn log_store(storage: &Storage, path: &str) -> Result<LogStoreRef, Error> {
    let location = format!("{}/{path}/", storage.url()).parse().map_err(|e| failure("load", path, e))?;
    let prefixed = PrefixStore::new(storage.raw(), path);
    Ok(default_logstore(Arc::new(prefixed), storage.root(), &location, &StorageConfig::default()))
}

async fn read(table: &mut DeltaTable, version: Option<u64>) -> Result<(), DeltaTableError> {
    match version {
        Some(version) => table.load_version(version).await,
        None => table.load().await,
    }
}

/// Loads a version, or the latest.
pub(crate) async fn load(storage: &Storage, path: &str, version: Option<u64>) -> Result<Loaded, Error> {
    let mut table = DeltaTable::new(log_store(storage, path)?);
    if read(&mut table, version).await.is_err() {
        // The library has no error of its own for this, so the log is asked.
        let absent = match version {
            Some(version) => !storage.exists(&format!("{path}/{}", log::entry_path(version))).await?,
            None => storage.list(&format!("{path}/_delta_log")).await?.is_empty(),
        };
        if absent {
            return Err(Error::Absent { table: path.to_owned(), version });
        }
        // It may have been made since.
        read(&mut table, version).await.map_err(|e| failure("load", path, e))?;
    }
    let state = table.snapshot().map_err(|e| failure("load", path, e))?;
    let schema = schema::in_memory(&state.snapshot().arrow_schema());
    let mut files = BTreeMap::new();
    for view in state.log_data().iter() {
        if view.deletion_vector_descriptor().is_some() {
            return Err(Error::Foreign { table: path.to_owned(), version: state.version(), action: "deletion vector" });
        }
        let size = u64::try_from(view.size()).unwrap_or_default();
        let file = DataFile::from_parts(view.path().into_owned(), size, view.stats());
        files.insert(file.path.clone(), Arc::new(file));
    }
    let version = state.version();
    let base = Base { path: path.to_owned(), table: Some(table), asked: Mutex::default() };
    Ok(Loaded { version, schema, files, base })
}

/// Writes a checkpoint of a version, so that loading need not read the log before it.
pub(crate) async fn checkpoint(storage: &Storage, path: &str, version: u64) -> Result<(), Error> {
    let mut table = DeltaTable::new(log_store(storage, path)?);
    table.load_version(version).await.map_err(|e| failure("checkpoint", path, e))?;
    create_checkpoint(&table, None).await.map_err(|e| failure("checkpoint", path, e))
}
