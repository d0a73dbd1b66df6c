//! The prediction log: every answer becomes a row on the bus. It never makes an answer wait.
//!
//! Entries go into a queue in memory, are gathered to batches, scored by the shadow, encoded, and handed to the
//! [`crate::sender`]. When that is behind, encoded messages go straight to the spool. Requests are refused only when
//! even this cannot keep up ([`PredictionLog::has_room`]), because an answer that cannot be logged must not be given.

use crate::bundle::LoadedModel;
use crate::config::Config;
use crate::domain::entry::{self, Entry, ShadowScores};
use crate::error::Error;
use crate::sender::{LogCounters, Message, Sender, Target, Work, blocking, spool};
use crate::spool::Spool;
use bytes::Bytes;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use uuid::Uuid;

/// An entry and the model that is to score it in the shadow.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) entry: Entry,
    pub(crate) answered_by: String,
    pub(crate) shadow: Option<Arc<LoadedModel>>,
    /// Trace of the answer.
    pub(crate) traceparent: Option<String>,
}

#[derive(Debug)]
enum Command {
    Record(Box<Pending>),
    Flush(oneshot::Sender<()>),
}

/// Handle to the log of one deployment; cheap to clone. The log ends when the last handle is dropped.
#[derive(Clone, Debug)]
pub struct PredictionLog {
    queue: mpsc::UnboundedSender<Command>,
    counters: Arc<LogCounters>,
    limit: u64,
}

/// The two tasks of a log, to be spawned under a supervisor.
pub(crate) struct LogTasks {
    collector: Collector,
    entries: mpsc::UnboundedReceiver<Command>,
    sender: Sender,
    messages: mpsc::Receiver<Work>,
}

impl LogTasks {
    /// Runs both until every [`PredictionLog`] is dropped and everything is on the bus or on the disk.
    pub(crate) async fn run(self) {
        let Self { collector, entries, sender, messages } = self;
        tokio::join!(collector.run(entries), sender.run(messages));
    }
}

impl PredictionLog {
    /// Opens the log over a spool folder, in which messages of an earlier process may wait.
    pub(crate) fn open(target: Target, folder: &Path, config: &Config) -> Result<(Self, LogTasks), Error> {
        let spool = Spool::open(folder)?;
        let counters = Arc::new(LogCounters::default());
        let waiting: u64 = spool.list()?.iter().map(|f| f.rows).sum();
        counters.spooled.store(waiting, Ordering::Release);
        let (queue, entries) = mpsc::unbounded_channel();
        let (work, messages) = mpsc::channel(config.log_messages_in_memory.max(1));
        let collector =
            Collector { work, spool: spool.clone(), config: config.clone(), counters: Arc::clone(&counters) };
        let sender =
            Sender { target, spool, config: config.clone(), counters: Arc::clone(&counters), held: VecDeque::new() };
        let log = Self { queue, counters, limit: config.log_rows_in_memory };
        Ok((log, LogTasks { collector, entries, sender, messages }))
    }

    /// What became of predictions so far.
    #[must_use]
    pub fn counters(&self) -> &LogCounters {
        &self.counters
    }

    /// Whether another request may be answered.
    ///
    /// # Errors
    /// [`Error::LogFull`] when memory is full, which the queue being unbounded only this call prevents.
    pub fn has_room(&self) -> Result<(), Error> {
        let buffered = self.counters.buffered.load(Ordering::Acquire);
        if buffered < self.limit { Ok(()) } else { Err(Error::LogFull(buffered)) }
    }

    /// Takes the rows of an answer. Returns at once.
    pub(crate) fn record(&self, pending: Pending) -> Result<(), Error> {
        let rows = pending.entry.rows() as u64;
        self.counters.answered.fetch_add(rows, Ordering::AcqRel);
        self.counters.buffered.fetch_add(rows, Ordering::AcqRel);
        self.queue.send(Command::Record(Box::new(pending))).map_err(|_| Error::Draining)
    }

    /// Returns when every row recorded before is acknowledged by the bus or on the disk.
    pub async fn flush(&self) {
        let (done, finished) = oneshot::channel();
        if self.queue.send(Command::Flush(done)).is_ok() {
            // An error means that the log has ended, which it does only after it wrote everything.
            let _ = finished.await;
        }
    }
}

struct Collector {
    work: mpsc::Sender<Work>,
    spool: Spool,
    config: Config,
    counters: Arc<LogCounters>,
}

impl Collector {
    async fn run(self, mut entries: mpsc::UnboundedReceiver<Command>) {
        let mut gathered: Vec<Pending> = Vec::new();
        let mut rows = 0;
        let mut due: Option<Instant> = None;
        loop {
            let command = match due {
                Some(at) => tokio::time::timeout_at(at, entries.recv()).await,
                None => Ok(entries.recv().await),
            };
            let (emit, flush, ended) = match command {
                Ok(Some(Command::Record(pending))) => {
                    rows += pending.entry.rows();
                    gathered.push(*pending);
                    due.get_or_insert_with(|| Instant::now() + self.config.log_wait());
                    (rows >= self.config.log_rows, None, false)
                }
                Ok(Some(Command::Flush(done))) => (true, Some(done), false),
                Ok(None) => (true, None, true),
                Err(_) => (true, None, false),
            };
            if emit {
                self.emit(std::mem::take(&mut gathered)).await;
                (rows, due) = (0, None);
            }
            if let Some(done) = flush {
                // Only a sender that has ended refuses, and then nothing is left to wait for.
                let _ = self.work.send(Work::Flush(done)).await;
            }
            if ended {
                return;
            }
        }
    }

    async fn emit(&self, gathered: Vec<Pending>) {
        let rows: u64 = gathered.iter().map(|p| p.entry.rows() as u64).sum();
        if rows == 0 {
            return;
        }
        let limit = self.config.log_body_bytes;
        let messages = match blocking(move || encode(gathered, limit)).await {
            Ok(messages) => messages,
            Err(error) => {
                // Not reachable by data: all columns are built by us. Said loudly, because it is a lost entry.
                tracing::error!(rows, "prediction log rows could not be encoded: {error}");
                self.counters.buffered.fetch_sub(rows, Ordering::AcqRel);
                return;
            }
        };
        for message in messages {
            self.hand_over(message).await;
        }
    }

    async fn hand_over(&self, message: Message) {
        let message = match self.work.try_send(Work::Message(message)) {
            Ok(()) => return,
            Err(
                mpsc::error::TrySendError::Full(Work::Message(m)) | mpsc::error::TrySendError::Closed(Work::Message(m)),
            ) => m,
            Err(_) => return,
        };
        if let Err(error) = spool(&self.spool, &message, &self.counters).await {
            tracing::error!("{error}; waiting for the bus instead");
            if self.work.send(Work::Message(message)).await.is_err() {
                tracing::error!("prediction log rows are lost: neither the disk nor the bus takes them");
            }
        }
    }
}

/// Joins what fits together, asks the shadow, and encodes.
fn encode(gathered: Vec<Pending>, limit: usize) -> Result<Vec<Message>, Error> {
    let mut messages = Vec::new();
    let mut rest = gathered.as_slice();
    while let Some(first) = rest.first() {
        let length = rest.iter().take_while(|p| together(first, p)).count().max(1);
        let (group, tail) = rest.split_at(length);
        rest = tail;
        let entries: Vec<_> = group.iter().map(|p| p.entry.clone()).collect();
        let entry = Entry::join(&entries)?;
        let batch = entry.finish(shadow_scores(first, &entry))?;
        let mut traceparents: Vec<_> = group.iter().filter_map(|p| p.traceparent.clone()).collect();
        traceparents.dedup();
        traceparents.truncate(tidemill_telemetry::MAX_LINKS);
        for (rows, body) in entry::bodies(&batch, limit)? {
            let (id, traceparents) = (Uuid::now_v7(), traceparents.clone());
            messages.push(Message { id, rows: rows as u64, body: Bytes::from(body), traceparents });
        }
    }
    Ok(messages)
}

fn together(a: &Pending, b: &Pending) -> bool {
    let digest = |p: &Pending| p.shadow.as_ref().map(|m| m.digest.clone());
    a.answered_by == b.answered_by && digest(a) == digest(b) && a.entry.fits(&b.entry)
}

/// The shadow's scores; it failing is noted and otherwise of no consequence.
fn shadow_scores(of: &Pending, entry: &Entry) -> Option<ShadowScores> {
    let shadow = of.shadow.as_ref()?;
    let model = shadow.digest.to_string();
    if model == of.answered_by {
        return Some(ShadowScores { model, scores: entry.scores() });
    }
    match shadow.score(&entry.features) {
        Ok(scores) => {
            let known = entry.scores();
            let scores = scores.into_iter().zip(known).map(|(s, answered)| answered.map(|_| s)).collect();
            Some(ShadowScores { model, scores })
        }
        Err(error) => {
            tracing::debug!("the shadow could not score: {error}");
            None
        }
    }
}
