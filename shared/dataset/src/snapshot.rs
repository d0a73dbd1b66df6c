//! A table at one version.

use crate::delta::{Base, Loaded};
use crate::error::Error;
use crate::file::DataFile;
use crate::log::{self, Line};
use arrow::datatypes::SchemaRef;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

/// What a table holds at one version; immutable and cheap to clone.
#[derive(Clone)]
pub struct Snapshot {
    pub(crate) state: Arc<State>,
}

#[derive(Clone)]
pub(crate) struct State {
    pub(crate) table: Arc<str>,
    pub(crate) version: u64,
    pub(crate) schema: SchemaRef,
    /// Shared, because each version's state is a copy of the one before.
    pub(crate) files: BTreeMap<String, Arc<DataFile>>,
    /// Who this version is: the id of its commit, empty for one of another program; `None` when its entry was not read.
    pub(crate) commit: Option<String>,
    /// How often this view of the table found that the store had lost versions it knew.
    pub(crate) rewinds: u32,
    /// Transactions of the log entries applied on top of `base`.
    txns: HashMap<String, i64>,
    base: Arc<Base>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("table", &self.state.table).field("version", &self.state.version).finish()
    }
}

impl Snapshot {
    /// The version of the table.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.state.version
    }

    /// The table's columns, instants in milliseconds.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.state.schema)
    }

    /// Last sequence that an application committed up to this version; `None` before its first commit.
    ///
    /// # Errors
    /// When the log or checkpoint cannot be read.
    pub async fn done(&self, app_id: &str) -> Result<Option<i64>, Error> {
        match self.state.txns.get(app_id) {
            Some(version) => Ok(Some(*version)),
            None => self.state.base.done(app_id).await,
        }
    }

    /// How often this view of the table found that the store had lost versions it knew; see
    /// [`Snapshot::unbroken_since`].
    #[must_use]
    pub fn rewinds(&self) -> u32 {
        self.state.rewinds
    }

    /// For those who follow a table version by version: whether the versions that they know still stand, when they
    /// began at a snapshot with so many rewinds.
    ///
    /// # Errors
    /// [`Error::Rewritten`] when the store lost some of them since.
    pub fn unbroken_since(&self, rewinds: u32) -> Result<(), Error> {
        if self.state.rewinds == rewinds {
            return Ok(());
        }
        Err(Error::Rewritten { table: self.state.table.to_string(), version: self.state.version })
    }

    /// Number of rows.
    #[must_use]
    pub fn num_rows(&self) -> u64 {
        self.state.files.values().map(|file| file.rows).sum()
    }

    /// Size of all files in bytes.
    #[must_use]
    pub fn num_bytes(&self) -> u64 {
        self.state.files.values().map(|file| file.size).sum()
    }

    /// The files in the order of their commits.
    pub fn files(&self) -> impl Iterator<Item = &DataFile> {
        self.state.files.values().map(AsRef::as_ref)
    }
}

impl State {
    pub(crate) fn created(table: &str, schema: SchemaRef, commit: String) -> Self {
        let (base, files, txns) = (Arc::new(Base::empty(table)), BTreeMap::new(), HashMap::new());
        Self { table: table.into(), version: 0, schema, files, commit: Some(commit), rewinds: 0, txns, base }
    }

    pub(crate) fn loaded(table: &str, loaded: Loaded, commit: Option<String>) -> Self {
        let Loaded { version, schema, files, base } = loaded;
        let (base, txns) = (Arc::new(base), HashMap::new());
        Self { table: table.into(), version, schema, files, commit, rewinds: 0, txns, base }
    }

    /// Applies the next version's log entry.
    pub(crate) fn apply(&mut self, lines: &[Line]) -> Result<(), Error> {
        let version = self.version + 1;
        let foreign = |action| Error::Foreign { table: self.table.to_string(), version, action };
        if lines.iter().any(|line| line.meta_data.is_some()) {
            return Err(foreign("change of schema or settings"));
        }
        if lines.iter().any(|line| line.protocol.is_some()) {
            return Err(foreign("change of protocol"));
        }
        if lines.iter().filter_map(|line| line.add.as_ref()).any(|add| add.deletion_vector.is_some()) {
            return Err(foreign("deletion vector"));
        }
        for line in lines {
            if let Some(remove) = &line.remove {
                self.files.remove(&remove.path);
            }
        }
        for line in lines {
            if let Some(add) = &line.add {
                self.files.insert(add.path.clone(), Arc::new(DataFile::from_add(add)));
            }
            if let Some(txn) = &line.txn {
                self.txns.insert(txn.app_id.clone(), txn.version);
            }
        }
        self.version = version;
        self.commit = Some(log::commit_id(lines).to_owned());
        Ok(())
    }
}
