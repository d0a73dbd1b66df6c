//! `dead replay`: the events of letters, published again.
//!
//! Oldest first, so that the order of each key is kept: letters of a source stand in the order of its events. Where one
//! cannot be published, or is open and was not chosen, later ones of its key wait. Under the same id however often it is
//! replayed, so that it lands once, for as long as ingestion remembers the id.

use super::Choice;
use super::book::{Book, now};
use super::letters::{Pages, event, is_cut, is_event, one, source_of};
use crate::cli::output::{Output, next, say};
use crate::error::{Error, Result};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use tidemill_bus::{Bus, Headers, Message, Outgoing};
use tidemill_contracts::letters::{LetterEntry, LetterState};
use tidemill_contracts::{headers, subjects};
use tidemill_intake::is_one_object;
use tidemill_spec::Spec;
use tidemill_types::{Digest, SourceName};

/// What to replay.
pub(super) struct Request {
    pub(super) seqs: Vec<u64>,
    pub(super) choice: Choice,
    pub(super) file: Option<PathBuf>,
    pub(super) again: bool,
    pub(super) by: String,
}

/// An event ready to be published.
struct Ready {
    source: SourceName,
    content_type: String,
    body: Vec<u8>,
    mended: bool,
    /// Values of the source's key, as far as they can be read.
    key: Option<String>,
}

/// Replays letters and notes what became of each.
pub(super) async fn run(bus: &Bus, spec: &Spec, book: Book, out: Output, request: Request) -> Result<u8> {
    let Request { seqs, choice, file, again, by } = request;
    let mended = file.as_deref().map(mended).transpose()?;
    if mended.is_some() && seqs.len() != 1 {
        return Err(Error::Usage("--file mends one letter: name its number".to_owned()));
    }
    let mut run = Run { bus, spec, book, by, mended, again, tried: 0, closed: 0, rows: Vec::new(), failed: None };
    if seqs.is_empty() {
        run.chosen(&choice).await?;
    } else {
        run.named(seqs).await?;
    }
    let Run { rows, failed, tried, closed, .. } = run;
    if closed > 0 {
        say(&format!("{closed} were replayed or discarded before; --again takes them too"));
    }
    out.rows(&["seq", "source", "event_id", "event_seq", "known_already"], &rows)?;
    match failed {
        Some(failed) => Err(Error::Partial { done: rows.len(), all: tried, what: "letters", failed }),
        None => {
            next("tidemill status; tidemill dead ls --state open shows whether any was refused again");
            Ok(0)
        }
    }
}

/// A command under way. Of a letter that is done only its line is kept.
struct Run<'a> {
    bus: &'a Bus,
    spec: &'a Spec,
    book: Book,
    by: String,
    mended: Option<Vec<u8>>,
    again: bool,
    /// Letters that were to be published.
    tried: usize,
    /// Letters left out because they were replayed or discarded before.
    closed: usize,
    rows: Vec<Value>,
    /// The first that could not be published, with the reason.
    failed: Option<String>,
}

impl Run<'_> {
    /// The open letters that the options choose.
    async fn chosen(&mut self, choice: &Choice) -> Result<()> {
        let (most, mut blocked) = (choice.limit.unwrap_or(usize::MAX), Blocked::default());
        let mut pages = Pages::open(self.bus).await?;
        while let Some(page) = pages.next(&mut self.book).await? {
            for letter in &page {
                if self.tried >= most {
                    return Ok(());
                }
                if !is_event(&self.spec.project, letter) {
                    continue;
                }
                if choice.takes(&self.spec.project, &self.book, letter) {
                    self.replay(letter, &mut blocked).await?;
                } else if self.book.state(letter.seq) == LetterState::Open {
                    self.left_open(letter, &mut blocked);
                }
            }
        }
        Ok(())
    }

    /// The letters with these numbers. Named in any order, they go out in their own.
    async fn named(&mut self, mut seqs: Vec<u64>) -> Result<()> {
        seqs.sort_unstable();
        seqs.dedup();
        let mut letters = Vec::new();
        for seq in seqs {
            letters.push(one(self.bus, &self.spec.project, seq).await?);
        }
        self.book.turn_to(letters.iter().map(|letter| letter.seq)).await?;
        let mut blocked = Blocked::default();
        for letter in &letters {
            self.replay(letter, &mut blocked).await?;
        }
        Ok(())
    }

    /// Notes that an open letter was not chosen, so that no later one of its key goes before it. One whose key cannot be
    /// read holds up nothing: to mend the others first is what it was left out for.
    fn left_open(&self, letter: &Message, blocked: &mut Blocked) {
        if let Ok(Ready { source, key: Some(key), .. }) = prepare(self.spec, letter, None) {
            blocked.add(letter.seq, source, Some(key));
        }
    }

    async fn replay(&mut self, letter: &Message, blocked: &mut Blocked) -> Result<()> {
        let state = self.book.state(letter.seq);
        if !self.again && state != LetterState::Open {
            if self.mended.is_some() {
                let mend = "add --again to send it once more";
                return Err(Error::Closed { seq: letter.seq, state: state.word(), mend });
            }
            self.closed += 1;
            return Ok(());
        }
        self.tried += 1;
        let ready = prepare(self.spec, letter, self.mended.as_deref());
        let result = match &ready {
            Ok(ready) => match blocked.before(&ready.source, ready.key.as_deref()) {
                Some(earlier) => {
                    Err(Error::Usage(format!("letter {earlier}, an earlier event of its key, was not published")))
                }
                None => publish(self.bus, self.spec, letter, ready).await,
            },
            Err(reason) => Err(Error::Usage(reason.clone())),
        };
        match result {
            Ok((entry, row)) => {
                self.book.note(letter.seq, LetterEntry { by: self.by.clone(), ..entry }).await?;
                self.rows.push(row);
            }
            Err(error) => {
                self.failed.get_or_insert(format!("letter {}: {}", letter.seq, error.text()));
                if let Some(source) = source_of(&self.spec.project, letter) {
                    blocked.add(letter.seq, source, ready.ok().and_then(|ready| ready.key));
                }
            }
        }
        Ok(())
    }
}

/// What was not published of one source.
#[derive(Default)]
struct Held {
    /// The first letter of each key.
    keys: HashMap<String, u64>,
    /// The first whose key could not be read: it may be of any.
    of_any_key: Option<u64>,
    /// The first of all.
    first: Option<u64>,
}

/// Letters that were not published, so that later ones of their keys wait.
#[derive(Default)]
struct Blocked {
    sources: HashMap<SourceName, Held>,
}

impl Blocked {
    /// The letter that must go before an event of this key, or before one whose key cannot be read.
    fn before(&self, source: &SourceName, key: Option<&str>) -> Option<u64> {
        let held = self.sources.get(source)?;
        match key {
            Some(key) => held.keys.get(key).copied().or(held.of_any_key),
            None => held.first,
        }
    }

    fn add(&mut self, seq: u64, source: SourceName, key: Option<String>) {
        let held = self.sources.entry(source).or_default();
        held.first.get_or_insert(seq);
        match key {
            Some(key) => {
                held.keys.entry(key).or_insert(seq);
            }
            None => {
                held.of_any_key.get_or_insert(seq);
            }
        }
    }
}

/// The text of a mended event, which must at least be JSON.
fn mended(file: &Path) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut text).map_err(Error::file("read", file))?;
    } else {
        text = std::fs::read(file).map_err(Error::file("read", file))?;
    }
    let checked: std::result::Result<Value, _> = serde_json::from_slice(&text);
    match checked {
        Ok(Value::Object(_)) => Ok(text),
        Ok(_) => Err(Error::Rows { path: file.to_owned(), reason: "a mended event is one JSON object".to_owned() }),
        Err(e) => Err(Error::Rows { path: file.to_owned(), reason: e.to_string() }),
    }
}

/// The event of a letter, or of its mended text.
fn prepare(spec: &Spec, letter: &Message, mended: Option<&[u8]>) -> std::result::Result<Ready, String> {
    let source = source_of(&spec.project, letter).filter(|_| is_event(&spec.project, letter));
    let source =
        source.ok_or_else(|| format!("{} holds no data event: ask again for what it is about", letter.subject))?;
    let (content_type, body) = match mended {
        Some(text) => (headers::JSON.to_owned(), text.to_vec()),
        None => event(letter)?,
    };
    let key = key(spec, &source, &content_type, &body);
    Ok(Ready { source, content_type, body, mended: mended.is_some(), key })
}

/// Values of the key columns, when the event is one readable object.
fn key(spec: &Spec, source: &SourceName, content_type: &str, body: &[u8]) -> Option<String> {
    let columns = &spec.sources.get(source)?.key;
    let decoded = crate::cli::events::decoded(content_type, body);
    let [Value::Object(fields)] = decoded.as_slice() else { return None };
    let values: Option<Vec<&Value>> = columns.iter().map(|column| fields.get(column)).collect();
    values.map(|values| json!(values).to_string())
}

/// The id under which a letter's event is published: its own when nothing of the message landed, as its id is free
/// then; else one made of its place, as its message has landed under its own.
fn identity(letter: &Message) -> String {
    let head = |name: &str| letter.headers.get(name);
    // A message that is one JSON object has no other row that could have landed.
    let is_one_row = !is_cut(letter) && is_one_object(letter);
    match (head(headers::CE_ID), head(headers::DEAD_ROW).filter(|_| !is_one_row)) {
        (Some(id), None) => id.to_owned(),
        (_, row) => {
            let row = row.map(|row| format!(":{row}")).unwrap_or_default();
            let (stream, seq) = (head(headers::DEAD_STREAM), head(headers::DEAD_SEQ));
            format!("dead:{}:{}{row}", stream.unwrap_or_default(), seq.unwrap_or_default())
        }
    }
}

async fn publish(bus: &Bus, spec: &Spec, letter: &Message, ready: &Ready) -> Result<(LetterEntry, Value)> {
    let id = identity(letter);
    let mut all = Headers::new();
    for (name, value) in letter.headers.iter() {
        let kept = name.starts_with("ce-") || name == headers::TRACEPARENT;
        if kept {
            all.set(name, value)?;
        }
    }
    all.set(headers::CE_ID, &id)?;
    all.set(headers::CONTENT_TYPE, &ready.content_type)?;
    all.set(headers::REPLAY_OF, &letter.seq.to_string())?;
    let subject = subjects::events(&spec.project, &ready.source);
    // For the bus a mended text is another message; for ingestion it is the same event.
    let sent_as = format!("{subject}:{}:{id}:{}", letter.seq, Digest::of(&ready.body).short());
    let message = Outgoing::new(subject, ready.body.clone()).with_headers(all).with_id(&sent_as)?;
    let ack = bus.publish(&message.subject, &message.headers, message.payload).await?;
    let entry = LetterEntry {
        state: LetterState::Replayed,
        at: now(),
        by: String::new(),
        reason: String::new(),
        event_id: Some(id.clone()),
        event_seq: Some(ack.sequence),
        mended: ready.mended,
    };
    let row = json!({
        "seq": letter.seq,
        "source": ready.source,
        "event_id": id,
        "event_seq": ack.sequence,
        "known_already": ack.duplicate,
        "mended": ready.mended,
    });
    Ok((entry, row))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn nothing_goes_before_an_earlier_event_of_its_key_that_was_not_published() {
        let (readings, others): (SourceName, SourceName) = ("readings".parse().unwrap(), "others".parse().unwrap());
        let mut blocked = Blocked::default();
        blocked.add(7, readings.clone(), Some("[5]".to_owned()));
        blocked.add(8, readings.clone(), Some("[5]".to_owned()));
        assert_eq!(blocked.before(&readings, Some("[5]")), Some(7));
        assert_eq!(blocked.before(&readings, Some("[6]")), None);
        assert_eq!(blocked.before(&readings, None), Some(7), "it may be of the key that waits");
        blocked.add(9, readings.clone(), None);
        assert_eq!(blocked.before(&readings, Some("[6]")), Some(9), "what stands before it may be of its key");
        assert_eq!(blocked.before(&others, None), None);
    }
}
