//! Delta tables: open, load, commit.
//!
//! The table is the only cursor of whoever fills it. A commit appends rows and notes the last sequence they came
//! from, in one atomic log entry that must directly follow the snapshot it was prepared on; so two writers cannot
//! both commit what comes after the same point.
//!
//! A store may lose the newest entries, by a power cut or a restored backup. Whoever knew them sees it before the next
//! look or commit, reads the table anew, and goes on from what it says: nothing is committed behind a gap.

use crate::error::{CommitError, Error};
use crate::file::DataFile;
use crate::log::{self, Line};
use crate::restore::RESTORE;
use crate::schema;
use crate::snapshot::{Snapshot, State};
use crate::{delta, rearrange};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tidemill_storage::Storage;
use tidemill_types::{Digest, Millis};
use tokio::sync::RwLock;

/// A checkpoint after every so many versions keeps opening a table cheap.
const CHECKPOINT_INTERVAL: u64 = 50;

/// A Delta table in an object store. Cheap to clone; clones share what is loaded.
#[derive(Clone)]
pub struct Table {
    pub(crate) storage: Storage,
    pub(crate) path: Arc<str>,
    schema: SchemaRef,
    pub(crate) sort_by: Option<Arc<str>>,
    latest: Arc<RwLock<Arc<State>>>,
}

/// What a commit did.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The table version that it made.
    pub version: u64,
    /// Rows that it added.
    pub rows: u64,
    /// Files that it added.
    pub files: Vec<DataFile>,
    /// Digest of the log entry, which names the files by their content.
    pub digest: Digest,
}

/// Rows as a file that no table has yet, with its statistics; none when there are no rows.
#[derive(Debug)]
pub struct Encoded(Option<(bytes::Bytes, String)>);

impl Table {
    /// Opens the table at a path of the store, making it when there is none.
    ///
    /// # Errors
    /// [`Error::SchemaDiffers`] when it exists with other columns, types or nullability.
    pub async fn open_or_create(storage: &Storage, path: &str, schema: &SchemaRef) -> Result<Self, Error> {
        let schema = schema::in_memory(schema);
        let wanted = schema::delta_schema(&schema)?;
        let first = format!("{path}/{}", log::entry_path(0));
        if !storage.exists(&first).await? {
            let id = new_id();
            let entry = log::to_bytes(&log::creation(&wanted, now(), &id))?;
            if storage.put_if_absent(&first, entry).await? {
                return Ok(Self::over(storage, path, State::created(path, schema, id)));
            }
        }
        let table = Self::open(storage, path).await?;
        if schema::delta_schema(&table.schema)? != wanted {
            let (found, expected) = (schema::described(&table.schema), schema::described(&schema));
            return Err(Error::SchemaDiffers { table: path.to_owned(), found, expected });
        }
        Ok(table)
    }

    /// Opens an existing table.
    ///
    /// # Errors
    /// [`Error::Absent`] when there is none.
    pub async fn open(storage: &Storage, path: &str) -> Result<Self, Error> {
        Ok(Self::over(storage, path, newest(storage, path).await?))
    }

    fn over(storage: &Storage, path: &str, state: State) -> Self {
        let schema = Arc::clone(&state.schema);
        let latest = Arc::new(RwLock::new(Arc::new(state)));
        Self { storage: storage.clone(), path: path.into(), schema, sort_by: None, latest }
    }

    /// Sorts the rows of each commit by this column.
    ///
    /// # Errors
    /// [`Error::Column`] when there is no such column.
    pub fn sorted_by(self, column: &str) -> Result<Self, Error> {
        self.schema.index_of(column).map_err(|_| Error::Column(column.to_owned()))?;
        Ok(Self { sort_by: Some(column.into()), ..self })
    }

    /// Path of the table in its store.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// URL of the table, for other programs.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}/{}", self.storage.url(), self.path)
    }

    /// The columns, instants in milliseconds.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    pub(crate) fn object(&self, inside: &str) -> String {
        format!("{}/{inside}", self.path)
    }

    /// The latest version. Reads only log entries that were not seen before, and the newest that was.
    ///
    /// # Errors
    /// [`Error::Foreign`] when another program changed the schema; otherwise when the store fails.
    pub async fn load(&self) -> Result<Snapshot, Error> {
        let mut state = Arc::clone(&*self.latest.read().await);
        if !self.stands(&state).await? {
            return self.read_anew(&state).await;
        }
        while let Some(lines) = self.entry(state.version + 1).await? {
            Arc::make_mut(&mut state).apply(&lines)?;
        }
        self.advance(&state).await;
        Ok(Snapshot { state })
    }

    /// The version that this view of the table knows, without a look for newer ones: after opening the newest.
    pub async fn known(&self) -> Snapshot {
        Snapshot { state: Arc::clone(&*self.latest.read().await) }
    }

    /// The table as it was at a version.
    ///
    /// # Errors
    /// [`Error::Absent`] when there is no such version.
    pub async fn load_version(&self, version: u64) -> Result<Snapshot, Error> {
        let latest = Arc::clone(&*self.latest.read().await);
        if latest.version == version {
            return Ok(Snapshot { state: latest });
        }
        let loaded = delta::load(&self.storage, &self.path, Some(version)).await?;
        Ok(Snapshot { state: Arc::new(State::loaded(&self.path, loaded, None)) })
    }

    /// Whether the version of a state is still in the store, and still the same.
    async fn stands(&self, state: &State) -> Result<bool, Error> {
        // Without the entry nothing tells one version from another.
        let Some(commit) = &state.commit else { return Ok(true) };
        Ok(self.entry(state.version).await?.is_some_and(|lines| log::commit_id(&lines) == commit))
    }

    /// The latest version of a table whose store lost what was known of it.
    async fn read_anew(&self, lost: &State) -> Result<Snapshot, Error> {
        let mut anew = newest(&self.storage, &self.path).await?;
        anew.rewinds = lost.rewinds + 1;
        let mut latest = self.latest.write().await;
        if latest.rewinds == lost.rewinds {
            tracing::warn!(
                table = %self.path, known = lost.version, found = anew.version,
                "the store lost the newest commits of a table; it was read anew"
            );
            *latest = Arc::new(anew);
        }
        Ok(Snapshot { state: Arc::clone(&latest) })
    }

    async fn advance(&self, state: &Arc<State>) {
        let mut latest = self.latest.write().await;
        if latest.rewinds == state.rewinds && latest.version < state.version {
            *latest = Arc::clone(state);
        }
    }

    /// The log entry of a version, `None` when there is no such version yet.
    pub(crate) async fn entry(&self, version: u64) -> Result<Option<Vec<Line>>, Error> {
        let path = self.object(&log::entry_path(version));
        match self.storage.get(&path).await {
            Ok(bytes) => log::parse(&path, &bytes).map(Some),
            Err(tidemill_storage::Error::NotFound(_)) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Appends rows and notes `last_seq` as done for `app_id`, atomically, as the version after `snapshot`.
    ///
    /// No batches advance the note alone. Batches must have the table's columns in order. Versions that only moved or
    /// dropped rows (compaction, retention) are stepped over: they note nothing as done, so what was prepared on the
    /// snapshot follows from them just as well.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] when another writer appended after the snapshot or the store lost it, [`CommitError::Unknown`] when the
    /// store did not answer and the entry cannot be seen; in both cases load again and go on from what is done.
    pub async fn commit(
        &self,
        snapshot: Snapshot,
        batches: &[RecordBatch],
        app_id: &str,
        last_seq: i64,
        metadata: BTreeMap<String, String>,
    ) -> Result<Committed, CommitError> {
        self.commit_noting(snapshot, batches, &[(app_id, last_seq)], metadata).await
    }

    /// As [`Table::commit`], with several notes: the last sequence of each application.
    ///
    /// # Errors
    /// As [`Table::commit`].
    pub async fn commit_noting(
        &self,
        snapshot: Snapshot,
        batches: &[RecordBatch],
        notes: &[(&str, i64)],
        metadata: BTreeMap<String, String>,
    ) -> Result<Committed, CommitError> {
        let snapshot = self.stepped_over_upkeep(snapshot).await?;
        let encoded = self.encode(batches.to_vec()).await?;
        self.commit_encoded(snapshot, encoded, notes, metadata).await
    }

    /// Rows as the file that a commit will add. Encoding is what takes most of a commit's time, and needs to know nothing
    /// of what is committed before.
    ///
    /// # Errors
    /// When batches do not have the table's columns in order.
    pub async fn encode(&self, batches: Vec<RecordBatch>) -> Result<Encoded, Error> {
        if batches.iter().all(|batch| batch.num_rows() == 0) {
            return Ok(Encoded(None));
        }
        let (schema, sort_by) = (self.schema(), self.sort_by.clone());
        blocking(move || rearrange::encode(&batches, &schema, sort_by.as_deref())).await.map(|file| Encoded(Some(file)))
    }

    /// As [`Table::commit_noting`], for rows that are encoded already.
    ///
    /// # Errors
    /// As [`Table::commit`].
    pub async fn commit_encoded(
        &self,
        snapshot: Snapshot,
        encoded: Encoded,
        notes: &[(&str, i64)],
        metadata: BTreeMap<String, String>,
    ) -> Result<Committed, CommitError> {
        let snapshot = self.stepped_over_upkeep(snapshot).await?;
        let place = format!("{:020}", snapshot.version() + 1);
        let files = self.store(&place, encoded).await?.into_iter().collect::<Vec<_>>();
        let time = now();
        let id = new_id();
        let mut lines = vec![log::commit_info("WRITE", time, &id, metadata)];
        lines.extend(log::noted(notes, time));
        lines.extend(files.iter().map(|f| Line { add: Some(f.to_add(time, true)), ..Line::default() }));
        let Appended { version, digest } = self.append_entry(snapshot, &id, &lines, is_upkeep).await?;
        Ok(Committed { version, rows: files.iter().map(|f| f.rows).sum(), files, digest })
    }

    /// The snapshot with the versions after it that this view of the table knows already, if none is an append: tells
    /// of a conflict before a file is written in vain.
    async fn stepped_over_upkeep(&self, mut snapshot: Snapshot) -> Result<Snapshot, CommitError> {
        let known = self.latest.read().await.version;
        while snapshot.version() < known {
            let version = snapshot.version() + 1;
            match self.entry(version).await? {
                Some(lines) if is_upkeep(&lines) => Arc::make_mut(&mut snapshot.state).apply(&lines)?,
                _ => return Err(CommitError::Conflict { table: self.path.to_string(), version }),
            }
        }
        Ok(snapshot)
    }

    /// Writes the rows under a name made of their place among the files of the table, and their content.
    pub(crate) async fn write_file(&self, place: &str, batches: &[RecordBatch]) -> Result<Option<DataFile>, Error> {
        self.store(place, self.encode(batches.to_vec()).await?).await
    }

    async fn store(&self, place: &str, encoded: Encoded) -> Result<Option<DataFile>, Error> {
        match encoded.0 {
            Some((bytes, stats)) => self.put_file(place, bytes, stats).await.map(Some),
            None => Ok(None),
        }
    }

    /// Stores a file's bytes; `place` orders it among the files of the table.
    pub(crate) async fn put_file(&self, place: &str, bytes: bytes::Bytes, stats: String) -> Result<DataFile, Error> {
        let path = format!("{place}-{}.parquet", Digest::of(&bytes).short());
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.storage.put(&self.object(&path), bytes).await?;
        Ok(DataFile::from_parts(path, size, Some(stats)))
    }

    /// Writes the log entry that follows the snapshot, or the first version after it that is free when all between
    /// them may be stepped over.
    pub(crate) async fn append_entry(
        &self,
        mut snapshot: Snapshot,
        id: &str,
        lines: &[Line],
        steps_over: impl Fn(&[Line]) -> bool,
    ) -> Result<Appended, CommitError> {
        let bytes = log::to_bytes(lines)?;
        let digest = Digest::of(&bytes);
        // An entry behind a gap could never be read.
        let (table, version) = (self.path.to_string(), snapshot.version());
        match self.stands(&snapshot.state).await {
            Ok(true) => {}
            Ok(false) => return Err(CommitError::Conflict { table, version }),
            Err(e) => return Err(CommitError::Unknown { table, version: version + 1, reason: e.to_string() }),
        }
        while let Some(there) = self.try_entry(snapshot.version() + 1, id, &bytes).await? {
            if !steps_over(&there) {
                let (table, version) = (self.path.to_string(), snapshot.version() + 1);
                return Err(CommitError::Conflict { table, version });
            }
            Arc::make_mut(&mut snapshot.state).apply(&there)?;
        }
        let version = snapshot.version() + 1;
        let mut state = snapshot.state;
        Arc::make_mut(&mut state).apply(lines)?;
        self.advance(&state).await;
        if version.is_multiple_of(CHECKPOINT_INTERVAL) {
            // The commit stands without it; the next multiple tries again.
            if let Err(error) = self.checkpoint(version).await {
                tracing::warn!(table = %self.path, version, %error, "no checkpoint was written");
            }
        }
        Ok(Appended { version, digest })
    }

    /// Writes an entry if its version is free; otherwise returns what stands there.
    async fn try_entry(&self, version: u64, id: &str, bytes: &[u8]) -> Result<Option<Vec<Line>>, CommitError> {
        let table = self.path.to_string();
        let written = self.storage.put_if_absent(&self.object(&log::entry_path(version)), bytes.to_vec()).await;
        if matches!(written, Ok(true)) {
            return Ok(None);
        }
        // A request that was repeated below us meets its own entry, so the entry itself decides whose it is.
        let unclear = written.err().map(|e| e.to_string());
        match (self.entry(version).await, unclear) {
            (Ok(Some(found)), _) if is_own(&found, id) => Ok(None),
            (Ok(Some(found)), _) => Ok(Some(found)),
            (Ok(None), None) => Err(CommitError::Conflict { table, version }),
            (Ok(None), Some(reason)) => Err(CommitError::Unknown { table, version, reason }),
            (Err(e), reason) => {
                let reason = reason.unwrap_or_else(|| e.to_string());
                Err(CommitError::Unknown { table, version, reason })
            }
        }
    }

    /// Writes a checkpoint of a version. Commits do so by themselves every 50 versions.
    ///
    /// # Errors
    /// When the log cannot be read or the checkpoint not be written.
    pub async fn checkpoint(&self, version: u64) -> Result<(), Error> {
        delta::checkpoint(&self.storage, &self.path, version).await
    }
}

/// A log entry that was written.
pub(crate) struct Appended {
    pub(crate) version: u64,
    pub(crate) digest: Digest,
}

/// Whether an entry only moves or drops rows: it notes nothing as done and brings no new row. An earlier state that is
/// brought back is no upkeep, also when it holds fewer rows.
fn is_upkeep(lines: &[Line]) -> bool {
    if lines.iter().filter_map(|line| line.commit_info.as_ref()).any(|info| info.operation == RESTORE) {
        return false;
    }
    let only_files = lines.iter().all(|l| l.txn.is_none() && l.meta_data.is_none() && l.protocol.is_none());
    only_files && log::new_rows(lines).next().is_none()
}

fn is_own(lines: &[Line], id: &str) -> bool {
    log::commit_id(lines) == id
}

/// The latest version, as the Delta library loads it.
async fn newest(storage: &Storage, path: &str) -> Result<State, Error> {
    let loaded = delta::load(storage, path, None).await?;
    let entry = format!("{path}/{}", log::entry_path(loaded.version));
    let commit = match storage.get(&entry).await {
        Ok(bytes) => Some(log::commit_id(&log::parse(&entry, &bytes)?).to_owned()),
        // Behind a checkpoint even the newest entry may have been cleaned away.
        Err(tidemill_storage::Error::NotFound(_)) => None,
        Err(e) => return Err(e.into()),
    };
    Ok(State::loaded(path, loaded, commit))
}

pub(crate) fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

pub(crate) fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Runs work that computes for long on a thread where that hurts nobody; a panic of a decoder becomes an error.
pub(crate) async fn blocking<T, F>(work: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Error> + Send + 'static,
{
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|e| Err(Error::Corrupt { path: "rows".to_owned(), reason: e.to_string() }))
}
