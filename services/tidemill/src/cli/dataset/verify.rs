//! `dataset verify`: from the events on the bus, the hash that a raw table must have.
//!
//! The events are decoded by the code with which ingestion decodes them, and nothing is written. So the answer says
//! whether a table that were built anew from the events would hold the same rows, bit for bit.

use super::{pinned, source_of};
use crate::cli::output::{Output, next, say};
use crate::cli::progress;
use crate::cli::target::Target;
use crate::error::{Error, Result};
use arrow::array::{AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int64Type;
use clap::Args;
use serde_json::json;
use std::time::Duration;
use tidemill_bus::{Entry, OrderedReader};
use tidemill_conform::Conform;
use tidemill_contracts::subjects;
use tidemill_dataset::{ContentHash, ContentHasher, Snapshot, Table};
use tidemill_intake::{Event, Window, decode, known_ids};
use tidemill_storage::Storage;
use tidemill_types::{SourceName, columns};

/// Messages and bytes read at once.
const MESSAGES: usize = 4_000;
const BYTES: usize = 32 << 20;
/// Patience with the bus.
const WITHIN: Duration = Duration::from_secs(10);

/// Which table.
#[derive(Debug, Args)]
pub(in crate::cli) struct VerifyArgs {
    /// A raw table, such as raw/flights/weather.
    #[arg(value_name = "TABLE")]
    path: String,
}

/// Compares a raw table with the events it was made of.
pub(super) async fn run(target: &Target, storage: &Storage, out: Output, args: &VerifyArgs) -> Result<u8> {
    let only_raw = || Error::Usage(format!("{}: only raw tables are made of events alone", args.path));
    let (_, source) = source_of(&args.path).filter(|_| args.path.starts_with("raw/")).ok_or_else(only_raw)?;
    let source: SourceName = source.parse().map_err(|e: tidemill_types::id::BadName| Error::Usage(e.to_string()))?;
    let pinned::Pinned { table, snapshot } = pinned::open(target, storage, &args.path).await?;
    let bus = target.bus().await?;
    let spec = target.spec(&bus).await?;
    let missing = || Error::NotFound { what: "source", name: source.to_string(), list: "tidemill project show" };
    let declared = spec.sources.get(&source).ok_or_else(missing)?;
    let stream = subjects::events_stream(&spec.project, &source);
    let state = bus.stream_state(&stream).await?;
    let incarnation = state.incarnation(&stream);
    let nothing = || Error::Usage(format!("{} holds nothing of the stream {incarnation}", args.path));
    let done = snapshot.done(&incarnation).await?.and_then(|done| u64::try_from(done).ok()).ok_or_else(nothing)?;
    // The stream must reach to where the table does, or the rest would be waited for in vain.
    OrderedReader::open(&bus, &stream, done + 1).await?;
    let first = state.first_seq.max(1);
    let from = i64::try_from(first).unwrap_or(i64::MAX);
    if first > 1 {
        say(&format!("events before number {first} have expired on the bus; rows from there on are compared"));
    }
    let conform = Conform::new(&declared.conform_schema())?;
    let window = usize::try_from(target.config.ingestion.dedupe_messages).unwrap_or(usize::MAX);
    // What was sent again after it had expired is known from the rows that it left.
    let window = known_ids(&table, &snapshot, window, from).await?;
    let mut events = Events { conform, window, hasher: ContentHasher::new(&snapshot.schema()) };
    let bar = progress::bar(done.saturating_sub(first) + 1, "events");
    let mut reader = OrderedReader::open(&bus, &stream, first).await?;
    let mut at = first;
    while at <= done {
        let entries = reader.next_ready(MESSAGES, BYTES, WITHIN).await?;
        let until = entries.last().map_or(at, |entry| entry.seq() + 1);
        events.take(entries.into_iter().filter(|entry| entry.seq() <= done).collect())?;
        at = until;
        bar.set_position(at - first);
    }
    bar.finish_and_clear();
    let from_events = events.hasher.finish();
    let in_table = of_table(&table, &snapshot, from).await?;
    let same = from_events == in_table;
    out.record(&json!({
        "table": table.path(),
        "version": snapshot.version(),
        "first_event": first,
        "last_event": done,
        "rows_in_table": in_table.rows,
        "rows_from_events": from_events.rows,
        "hash_of_table": in_table.hash,
        "hash_from_events": from_events.hash,
        "same": same,
    }))?;
    if same {
        next("tidemill dataset tag NAME TABLE keeps this version readable");
        return Ok(0);
    }
    say("the table does not hold what its events say; a copy, retention or a program outside changed it");
    Ok(3)
}

/// Events on their way into a hash.
struct Events {
    conform: Conform,
    window: Window,
    hasher: ContentHasher,
}

impl Events {
    fn take(&mut self, entries: Vec<Entry>) -> Result<()> {
        let messages: Vec<_> = entries.iter().filter_map(Entry::message).collect();
        let events = messages.iter().map(|message| Event::of(message)).filter(|event| event.has_rows).collect();
        for batch in decode(&self.conform, &mut self.window, events).batches {
            self.hasher.update(&batch)?;
        }
        Ok(())
    }
}

/// The hash of the rows that came from an event on.
async fn of_table(table: &Table, snapshot: &Snapshot, first: i64) -> Result<ContentHash> {
    let mut hasher = ContentHasher::new(&snapshot.schema());
    let mut scan = table.scan(snapshot, None, None);
    while let Some(batch) = scan.next().await? {
        hasher.update(&since(&batch, first)?)?;
    }
    Ok(hasher.finish())
}

fn since(batch: &RecordBatch, first: i64) -> Result<RecordBatch> {
    let sequences = batch.column_by_name(columns::SEQ).and_then(|column| column.as_primitive_opt::<Int64Type>());
    let Some(sequences) = sequences.filter(|_| first > 1) else { return Ok(batch.clone()) };
    let mask: BooleanArray = sequences.iter().map(|seq| Some(seq.is_some_and(|seq| seq >= first))).collect();
    Ok(filter_record_batch(batch, &mask).map_err(std::io::Error::other)?)
}
