//! From the bytes of a data event to rows of the declared schema.
//!
//! Ingestion and the online path run the same code here, so both accept exactly the same rows. Pure: no clock, no
//! files, no network; arrival times are arguments. Hostile input is expected: it is refused with a reason and a
//! position, and neither aborts the process nor costs more memory than the limits allow.

mod arrow_body;
mod cells;
pub mod cloud;
mod envelope;
mod error;
mod frame;
mod json;
pub mod reject;
mod row;
mod schema;
mod told;
mod value;

pub use arrow_body::{decode_stream, encode_stream};
pub use error::Error;
pub use reject::Reject;
pub use schema::{ColumnDef, ConformSchema, Extra, Limits, Values};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use cells::{Columns, Origin, Rows};
use schema::Checked;
use std::sync::Arc;
use tidemill_types::Millis;

/// A JSON object, or an array of objects.
pub const JSON: &str = "application/json";
/// One JSON object per line.
pub const NDJSON: &str = "application/x-ndjson";
/// An Arrow IPC stream, plain or inside one zstd frame.
pub const ARROW_STREAM: &str = "application/vnd.apache.arrow.stream";

/// One message as it came from the bus.
#[derive(Clone, Copy, Debug)]
pub struct MessageIn<'a> {
    /// Stream sequence.
    pub seq: i64,
    /// Content type with any parameters; empty means JSON, as CloudEvents says.
    pub content_type: &'a str,
    /// CloudEvents `id`.
    pub event_id: &'a str,
    /// Arrival at the bus.
    pub arrived_at: Millis,
    /// The data.
    pub body: &'a [u8],
}

impl MessageIn<'_> {
    /// Whether it says that its body is an Arrow stream.
    #[must_use]
    pub fn is_arrow(&self) -> bool {
        Format::of(self.content_type) == Some(Format::Arrow)
    }

    /// Rows that it holds at most, told without decoding it. Of an Arrow stream only the limit is known.
    #[must_use]
    pub fn rows_at_most(&self, limits: &Limits) -> usize {
        match Format::of(self.content_type) {
            Some(Format::Document | Format::Lines) => json::rows_at_most(self.body).min(limits.rows),
            Some(Format::Arrow) => limits.rows,
            None => 0,
        }
    }
}

/// What one message amounts to.
#[derive(Clone, Debug)]
pub struct Conformed {
    /// The accepted rows in message order, in the output schema; `None` when there are none.
    pub batch: Option<RecordBatch>,
    /// What was refused; never empty when `batch` is `None`.
    pub rejects: Vec<Reject>,
}

/// A conformer for one source.
#[derive(Clone, Debug)]
pub struct Conform {
    schema: Checked,
    extra: Extra,
    limits: Limits,
}

impl Conform {
    /// A conformer that refuses undeclared keys and holds the default limits.
    ///
    /// # Errors
    /// When the schema has doubled or reserved names, an unusable type, or no such event or knowledge time.
    pub fn new(schema: &ConformSchema) -> Result<Self, Error> {
        Ok(Self { schema: Checked::new(schema)?, extra: Extra::default(), limits: Limits::default() })
    }

    /// Sets what happens to keys and columns that are not declared.
    #[must_use]
    pub fn with_extra(self, extra: Extra) -> Self {
        Self { extra, ..self }
    }

    /// Sets the limits on one message.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Schema of all batches: the declared columns, then `tm_seq`, `tm_row`, `tm_event_id` and `tm_known_at`.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema.output)
    }

    /// Conforms one message.
    #[must_use]
    pub fn message(&self, message: &MessageIn<'_>) -> Conformed {
        let (batches, rejects) = self.messages(std::slice::from_ref(message));
        let rejects = rejects.into_iter().map(|(_, reject)| reject).collect();
        match arrow::compute::concat_batches(&self.schema.output, &batches) {
            Ok(batch) => Conformed { batch: (batch.num_rows() > 0).then_some(batch), rejects },
            Err(e) => Conformed { batch: None, rejects: vec![defect(&e.to_string())] },
        }
    }

    /// Conforms many messages into as few batches as are worth the copying, rows in the order given and no batch empty;
    /// each refusal comes with its sequence.
    ///
    /// Every message yields at least one row or one refusal, and what it yields does not depend on the others. Give
    /// at most some hundred megabytes of text at once: beyond 1 GiB messages are refused with `TM0320`.
    #[must_use]
    pub fn messages(&self, messages: &[MessageIn<'_>]) -> (Vec<RecordBatch>, Vec<(i64, Reject)>) {
        let texts = messages.iter().filter(|message| !message.is_arrow());
        let rows: usize = texts.map(|message| message.rows_at_most(&self.limits)).sum();
        let mut run = Run {
            conform: self,
            columns: Columns::new(&self.schema, rows.min(MOST_RESERVED)),
            rows: Rows::default(),
            done: Vec::new(),
            arrow_bytes: 0,
        };
        let mut rejects = Vec::new();
        for message in messages {
            match run.take(message) {
                Ok(of_rows) => rejects.extend(of_rows.into_iter().map(|reject| (message.seq, reject))),
                Err(whole) => rejects.push((message.seq, whole)),
            }
        }
        match run.finish() {
            Ok(batches) => (batches, rejects),
            Err(reject) => (Vec::new(), messages.iter().map(|m| (m.seq, reject.clone())).collect()),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Document,
    Lines,
    Arrow,
}

impl Format {
    fn of(content_type: &str) -> Option<Self> {
        // As nearly all producers write them: nothing is copied.
        match content_type {
            "" | JSON => return Some(Self::Document),
            NDJSON => return Some(Self::Lines),
            ARROW_STREAM => return Some(Self::Arrow),
            _ => {}
        }
        let mut parts = content_type.split(';').map(|part| part.trim().to_ascii_lowercase());
        let media = parts.next().unwrap_or_default();
        let format = match media.as_str() {
            "" | JSON => Self::Document,
            NDJSON => Self::Lines,
            ARROW_STREAM => Self::Arrow,
            _ => return None,
        };
        let known = |parameter: String| match parameter.split_once('=') {
            Some(("charset", charset)) => format != Self::Arrow && charset.trim_matches('"') == "utf-8",
            Some(("encoding", encoding)) => format == Self::Arrow && encoding.trim_matches('"') == "zstd",
            _ => parameter.is_empty(),
        };
        parts.all(known).then_some(format)
    }
}

/// State of one call of [`Conform::messages`].
struct Run<'c> {
    conform: &'c Conform,
    columns: Columns<'c>,
    /// Scratch for one message.
    rows: Rows,
    done: Vec<RecordBatch>,
    arrow_bytes: usize,
}

/// Decoded Arrow data that one call may hold; joined text columns end at 2^31 bytes.
const MAX_ARROW_BYTES: usize = 1 << 30;
/// Rows of texts that room is made for ahead.
const MOST_RESERVED: usize = 16 * 1024;
/// Batches of at least so many rows cost less as they are than joined to others.
const WORTH_A_BATCH: usize = 1_024;

impl Run<'_> {
    fn take(&mut self, message: &MessageIn<'_>) -> Result<Vec<Reject>, Reject> {
        let Conform { schema, extra, limits } = self.conform;
        let size = message.body.len();
        if size > limits.body_bytes {
            let what = format!("the body has {size} bytes, the limit is {}", limits.body_bytes);
            return Err(Reject::whole(reject::BODY_TOO_LARGE, what, ""));
        }
        let Some(format) = Format::of(message.content_type) else {
            let what = format!("the content type \"{}\" is not supported", reject::shortened(message.content_type));
            return Err(Reject::whole(reject::UNSUPPORTED_CONTENT_TYPE, what, "content-type"));
        };
        let origin = Origin { seq: message.seq, event_id: message.event_id, arrived_at: message.arrived_at.0 };
        self.rows.clear();
        let rejects = match format {
            Format::Document => json::read_document(schema, *extra, limits.rows, message.body, &mut self.rows)?,
            Format::Lines => json::read_lines(schema, *extra, limits.rows, message.body, &mut self.rows)?,
            Format::Arrow => return self.take_arrow(message.body, origin),
        };
        if self.columns.append(&self.rows, origin) { Ok(rejects) } else { Err(batch_full()) }
    }

    fn take_arrow(&mut self, body: &[u8], origin: Origin<'_>) -> Result<Vec<Reject>, Reject> {
        let Conform { schema, extra, limits } = self.conform;
        let outcome = arrow_body::read_body(schema, *extra, limits, body, origin)?;
        let bytes: usize = outcome.batches.iter().map(RecordBatch::get_array_memory_size).sum();
        if self.arrow_bytes + bytes > MAX_ARROW_BYTES {
            return Err(batch_full());
        }
        self.arrow_bytes += bytes;
        self.flush()?;
        self.done.extend(outcome.batches);
        Ok(outcome.rejects)
    }

    /// Closes the rows read from JSON, so that what follows stands behind them.
    fn flush(&mut self) -> Result<(), Reject> {
        if !self.columns.is_empty() {
            self.done.push(self.columns.finish().map_err(|e| defect(&e.to_string()))?);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<RecordBatch>, Reject> {
        self.flush()?;
        let is_small = |batch: &RecordBatch| batch.num_rows() < WORTH_A_BATCH;
        let runs = self.done.chunk_by(|a, b| is_small(a) && is_small(b));
        let joined = runs.map(|run| match run {
            [one] => Ok(one.clone()),
            many => arrow::compute::concat_batches(&self.conform.schema.output, many),
        });
        joined.collect::<Result<_, _>>().map_err(|e| defect(&e.to_string()))
    }
}

fn batch_full() -> Reject {
    Reject::whole(reject::BATCH_FULL, "more text in one call than one batch can hold", "")
}

fn defect(what: &str) -> Reject {
    Reject::whole(reject::DEFECT, reject::shortened(what), "")
}
