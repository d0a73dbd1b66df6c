//! `events`: files and history published as data events, and events watched.

use super::masking::{self, Unmask};
use super::output::{Output, next, say};
use super::target::Target;
use super::{history, instant, progress, rows};
use crate::error::{Error, Result};
use arrow::array::RecordBatch;
use clap::{Subcommand, ValueEnum};
use rows::FileKind;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tidemill_bus::{BatchPublisher, Bus, Headers, Message, Outgoing};
use tidemill_conform::Limits;
use tidemill_contracts::{headers, subjects};
use tidemill_spec::{Source, Spec};
use tidemill_types::{Digest, Millis, SourceName};
use tokio::time::Instant;

const PUBLISH_EXAMPLES: &str = "\
Examples:
  tidemill events publish --source weather weather.csv
  tidemill events publish --source departures departures.parquet --rate 5000
  tidemill events publish --source weather rows.jsonl --id-column event_id
A file that is published again has the same event ids: its rows are counted as duplicates, not doubled.";

const TAIL_EXAMPLES: &str = "\
Examples:
  tidemill events tail weather
  tidemill events tail weather --limit 10 -o jsonl";

const REPLAY_EXAMPLES: &str = "\
Examples:
  tidemill events replay infra/examples/flights/replay.yaml --until 2013-02-01
  tidemill events replay infra/examples/flights/replay.yaml --speed 3600      an hour a second";

/// Messages handed to the bus at once.
const MESSAGES_AT_ONCE: usize = 500;
/// Most rows of an Arrow message.
const ROWS_PER_MESSAGE: usize = 10_000;
/// Most bytes of an Arrow message.
const MESSAGE_BYTES: usize = 1 << 20;
/// Rows of events shown by `tail` per Arrow message.
const SHOWN_ROWS: usize = 100;

/// How rows are put into messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum EventFormat {
    /// One JSON object a message.
    Json,
    /// Arrow IPC streams of up to 10,000 rows.
    Arrow,
}

/// `tidemill events …`.
#[derive(Debug, Subcommand)]
pub(super) enum EventsCommand {
    /// Publish the rows of a file.
    #[command(after_help = PUBLISH_EXAMPLES)]
    Publish {
        /// The source, as the project declares it.
        #[arg(long, value_name = "SOURCE")]
        source: SourceName,
        /// .parquet, .csv with a header, or .jsonl.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// How rows are sent; JSON lines are sent as they stand, other files as Arrow.
        #[arg(long, value_enum, value_name = "FORMAT")]
        format: Option<EventFormat>,
        /// At most so many rows a second.
        #[arg(long, value_name = "ROWS")]
        rate: Option<u32>,
        /// Column that holds the event id; without it, ids are made of the file's digest and the row number.
        #[arg(long, value_name = "COLUMN")]
        id_column: Option<String>,
    },
    /// Publish history in the order in which it became known.
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay {
        /// The replay plan.
        #[arg(value_name = "PLAN")]
        plan: PathBuf,
        /// Seconds of history per second; without it, as fast as it goes.
        #[arg(long, value_name = "FACTOR")]
        speed: Option<f64>,
        /// Last instant whose events are published.
        #[arg(long, value_parser = instant, value_name = "INSTANT")]
        until: Option<Millis>,
    },
    /// Show events as they arrive.
    #[command(after_help = TAIL_EXAMPLES)]
    Tail {
        /// The source.
        #[arg(value_name = "SOURCE")]
        source: SourceName,
        /// End after so many messages.
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
        #[command(flatten)]
        unmask: Unmask,
    },
}

/// Runs the command.
pub(super) async fn run(target: &Target, out: Output, command: EventsCommand) -> Result<u8> {
    let bus = target.bus().await?;
    let spec = target.spec(&bus).await?;
    match command {
        EventsCommand::Publish { source, file, format, rate, id_column } => {
            let declared = declared(&spec, &source)?;
            let made = messages(&spec, &source, declared, &file, format, id_column.as_deref()).await?;
            publish(&bus, out, &source, made, rate).await
        }
        EventsCommand::Replay { plan, speed, until } => history::replay(&bus, out, spec, &plan, speed, until).await,
        EventsCommand::Tail { source, limit, unmask } => {
            let masked = unmask.begin(target, &format!("events of {source}"), declared(&spec, &source)?).await?;
            tail(&bus, out, &spec, &source, limit, &masked).await
        }
    }
}

fn declared<'a>(spec: &'a Spec, source: &SourceName) -> Result<&'a Source> {
    spec.sources.get(source).ok_or_else(|| Error::NotFound {
        what: "source",
        name: source.to_string(),
        list: "tidemill status",
    })
}

/// A message and the rows in it.
type Made = (Outgoing, u64);

async fn messages(
    spec: &Spec,
    source: &SourceName,
    declared: &Source,
    file: &Path,
    format: Option<EventFormat>,
    id_column: Option<&str>,
) -> Result<Vec<Made>> {
    let subject = subjects::events(&spec.project, source);
    let bytes = std::fs::read(file).map_err(Error::file("read", file))?;
    let maker = Maker { subject, event_type: format!("{}.{source}", spec.project), digest: Digest::of(&bytes) };
    let raw_lines = FileKind::of(file)? == FileKind::JsonLines && format != Some(EventFormat::Arrow);
    if raw_lines {
        // Bytes as they stand: what is no text at all is for the intake to refuse, with a dead letter.
        let lines = bytes.split(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty());
        return lines.enumerate().map(|(row, line)| maker.json(row, line.trim_ascii(), id_column)).collect();
    }
    drop(bytes);
    let batches = rows::read(file, declared).await?;
    let mut made = Vec::new();
    let mut row = 0;
    for batch in batches {
        if format == Some(EventFormat::Json) || id_column.is_some() {
            for line in rows::to_json_lines(&batch)? {
                made.push(maker.json(row, line.as_bytes(), id_column)?);
                row += 1;
            }
            continue;
        }
        let mut at = 0;
        while at < batch.num_rows() {
            let part = batch.slice(at, ROWS_PER_MESSAGE.min(batch.num_rows() - at));
            at += part.num_rows();
            maker.arrow(row, &part, &mut made)?;
            row += part.num_rows();
        }
    }
    Ok(made)
}

/// Makes the messages of one file.
struct Maker {
    subject: String,
    event_type: String,
    digest: Digest,
}

impl Maker {
    fn json(&self, row: usize, line: &[u8], id_column: Option<&str>) -> Result<Made> {
        let id = match id_column {
            None => format!("{}#{row}", self.digest.short()),
            Some(column) => {
                let object: Value = serde_json::from_slice(line)
                    .map_err(|e| Error::Usage(format!("row {row} has no id, because it is no JSON: {e}")))?;
                match object.get(column) {
                    Some(Value::String(text)) => text.clone(),
                    Some(Value::Number(number)) => number.to_string(),
                    _ => return Err(Error::Usage(format!("row {row} has no text or number in column \"{column}\""))),
                }
            }
        };
        Ok((self.message(&id, headers::JSON, line.to_vec())?, 1))
    }

    /// One message, or several when it would be too large.
    fn arrow(&self, row: usize, part: &RecordBatch, made: &mut Vec<Made>) -> Result<()> {
        let body = tidemill_conform::encode_stream(std::slice::from_ref(part))?;
        if body.len() > MESSAGE_BYTES && part.num_rows() > 1 {
            let half = part.num_rows() / 2;
            self.arrow(row, &part.slice(0, half), made)?;
            return self.arrow(row + half, &part.slice(half, part.num_rows() - half), made);
        }
        let id = format!("{}#{row}", self.digest.short());
        made.push((self.message(&id, headers::ARROW_STREAM, body)?, part.num_rows() as u64));
        Ok(())
    }

    fn message(&self, id: &str, content_type: &str, body: Vec<u8>) -> Result<Outgoing> {
        let mut head = Headers::from_pairs([
            (headers::CE_SPECVERSION, "1.0"),
            (headers::CE_ID, id),
            (headers::CE_SOURCE, "/tidemill/cli"),
            (headers::CE_TYPE, self.event_type.as_str()),
            (headers::CE_TIME, crate::up::now().to_string().as_str()),
            (headers::CONTENT_TYPE, content_type),
        ])?;
        if let Some(parent) = tidemill_telemetry::current_traceparent() {
            head.set(headers::TRACEPARENT, &parent)?;
        }
        let message = Outgoing::new(self.subject.clone(), body).with_headers(head);
        Ok(message.with_id(&format!("{}:{id}", self.subject))?)
    }
}

async fn publish(bus: &Bus, out: Output, source: &SourceName, made: Vec<Made>, rate: Option<u32>) -> Result<u8> {
    let rows: u64 = made.iter().map(|(_, rows)| rows).sum();
    let bar = progress::bar(rows, "rows");
    let publisher = BatchPublisher::new(bus);
    let began = Instant::now();
    let (mut sent, mut duplicates, mut last) = (0_u64, 0, None);
    // With a rate, a batch is at most what a tenth of a second allows.
    let at_once =
        rate.map_or(MESSAGES_AT_ONCE, |rate| usize::try_from(rate / 10).unwrap_or(1).clamp(1, MESSAGES_AT_ONCE));
    for part in made.chunks(at_once) {
        let batch: Vec<Outgoing> = part.iter().map(|(message, _)| message.clone()).collect();
        let ack = publisher.publish(&batch).await.map_err(|error| match sent {
            0 => Error::from(error),
            _ => Error::Partial { done: count(sent), all: count(rows), what: "rows", failed: error.to_string() },
        })?;
        sent += part.iter().map(|(_, rows)| rows).sum::<u64>();
        duplicates += ack.duplicates;
        last = ack.last_sequence().or(last);
        bar.set_position(sent);
        if let Some(rate) = rate.filter(|rate| *rate > 0) {
            #[expect(clippy::cast_precision_loss, reason = "a pace in seconds needs no more")]
            let due = Duration::from_secs_f64(sent as f64 / f64::from(rate));
            tokio::time::sleep_until(began + due).await;
        }
    }
    bar.finish_and_clear();
    out.record(&json!({
        "source": source,
        "rows": sent,
        "messages": made.len(),
        "messages_known_already": duplicates,
        "last_sequence": last,
        "seconds": began.elapsed().as_secs_f64(),
    }))?;
    next("tidemill status shows when they are in the tables; tidemill dead ls shows what was refused");
    Ok(0)
}

fn count(rows: u64) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}

async fn tail(
    bus: &Bus,
    out: Output,
    spec: &Spec,
    source: &SourceName,
    limit: Option<u64>,
    masked: &masking::Stream,
) -> Result<u8> {
    let mut tail = bus.tail(&subjects::events_stream(&spec.project, source), Vec::new()).await?;
    say("waiting for events; Ctrl-C ends");
    let mut seen = 0;
    while limit.is_none_or(|limit| seen < limit) {
        let message = tokio::select! {
            message = tail.next_within(Duration::from_secs(1)) => message?,
            _ = tokio::signal::ctrl_c() => break,
        };
        let Some(message) = message else { continue };
        seen += 1;
        let mut rows = shown(&tidemill_intake::binary(message));
        masked.mask(&mut rows, "data")?;
        for row in rows {
            out.line(&["seq", "arrived_at", "type", "id", "data"], &row)?;
        }
    }
    next("tidemill status shows when they are in the tables");
    Ok(0)
}

/// The rows of a message with its headers; a body that cannot be read is said so.
fn shown(message: &Message) -> Vec<Value> {
    let head = |name: &str| message.headers.get(name).unwrap_or_default().to_owned();
    let data = decoded(&head(headers::CONTENT_TYPE), &message.payload);
    let row = |data: Value| {
        json!({
            "seq": message.seq,
            "arrived_at": message.published_at.to_string(),
            "type": head(headers::CE_TYPE),
            "id": head(headers::CE_ID),
            "watermark": message.headers.get(headers::WATERMARK),
            "data": data,
        })
    };
    data.into_iter().map(row).collect()
}

/// Rows of a body for people to look at.
pub(super) fn decoded(content_type: &str, body: &[u8]) -> Vec<Value> {
    if content_type.starts_with(headers::ARROW_STREAM) {
        return match tidemill_conform::decode_stream(body, &Limits::default()) {
            Ok(batches) => {
                let first = batches.first().map(|batch| batch.slice(0, SHOWN_ROWS.min(batch.num_rows())));
                rows::to_json(first.as_slice()).unwrap_or_default()
            }
            Err(reject) => vec![json!({"unreadable": reject.reason, "bytes": body.len()})],
        };
    }
    match serde_json::from_slice(body) {
        Ok(value) => vec![value],
        Err(_) if body.is_empty() => vec![Value::Null],
        Err(_) => vec![Value::String(String::from_utf8_lossy(body).chars().take(2_000).collect())],
    }
}
