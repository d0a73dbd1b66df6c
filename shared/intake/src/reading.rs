//! Reads the stream until a commit is due.

use crate::dedupe::Window;
use crate::error::IntakeError;
use crate::gather::Gathered;
use crate::guard::Guard;
use crate::writer::{IntakeOptions, signed};
use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tidemill_bus::{Entry, OrderedReader};
use tidemill_conform::Conform;
use tidemill_dataset::{DataFile, Encoded, Error, Snapshot, Table};
use tidemill_types::columns;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Payload taken at once. What of it is decoded together is less where it unfolds to more.
const PULL_BYTES: usize = 1 << 20;
/// Messages asked for at once.
const PULL_MESSAGES: usize = 4_096;
/// Longest wait for the first message of a pull, so that shutdown is noticed.
const PULL_WAIT: Duration = Duration::from_millis(200);

/// Rows read at a start to learn the ids of the newest messages, unless the window asks for more.
const WINDOW_ROWS: u64 = 500_000;

/// What one commit will hold, and when its first message came.
pub(crate) struct Due {
    pub(crate) gathered: Gathered,
    /// Its rows on their way into a file: they are encoded while what was due before is still being stored.
    pub(crate) rows: JoinHandle<Result<Encoded, Error>>,
    pub(crate) began: Instant,
}

/// A place in the stream and the ids that were seen before it.
pub(crate) struct Reading {
    pub(crate) reader: OrderedReader,
    pub(crate) table: Table,
    pub(crate) window: Window,
    pub(crate) conform: Conform,
    pub(crate) options: IntakeOptions,
    /// Taken from the stream and not decoded yet: what a commit has no room for waits for the next.
    pub(crate) pending: VecDeque<Entry>,
}

impl Reading {
    /// The next commit; empty only after `stop`. With a guard, each message is announced before it is decoded.
    pub(crate) async fn next(
        &mut self,
        mut guard: Option<&mut Guard>,
        stop: &CancellationToken,
    ) -> Result<Due, IntakeError> {
        let mut gathered = Gathered::default();
        while !stop.is_cancelled() {
            if self.pending.is_empty() {
                // As soon as there is anything: a commit is due a while after its first message.
                let most = PULL_BYTES.min(self.options.commit_bytes);
                self.pending.extend(self.reader.next_ready(PULL_MESSAGES, most, PULL_WAIT).await?);
                if self.pending.is_empty() {
                    continue;
                }
            }
            let began = Instant::now();
            self.take(&mut gathered, guard.as_deref_mut()).await?;
            while gathered.bytes < self.options.commit_bytes && !stop.is_cancelled() {
                let left = self.options.commit_age.saturating_sub(began.elapsed());
                if left.is_zero() {
                    break;
                }
                let room = (self.options.commit_bytes - gathered.bytes).min(PULL_BYTES);
                self.pending.extend(self.reader.next_batch(PULL_MESSAGES, room, left.min(PULL_WAIT)).await?);
                self.take(&mut gathered, guard.as_deref_mut()).await?;
            }
            return Ok(self.due(gathered, began));
        }
        Ok(self.due(gathered, Instant::now()))
    }

    fn due(&self, mut gathered: Gathered, began: Instant) -> Due {
        let (table, batches) = (self.table.clone(), std::mem::take(&mut gathered.batches));
        let rows = tokio::spawn(async move { table.encode(batches).await });
        Due { gathered, rows, began }
    }

    /// Decodes what is pending, a slice at a time, until the commit is full.
    async fn take(&mut self, gathered: &mut Gathered, guard: Option<&mut Guard>) -> Result<(), IntakeError> {
        if let Some(guard) = guard {
            return self.take_carefully(gathered, guard).await;
        }
        while gathered.bytes < self.options.commit_bytes
            && let Some(first) = self.pending.front()
        {
            let taken = match first {
                Entry::Tombstone { seq } => {
                    gathered.tombstone(signed(*seq));
                    1
                }
                Entry::Message(_) => {
                    let messages = self.pending.iter().map_while(Entry::message);
                    gathered.take(&self.conform, &mut self.window, messages)
                }
            };
            self.pending.drain(..taken);
        }
        Ok(())
    }

    /// One message at a time, each announced, as after a crash loop.
    async fn take_carefully(&mut self, gathered: &mut Gathered, guard: &mut Guard) -> Result<(), IntakeError> {
        while gathered.bytes < self.options.commit_bytes
            && let Some(entry) = self.pending.pop_front()
        {
            let seq = signed(entry.seq());
            match entry {
                Entry::Tombstone { .. } => gathered.tombstone(seq),
                Entry::Message(message) if guard.is_poison(seq) => gathered.poison(&message),
                Entry::Message(message) => {
                    guard.announce(seq).await?;
                    gathered.take(&self.conform, &mut self.window, [&message]);
                }
            }
        }
        guard.survived().await
    }
}

/// The dedupe window as it was before a sequence of the stream, as the table tells it: ids of the messages of the newest
/// rows that came earlier.
///
/// # Errors
/// When files of the table cannot be read.
pub async fn known_ids(table: &Table, snapshot: &Snapshot, capacity: usize, before: i64) -> Result<Window, Error> {
    let mut files: Vec<DataFile> = snapshot.files().cloned().collect();
    let mut newest_first: Vec<String> = Vec::new();
    let mut rows = 0;
    while let Some(file) = files.pop()
        && newest_first.len() < capacity
        && rows < WINDOW_ROWS.max(capacity as u64)
    {
        let in_file = file.rows;
        let ids = newest_ids(table, file, capacity, before).await?;
        rows += if ids.is_empty() { 0 } else { in_file };
        newest_first.extend(ids.into_iter().rev());
    }
    let mut window = Window::new(capacity);
    for id in newest_first.iter().rev() {
        window.note(id);
    }
    Ok(window)
}

/// Ids of the newest messages of a file before a sequence, oldest first. Its rows may stand in the order of event time.
async fn newest_ids(table: &Table, file: DataFile, capacity: usize, before: i64) -> Result<Vec<String>, Error> {
    let mut found: Vec<(i64, String)> = Vec::new();
    let mut scan = table.scan_files(&[file], Some(&[columns::SEQ, columns::EVENT_ID]));
    while let Some(batch) = scan.next().await? {
        let (sequences, ids) = (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_string::<i32>());
        for (sequence, id) in sequences.values().iter().zip(ids.iter().flatten()) {
            let is_new = found.last().is_none_or(|(last, known)| last != sequence || known != id);
            if is_new && *sequence < before {
                found.push((*sequence, id.to_owned()));
            }
        }
        if found.len() > 2 * capacity {
            found = newest(found, capacity);
        }
    }
    Ok(newest(found, capacity).into_iter().map(|(_, id)| id).collect())
}

/// The newest `capacity`, each once, oldest first.
fn newest(mut found: Vec<(i64, String)>, capacity: usize) -> Vec<(i64, String)> {
    found.sort_unstable();
    found.dedup();
    found.split_off(found.len().saturating_sub(capacity))
}
