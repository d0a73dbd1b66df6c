//! The books of one puller: what of its origin is on the stream already, told by the stream itself.

use crate::error::{Error, Result};
use crate::message::Stamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;
use tidemill_bus::{BatchPublisher, Bus, Entry, Error as BusError, Kv, KvSpec, Message, OrderedReader, Outgoing};
use tidemill_contracts::subjects;
use tidemill_types::{Digest, ProjectName, SourceName};

/// The server refuses a publish unless the stream ends with this sequence.
const EXPECTED: &str = "Nats-Expected-Last-Sequence";
/// Attempts against other producers of the same stream, before the bus is let rest.
const ATTEMPTS: usize = 50;
/// Longest silence of the bus while the tail of a stream is read.
const PATIENCE: Duration = Duration::from_secs(10);

/// How far the noted state takes account of the stream.
#[derive(Debug, Serialize, Deserialize)]
struct Note<S> {
    incarnation: String,
    seq: u64,
    state: S,
}

/// Publishes at the end that it knows, and notes how far it got.
#[derive(Debug)]
pub(crate) struct Ledger {
    bus: Bus,
    publisher: BatchPublisher,
    notes: Kv,
    stream: String,
    incarnation: String,
    kind: &'static str,
    key: String,
    /// Everything up to this sequence has been looked at.
    known: u64,
}

impl Ledger {
    /// Opens the books: the noted state, if there is one, and the ledger placed where the note ends.
    /// [`Ledger::catch_up`] must follow.
    pub(crate) async fn open(
        bus: &Bus,
        project: &ProjectName,
        source: &SourceName,
        kind: &'static str,
    ) -> Result<(Self, Option<Value>)> {
        let stream = subjects::events_stream(project, source);
        let notes = Kv::open(bus, &KvSpec::new(subjects::HEADS_BUCKET)).await?;
        let incarnation = bus.incarnation(&stream).await?;
        let key = format!("pull.{kind}.{project}.{source}");
        let mut ledger = Self {
            bus: bus.clone(),
            publisher: BatchPublisher::new(bus),
            notes,
            stream,
            incarnation,
            kind,
            key,
            known: 0,
        };
        let Some(note) = ledger.read::<Note<Value>>(&ledger.key).await? else { return Ok((ledger, None)) };
        // In a stream that was made anew, nothing is accounted for; what was done with the origin still counts.
        if note.incarnation == ledger.incarnation {
            ledger.known = note.seq;
        }
        Ok((ledger, Some(note.state)))
    }

    async fn read<T: for<'de> Deserialize<'de>>(&self, key: &str) -> Result<Option<T>> {
        let Some(entry) = self.notes.get(key).await? else { return Ok(None) };
        let text = entry.value.unwrap_or_default();
        let damaged = |e: serde_json::Error| Error::Position { key: key.to_owned(), reason: e.to_string() };
        serde_json::from_slice(&text).map(Some).map_err(damaged)
    }

    /// Reads what stands behind the known end and hands over the messages that a puller of this kind stored; true
    /// when there was one.
    pub(crate) async fn catch_up(&mut self, mut own: impl FnMut(&Message, Stamp)) -> Result<bool> {
        let state = self.bus.stream_state(&self.stream).await?;
        // Expired messages were read long ago, or were there before anybody pulled.
        self.known = self.known.max(state.first_seq.saturating_sub(1)).min(state.last_seq);
        if self.known == state.last_seq {
            return Ok(false);
        }
        let mut found = false;
        let mut reader = OrderedReader::open(&self.bus, &self.stream, self.known + 1).await?;
        while self.known < state.last_seq {
            let entries = reader.next_ready(1_000, 16 << 20, PATIENCE).await?;
            if entries.is_empty() {
                return Err(BusError::TimedOut(format!("messages of {}", self.stream)).into());
            }
            for entry in entries {
                self.known = entry.seq();
                let Entry::Message(message) = entry else { continue };
                if let Some(stamp) = Stamp::of(&message, self.kind) {
                    found = true;
                    own(&message, stamp);
                }
            }
        }
        Ok(found)
    }

    /// Stores messages as one atomic batch behind the known end.
    ///
    /// Producers who publish on the same stream are let pass. When another puller did, its messages are not looked at
    /// here: the caller begins again and learns of them by [`Ledger::catch_up`].
    ///
    /// # Errors
    /// [`Error::Moved`] when another puller, or this publish whose answer was lost, has stored messages.
    pub(crate) async fn publish(&mut self, messages: &[Outgoing]) -> Result<()> {
        let mut batch = messages.to_vec();
        for _ in 0..ATTEMPTS {
            let Some(first) = batch.first_mut() else { return Ok(()) };
            first.headers.set(EXPECTED, &self.known.to_string())?;
            match self.publisher.publish(&batch).await {
                Ok(ack) => {
                    self.known = ack.last_sequence().unwrap_or(self.known);
                    return Ok(());
                }
                // The stream has moved on, or nobody knows whether it has.
                Err(BusError::Conflict { .. } | BusError::Unknown { .. } | BusError::TimedOut(_)) => {}
                Err(error) => return Err(error.into()),
            }
            if self.catch_up(|_, _| {}).await? {
                return Err(Error::Moved { stream: self.stream.clone() });
            }
        }
        Err(BusError::TimedOut(format!("a quiet moment of {}", self.stream)).into())
    }

    /// Notes the state that takes account of everything published so far.
    pub(crate) async fn note(&self, state: &(impl Serialize + Sync)) -> Result<()> {
        let note = Note { incarnation: self.incarnation.clone(), seq: self.known, state };
        self.write(&self.key, &note).await
    }

    /// What is noted about one object.
    pub(crate) async fn object<T: for<'de> Deserialize<'de>>(&self, object: &str) -> Result<Option<T>> {
        self.read(&self.object_key(object)).await
    }

    /// Notes something about one object.
    pub(crate) async fn note_object(&self, object: &str, state: &(impl Serialize + Sync)) -> Result<()> {
        self.write(&self.object_key(object), state).await
    }

    fn object_key(&self, object: &str) -> String {
        // Keys of the bucket may not hold the characters of paths.
        let digest = Digest::of(object.as_bytes());
        format!("{}.{}", self.key, digest.as_str().get(..32).unwrap_or_default())
    }

    async fn write(&self, key: &str, value: &(impl Serialize + Sync)) -> Result<()> {
        let damaged = |e: serde_json::Error| Error::Position { key: key.to_owned(), reason: e.to_string() };
        let text = serde_json::to_vec(value).map_err(damaged)?;
        self.notes.put(key, text).await?;
        Ok(())
    }
}
