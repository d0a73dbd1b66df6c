//! Decides what the messages of one commit amount to. Pure: no bus, no table.

use crate::binary;
use crate::cut::{is_one_object, rows_alone};
use crate::dedupe::Window;
use crate::event::Event;
use crate::weight::{SLICE, Scales};
use crate::writer::signed;
use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;
use tidemill_bus::{Headers, Message};
use tidemill_conform::reject::BATCH_FULL;
use tidemill_conform::{Conform, MessageIn, Reject};
use tidemill_contracts::headers::CONTENT_TYPE;
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
    /// The refused row alone, or the message where it is its own row or nobody can tell rows.
    pub(crate) body: Bytes,
    /// Whether the body was cut out of a message that may have other rows.
    pub(crate) is_cut: bool,
    /// Headers of the message, shared by the refusals of its rows.
    pub(crate) headers: Arc<Headers>,
}

impl Refusal {
    /// Bytes of its letter, roughly.
    fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        size_of::<Self>() + self.body.len() + self.reason.len() + self.position.len() + headers
    }
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

    /// Notes a message that is refused without being looked at.
    pub(crate) fn poison(&mut self, message: &Message) {
        self.reach(message);
        let reason = "this message ended the process three times while it was decoded".to_owned();
        self.refuse(Refusal {
            seq: signed(message.seq),
            row: None,
            code: "TM0404".to_owned(),
            reason,
            position: String::new(),
            body: message.payload.clone(),
            is_cut: false,
            headers: Arc::new(message.headers.clone()),
        });
    }

    /// Takes messages in sequence order: as many as may be decoded together, at least one. Returns their number.
    pub(crate) fn take<'m>(
        &mut self,
        conform: &Conform,
        window: &mut Window,
        messages: impl IntoIterator<Item = &'m Message>,
    ) -> usize {
        let scales = Scales::new(&conform.schema());
        let (mut events, mut taken, mut weight) = (Vec::new(), 0, 0);
        for message in messages {
            let event = Event::of(message);
            weight += scales.weigh(&event);
            if weight > SLICE && taken > 0 {
                break;
            }
            taken += 1;
            self.reach(message);
            self.note_headers(&event);
            if event.has_rows {
                events.push(event);
            } else {
                self.counts.watermarks += 1;
            }
        }
        self.land(conform, window, events);
        taken
    }

    fn land(&mut self, conform: &Conform, window: &mut Window, events: Vec<Event<'_>>) {
        let decoded = decode(conform, window, events);
        for of_one in decoded.refused.chunk_by(|(one, _), (other, _)| one.seq == other.seq) {
            self.refuse_each(of_one);
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

    fn reach(&mut self, message: &Message) {
        self.last_seq = Some(signed(message.seq));
        self.last_stored = Some(message.published_at);
    }

    /// Refuses rows of one message, or the message: what its other rows hold is no part of their letters.
    fn refuse_each(&mut self, of_one: &[(&Message, Reject)]) {
        let Some((message, _)) = of_one.first() else { return };
        let rows: Option<Vec<usize>> =
            of_one.iter().map(|(_, reject)| reject.row.and_then(|row| usize::try_from(row).ok())).collect();
        let flat = binary((*message).clone());
        let cut = rows.filter(|_| !is_one_object(&flat)).and_then(|rows| rows_alone(&flat, &rows).ok());
        let (headers, mut bodies) = match cut {
            Some((media, bodies)) => {
                let mut headers = flat.headers;
                // A media type is a sound value.
                let _ = headers.set(CONTENT_TYPE, media);
                (headers, Some(bodies.into_iter()))
            }
            None => (message.headers.clone(), None),
        };
        let (headers, is_cut) = (Arc::new(headers), bodies.is_some());
        for (at, (_, reject)) in of_one.iter().enumerate() {
            let body = match &mut bodies {
                Some(bodies) => bodies.next().unwrap_or_default(),
                None if at == 0 => message.payload.clone(),
                // It stands in the letter before.
                None => Bytes::new(),
            };
            self.refuse(Refusal {
                seq: signed(message.seq),
                row: reject.row,
                code: reject.code.to_string(),
                reason: reject.reason.clone(),
                position: reject.position.clone(),
                body,
                is_cut,
                headers: Arc::clone(&headers),
            });
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.counts.dead += 1;
        self.bytes += refusal.bytes();
        self.refusals.push(refusal);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::message;
    use arrow::array::{ArrayRef, StringArray, TimestampMillisecondArray};
    use arrow::datatypes::DataType;
    use tidemill_conform::{ColumnDef, ConformSchema, Values};
    use tidemill_contracts::headers;

    fn conform() -> Conform {
        let values = Values::default();
        let column = |name: &str, data_type| ColumnDef { name: name.to_owned(), data_type, nullable: false, values };
        let columns = vec![column("at", Millis::arrow_type()), column("text", DataType::Utf8)];
        Conform::new(&ConformSchema { columns, event_time: "at".to_owned(), known_at: None }).unwrap()
    }

    fn numbered(mut message: Message, seq: u64) -> Message {
        message.seq = seq;
        message
    }

    #[test]
    fn bombs_are_decoded_a_few_at_a_time_and_small_messages_together() {
        let (conform, mut window) = (conform(), Window::new(100));
        let at: ArrayRef = Arc::new(TimestampMillisecondArray::from_iter_values(0..1_000).with_timezone("UTC"));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(std::iter::repeat_n("x".repeat(30_000), 1_000)));
        let rows = RecordBatch::try_from_iter([("at", at), ("text", texts)]).unwrap();
        let mut bomb = message(&[("content-type", headers::ARROW_STREAM)], "");
        bomb.payload = tidemill_conform::encode_stream(&[rows]).unwrap().into();
        assert!(bomb.payload.len() < 100_000);
        let bombs: Vec<Message> = (1..=8).map(|seq| numbered(bomb.clone(), seq)).collect();
        let mut rest = bombs.as_slice();
        while !rest.is_empty() {
            let mut gathered = Gathered::default();
            let taken = gathered.take(&conform, &mut window, rest);
            assert!(taken >= 1 && gathered.bytes <= SLICE, "{taken} came to {} bytes", gathered.bytes);
            rest = &rest[taken..];
            assert_eq!(gathered.last_seq, Some(8 - i64::try_from(rest.len()).unwrap()));
        }
        let small = message(&[("content-type", headers::JSON)], r#"{"at":1,"text":"small"}"#);
        let all: Vec<Message> = (9..4_105).map(|seq| numbered(small.clone(), seq)).collect();
        let mut gathered = Gathered::default();
        assert_eq!(gathered.take(&conform, &mut window, &all), 4_096, "{:?}", gathered.counts);
        assert_eq!(gathered.batches.len(), 1);
    }

    #[test]
    fn a_refused_row_is_kept_alone_and_counts_towards_the_commit() {
        let long = "y".repeat(100_000);
        let body = format!(r#"[{{"at":1,"text":"{long}"}},{{"at":1}},7,{{"at":1,"text":"{long}"}}]"#);
        let message = message(&[("Content-Type", "Application/JSON"), ("x-of", "it")], &body);
        let mut gathered = Gathered::default();
        assert_eq!(gathered.take(&conform(), &mut Window::new(100), [&message]), 1);
        let [one, two] = gathered.refusals.as_slice() else { panic!("{:?}", gathered.refusals) };
        assert_eq!((&one.body[..], &two.body[..], two.row), (&br#"{"at":1}"#[..], &b"7"[..], Some(2)));
        assert!(one.is_cut && two.is_cut);
        assert_eq!((one.headers.get("content-type"), one.headers.get("x-of")), (Some(headers::JSON), Some("it")));
        let rows: usize = gathered.batches.iter().map(held_bytes).sum();
        assert_eq!(gathered.bytes, rows + one.bytes() + two.bytes());
    }

    #[test]
    fn a_message_that_is_its_own_row_or_none_is_kept_as_it_came() {
        for (media, body) in [(headers::JSON, r#" {"at":1}"#), (headers::JSON, "{"), ("text/csv", "1,2")] {
            let message = message(&[("content-type", media)], body);
            let mut gathered = Gathered::default();
            gathered.take(&conform(), &mut Window::new(100), [&message]);
            let [one] = gathered.refusals.as_slice() else { panic!("{:?}", gathered.refusals) };
            assert_eq!((&one.body, one.is_cut, &*one.headers), (&message.payload, false, &message.headers));
        }
    }
}
