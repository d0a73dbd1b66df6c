//! Decides what the messages of one commit amount to. Pure: no bus, no table.

use crate::dedupe::Window;
use crate::event::Event;
use crate::writer::signed;
use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::num::NonZero;
use std::panic::resume_unwind;
use std::thread;
use tidemill_bus::Message;
use tidemill_conform::reject::BATCH_FULL;
use tidemill_conform::{Conform, MessageIn, Reject};
use tidemill_dataset::VersionAdds;
use tidemill_types::{Millis, columns};

/// Key of the [`Counts`] in a commit's metadata, as JSON.
pub const COUNTS_KEY: &str = "tidemill.counts";

/// Where every sequence of a commit went, in rows except for the last two.
///
/// They stand in the metadata of the commit, so the books of a table survive whatever process kept them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Accepted rows.
    pub rows: u64,
    /// Refused rows and messages.
    pub dead: u64,
    /// Rows of messages that came again.
    pub duplicates: u64,
    /// Sequences that the stream no longer has.
    pub tombstones: u64,
    /// Messages that carry only a watermark.
    pub watermarks: u64,
}

impl Counts {
    /// What a version of a table was committed with; nothing for versions that no intake wrote.
    #[must_use]
    pub fn of(version: &VersionAdds) -> Self {
        version.metadata.get(COUNTS_KEY).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.dead += other.dead;
        self.duplicates += other.duplicates;
        self.tombstones += other.tombstones;
        self.watermarks += other.watermarks;
    }
}

/// A message or row that was refused.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) seq: i64,
    pub(crate) row: Option<u32>,
    pub(crate) code: String,
    pub(crate) reason: String,
    pub(crate) position: String,
    pub(crate) body: Bytes,
    pub(crate) headers: Vec<(String, String)>,
}

/// What one commit will hold.
#[derive(Debug, Default)]
pub struct Gathered {
    pub(crate) batches: Vec<RecordBatch>,
    pub(crate) refusals: Vec<Refusal>,
    pub(crate) counts: Counts,
    pub(crate) bytes: usize,
    pub(crate) last_seq: Option<i64>,
    /// When the bus stored the message of `last_seq`; `None` when that is a tombstone.
    pub(crate) last_stored: Option<Millis>,
    pub(crate) watermark: Option<Millis>,
    pub(crate) traceparents: Vec<String>,
}

/// Fewer bytes are decoded sooner than a thread is started.
const WORTH_A_THREAD: usize = 400 << 10;
/// Trace contexts kept as links of one commit.
const LINKS: usize = 16;

impl Gathered {
    /// Whether there is something to commit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.last_seq.is_none()
    }

    /// Notes a sequence that the stream no longer has.
    pub(crate) fn tombstone(&mut self, seq: i64) {
        self.counts.tombstones += 1;
        self.last_seq = Some(seq);
        self.last_stored = None;
    }

    /// Takes messages in sequence order; `poison` ones are refused without being looked at.
    pub(crate) fn take(
        &mut self,
        conform: &Conform,
        window: &mut Window,
        messages: &[Message],
        poison: impl Fn(i64) -> bool,
    ) {
        let mut events = Vec::with_capacity(messages.len());
        for message in messages {
            self.last_seq = Some(signed(message.seq));
            self.last_stored = Some(message.published_at);
            // Before its envelope is read.
            if poison(signed(message.seq)) {
                self.refuse(message, None, "TM0404", "this message ended the process twice while it was decoded", "");
                continue;
            }
            let event = Event::of(message);
            self.note_headers(&event);
            if !event.has_rows {
                self.counts.watermarks += 1;
            } else {
                events.push(event);
            }
        }
        let decoded = decode(conform, window, events);
        for (message, reject) in decoded.refused {
            self.refuse(message, reject.row, &reject.code.to_string(), &reject.reason, &reject.position);
        }
        for batch in decoded.batches {
            self.counts.rows += batch.num_rows() as u64;
            self.bytes += held_bytes(&batch);
            self.batches.push(batch);
        }
        // Decoded only to be counted: the books are kept in rows.
        for (repeated, refused) in run(conform, &decoded.repeated) {
            self.counts.duplicates += (rows(&repeated) + refused.len()) as u64;
        }
    }

    fn note_headers(&mut self, event: &Event<'_>) {
        self.watermark = self.watermark.max(event.watermark);
        if let Some(parent) = event.traceparent.as_deref()
            && self.traceparents.len() < LINKS
            && !self.traceparents.iter().any(|known| known == parent)
        {
            self.traceparents.push(parent.to_owned());
        }
    }

    fn refuse(&mut self, message: &Message, row: Option<u32>, code: &str, reason: &str, position: &str) {
        self.counts.dead += 1;
        self.refusals.push(Refusal {
            seq: signed(message.seq),
            row,
            code: code.to_owned(),
            reason: reason.to_owned(),
            position: position.to_owned(),
            body: message.payload.clone(),
            headers: message.headers.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        });
    }
}

/// What a run of events amounts to.
#[derive(Debug, Default)]
pub struct Decoded<'a> {
    /// Accepted rows, in sequence order; no batch is empty.
    pub batches: Vec<RecordBatch>,
    /// What was refused, and why.
    pub refused: Vec<(&'a Message, Reject)>,
    /// Events that came again and were not decoded.
    pub repeated: Vec<Event<'a>>,
}

/// Tells repeated events from new ones and decodes the new ones; everybody who reads a source does it here, so that
/// all hold the same rows. The id of an event that leaves no row is free again: its producer may mend the event and
/// send it once more.
pub fn decode<'a>(conform: &Conform, window: &mut Window, events: Vec<Event<'a>>) -> Decoded<'a> {
    let mut decoded = Decoded::default();
    let mut fresh: Vec<Event<'a>> = Vec::with_capacity(events.len());
    for event in events {
        if let Some(fault) = event.fault {
            decoded.refused.push((event.message, *fault));
            continue;
        }
        let mut is_new = window.note(&event.identity);
        if !is_new && !fresh.is_empty() {
            // What came first under this id may be among those not decoded yet, and be refused.
            decoded.land(conform, window, &std::mem::take(&mut fresh));
            is_new = window.note(&event.identity);
        }
        if is_new { fresh.push(event) } else { decoded.repeated.push(event) }
    }
    decoded.land(conform, window, &fresh);
    // Refusals are told in the order of the stream, whatever they are about.
    decoded.refused.sort_by_key(|(message, _)| message.seq);
    decoded
}

impl<'a> Decoded<'a> {
    fn land(&mut self, conform: &Conform, window: &mut Window, fresh: &[Event<'a>]) {
        for (batches, rejects) in run(conform, fresh) {
            for (seq, reject) in rejects {
                // Events are in sequence order, so the event of a refusal is found by bisection.
                let Ok(at) = fresh.binary_search_by_key(&seq, Event::seq) else { continue };
                if reject.row.is_none() || !batches.iter().any(|batch| has_rows_of(batch, seq)) {
                    window.forget(&fresh[at].identity);
                }
                self.refused.push((fresh[at].message, reject));
            }
            self.batches.extend(batches);
        }
    }
}

fn rows(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}

/// Bytes of a batch's values. Its columns may be parts of one buffer, which would count whole for each.
fn held_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or(0)).sum()
}

/// Whether a message left a row; rows of a batch are in sequence order.
fn has_rows_of(batch: &RecordBatch, seq: i64) -> bool {
    let column = batch.column_by_name(columns::SEQ).and_then(|c| c.as_primitive_opt::<Int64Type>());
    column.is_some_and(|sequences| sequences.values().binary_search(&seq).is_ok())
}

type Landed = (Vec<RecordBatch>, Vec<(i64, Reject)>);

/// Decodes messages, on several cores where they are many, in as few batches as they fit into. What a message yields
/// does not depend on the others, so they may be split anywhere.
fn run(conform: &Conform, events: &[Event<'_>]) -> Vec<Landed> {
    let bytes: usize = events.iter().map(|event| event.message.payload.len()).sum();
    let parts = thread::available_parallelism().map_or(1, NonZero::get).min(bytes / WORTH_A_THREAD);
    if parts < 2 || events.len() < parts {
        return run_here(conform, events);
    }
    thread::scope(|scope| {
        let mut shares = events.chunks(events.len().div_ceil(parts));
        let first = shares.next().unwrap_or_default();
        let others: Vec<_> = shares.map(|share| scope.spawn(move || run_here(conform, share))).collect();
        let mut landed = run_here(conform, first);
        for other in others {
            landed.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        landed
    })
}

fn run_here(conform: &Conform, events: &[Event<'_>]) -> Vec<Landed> {
    if events.is_empty() {
        return Vec::new();
    }
    let inputs: Vec<MessageIn<'_>> = events.iter().map(Event::input).collect();
    let landed = conform.messages(&inputs);
    // A message is not to be refused because of the company it came in.
    if events.len() > 1 && landed.1.iter().any(|(_, reject)| reject.code == BATCH_FULL) {
        let (left, right) = events.split_at(events.len() / 2);
        let mut halves = run_here(conform, left);
        halves.extend(run_here(conform, right));
        return halves;
    }
    vec![landed]
}
