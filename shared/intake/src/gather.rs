//! Decides what the messages of one commit amount to. Pure: no bus, no table.

use crate::dedupe::Window;
use crate::writer::signed;
use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tidemill_bus::Message;
use tidemill_conform::reject::BATCH_FULL;
use tidemill_conform::{Conform, MessageIn, Reject};
use tidemill_contracts::headers;
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
    pub(crate) watermark: Option<Millis>,
    pub(crate) traceparents: Vec<String>,
}

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
    }

    /// Takes messages in sequence order; `poison` ones are refused without being looked at.
    pub(crate) fn take(
        &mut self,
        conform: &Conform,
        window: &mut Window,
        messages: &[Message],
        poison: impl Fn(i64) -> bool,
    ) {
        let mut fresh: Vec<&Message> = Vec::with_capacity(messages.len());
        let mut again: Vec<&Message> = Vec::new();
        for message in messages {
            self.last_seq = Some(signed(message.seq));
            self.note_headers(message);
            if message.headers.get(headers::CE_TYPE) == Some(headers::TYPE_WATERMARK) {
                self.counts.watermarks += 1;
                continue;
            }
            if poison(signed(message.seq)) {
                self.refuse(message, None, "TM0404", "this message ended the process twice while it was decoded", "");
                continue;
            }
            let id = identity(message);
            let mut is_new = window.note(&id);
            if !is_new && !fresh.is_empty() {
                // What came first under this id may be among those not decoded yet, and be refused.
                self.land(conform, window, &std::mem::take(&mut fresh));
                is_new = window.note(&id);
            }
            if is_new { fresh.push(message) } else { again.push(message) }
        }
        self.land(conform, window, &fresh);
        // Decoded only to be counted: the books are kept in rows.
        for (repeated, refused) in run(conform, &again) {
            self.counts.duplicates += (repeated.num_rows() + refused.len()) as u64;
        }
    }

    /// Decodes messages seen for the first time. The id of one that leaves no row is free again: its producer may
    /// mend the event and send it once more.
    fn land(&mut self, conform: &Conform, window: &mut Window, fresh: &[&Message]) {
        for (batch, rejects) in run(conform, fresh) {
            self.counts.rows += batch.num_rows() as u64;
            for (seq, reject) in rejects {
                // Messages are in sequence order, so the message of a refusal is found by bisection.
                let Ok(at) = fresh.binary_search_by_key(&seq, |m| signed(m.seq)) else { continue };
                self.refuse(fresh[at], reject.row, &reject.code.to_string(), &reject.reason, &reject.position);
                if reject.row.is_none() || !has_rows_of(&batch, seq) {
                    window.forget(&identity(fresh[at]));
                }
            }
            if batch.num_rows() > 0 {
                self.bytes += batch.get_array_memory_size();
                self.batches.push(batch);
            }
        }
    }

    fn note_headers(&mut self, message: &Message) {
        let watermark = message.headers.get(headers::WATERMARK).and_then(|w| w.parse::<i64>().ok()).map(Millis);
        self.watermark = self.watermark.max(watermark);
        if let Some(parent) = message.headers.get(headers::TRACEPARENT)
            && self.traceparents.len() < LINKS
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

/// What tells one event from another: CloudEvents say that source and id together are unique.
#[must_use]
pub fn identity(message: &Message) -> String {
    match (message.headers.get(headers::CE_SOURCE), message.headers.get(headers::CE_ID)) {
        (Some(source), Some(id)) => format!("{source}#{id}"),
        (None, Some(id)) => id.to_owned(),
        // Without an id nobody can say that two events are the same one.
        _ => format!("@{}", message.seq),
    }
}

/// Whether a message left a row; rows of a batch are in sequence order.
fn has_rows_of(batch: &RecordBatch, seq: i64) -> bool {
    let column = batch.column_by_name(columns::SEQ).and_then(|c| c.as_primitive_opt::<Int64Type>());
    column.is_some_and(|sequences| sequences.values().binary_search(&seq).is_ok())
}

type Landed = (RecordBatch, Vec<(i64, Reject)>);

/// Decodes messages, in as few batches as they fit into.
fn run(conform: &Conform, messages: &[&Message]) -> Vec<Landed> {
    if messages.is_empty() {
        return Vec::new();
    }
    let ids: Vec<String> = messages.iter().map(|m| identity(m)).collect();
    let inputs: Vec<MessageIn<'_>> = messages
        .iter()
        .zip(&ids)
        .map(|(m, id)| MessageIn {
            seq: signed(m.seq),
            content_type: m.headers.get(headers::CONTENT_TYPE).unwrap_or_default(),
            event_id: id,
            arrived_at: m.published_at,
            body: &m.payload,
        })
        .collect();
    let landed = conform.messages(&inputs);
    // A message is not to be refused because of the company it came in.
    if messages.len() > 1 && landed.1.iter().any(|(_, reject)| reject.code == BATCH_FULL) {
        let (left, right) = messages.split_at(messages.len() / 2);
        let mut halves = run(conform, left);
        halves.extend(run(conform, right));
        return halves;
    }
    vec![landed]
}
