//! The last leg of the prediction log: encoded messages go to the bus, or to the spool until the bus is back.
//!
//! Once anything lies in the spool, newer messages queue up behind it, so that the log stays in order. A message
//! keeps its id for life; the bus drops a second copy.

use crate::config::Config;
use crate::error::Error;
use crate::spool::{Spool, SpoolFile};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tidemill_bus::{BatchPublisher, Bus, Headers, Outgoing, Retention, StreamSpec, trace};
use tidemill_contracts::{headers, subjects};
use tidemill_types::{Classified as _, DeploymentName, ErrorKind, Millis, ProjectName};
use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument as _, info_span};
use uuid::Uuid;

/// Messages handed to the bus as one atomic batch.
const BATCH: usize = 32;
/// Spooled messages sent before newer ones are looked at again.
const ROUND: usize = 256;
/// How long the bus remembers ids: longer than most outages, so that a copy sent after one is recognised.
const DUPLICATE_WINDOW: std::time::Duration = std::time::Duration::from_secs(3_600);

/// An encoded log message.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Id in time order.
    pub(crate) id: Uuid,
    /// Predictions in it.
    pub(crate) rows: u64,
    /// Arrow IPC stream.
    pub(crate) body: Bytes,
    /// Traces of some of its answers; those of spooled messages are forgotten.
    pub(crate) traceparents: Vec<String>,
}

/// Work for the sender.
#[derive(Debug)]
pub(crate) enum Work {
    /// Send or spool this.
    Message(Message),
    /// Answer when everything before is acknowledged or on the disk.
    Flush(oneshot::Sender<()>),
}

/// What happened to predictions, in rows.
#[derive(Debug, Default)]
pub struct LogCounters {
    /// Handed to the log.
    pub answered: AtomicU64,
    /// Acknowledged by the bus, spooled ones of earlier processes included.
    pub logged: AtomicU64,
    /// On disk now, waiting for the bus.
    pub spooled: AtomicU64,
    /// In memory now.
    pub buffered: AtomicU64,
}

/// Where the log of a deployment goes.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    bus: Bus,
    project: ProjectName,
    deployment: DeploymentName,
}

impl Target {
    pub(crate) fn new(bus: Bus, project: ProjectName, deployment: DeploymentName) -> Self {
        Self { bus, project, deployment }
    }

    async fn ensure_stream(&self) -> Result<(), tidemill_bus::Error> {
        let name = subjects::predictions_stream(&self.project, &self.deployment);
        let mut spec = StreamSpec::new(name, [subjects::predictions(&self.project, &self.deployment)]);
        spec.retention = Retention::Limits;
        spec.duplicate_window = DUPLICATE_WINDOW;
        self.bus.ensure_stream(&spec).await.map(|_| ())
    }

    /// A CloudEvent that depends on nothing but the message, its trace apart, so that a second copy is the same.
    fn outgoing(&self, message: &Message) -> Result<Outgoing, tidemill_bus::Error> {
        let (seconds, nanos) = message.id.get_timestamp().map_or((0, 0), |t| t.to_unix());
        let millis = i64::try_from(seconds).unwrap_or(0) * 1_000 + i64::from(nanos / 1_000_000);
        let pairs = [
            (headers::CE_ID, message.id.to_string()),
            (headers::CE_SOURCE, format!("tidemill/serving/{}/{}", self.project, self.deployment)),
            (headers::CE_TYPE, "tidemill.prediction".to_owned()),
            (headers::CE_TIME, Millis(millis).to_string()),
            (headers::CE_SPECVERSION, "1.0".to_owned()),
            (headers::CONTENT_TYPE, headers::ARROW_STREAM.to_owned()),
        ];
        let subject = subjects::predictions(&self.project, &self.deployment);
        let mut headers = Headers::from_pairs(pairs)?;
        trace::inject(&mut headers, tidemill_telemetry::current_traceparent().as_deref())?;
        Outgoing::new(subject, message.body.clone()).with_headers(headers).with_id(&message.id.to_string())
    }

    /// Stores messages on the bus, all acknowledged when this returns.
    async fn publish(&self, messages: &[Message]) -> Result<(), tidemill_bus::Error> {
        let span = info_span!("tm.predictions.{project}.{deployment} publish", otel.kind = "producer");
        self.send(messages).instrument(span).await
    }

    async fn send(&self, messages: &[Message]) -> Result<(), tidemill_bus::Error> {
        if !self.bus.is_connected() {
            // A request would wait for the connection as long as for an answer.
            return Err(tidemill_bus::Error::TimedOut("a connection".to_owned()));
        }
        let outgoing = messages.iter().map(|m| self.outgoing(m)).collect::<Result<Vec<_>, _>>()?;
        let first = BatchPublisher::new(&self.bus).publish(&outgoing).await;
        if !matches!(first, Err(tidemill_bus::Error::NotFound(_))) {
            return first.map(|_| ());
        }
        self.ensure_stream().await?;
        BatchPublisher::new(&self.bus).publish(&outgoing).await.map(|_| ())
    }
}

/// Owns the spool folder and the order of the log.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(crate) target: Target,
    pub(crate) spool: Spool,
    pub(crate) config: Config,
    pub(crate) counters: Arc<LogCounters>,
    /// Messages that neither the bus nor the disk took; nothing newer is accepted meanwhile.
    pub(crate) held: VecDeque<Message>,
}

impl Sender {
    /// Runs until every handle to the queue is gone.
    pub(crate) async fn run(mut self, mut queue: mpsc::Receiver<Work>) {
        let mut retry = tokio::time::interval(self.config.spool_retry());
        retry.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                work = queue.recv(), if self.held.is_empty() => match work {
                    None => break,
                    Some(work) => self.take(work, &mut queue).await,
                },
                _ = retry.tick() => self.catch_up().await,
            }
        }
        self.catch_up().await;
    }

    async fn take(&mut self, first: Work, queue: &mut mpsc::Receiver<Work>) {
        let (mut messages, mut flushes) = (Vec::new(), Vec::new());
        let mut next = Some(first);
        while let Some(work) = next {
            match work {
                Work::Message(message) => messages.push(message),
                Work::Flush(done) => flushes.push(done),
            }
            next = if messages.len() < BATCH { queue.try_recv().ok() } else { None };
        }
        self.deliver(messages).await;
        for done in flushes {
            // The one who asked may have given up; that changes nothing here.
            let _ = done.send(());
        }
    }

    async fn deliver(&mut self, messages: Vec<Message>) {
        if messages.is_empty() {
            return;
        }
        if self.counters.spooled.load(Ordering::Acquire) > 0 {
            return self.keep(messages).await;
        }
        match self.publish(&messages).await {
            Ok(()) => self.note_logged(&messages),
            Err(error) => {
                tracing::warn!(messages = messages.len(), "the prediction log goes to the spool: {error}");
                self.keep(messages).await;
            }
        }
    }

    async fn publish(&self, messages: &[Message]) -> Result<(), tidemill_bus::Error> {
        let subject = || subjects::predictions(&self.target.project, &self.target.deployment);
        let contexts: Vec<&String> = messages.iter().flat_map(|m| &m.traceparents).collect();
        let span = info_span!("prediction log", rows = messages.iter().map(|m| m.rows).sum::<u64>());
        tidemill_telemetry::follow(&span, &contexts, || info_span!("answers receive"));
        tokio::time::timeout(self.config.log_ack(), self.target.publish(messages).instrument(span))
            .await
            .unwrap_or_else(|_| Err(tidemill_bus::Error::Unknown { subject: subject() }))
    }

    fn note_logged(&self, messages: &[Message]) {
        let rows: u64 = messages.iter().map(|m| m.rows).sum();
        self.counters.logged.fetch_add(rows, Ordering::AcqRel);
        self.counters.buffered.fetch_sub(rows, Ordering::AcqRel);
    }

    /// To the disk; what the disk does not take is held in memory.
    async fn keep(&mut self, messages: Vec<Message>) {
        for message in messages {
            if let Err(error) = spool(&self.spool, &message, &self.counters).await {
                tracing::error!("{error}; the message is held in memory until the bus takes it");
                self.held.push_back(message);
            }
        }
    }

    /// Sends what waits, the oldest first: the spool, then what is held.
    async fn catch_up(&mut self) {
        if self.counters.spooled.load(Ordering::Acquire) > 0 && !self.empty_spool().await {
            return;
        }
        while let Some(message) = self.held.pop_front() {
            let alone = std::slice::from_ref(&message);
            if self.publish(alone).await.is_ok() {
                self.note_logged(alone);
            } else if spool(&self.spool, &message, &self.counters).await.is_err() {
                self.held.push_front(message);
                return;
            }
        }
    }

    /// True when nothing is left in the spool.
    async fn empty_spool(&self) -> bool {
        let listing = {
            let spool = self.spool.clone();
            blocking(move || spool.list()).await
        };
        let files = match listing {
            Ok(files) => files,
            Err(error) => {
                tracing::error!("{error}");
                return false;
            }
        };
        let all = files.len() <= ROUND;
        for file in files.into_iter().take(ROUND) {
            if let Err(error) = self.send_file(file).await {
                tracing::debug!("the spool waits: {error}");
                return false;
            }
        }
        all
    }

    async fn send_file(&self, file: SpoolFile) -> Result<(), Error> {
        let (spool, wanted) = (self.spool.clone(), file.clone());
        let body = blocking(move || spool.read(&wanted)).await?;
        let message = Message { id: file.id, rows: file.rows, body, traceparents: Vec::new() };
        let sent = self.publish(std::slice::from_ref(&message)).await;
        let spool = self.spool.clone();
        let rows = file.rows;
        match sent {
            Ok(()) => {
                blocking(move || spool.remove(&file)).await?;
                self.counters.logged.fetch_add(rows, Ordering::AcqRel);
            }
            // Invalid now is invalid for ever: it must not block those behind it.
            Err(error) if error.kind() == ErrorKind::Invalid => {
                tracing::error!(message.id = %file.id, "the bus will never take this message, it is set aside: {error}");
                blocking(move || spool.set_aside(&file)).await?;
            }
            Err(error) => return Err(Error::Bus(error.to_string())),
        }
        self.counters.spooled.fetch_sub(rows, Ordering::AcqRel);
        Ok(())
    }
}

/// Writes a message to the disk and books it from memory to spool.
pub(crate) async fn spool(spool: &Spool, message: &Message, counters: &LogCounters) -> Result<(), Error> {
    let (spool, copy) = (spool.clone(), message.clone());
    blocking(move || spool.write(copy.id, copy.rows, &copy.body)).await?;
    counters.spooled.fetch_add(message.rows, Ordering::AcqRel);
    counters.buffered.fetch_sub(message.rows, Ordering::AcqRel);
    Ok(())
}

/// Runs disk work off the network threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let broken = |e: tokio::task::JoinError| Error::Server { what: "blocking task", reason: e.to_string() };
    tokio::task::spawn_blocking(work).await.map_err(broken)?
}
