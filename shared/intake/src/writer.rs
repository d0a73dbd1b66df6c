//! The loop: read, conform, dead-letter, commit, note the head.

use crate::error::IntakeError;
use crate::gather::{COUNTS_KEY, Counts, Gathered, Refusal};
use crate::guard::{Guard, Life};
use crate::head::{Head, Heads, Known, Standing, is_accepted};
use crate::letters::letter;
use crate::reading::{Due, Reading, known_ids};
use std::collections::{BTreeMap, VecDeque};
use std::panic::resume_unwind;
use std::pin::pin;
use std::time::Duration;
use tidemill_bus::{BatchPublisher, Bus, Error as BusError, MAX_ATOMIC_MESSAGES, OrderedReader, Place};
use tidemill_conform::Conform;
use tidemill_dataset::{CommitError, Encoded, Error, Snapshot, Table};
use tidemill_types::Millis;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span, info, warn};

/// Key of the watermark in a commit's metadata: milliseconds.
pub const WATERMARK_KEY: &str = tidemill_contracts::commits::WATERMARK;
/// Key of the trace context of a commit in its metadata, so that who follows the table continues the trace.
pub const TRACEPARENT_KEY: &str = "tidemill.traceparent";

/// Noted instead of a time that nobody knows, as when the last sequence is one that the stream no longer has.
const UNKNOWN: i64 = -1;

/// An announcement of another process that stands so long is that of one which ended: no message takes as long to decode.
const PATIENCE: Duration = Duration::from_secs(10);

/// How commits are traced: supplied from above, because trace contexts are known to the telemetry crate only.
#[derive(Clone, Copy, Debug)]
pub struct CommitTrace {
    /// The span of a commit, given the trace contexts of its messages.
    pub span: fn(&[String]) -> Span,
    /// The context of the span that is entered.
    pub current: fn() -> Option<String>,
}

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
    /// The process, or the part of it that starts and ends as one: who begins again within it has not died.
    pub life: Life,
    /// How commits are traced.
    pub trace: CommitTrace,
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
}

/// One stream, one table.
pub struct Intake {
    bus: Bus,
    table: Table,
    conform: Conform,
    heads: Heads,
    options: IntakeOptions,
}

/// What the table holds, as far as the next commit is concerned.
struct Books {
    snapshot: Snapshot,
    incarnation: String,
    /// When the stream was made.
    made: Option<Millis>,
    guard: Guard,
    /// Last sequence in the table.
    cursor: i64,
}

/// What became of a commit.
enum Outcome {
    /// It stands; what is read next follows from it only if it is the newest.
    Done { version: u64, last_seq: i64, is_newest: bool },
    /// It does not, or nobody knows: the table says where to go on.
    Lost,
}

impl Intake {
    /// Connects a stream with a table.
    ///
    /// # Errors
    /// When the bus cannot make the bucket of heads.
    pub async fn new(bus: Bus, table: Table, conform: Conform, options: IntakeOptions) -> Result<Self, IntakeError> {
        let heads = Heads::open(&bus).await?;
        Ok(Self { bus, table, conform, heads, options })
    }

    /// Runs until `stop`, then commits what is in hand. `on_commit` is told of every commit after it is durable.
    ///
    /// # Errors
    /// A lost stream or its tail, a stream made anew, expired messages, full dead letters, or a bus or table that does not
    /// come back. Everything else is handled here: conflicts are dropped and replayed, bad rows are dead-lettered.
    pub async fn run<F, Fut>(self, stop: CancellationToken, mut on_commit: F) -> Result<(), IntakeError>
    where
        F: FnMut(Committed) -> Fut + Send,
        Fut: Future<Output = Result<(), IntakeError>> + Send,
    {
        let (mut reading, mut books) = self.begin(None).await?;
        let mut ready: Option<Due> = None;
        loop {
            let is_careful = books.guard.careful();
            let due = match ready.take() {
                Some(due) => due,
                None => reading.next(Some(&mut books.guard).filter(|_| is_careful), &stop).await?,
            };
            if due.gathered.is_empty() {
                // Reading returns nothing only when it was stopped.
                return books.guard.passed(books.cursor).await;
            }
            let is_newest = if is_careful {
                // Nothing is decoded unannounced before a commit stands.
                self.settle(&mut books, due, &mut on_commit).await?
            } else {
                ready = self.settle_and_read_on(&mut books, &mut reading, due, &stop, &mut on_commit).await?;
                ready.is_some()
            };
            if !is_newest {
                warn!(stream = %self.options.stream, "another writer committed; reloading and going on at its cursor");
                (reading, books) = self.begin(Some(books.guard)).await?;
            }
        }
    }

    /// Reads and decodes the next messages while those due are written; `None` when they no longer follow.
    async fn settle_and_read_on<F, Fut>(
        &self,
        books: &mut Books,
        reading: &mut Reading,
        due: Due,
        stop: &CancellationToken,
        on_commit: &mut F,
    ) -> Result<Option<Due>, IntakeError>
    where
        F: FnMut(Committed) -> Fut + Send,
        Fut: Future<Output = Result<(), IntakeError>> + Send,
    {
        let mut settling = pin!(self.settle(books, due, on_commit));
        let mut reading_on = pin!(reading.next(None, stop));
        let read = tokio::select! {
            is_newest = &mut settling => {
                // A commit that does not stand is replayed at once, not when the next message comes.
                return if is_newest? { reading_on.await.map(Some) } else { Ok(None) };
            }
            read = &mut reading_on => read,
        };
        // Whatever reading says, a commit that was begun is seen through.
        let is_newest = settling.await?;
        let next = read?;
        Ok(is_newest.then_some(next))
    }

    /// Dead letters, commit, report; true when the table ends with what was committed.
    async fn settle<F, Fut>(&self, books: &mut Books, due: Due, on_commit: &mut F) -> Result<bool, IntakeError>
    where
        F: FnMut(Committed) -> Fut + Send,
        Fut: Future<Output = Result<(), IntakeError>> + Send,
    {
        let Due { gathered, rows, began } = due;
        let span = (self.options.trace.span)(&gathered.traceparents);
        async {
            self.bury(&books.incarnation, &gathered.refusals).await?;
            let (counts, watermark) = (gathered.counts, gathered.watermark);
            let Outcome::Done { version, last_seq, is_newest } = self.commit(books, gathered, rows).await? else {
                return Ok(false);
            };
            on_commit(Committed { version, last_seq, counts, watermark, took: began.elapsed() }).await?;
            Ok(is_newest)
        }
        .instrument(span)
        .await
    }

    /// Loads the table, compares the books and opens the stream after the table's last sequence. With the guard of
    /// a running pass this is no start but a reload after another writer was faster.
    async fn begin(&self, running: Option<Guard>) -> Result<(Reading, Books), IntakeError> {
        let snapshot = self.table.load().await?;
        let stream = &self.options.stream;
        let Some(state) = self.bus.stream_state_if_any(stream).await? else {
            return Err(IntakeError::Gone { stream: stream.clone(), table: self.table.path().to_owned() });
        };
        let (incarnation, made) = (state.incarnation(stream), Millis::parse(&state.created));
        let done = snapshot.done(&incarnation).await?.unwrap_or(0);
        let head = self.heads.read(self.table.path()).await?;
        let known = Known {
            done,
            filled_from: snapshot.done(&made_at(stream)).await?.filter(|at| *at != UNKNOWN).map(Millis),
            is_filled: snapshot.version() > 0,
            head: head.as_ref(),
            incarnation: &incarnation,
            made,
            first: signed(state.first_seq),
            last: signed(state.last_seq),
            is_accepted: is_accepted(&self.bus, stream, &incarnation).await?,
        };
        match known.standing() {
            Standing::Agrees => {}
            Standing::MadeAnew => {
                let from = known.filled_from.map(|at| format!(" from the one of {at}")).unwrap_or_default();
                return Err(IntakeError::MadeAnew { incarnation, table: self.table.path().to_owned(), from });
            }
            Standing::StoreLostTail => {
                warn!(table = %self.table.path(), done, "the store lost the newest commits; replaying them from the bus");
            }
            Standing::BusLostData => {
                return Err(IntakeError::Epoch {
                    stream: stream.clone(),
                    stream_last: signed(state.last_seq),
                    table: self.table.path().to_owned(),
                    table_done: done,
                });
            }
            Standing::Expired => {
                return Err(IntakeError::Expired {
                    stream: stream.clone(),
                    first: signed(state.first_seq),
                    table: self.table.path().to_owned(),
                    done,
                });
            }
        }
        let start = u64::try_from(done + 1).unwrap_or(1);
        let stored = snapshot.done(&stored_at(&incarnation)).await?.filter(|at| *at != UNKNOWN);
        let last = stored.map(|at| Place { seq: start.saturating_sub(1), published_at: Millis(at) });
        let reader = OrderedReader::open(&self.bus, stream, start).await?.after(last);
        let guard = match running {
            None => {
                let life = self.options.life.clone();
                Guard::start(self.heads.bucket(), stream, life, done, PATIENCE).await?
            }
            Some(mut guard) => {
                guard.moved(done);
                guard
            }
        };
        info!(stream, table = %self.table.path(), done, "reading on");
        let (conform, options) = (self.conform.clone(), self.options.clone());
        let window = known_ids(&self.table, &snapshot, options.dedupe_window, i64::MAX).await?;
        let table = self.table.clone();
        let reading = Reading { reader, table, window, conform, options, pending: VecDeque::new() };
        Ok((reading, Books { snapshot, incarnation, made, guard, cursor: done }))
    }

    /// Writes refusals to the dead letters; durable when it returns, and the same again after a crash.
    async fn bury(&self, incarnation: &str, refusals: &[Refusal]) -> Result<(), IntakeError> {
        let (subject, most) = (self.options.dead_subject.as_str(), self.bus.max_payload());
        let publisher = BatchPublisher::new(&self.bus);
        for some in refusals.chunks(MAX_ATOMIC_MESSAGES) {
            let letters = some.iter().map(|refusal| letter(subject, most, incarnation, refusal));
            publisher.publish(&letters.collect::<Result<Vec<_>, _>>()?).await.map_err(|error| match error {
                BusError::Full(reason) => IntakeError::LettersFull { table: self.table.path().to_owned(), reason },
                other => other.into(),
            })?;
        }
        Ok(())
    }

    async fn commit(
        &self,
        books: &mut Books,
        gathered: Gathered,
        rows: JoinHandle<Result<Encoded, Error>>,
    ) -> Result<Outcome, IntakeError> {
        let Some(last_seq) = gathered.last_seq else {
            return Ok(Outcome::Lost);
        };
        let mut metadata = BTreeMap::new();
        metadata.insert(COUNTS_KEY.to_owned(), serde_json::to_string(&gathered.counts).unwrap_or_default());
        if let Some(watermark) = gathered.watermark {
            metadata.insert(WATERMARK_KEY.to_owned(), watermark.0.to_string());
        }
        if let Some(context) = (self.options.trace.current)() {
            metadata.insert(TRACEPARENT_KEY.to_owned(), context);
        }
        let on = books.snapshot.clone();
        let stored = gathered.last_stored.map_or(UNKNOWN, |at| at.0);
        let made = books.made.map_or(UNKNOWN, |at| at.0);
        let (stored_at, made_at) = (stored_at(&books.incarnation), made_at(&self.options.stream));
        let notes = [(books.incarnation.as_str(), last_seq), (&stored_at, stored), (&made_at, made)];
        let rows = match rows.await {
            Ok(rows) => rows?,
            Err(ended) if ended.is_panic() => resume_unwind(ended.into_panic()),
            // The process ends.
            Err(_) => return Ok(Outcome::Lost),
        };
        let result = self.table.commit_encoded(on, rows, &notes, metadata).await;
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
        let (incarnation, digest) = (books.incarnation.clone(), committed.digest.to_string());
        let head = Head { incarnation, table_version: version, last_seq, digest };
        self.heads.note(self.table.path(), &head).await?;
        books.guard.passed(last_seq).await?;
        books.cursor = last_seq;
        books.snapshot = self.table.load().await?;
        // Where somebody else committed in between, what is read next no longer follows from our cursor.
        let is_newest = books.snapshot.done(&books.incarnation).await? == Some(last_seq);
        Ok(Outcome::Done { version, last_seq, is_newest })
    }
}

/// Note of a table beside its cursor: when the bus stored the message of the last sequence. A stream that lost its tail
/// and was written on may reach as far as before; the time tells that another message stands there.
fn stored_at(incarnation: &str) -> String {
    format!("{incarnation}#stored")
}

/// Note of a table: when the stream was made that it was last filled from. A stream that is made anew gives sequences
/// anew, and takes with it what was not read of the one before.
fn made_at(stream: &str) -> String {
    format!("{stream}#made")
}

/// Sequences are stored signed, as tables have no unsigned integers.
pub(crate) fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}
