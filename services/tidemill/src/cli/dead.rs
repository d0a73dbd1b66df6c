//! `dead`: events that were refused, why, and how they get in after all.

use super::events::decoded;
use super::output::{Output, next, say};
use super::target::Target;
use crate::error::{Error, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tidemill_bus::{Bus, Entry, Headers, Message, OrderedReader, Outgoing};
use tidemill_conform::Limits;
use tidemill_contracts::{headers, subjects};
use tidemill_types::{Digest, ProjectName, SourceName};

const EXAMPLES: &str = "\
Examples:
  tidemill dead ls --source weather
  tidemill dead show 17
  tidemill dead replay 17 --file mended.json
  tidemill dead replay --source weather --code TM0312      after the spec was mended
A letter that is replayed twice lands once.";

/// `tidemill dead …`.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum DeadCommand {
    /// List dead letters.
    #[command(after_help = EXAMPLES)]
    Ls(Choice),
    /// Show one, with its body.
    #[command(after_help = EXAMPLES)]
    Show {
        /// Its number, as `dead ls` shows it.
        #[arg(value_name = "SEQ")]
        seq: u64,
    },
    /// Publish dead letters again, mended or as they are.
    #[command(after_help = EXAMPLES)]
    Replay {
        /// Numbers of the letters; without any, all that the other options choose.
        #[arg(value_name = "SEQ")]
        seqs: Vec<u64>,
        #[command(flatten)]
        choice: Choice,
        /// The mended event as JSON, for one letter.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

/// Which letters.
#[derive(Debug, Args)]
pub(super) struct Choice {
    /// Of this source only.
    #[arg(long, value_name = "SOURCE")]
    source: Option<SourceName>,
    /// With this code only, such as TM0312.
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    /// At most so many, the newest.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    limit: usize,
}

impl Choice {
    fn takes(&self, project: &ProjectName, letter: &Message) -> bool {
        let source = source_of(project, letter);
        let right_source = match &self.source {
            Some(wanted) => source.as_ref() == Some(wanted),
            None => source.is_some(),
        };
        right_source && self.code.as_deref().is_none_or(|code| letter.headers.get(headers::DEAD_CODE) == Some(code))
    }
}

/// The source a letter came from, when it is one of the project.
fn source_of(project: &ProjectName, letter: &Message) -> Option<SourceName> {
    letter.subject.strip_prefix(&format!("tm.dead.{project}."))?.parse().ok()
}

/// Whether a letter holds a data event; jobs and notices that were given up have letters too.
fn is_event(project: &ProjectName, letter: &Message) -> bool {
    let from = letter.headers.get(headers::DEAD_STREAM).unwrap_or_default();
    let stream = source_of(project, letter).map(|source| subjects::events_stream(project, &source));
    stream.is_some_and(|stream| from.split('@').next() == Some(&stream))
}

/// Runs the command.
pub(super) async fn run(target: &Target, out: Output, command: DeadCommand) -> Result<u8> {
    let bus = target.bus().await?;
    let project = target.project().await?;
    match command {
        DeadCommand::Ls(choice) => {
            let letters = chosen(&bus, &project, &choice).await?;
            let rows: Vec<Value> = letters.iter().map(row).collect();
            out.rows(&["seq", "source", "code", "reason", "position", "event_seq", "row", "at"], &rows)?;
            next(if rows.is_empty() { "tidemill status" } else { "tidemill dead show SEQ" });
        }
        DeadCommand::Show { seq } => {
            let letter = letter(&bus, seq).await?;
            out.record(&shown(&letter))?;
            next(&format!("mend the event in a file, then: tidemill dead replay {seq} --file mended.json"));
        }
        DeadCommand::Replay { seqs, choice, file } => return replay(&bus, &project, out, seqs, choice, file).await,
    }
    Ok(0)
}

async fn all(bus: &Bus, from: u64) -> Result<Vec<Message>> {
    let end = bus.stream_state(subjects::DEAD_STREAM).await?;
    let mut letters = Vec::new();
    let mut at = from.max(end.first_seq);
    if at > end.last_seq {
        return Ok(letters);
    }
    let mut reader = OrderedReader::open(bus, subjects::DEAD_STREAM, at).await?;
    while at <= end.last_seq {
        for entry in reader.next_ready(4_000, 64 << 20, Duration::from_secs(5)).await? {
            at = entry.seq() + 1;
            if let Entry::Message(message) = entry {
                letters.push(message);
            }
        }
    }
    Ok(letters)
}

async fn chosen(bus: &Bus, project: &ProjectName, choice: &Choice) -> Result<Vec<Message>> {
    let mut letters = all(bus, 1).await?;
    letters.retain(|letter| choice.takes(project, letter));
    let surplus = letters.len().saturating_sub(choice.limit);
    if surplus > 0 {
        say(&format!("{surplus} older ones are not shown; raise --limit"));
    }
    Ok(letters.split_off(surplus))
}

async fn letter(bus: &Bus, seq: u64) -> Result<Message> {
    let missing = || Error::NotFound { what: "dead letter", name: seq.to_string(), list: "tidemill dead ls" };
    let state = bus.stream_state(subjects::DEAD_STREAM).await?;
    if seq == 0 || seq < state.first_seq || seq > state.last_seq {
        return Err(missing());
    }
    let mut reader = OrderedReader::open(bus, subjects::DEAD_STREAM, seq).await?;
    let entries = reader.next_ready(1, usize::MAX, Duration::from_secs(5)).await?;
    let found = entries.into_iter().find_map(|entry| match entry {
        Entry::Message(message) if message.seq == seq => Some(message),
        _ => None,
    });
    found.ok_or_else(missing)
}

fn row(letter: &Message) -> Value {
    let head = |name: &str| letter.headers.get(name);
    let number = |name: &str| head(name).and_then(|text| text.parse::<i64>().ok());
    json!({
        "seq": letter.seq,
        "source": letter.subject.rsplit('.').next(),
        "code": head(headers::DEAD_CODE),
        "reason": head(headers::DEAD_REASON),
        "position": head(headers::DEAD_POSITION),
        "stream": head(headers::DEAD_STREAM),
        "event_seq": number(headers::DEAD_SEQ),
        "row": number(headers::DEAD_ROW),
        "event_id": head(headers::CE_ID),
        "at": letter.published_at.to_string(),
        "bytes": letter.payload.len(),
    })
}

fn shown(letter: &Message) -> Value {
    let mut shown = row(letter);
    let all: BTreeMap<&str, &str> = letter.headers.iter().collect();
    let content_type = letter.headers.get(headers::CONTENT_TYPE).unwrap_or_default();
    let event = event(letter).ok().map(|(content_type, body)| decoded(&content_type, &body));
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("headers".to_owned(), json!(all));
        fields.insert("event".to_owned(), json!(event));
        // What cannot be decoded is shown as it is.
        match std::str::from_utf8(&letter.payload) {
            Ok(text) if !content_type.starts_with(headers::ARROW_STREAM) => {
                fields.insert("body".to_owned(), text.into())
            }
            _ => fields.insert("body_base64".to_owned(), STANDARD.encode(&letter.payload).into()),
        };
    }
    shown
}

/// The refused event alone: the whole message, or the refused row of it. The other rows were accepted.
fn event(letter: &Message) -> std::result::Result<(String, Vec<u8>), String> {
    let content_type = letter.headers.get(headers::CONTENT_TYPE).unwrap_or(headers::JSON).to_owned();
    let Some(row) = letter.headers.get(headers::DEAD_ROW).and_then(|row| row.parse::<usize>().ok()) else {
        return Ok((content_type, letter.payload.to_vec()));
    };
    let absent = || format!("the message has no row {row}");
    if content_type.starts_with(headers::ARROW_STREAM) {
        let batches = tidemill_conform::decode_stream(&letter.payload, &Limits::default()).map_err(|r| r.reason)?;
        let mut before = 0;
        for batch in &batches {
            if row < before + batch.num_rows() {
                let body =
                    tidemill_conform::encode_stream(&[batch.slice(row - before, 1)]).map_err(|e| e.to_string())?;
                return Ok((headers::ARROW_STREAM.to_owned(), body));
            }
            before += batch.num_rows();
        }
        return Err(absent());
    }
    if content_type.starts_with(headers::NDJSON) {
        let lines = letter.payload.split(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty());
        let line = lines.into_iter().nth(row).ok_or_else(absent)?;
        return Ok((headers::JSON.to_owned(), line.to_vec()));
    }
    let value: Value = serde_json::from_slice(&letter.payload).map_err(|e| e.to_string())?;
    let event = match &value {
        Value::Array(rows) => rows.get(row).ok_or_else(absent)?,
        one => one,
    };
    Ok((headers::JSON.to_owned(), event.to_string().into_bytes()))
}

async fn replay(
    bus: &Bus,
    project: &ProjectName,
    out: Output,
    seqs: Vec<u64>,
    choice: Choice,
    file: Option<PathBuf>,
) -> Result<u8> {
    let mended = file.as_deref().map(mended).transpose()?;
    if mended.is_some() && seqs.len() != 1 {
        return Err(Error::Usage("--file mends one letter: name its number".to_owned()));
    }
    let letters = if seqs.is_empty() {
        let mut letters = chosen(bus, project, &choice).await?;
        letters.retain(|letter| is_event(project, letter));
        letters
    } else {
        let mut letters = Vec::new();
        for seq in seqs {
            letters.push(letter(bus, seq).await?);
        }
        letters
    };
    let (mut rows, mut failed) = (Vec::new(), None);
    for letter in &letters {
        match again(bus, project, letter, mended.as_deref()).await {
            Ok(row) => rows.push(row),
            Err(error) => {
                failed.get_or_insert(format!("letter {}: {}", letter.seq, error.text()));
            }
        }
    }
    out.rows(&["seq", "source", "event_id", "event_seq", "known_already"], &rows)?;
    match failed {
        Some(failed) => Err(Error::Partial { done: rows.len(), all: letters.len(), what: "letters", failed }),
        None => {
            next("tidemill status; tidemill dead ls shows whether any was refused again");
            Ok(0)
        }
    }
}

/// The text of a mended event, which must at least be JSON.
fn mended(file: &Path) -> Result<Vec<u8>> {
    let text = std::fs::read(file).map_err(Error::file("read", file))?;
    let checked: std::result::Result<Value, _> = serde_json::from_slice(&text);
    match checked {
        Ok(Value::Object(_)) => Ok(text),
        Ok(_) => Err(Error::Rows { path: file.to_owned(), reason: "a mended event is one JSON object".to_owned() }),
        Err(e) => Err(Error::Rows { path: file.to_owned(), reason: e.to_string() }),
    }
}

/// Publishes a letter's event under an id made of the letter's origin and the text sent: the same however often it
/// is replayed, and another one when it is mended again after a mend that was refused.
async fn again(bus: &Bus, project: &ProjectName, letter: &Message, mended: Option<&[u8]>) -> Result<Value> {
    let source = source_of(project, letter).filter(|_| is_event(project, letter));
    let other = || Error::Usage(format!("{} holds no data event: ask again for what it is about", letter.subject));
    let source = source.ok_or_else(other)?;
    let (content_type, body) = match mended {
        Some(text) => (headers::JSON.to_owned(), text.to_vec()),
        None => event(letter).map_err(Error::Usage)?,
    };
    let head = |name: &str| letter.headers.get(name).unwrap_or_default();
    let row = letter.headers.get(headers::DEAD_ROW).map(|row| format!(":{row}")).unwrap_or_default();
    let digest = Digest::of(&body);
    let id = format!("dead:{}:{}{row}:{}", head(headers::DEAD_STREAM), head(headers::DEAD_SEQ), digest.short());
    let mut all = Headers::new();
    for (name, value) in letter.headers.iter() {
        let kept = name.starts_with("ce-") || name == headers::TRACEPARENT;
        if kept {
            all.set(name, value)?;
        }
    }
    all.set(headers::CE_ID, &id)?;
    all.set(headers::CONTENT_TYPE, &content_type)?;
    let subject = subjects::events(project, &source);
    let message = Outgoing::new(subject.clone(), body).with_headers(all).with_id(&format!("{subject}:{id}"))?;
    let ack = bus.publish(&message.subject, &message.headers, message.payload).await?;
    Ok(json!({
        "seq": letter.seq,
        "source": source,
        "event_id": id,
        "event_seq": ack.sequence,
        "known_already": ack.duplicate,
    }))
}
