//! The loop: read, conform, dead-letter, commit, note the head.

use crate::dedupe::Window;
use crate::error::IntakeError;
use crate::gather::{COUNTS_KEY, Counts, Gathered, Refusal};
use crate::guard::Guard;
use crate::head::{Head, Standing, compare};
use arrow::array::AsArray;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tidemill_bus::{BatchPublisher, Bus, Entry, Headers, Kv, KvSpec, Message, OrderedReader, Outgoing};
use tidemill_conform::Conform;
use tidemill_contracts::{headers, subjects};
use tidemill_dataset::{CommitError, DataFile, Snapshot, Table};
use tidemill_types::{Digest, Millis, columns};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// Key of the watermark in a commit's metadata: milliseconds.
pub const WATERMARK_KEY: &str = "tidemill.watermark";
/// Rows read at a start to learn the ids of the newest messages, unless the window asks for more.
const WINDOW_ROWS: u64 = 500_000;
/// Room for reason, id and batch headers in a dead letter, which count as payload.
const HEADROOM: usize = 4_096;
/// Messages asked for at once.
const PULL_MESSAGES: usize = 4_096;
/// Bytes asked for at once: what is decoded together stays small beside what a commit may hold.
const PULL_BYTES: usize = 8 << 20;
/// Longest wait for the first message of a pull, so that shutdown is noticed.
const PULL_WAIT: Duration = Duration::from_millis(200);

/// What an intake connects.
#[derive(Clone, Debug)]
pub struct IntakeOptions {
    /// Stream to read.
    pub stream: String,
    /// Subject for dead letters.
    pub dead_subject: String,
    /// Commit when this many payload bytes are gathered.
    pub commit_bytes: usize,
    /// Commit when the oldest gathered message has waited this long.
    pub commit_age: Duration,
    /// Messages in the dedupe window.
    pub dedupe_window: usize,
}

/// A commit that went through.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Version of the table.
    pub version: u64,
    /// Last sequence in it.
    pub last_seq: i64,
    /// What it holds.
    pub counts: Counts,
    /// Instant up to which the source is complete, when a producer said so.
    pub watermark: Option<Millis>,
    /// Time from the first message to the commit.
    pub took: Duration,
    /// Trace contexts of some of its messages.
    pub traceparents: Vec<String>,
}

/// One stream, one table.
pub struct Intake {
    bus: Bus,
    table: Table,
    conform: Conform,
    heads: Kv,
    options: IntakeOptions,
}

/// Everything that one pass begins with.
struct Pass {
    snapshot: Snapshot,
    incarnation: String,
    reader: OrderedReader,
    guard: Guard,
    /// Last sequence in the table.
    cursor: i64,
}

/// Where a pass begins.
enum Beginning {
    /// A process, or what went wrong in it, starts here.
    Start,
    /// Another writer was faster.
    Reload(Guard),
}

impl Intake {
    /// Connects a stream with a table.
    ///
    /// # Errors
    /// When the bus cannot make the bucket of heads.
    pub async fn new(bus: Bus, table: Table, conform: Conform, options: IntakeOptions) -> Result<Self, IntakeError> {
        let heads = Kv::open(&bus, &KvSpec::new(subjects::HEADS_BUCKET)).await?;
        Ok(Self { bus, table, conform, heads, options })
    }

    /// Runs until `stop`, then commits what is in hand. `on_commit` is told of every commit after it is durable.
    ///
    /// # Errors
    /// A lost stream tail, expired messages, or a bus or table that does not come back. Everything else is
    /// handled here: conflicts are dropped and replayed, bad rows are dead-lettered.
    pub async fn run<F, Fut>(mut self, stop: CancellationToken, mut on_commit: F) -> Result<(), IntakeError>
    where
        F: FnMut(Committed) -> Fut + Send,
        Fut: Future<Output = Result<(), IntakeError>> + Send,
    {
        let mut window = self.known_ids().await?;
        let mut pass = self.begin(Beginning::Start).await?;
        loop {
            let began = Instant::now();
            let gathered = self.gather(&mut pass, &mut window, &stop).await?;
            if gathered.is_empty() {
                if stop.is_cancelled() {
                    let Pass { mut guard, cursor, .. } = pass;
                    return guard.passed(cursor).await;
                }
                continue;
            }
            self.bury(&pass.incarnation, &gathered.refusals).await?;
            let counts = gathered.counts;
            let (watermark, traceparents) = (gathered.watermark, gathered.traceparents.clone());
            let outcome = self.commit(&mut pass, gathered).await?;
            if let Outcome::Done { version, last_seq, .. } = outcome {
                let took = began.elapsed();
                on_commit(Committed { version, last_seq, counts, watermark, took, traceparents }).await?;
            }
            if !matches!(outcome, Outcome::Done { is_newest: true, .. }) {
                warn!(stream = %self.options.stream, "another writer committed; reloading and going on at its cursor");
                window = self.known_ids().await?;
                pass = self.begin(Beginning::Reload(pass.guard)).await?;
            }
        }
    }

    /// Loads the table, compares the books and opens the stream after the table's last sequence.
    async fn begin(&mut self, beginning: Beginning) -> Result<Pass, IntakeError> {
        let snapshot = self.table.load().await?;
        let state = self.bus.stream_state(&self.options.stream).await?;
        let incarnation = state.incarnation(&self.options.stream);
        let done = snapshot.done(&incarnation).await?.unwrap_or(0);
        let head = self.head().await?;
        match compare(done, head.as_ref(), &incarnation, signed(state.first_seq), signed(state.last_seq)) {
            Standing::Agrees => {}
            Standing::StoreLostTail => {
                warn!(table = %self.table.path(), done, "the store lost the newest commits; replaying them from the bus");
            }
            Standing::BusLostData => {
                return Err(IntakeError::Epoch {
                    stream: self.options.stream.clone(),
                    stream_last: signed(state.last_seq),
                    table: self.table.path().to_owned(),
                    table_done: done,
                });
            }
            Standing::Expired => {
                return Err(IntakeError::Expired {
                    stream: self.options.stream.clone(),
                    first: signed(state.first_seq),
                    table: self.table.path().to_owned(),
                    done,
                });
            }
        }
        let start = u64::try_from(done + 1).unwrap_or(1);
        let reader = OrderedReader::open(&self.bus, &self.options.stream, start).await?;
        let guard = match beginning {
            Beginning::Start => {
                let key = format!("guard.{}", self.options.stream);
                Guard::start(self.heads.clone(), key, done).await?
            }
            Beginning::Reload(mut guard) => {
                guard.moved(done);
                guard
            }
        };
        info!(stream = %self.options.stream, table = %self.table.path(), done, "reading on");
        Ok(Pass { snapshot, incarnation, reader, guard, cursor: done })
    }

    async fn gather(
        &self,
        pass: &mut Pass,
        window: &mut Window,
        stop: &CancellationToken,
    ) -> Result<Gathered, IntakeError> {
        let mut gathered = Gathered::default();
        let mut began: Option<Instant> = None;
        loop {
            let left = began.map_or(PULL_WAIT, |b| self.options.commit_age.saturating_sub(b.elapsed()).min(PULL_WAIT));
            let room = self.options.commit_bytes.saturating_sub(gathered.bytes).clamp(1, PULL_BYTES);
            let entries = pass.reader.next_batch(PULL_MESSAGES, room, left).await?;
            if !entries.is_empty() && began.is_none() {
                began = Some(Instant::now());
            }
            self.take(pass, &mut gathered, window, entries).await?;
            let full = gathered.bytes >= self.options.commit_bytes;
            let old = began.is_some_and(|b| b.elapsed() >= self.options.commit_age);
            if full || old || stop.is_cancelled() {
                return Ok(gathered);
            }
        }
    }

    async fn take(
        &self,
        pass: &mut Pass,
        gathered: &mut Gathered,
        window: &mut Window,
        entries: Vec<Entry>,
    ) -> Result<(), IntakeError> {
        if pass.guard.careful() {
            return self.take_carefully(pass, gathered, window, entries).await;
        }
        let mut messages: Vec<Message> = Vec::with_capacity(entries.len());
        for entry in entries {
            match entry {
                Entry::Message(message) => messages.push(message),
                Entry::Tombstone { seq, .. } => {
                    gathered.take(&self.conform, window, &messages, |_| false);
                    messages.clear();
                    gathered.tombstone(signed(seq));
                }
            }
        }
        gathered.take(&self.conform, window, &messages, |_| false);
        Ok(())
    }

    /// One message at a time, each announced, as after a crash loop.
    async fn take_carefully(
        &self,
        pass: &mut Pass,
        gathered: &mut Gathered,
        window: &mut Window,
        entries: Vec<Entry>,
    ) -> Result<(), IntakeError> {
        for entry in entries {
            let seq = signed(entry.seq());
            let Entry::Message(message) = entry else {
                gathered.tombstone(seq);
                continue;
            };
            let poison = pass.guard.is_poison(seq);
            if !poison {
                pass.guard.announce(seq).await?;
            }
            gathered.take(&self.conform, window, &[message], |_| poison);
        }
        pass.guard.survived().await
    }

    /// Writes refusals to the dead letters; durable when it returns, and the same again after a crash.
    async fn bury(&self, incarnation: &str, refusals: &[Refusal]) -> Result<(), IntakeError> {
        if refusals.is_empty() {
            return Ok(());
        }
        let letters = refusals.iter().map(|r| self.letter(incarnation, r));
        let letters = letters.collect::<Result<Vec<_>, tidemill_bus::Error>>()?;
        BatchPublisher::new(&self.bus).publish(&letters).await?;
        Ok(())
    }

    fn letter(&self, incarnation: &str, refusal: &Refusal) -> Result<Outgoing, tidemill_bus::Error> {
        let row = refusal.row.map(|row| format!(":{row}")).unwrap_or_default();
        let mut all = Headers::new();
        for (name, value) in &refusal.headers {
            // Headers of the server and the deduplication id of the original must not be sent again.
            if name.to_ascii_lowercase().starts_with("nats-") {
                continue;
            }
            if let Err(error) = all.set(name, value) {
                debug!(seq = refusal.seq, %error, "a header of a dead letter cannot be sent again");
            }
        }
        all.set(headers::DEAD_CODE, &refusal.code)?;
        let mut reason = one_line(&refusal.reason);
        let position = if refusal.position.is_empty() { "whole message" } else { &refusal.position };
        all.set(headers::DEAD_POSITION, &one_line(position))?;
        all.set(headers::DEAD_STREAM, incarnation)?;
        all.set(headers::DEAD_SEQ, &refusal.seq.to_string())?;
        if let Some(row) = refusal.row {
            all.set(headers::DEAD_ROW, &row.to_string())?;
        }
        let mut body = refusal.body.clone();
        let size: usize = all.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        if size + HEADROOM + body.len() > self.bus.max_payload() {
            // The largest message that the bus takes leaves no room for a reason.
            reason = format!("{reason}; its {} bytes are left out here and stand in the stream", body.len());
            body = Bytes::new();
        }
        all.set(headers::DEAD_REASON, &reason)?;
        let letter = Outgoing::new(self.options.dead_subject.clone(), body).with_headers(all);
        letter.with_id(&format!("{incarnation}:{}{row}", refusal.seq))
    }

    async fn commit(&self, pass: &mut Pass, gathered: Gathered) -> Result<Outcome, IntakeError> {
        let Some(last_seq) = gathered.last_seq else {
            return Ok(Outcome::Lost);
        };
        let mut metadata = BTreeMap::new();
        metadata.insert(COUNTS_KEY.to_owned(), serde_json::to_string(&gathered.counts).unwrap_or_default());
        if let Some(watermark) = gathered.watermark {
            metadata.insert(WATERMARK_KEY.to_owned(), watermark.0.to_string());
        }
        let on = pass.snapshot.clone();
        let result = self.table.commit(on, &gathered.batches, &pass.incarnation, last_seq, metadata).await;
        let committed = match result {
            Ok(committed) => committed,
            Err(CommitError::Conflict { .. }) => return Ok(Outcome::Lost),
            // Nobody knows whether it went through; the reloaded table does.
            Err(error @ CommitError::Unknown { .. }) => {
                warn!(table = %self.table.path(), %error, "outcome of the commit is unknown; asking the table");
                return Ok(Outcome::Lost);
            }
            Err(CommitError::Other(error)) => return Err(error.into()),
        };
        let version = committed.version;
        self.note_head(&pass.incarnation, version, last_seq, committed.digest.as_str()).await?;
        pass.guard.passed(last_seq).await?;
        pass.cursor = last_seq;
        pass.snapshot = self.table.load().await?;
        // Where somebody else committed in between, what is read next no longer follows from our cursor.
        let is_newest = pass.snapshot.done(&pass.incarnation).await? == Some(last_seq);
        Ok(Outcome::Done { version, last_seq, is_newest })
    }

    async fn head(&self) -> Result<Option<Head>, IntakeError> {
        let Some(entry) = self.heads.get(&head_key(self.table.path())).await? else {
            return Ok(None);
        };
        let damaged = |e: serde_json::Error| IntakeError::BadHead { table: self.table.path().into(), reason: e.to_string() };
        serde_json::from_slice(&entry.value.unwrap_or_default()).map(Some).map_err(damaged)
    }

    async fn note_head(&self, incarnation: &str, version: u64, last_seq: i64, digest: &str) -> Result<(), IntakeError> {
        let head = Head { incarnation: incarnation.into(), table_version: version, last_seq, digest: digest.into() };
        let text = serde_json::to_vec(&head).unwrap_or_default();
        self.heads.put(&head_key(self.table.path()), text).await?;
        Ok(())
    }

    /// The dedupe window as the table tells it: ids of the messages of the newest rows.
    async fn known_ids(&mut self) -> Result<Window, IntakeError> {
        let snapshot = self.table.load().await?;
        let mut files: Vec<DataFile> = snapshot.files().cloned().collect();
        let mut newest_first: Vec<String> = Vec::new();
        let mut rows = 0;
        while let Some(file) = files.pop()
            && newest_first.len() < self.options.dedupe_window
            && rows < WINDOW_ROWS.max(self.options.dedupe_window as u64)
        {
            rows += file.rows;
            let mut of_file = Vec::new();
            for batch in self.table.read_files(&[file], Some(&[columns::EVENT_ID])).await? {
                of_file.extend(batch.column(0).as_string::<i32>().iter().flatten().map(str::to_owned));
                of_file.dedup();
            }
            newest_first.extend(of_file.into_iter().rev());
        }
        let mut window = Window::new(self.options.dedupe_window);
        for id in newest_first.iter().rev() {
            window.note(id);
        }
        Ok(window)
    }
}

/// What became of a commit.
enum Outcome {
    /// It stands.
    Done { version: u64, last_seq: i64, is_newest: bool },
    /// It does not, or nobody knows: the table says where to go on.
    Lost,
}

/// Keys of the bucket may not hold the slashes of a path.
fn head_key(path: &str) -> String {
    format!("head.{}", Digest::of(path.as_bytes()).short())
}

/// Sequences are stored signed, as tables have no unsigned integers.
pub(crate) fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// Header values stand on one line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect()
}
