//! Reading a stream without a gap, without a server-side cursor.
//!
//! An ephemeral, un-acknowledged pull consumer starts at the wanted sequence; the reader's own position is the only
//! cursor. Every message must have the expected sequence: an older one is ignored, a newer one means that the messages
//! between are gone (proved by asking the stream's leader for the next message from there) or were lost on the way
//! (then the consumer is made anew). Whatever else breaks, the consumer is made anew at the position.

use crate::connection::{Bus, backoff};
use crate::error::{Error, Result};
use crate::headers::Headers;
use crate::pull::{Arrival, Pull, SILENCE};
use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, ReplayPolicy};
use async_nats::jetstream::stream::RawMessageErrorKind;
use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use std::time::Duration;
use tidemill_types::Millis;
use tokio::time::Instant;

/// After this idle time the reader asks whether the stream has moved on without messages (all deleted).
const IDLE_CHECK: Duration = Duration::from_secs(1);

/// A stored message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Sequence in the stream.
    pub seq: u64,
    /// Subject it was published to.
    pub subject: String,
    /// Headers.
    pub headers: Headers,
    /// Body.
    pub payload: Bytes,
    /// When the server stored it: the knowledge time of its events.
    pub published_at: Millis,
}

/// One position of a stream.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A message.
    Message(Message),
    /// The message of this sequence was deleted or has expired.
    Tombstone {
        /// Its sequence.
        seq: u64,
    },
}

impl Entry {
    /// Sequence of this position.
    #[must_use]
    pub fn seq(&self) -> u64 {
        match self {
            Self::Message(message) => message.seq,
            Self::Tombstone { seq } => *seq,
        }
    }

    /// The message, if it still exists.
    #[must_use]
    pub fn message(&self) -> Option<&Message> {
        match self {
            Self::Message(message) => Some(message),
            Self::Tombstone { .. } => None,
        }
    }
}

/// What tells a message from another one that got the same sequence after the bus had lost its tail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Sequence in the stream.
    pub seq: u64,
    /// When the server stored it.
    pub published_at: Millis,
}

/// How much is asked of the server ahead of need.
#[derive(Clone, Copy, Debug)]
pub struct ReaderOptions {
    /// Messages per pull; up to one and a half pulls are under way.
    pub pull_messages: usize,
    /// Bytes per pull. Must exceed the largest message.
    pub pull_bytes: usize,
}

impl Default for ReaderOptions {
    /// 4,000 messages or 12 MB.
    fn default() -> Self {
        Self { pull_messages: 4_000, pull_bytes: 12 << 20 }
    }
}

/// Yields every sequence of a stream, in order.
#[derive(Debug)]
pub struct OrderedReader {
    bus: Bus,
    stream: String,
    incarnation: String,
    options: ReaderOptions,
    /// Sequence to be yielded next.
    next: u64,
    /// The newest message known to have been read.
    last: Option<Place>,
    /// All sequences from `next` up to here are known to be gone.
    gone_before: u64,
    /// The message after a hole, until the hole is yielded.
    held: Option<Message>,
    /// Yielded by the next call; kept here so that a dropped call loses nothing.
    ready: Vec<Entry>,
    ready_bytes: usize,
    pull: Option<Pull>,
    failures: usize,
    idle_since: Instant,
}

impl OrderedReader {
    /// A reader of `stream` whose first entry has sequence `start_seq` (1 is the first ever).
    ///
    /// # Errors
    /// `TM0604` when there is no such stream; `TM0610` when it ends before `start_seq - 1`.
    pub async fn open(bus: &Bus, stream: &str, start_seq: u64) -> Result<Self> {
        Self::open_with(bus, stream, start_seq, ReaderOptions::default()).await
    }

    /// As [`OrderedReader::open`], with other pull sizes.
    ///
    /// # Errors
    /// As [`OrderedReader::open`].
    pub async fn open_with(bus: &Bus, stream: &str, start_seq: u64, options: ReaderOptions) -> Result<Self> {
        let state = bus.stream_state(stream).await?;
        let next = start_seq.max(1);
        require_reach(stream, state.last_seq, next)?;
        Ok(Self {
            bus: bus.clone(),
            stream: stream.to_owned(),
            incarnation: state.incarnation(stream),
            options,
            next,
            last: None,
            gone_before: 0,
            held: None,
            ready: Vec::new(),
            ready_bytes: 0,
            pull: None,
            failures: 0,
            idle_since: Instant::now(),
        })
    }

    /// Demands that a message read earlier is still the one that stands there, whenever a consumer is made.
    ///
    /// A stream that lost its tail and was written on may be as long as before; only this tells. A message that has
    /// expired or was deleted proves nothing and is let pass.
    #[must_use]
    pub fn after(self, last: Option<Place>) -> Self {
        Self { last, ..self }
    }

    /// `<stream>@<created>` of what is read.
    #[must_use]
    pub fn incarnation(&self) -> &str {
        &self.incarnation
    }

    /// Sequence after the last one yielded.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.ready.first().map_or(self.next, Entry::seq)
    }

    /// The next entries: returns when `max_messages` or `max_bytes` is reached or `max_wait` has passed, with what
    /// there is, possibly nothing. A server that is away is waited for. Dropping the future loses nothing.
    ///
    /// # Errors
    /// `TM0609` when the stream was re-created, `TM0610` when it has lost messages, `TM0604` when it is gone.
    pub async fn next_batch(
        &mut self,
        max_messages: usize,
        max_bytes: usize,
        max_wait: Duration,
    ) -> Result<Vec<Entry>> {
        self.collect(max_messages, max_bytes, max_wait, false).await
    }

    /// As [`OrderedReader::next_batch`], but returns as soon as there is anything, with all that has arrived.
    ///
    /// # Errors
    /// As [`OrderedReader::next_batch`].
    pub async fn next_ready(
        &mut self,
        max_messages: usize,
        max_bytes: usize,
        max_wait: Duration,
    ) -> Result<Vec<Entry>> {
        self.collect(max_messages, max_bytes, max_wait, true).await
    }

    async fn collect(
        &mut self,
        max_messages: usize,
        max_bytes: usize,
        max_wait: Duration,
        eager: bool,
    ) -> Result<Vec<Entry>> {
        let deadline = Instant::now() + max_wait;
        while self.ready.len() < max_messages && self.ready_bytes < max_bytes {
            if self.take_known() {
                continue;
            }
            if self.pull.as_ref().is_some_and(|pull| pull.is_lost(self.bus.connects())) {
                self.pull = None;
            }
            if self.pull.is_none() && !self.reopen(deadline).await? {
                break;
            }
            let Some(pull) = &mut self.pull else { break };
            pull.top_up(&self.options).await;
            let received = match pull.subscriber.next().now_or_never() {
                Some(received) => received,
                None if eager && !self.ready.is_empty() => break,
                None => {
                    let patience = deadline.min(pull.last_heard + SILENCE).min(Instant::now() + IDLE_CHECK);
                    match tokio::time::timeout_at(patience, pull.subscriber.next()).await {
                        Ok(received) => received,
                        Err(_) => {
                            self.look_for_a_silent_end().await?;
                            if Instant::now() >= deadline {
                                break;
                            }
                            continue;
                        }
                    }
                }
            };
            let Some(received) = received else {
                self.pull = None;
                continue;
            };
            match pull.classify(&received) {
                Arrival::Nothing => {}
                Arrival::Broken => self.pull = None,
                Arrival::Message { seq, published_at } => {
                    self.idle_since = Instant::now();
                    self.failures = 0;
                    let message = Message {
                        seq,
                        subject: received.subject.into_string(),
                        headers: Headers::from_map(received.headers),
                        payload: received.payload,
                        published_at,
                    };
                    self.place(message).await?;
                }
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        self.ready_bytes = 0;
        Ok(std::mem::take(&mut self.ready))
    }

    /// Moves one entry that is known already into `ready`.
    fn take_known(&mut self) -> bool {
        if self.next < self.gone_before {
            self.ready.push(Entry::Tombstone { seq: self.next });
            self.next += 1;
            return true;
        }
        let Some(message) = self.held.take_if(|held| held.seq == self.next) else { return false };
        self.push(message);
        true
    }

    fn push(&mut self, message: Message) {
        self.next = message.seq + 1;
        self.last = Some(Place { seq: message.seq, published_at: message.published_at });
        self.ready_bytes += message.payload.len();
        self.ready.push(Entry::Message(message));
    }

    /// Takes a message that has arrived: in its turn, too late, or after a hole.
    async fn place(&mut self, message: Message) -> Result<()> {
        if message.seq == self.next {
            self.push(message);
            return Ok(());
        }
        if message.seq < self.next {
            return Ok(());
        }
        // Until the hole is understood, the consumer is ahead of us; a call dropped meanwhile starts it anew.
        let pull = self.pull.take();
        let Some(found) = self.first_stored_from(self.next).await? else { return Ok(()) };
        if found >= message.seq {
            self.gone_before = message.seq;
            self.held = Some(message);
            self.pull = pull;
        } else {
            tracing::debug!(
                stream = self.stream,
                wanted = self.next,
                got = message.seq,
                "messages were lost on the way"
            );
            self.gone_before = found;
        }
        Ok(())
    }

    /// Sequence of the first message at or after `seq`, from the stream's leader; `None` when unknown or there is none.
    async fn first_stored_from(&self, seq: u64) -> Result<Option<u64>> {
        let stream = match self.bus.js.get_stream_no_info(&self.stream).await {
            Ok(stream) => stream,
            Err(error) => return Err(Error::Malformed(error.to_string())),
        };
        match stream.get_first_raw_message_by_subject(">", seq).await {
            Ok(message) => Ok(Some(message.sequence)),
            Err(error) => match error.kind() {
                RawMessageErrorKind::NoMessageFound => Ok(None),
                _ => {
                    tracing::debug!(stream = self.stream, "cannot look into the stream: {error}");
                    Ok(None)
                }
            },
        }
    }

    /// When nothing comes although the stream has a later end, everything up to that end was deleted.
    async fn look_for_a_silent_end(&mut self) -> Result<()> {
        if self.idle_since.elapsed() < IDLE_CHECK || !self.bus.is_connected() {
            return Ok(());
        }
        self.idle_since = Instant::now();
        let state = match self.bus.stream_state(&self.stream).await {
            Ok(state) => state,
            Err(error @ Error::NotFound(_)) => return Err(error),
            Err(_) => return Ok(()),
        };
        self.require_same(&state)?;
        if state.first_seq > self.next {
            self.gone_before = self.gone_before.max(state.first_seq);
        } else if state.last_seq >= self.next && self.nothing_stored_from(self.next).await {
            self.gone_before = self.gone_before.max(state.last_seq + 1);
        }
        Ok(())
    }

    async fn nothing_stored_from(&self, seq: u64) -> bool {
        let Ok(stream) = self.bus.js.get_stream_no_info(&self.stream).await else { return false };
        let found = stream.get_first_raw_message_by_subject(">", seq).await;
        found.is_err_and(|error| matches!(error.kind(), RawMessageErrorKind::NoMessageFound))
    }

    fn require_same(&self, state: &crate::StreamState) -> Result<()> {
        let found = state.incarnation(&self.stream);
        if found != self.incarnation {
            return Err(Error::Incarnation { expected: self.incarnation.clone(), found });
        }
        require_reach(&self.stream, state.last_seq, self.next)
    }

    async fn require_unchanged(&self) -> Result<()> {
        let Some(Place { seq, published_at }) = self.last else { return Ok(()) };
        let refused = |reason: String| Error::TimedOut(format!("message {seq} of {}: {reason}", self.stream));
        let stream = self.bus.js.get_stream_no_info(&self.stream).await.map_err(|e| refused(e.to_string()))?;
        match stream.get_raw_message(seq).await {
            Ok(found) => {
                let millis = found.time.unix_timestamp_nanos().div_euclid(1_000_000);
                if millis == i128::from(published_at.0) {
                    return Ok(());
                }
                Err(Error::Rewritten { stream: self.stream.clone(), sequence: seq })
            }
            Err(error) if matches!(error.kind(), RawMessageErrorKind::NoMessageFound) => Ok(()),
            Err(error) => Err(refused(error.to_string())),
        }
    }

    /// Makes the consumer anew at the position; false when that did not succeed before the deadline.
    async fn reopen(&mut self, deadline: Instant) -> Result<bool> {
        loop {
            match tokio::time::timeout_at(deadline.max(Instant::now() + Duration::from_millis(1)), self.try_open())
                .await
            {
                Ok(Ok(pull)) => {
                    self.pull = Some(pull);
                    return Ok(true);
                }
                Ok(Err(error)) => match error {
                    Error::Incarnation { .. }
                    | Error::Behind { .. }
                    | Error::Rewritten { .. }
                    | Error::NotFound(_)
                    | Error::Denied(_) => return Err(error),
                    error => {
                        if self.failures % 16 == 8 {
                            tracing::warn!(stream = self.stream, "cannot read on yet: {error}");
                        }
                    }
                },
                Err(_) => return Ok(false),
            }
            self.failures += 1;
            let pause = Instant::now() + backoff(self.failures.min(5));
            tokio::time::sleep_until(pause.min(deadline)).await;
            if Instant::now() >= deadline {
                return Ok(false);
            }
        }
    }

    async fn try_open(&self) -> Result<Pull> {
        let connects = self.bus.connects();
        let state = self.bus.stream_state(&self.stream).await?;
        self.require_same(&state)?;
        self.require_unchanged().await?;
        let config = Config {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: self.next.max(self.gone_before) },
            ack_policy: AckPolicy::None,
            replay_policy: ReplayPolicy::Instant,
            max_deliver: 1,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: Duration::from_secs(60),
            ..Config::default()
        };
        let refused = |error: &dyn std::error::Error| Error::Refused {
            what: format!("a reader of {}", self.stream),
            reason: crate::connection::describe(error),
        };
        let consumer = self.bus.js.create_consumer_on_stream(config, &self.stream).await.map_err(|e| refused(&e))?;
        let inbox = self.bus.client.new_inbox();
        let subscriber = self.bus.client.subscribe(inbox.clone()).await.map_err(|error| refused(&error))?;
        Ok(Pull { consumer, subscriber, inbox, connects, messages: 0, bytes: 0, last_heard: Instant::now() })
    }
}

fn require_reach(stream: &str, last_seq: u64, next: u64) -> Result<()> {
    if next > last_seq + 1 {
        return Err(Error::Behind { stream: stream.to_owned(), last_seq, wanted: next });
    }
    Ok(())
}
