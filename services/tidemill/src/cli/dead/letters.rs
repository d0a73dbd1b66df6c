//! Reading letters: page by page, one, the event inside.

use super::Choice;
use super::book::Book;
use crate::cli::events::decoded;
use crate::cli::output::say;
use crate::cli::progress;
use crate::error::{Error, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tidemill_bus::{Bus, Entry, Message, OrderedReader};
use tidemill_contracts::letters::LetterState;
use tidemill_contracts::{headers, subjects};
use tidemill_intake::{binary, rows_alone};
use tidemill_types::{ProjectName, SourceName};

/// Letters of a page at most, and bytes of them.
const PAGE: (usize, usize) = (500, 16 << 20);
/// Letters that are shown at most unless told otherwise.
const SHOWN: usize = 1_000;

impl Choice {
    /// Whether the options choose a letter in hand.
    pub(super) fn takes(&self, project: &ProjectName, book: &Book, letter: &Message) -> bool {
        let source = source_of(project, letter);
        let right_source = match &self.source {
            Some(wanted) => source.as_ref() == Some(wanted),
            None => source.is_some(),
        };
        let right_state = self.state.is_none_or(|state| LetterState::from(state) == book.state(letter.seq));
        let right_code = self.code.as_deref().is_none_or(|code| letter.headers.get(headers::DEAD_CODE) == Some(code));
        right_source && right_state && right_code
    }
}

/// The source a letter came from, when it is one of the project.
pub(super) fn source_of(project: &ProjectName, letter: &Message) -> Option<SourceName> {
    letter.subject.strip_prefix(&format!("tm.dead.{project}."))?.parse().ok()
}

/// Whether a letter holds a data event; jobs and notices that were given up have letters too.
pub(super) fn is_event(project: &ProjectName, letter: &Message) -> bool {
    let from = letter.headers.get(headers::DEAD_STREAM).unwrap_or_default();
    let stream = source_of(project, letter).map(|source| subjects::events_stream(project, &source));
    stream.is_some_and(|stream| from.split('@').next() == Some(&stream))
}

/// The letters that stood there at the beginning, oldest first, a page at a time: however many there are, no more
/// payloads are held than those of a page.
pub(super) struct Pages {
    reader: Option<OrderedReader>,
    at: u64,
    end: u64,
}

impl Pages {
    /// Begins with the oldest letter.
    pub(super) async fn open(bus: &Bus) -> Result<Self> {
        let state = bus.stream_state(subjects::DEAD_STREAM).await?;
        let (at, end) = (state.first_seq.max(1), state.last_seq);
        let reader = match at <= end {
            true => Some(OrderedReader::open(bus, subjects::DEAD_STREAM, at).await?),
            false => None,
        };
        Ok(Self { reader, at, end })
    }

    /// The next page, taken in hand in the book; `None` behind the last.
    pub(super) async fn next(&mut self, book: &mut Book) -> Result<Option<Vec<Message>>> {
        let Some(reader) = &mut self.reader else { return Ok(None) };
        while self.at <= self.end {
            let mut page = Vec::new();
            for entry in reader.next_ready(PAGE.0, PAGE.1, Duration::from_secs(5)).await? {
                self.at = entry.seq() + 1;
                match entry {
                    // Later ones are of no concern: replays of this very command may have been refused again.
                    Entry::Message(message) if message.seq <= self.end => page.push(binary(message)),
                    _ => {}
                }
            }
            if !page.is_empty() {
                book.turn_to(page.iter().map(|letter| letter.seq)).await?;
                return Ok(Some(page));
            }
        }
        Ok(None)
    }
}

/// Hands over every letter that the options choose, oldest first.
pub(super) async fn each(
    bus: &Bus,
    project: &ProjectName,
    mut book: Book,
    choice: &Choice,
    mut take: impl FnMut(&Message, &Book),
) -> Result<()> {
    let mut pages = Pages::open(bus).await?;
    let (from, bar) = (pages.at, progress::bar((pages.end + 1).saturating_sub(pages.at), "letters"));
    while let Some(page) = pages.next(&mut book).await? {
        page.iter().filter(|letter| choice.takes(project, &book, letter)).for_each(|letter| take(letter, &book));
        bar.set_position(pages.at - from);
    }
    bar.finish_and_clear();
    Ok(())
}

/// What `of` makes of the newest letters that the options choose, oldest first.
pub(super) async fn newest<T>(
    bus: &Bus,
    project: &ProjectName,
    book: Book,
    choice: &Choice,
    of: impl Fn(&Message, &Book) -> T,
) -> Result<Vec<T>> {
    let (most, mut surplus, mut kept) = (choice.limit.unwrap_or(SHOWN), 0_u64, VecDeque::new());
    each(bus, project, book, choice, |letter, book| {
        kept.push_back(of(letter, book));
        if kept.len() > most {
            kept.pop_front();
            surplus += 1;
        }
    })
    .await?;
    if surplus > 0 {
        say(&format!("{surplus} older ones are not shown; raise --limit"));
    }
    Ok(kept.into())
}

/// One letter of the project by its number: letters of all projects are numbered together.
pub(super) async fn one(bus: &Bus, project: &ProjectName, seq: u64) -> Result<Message> {
    let what = "dead letter of this project";
    let missing = || Error::NotFound { what, name: seq.to_string(), list: "tidemill dead ls" };
    let state = bus.stream_state(subjects::DEAD_STREAM).await?;
    if seq == 0 || seq < state.first_seq || seq > state.last_seq {
        return Err(missing());
    }
    let mut reader = OrderedReader::open(bus, subjects::DEAD_STREAM, seq).await?;
    let entries = reader.next_ready(1, usize::MAX, Duration::from_secs(5)).await?;
    let found = entries.into_iter().find_map(|entry| match entry {
        Entry::Message(message) if message.seq == seq => Some(binary(message)),
        _ => None,
    });
    found.filter(|letter| source_of(project, letter).is_some()).ok_or_else(missing)
}

/// A letter in short.
pub(super) fn row(letter: &Message, book: &Book) -> Value {
    let head = |name: &str| letter.headers.get(name);
    let number = |name: &str| head(name).and_then(|text| text.parse::<i64>().ok());
    json!({
        "seq": letter.seq,
        "source": letter.subject.rsplit('.').next(),
        "state": book.state(letter.seq).word(),
        "code": head(headers::DEAD_CODE),
        "reason": head(headers::DEAD_REASON),
        "attempts": number(headers::DEAD_ATTEMPTS),
        "position": head(headers::DEAD_POSITION),
        "stream": head(headers::DEAD_STREAM),
        "event_seq": number(headers::DEAD_SEQ),
        "row": number(headers::DEAD_ROW),
        "event_id": head(headers::CE_ID),
        "replay_of": number(headers::REPLAY_OF),
        "at": letter.published_at.to_string(),
        "bytes": letter.payload.len(),
    })
}

/// A letter with everything in it and what became of it.
pub(super) fn shown(letter: &Message, book: &Book) -> Value {
    let mut shown = row(letter, book);
    let all: BTreeMap<&str, &str> = letter.headers.iter().collect();
    let content_type = letter.headers.get(headers::CONTENT_TYPE).unwrap_or_default();
    let event = event(letter).ok().map(|(content_type, body)| decoded(&content_type, &body));
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("headers".to_owned(), json!(all));
        fields.insert("event".to_owned(), json!(event));
        fields.insert("became".to_owned(), json!(book.entry(letter.seq)));
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

/// Whether a letter holds the refused row alone, cut out of its message.
pub(super) fn is_cut(letter: &Message) -> bool {
    letter.headers.get(headers::DEAD_BODY) == Some(headers::DEAD_BODY_ROW)
}

/// The refused event alone: the whole message, or the refused row of it. The other rows were accepted.
pub(super) fn event(letter: &Message) -> std::result::Result<(String, Vec<u8>), String> {
    let row = letter.headers.get(headers::DEAD_ROW).and_then(|row| row.parse::<usize>().ok());
    // Letters of earlier versions hold the message.
    let Some(row) = row.filter(|_| !is_cut(letter)) else {
        let content_type = letter.headers.get(headers::CONTENT_TYPE).unwrap_or(headers::JSON).to_owned();
        return Ok((content_type, letter.payload.to_vec()));
    };
    let (media, bodies) = rows_alone(letter, &[row])?;
    Ok((media.to_owned(), bodies.concat()))
}
