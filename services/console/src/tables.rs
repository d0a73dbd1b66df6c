//! Tables of rows, each opened once: opening reads a checkpoint, while a later look reads new log entries only.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use tidemill_dataset::{Error, Table};
use tidemill_storage::Storage;

/// The tables that were asked for. Their paths come from declared sources, so they are few.
pub(crate) struct Tables {
    storage: Storage,
    opened: Mutex<HashMap<String, Table>>,
}

impl Tables {
    /// None is opened yet.
    #[must_use]
    pub(crate) fn new(storage: &Storage) -> Self {
        Self { storage: storage.clone(), opened: Mutex::default() }
    }

    /// The store that they are in.
    pub(crate) fn storage(&self) -> &Storage {
        &self.storage
    }

    /// The table at a path of the store.
    ///
    /// # Errors
    /// [`Error::Absent`] while there is none; otherwise the store fails.
    pub(crate) async fn open(&self, path: &str) -> Result<Table, Error> {
        let opened = || self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = opened().get(path).cloned() {
            return Ok(table);
        }
        let table = Table::open(&self.storage, path).await?;
        Ok(opened().entry(path.to_owned()).or_insert(table).clone())
    }
}
