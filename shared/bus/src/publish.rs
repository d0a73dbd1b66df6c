//! Publishing that is on disk when it returns: single messages and atomic batches.
//!
//! An atomic batch (NATS ADR-50) is staged by the server and stored as a whole when its last message arrives: one
//! disk sync for up to 1,000 messages, and readers see all of them or none.

use crate::connection::{Bus, refused};
use crate::error::{Error, Result};
use crate::headers::Headers;
use async_nats::header::{NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL, NATS_BATCH_ID, NATS_BATCH_SEQUENCE};
use async_nats::jetstream::response::Response;
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{HeaderMap, Message, PublishErrorKind};
use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use tidemill_contracts::headers::NATS_MSG_ID;

/// Most messages the server takes in one atomic batch.
pub const MAX_ATOMIC_MESSAGES: usize = 1_000;
/// Staged batches are held in memory by the server; larger ones are split.
const MAX_ATOMIC_BYTES: usize = 32 << 20;
/// How often a publish with message ids is tried.
const ATTEMPTS: usize = 4;

/// One message to be published.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Subject, stored by exactly one stream.
    pub subject: String,
    /// Headers. With a `Nats-Msg-Id` the publish is repeated when its outcome is unknown.
    pub headers: Headers,
    /// Body.
    pub payload: Bytes,
}

impl Outgoing {
    /// A message without headers.
    #[must_use]
    pub fn new(subject: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self { subject: subject.into(), headers: Headers::new(), payload: payload.into() }
    }

    /// The same message with these headers.
    #[must_use]
    pub fn with_headers(mut self, headers: Headers) -> Self {
        self.headers = headers;
        self
    }

    /// The same message with a message id, by which the server recognises a repeated publish.
    ///
    /// # Errors
    /// `TM0612` when the id is not allowed in a header.
    pub fn with_id(mut self, id: &str) -> Result<Self> {
        self.headers.set(NATS_MSG_ID, id)?;
        Ok(self)
    }

    fn has_id(&self) -> bool {
        self.headers.get(NATS_MSG_ID).is_some()
    }
}

/// Where one message is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishAck {
    /// Stream that stored it.
    pub stream: String,
    /// Its sequence.
    pub sequence: u64,
    /// True when the server knew its message id already and did not store it again.
    pub duplicate: bool,
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchAck {
    /// Last sequence of each atomic part, in order; messages of a part are consecutive unless some were duplicates.
    pub last_sequences: Vec<u64>,
    /// Messages handed over.
    pub messages: usize,
    /// Messages that the server knew already by their ids.
    pub duplicates: usize,
}

impl BatchAck {
    /// Sequence of the last message, `None` for an empty batch.
    #[must_use]
    pub fn last_sequence(&self) -> Option<u64> {
        self.last_sequences.last().copied()
    }
}

impl Bus {
    /// Publishes one message and waits until it is stored.
    ///
    /// # Errors
    /// `TM0607` when no acknowledgment came (only without a `Nats-Msg-Id`, with one it is tried again first),
    /// `TM0606` when the stream is full, `TM0604` when no stream takes the subject.
    pub async fn publish(
        &self,
        subject: &str,
        headers: &Headers,
        payload: impl Into<Bytes> + Send,
    ) -> Result<PublishAck> {
        let message = Outgoing::new(subject, payload).with_headers(headers.clone());
        self.publish_one(&message).await
    }

    pub(crate) async fn publish_one(&self, message: &Outgoing) -> Result<PublishAck> {
        let attempts = if message.has_id() { ATTEMPTS } else { 1 };
        let mut attempt = 0;
        loop {
            attempt += 1;
            let headers = message.headers.map().clone();
            let error = match self.request(&message.subject, headers, message.payload.clone()).await {
                Ok(reply) => return ack(&message.subject, &reply),
                Err(error) => error,
            };
            if attempt >= attempts || !matches!(error, Error::Unknown { .. }) {
                return Err(error);
            }
            tracing::warn!(subject = message.subject, attempt, "no acknowledgment, publishing again under the same id");
            tokio::time::sleep(crate::connection::backoff(attempt)).await;
        }
    }
}

/// Publishes batches atomically.
#[derive(Clone, Debug)]
pub struct BatchPublisher {
    bus: Bus,
}

impl BatchPublisher {
    /// A publisher on this connection.
    #[must_use]
    pub fn new(bus: &Bus) -> Self {
        Self { bus: bus.clone() }
    }

    /// Publishes the messages, all of one stream, in order. Each part of up to [`MAX_ATOMIC_MESSAGES`] is stored
    /// whole or not at all, one after the other, and is on disk when this returns.
    ///
    /// # Errors
    /// As [`Bus::publish`]. Parts before the failing one are stored; repeating the whole call is safe when every
    /// message has a `Nats-Msg-Id`.
    pub async fn publish(&self, messages: &[Outgoing]) -> Result<BatchAck> {
        let mut total = BatchAck::default();
        let mut rest = messages;
        while !rest.is_empty() {
            let (part, tail) = rest.split_at(part_length(rest));
            let (last_sequence, duplicates) = self.publish_part(part).await?;
            total.last_sequences.push(last_sequence);
            total.messages += part.len();
            total.duplicates += duplicates;
            rest = tail;
        }
        Ok(total)
    }

    /// Last sequence and number of duplicates.
    async fn publish_part(&self, part: &[Outgoing]) -> Result<(u64, usize)> {
        if let [message] = part {
            let ack = self.bus.publish_one(message).await?;
            return Ok((ack.sequence, usize::from(ack.duplicate)));
        }
        let repeatable = part.iter().all(Outgoing::has_id);
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.publish_atomically(part).await? {
                Ok(sequence) => return Ok((sequence, 0)),
                Err(Failure::HasDuplicates) if repeatable => return self.publish_singly(part).await,
                // Too many batches are being staged; nothing of this one was stored.
                Err(Failure::Busy(_)) if attempt < ATTEMPTS => {}
                Err(Failure::Outcome(Error::Unknown { subject })) if repeatable && attempt < ATTEMPTS => {
                    tracing::warn!(
                        subject,
                        attempt,
                        "no acknowledgment, publishing the batch again under the same ids"
                    );
                }
                Err(failure) => return Err(failure.into_error(&part[0].subject)),
            }
            tokio::time::sleep(crate::connection::backoff(attempt)).await;
        }
    }

    /// One attempt. The outer error is final, the inner one may be worth another attempt.
    async fn publish_atomically(&self, part: &[Outgoing]) -> Result<std::result::Result<u64, Failure>> {
        let (Some((first, others)), bus) = (part.split_first(), &self.bus) else { return Ok(Ok(0)) };
        // Everything that the server would refuse half-way is refused before anything is sent.
        for message in part {
            if message.payload.len() > bus.max_payload() {
                return Err(bus.too_large(&message.subject, message.payload.len()));
            }
        }
        // The last part of an inbox is unique, and short enough for the server whatever the prefix.
        let inbox = bus.client.new_inbox();
        let batch_id = inbox.rsplit('.').next().unwrap_or(&inbox);
        let headers = |message: &Outgoing, number: usize| -> HeaderMap {
            let mut headers = message.headers.map().clone();
            headers.insert(NATS_BATCH_ID, batch_id);
            headers.insert(NATS_BATCH_SEQUENCE, number.to_string());
            headers
        };
        // The first is acknowledged with an empty message, so that a stream which takes no batches says so at once.
        let opened = match bus.request(&first.subject, headers(first, 1), first.payload.clone()).await {
            Ok(reply) => reply,
            // Only the commit stores anything, so nothing is stored and this is a plain time-out.
            Err(Error::Unknown { subject }) => return Ok(Err(Failure::Busy(Error::TimedOut(subject)))),
            Err(error) => return Err(error),
        };
        if !opened.payload.is_empty() {
            return Ok(Err(Failure::from_reply(&first.subject, &opened)));
        }
        let Some((last, middle)) = others.split_last() else { return Ok(Ok(0)) };
        for (number, message) in (2..).zip(middle) {
            let sent = bus.client.publish_with_headers(
                message.subject.clone(),
                headers(message, number),
                message.payload.clone(),
            );
            sent.await.map_err(|error| match error.kind() {
                PublishErrorKind::MaxPayloadExceeded => bus.too_large(&message.subject, message.payload.len()),
                PublishErrorKind::InvalidSubject => Error::Malformed(format!("subject {:?}", message.subject)),
                _ => Error::TimedOut(message.subject.clone()),
            })?;
        }
        let mut commit = headers(last, part.len());
        commit.insert(NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL);
        let reply = match bus.request(&last.subject, commit, last.payload.clone()).await {
            Ok(reply) => reply,
            Err(error @ Error::Unknown { .. }) => return Ok(Err(Failure::Outcome(error))),
            Err(error) => return Err(error),
        };
        match serde_json::from_slice::<Response<jetstream::publish::PublishAck>>(&reply.payload) {
            Ok(Response::Ok(ack)) if ack.batch_size == Some(part.len() as u64) => Ok(Ok(ack.sequence)),
            Ok(Response::Ok(ack)) => Err(Error::Refused {
                what: format!("batch of {} for {}", part.len(), last.subject),
                reason: format!("it acknowledged {:?} messages", ack.batch_size),
            }),
            _ => Ok(Err(Failure::from_reply(&last.subject, &reply))),
        }
    }

    /// The server refuses a batch with a known id as a whole. One by one it stores what is new and recognises the
    /// rest, which yields the same stream.
    async fn publish_singly(&self, part: &[Outgoing]) -> Result<(u64, usize)> {
        let single: Vec<_> = part.iter().map(|message| self.bus.publish_one(message).boxed()).collect();
        let mut acks = futures::stream::iter(single).buffered(64);
        let (mut last, mut duplicates) = (0, 0);
        while let Some(ack) = acks.next().await {
            let ack = ack?;
            last = last.max(ack.sequence);
            duplicates += usize::from(ack.duplicate);
        }
        Ok((last, duplicates))
    }
}

/// Why a batch was not stored.
enum Failure {
    /// A message id is known already.
    HasDuplicates,
    /// The server is busy or did not stage the batch; nothing was stored.
    Busy(Error),
    /// Anything else.
    Outcome(Error),
}

impl Failure {
    fn from_reply(subject: &str, reply: &Message) -> Self {
        let error = match serde_json::from_slice::<Response<serde_json::Value>>(&reply.payload) {
            Ok(Response::Err { error }) => error,
            _ => return Self::Outcome(strange(subject, reply)),
        };
        match error.error_code() {
            ErrorCode::ATOMIC_PUBLISH_CONTAINS_DUPLICATE_MESSAGE => Self::HasDuplicates,
            ErrorCode::ATOMIC_PUBLISH_TOO_MANY_INFLIGHT | ErrorCode::ATOMIC_PUBLISH_INCOMPLETE_BATCH => {
                Self::Busy(refused(subject, &error))
            }
            ErrorCode::ATOMIC_PUBLISH_DISABLED => Self::Outcome(Error::Unsafe {
                name: format!("the stream of {subject}"),
                reason: "it does not take atomic batches (allow_atomic)".to_owned(),
            }),
            _ => Self::Outcome(refused(subject, &error)),
        }
    }

    fn into_error(self, subject: &str) -> Error {
        match self {
            Self::HasDuplicates => Error::Conflict { key: format!("a message id in the batch for {subject}") },
            Self::Busy(error) | Self::Outcome(error) => error,
        }
    }
}

fn ack(subject: &str, reply: &Message) -> Result<PublishAck> {
    match serde_json::from_slice::<Response<jetstream::publish::PublishAck>>(&reply.payload) {
        Ok(Response::Ok(ack)) => {
            Ok(PublishAck { stream: ack.stream, sequence: ack.sequence, duplicate: ack.duplicate })
        }
        Ok(Response::Err { error }) => Err(refused(subject, &error)),
        Err(_) => Err(strange(subject, reply)),
    }
}

fn strange(subject: &str, reply: &Message) -> Error {
    let text = String::from_utf8_lossy(&reply.payload).chars().take(200).collect();
    Error::Refused { what: format!("publishing to {subject}"), reason: text }
}

/// Messages of the next atomic part, at least one.
fn part_length(messages: &[Outgoing]) -> usize {
    let mut bytes = 0;
    let fitting = messages.iter().take(MAX_ATOMIC_MESSAGES).take_while(|message| {
        bytes += message.payload.len();
        bytes <= MAX_ATOMIC_BYTES
    });
    fitting.count().max(1)
}
