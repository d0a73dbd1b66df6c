//! `dead discard`: letters that are not needed, with the reason, in the audit log.

use super::Choice;
use super::book::{Book, now};
use super::letters::{Pages, one};
use crate::cli::output::{Output, next};
use crate::cli::prompt::given_or_asked;
use crate::error::{Error, Result};
use serde_json::{Value, json};
use tidemill_bus::{Bus, Message};
use tidemill_contracts::headers;
use tidemill_contracts::letters::{LetterEntry, LetterState};
use tidemill_runtime::Teller;
use tidemill_types::ProjectName;

/// What to discard, and why.
pub(super) struct Request {
    pub(super) seqs: Vec<u64>,
    pub(super) choice: Choice,
    pub(super) reason: Option<String>,
    pub(super) by: String,
}

/// Discards open letters, oldest first. Those that were discarded before are left as they are; of one that was replayed
/// nothing is discarded, since what is known of its event would be lost.
pub(super) async fn run(bus: &Bus, project: &ProjectName, book: Book, out: Output, request: Request) -> Result<u8> {
    let Request { seqs, choice, reason, by } = request;
    if seqs.is_empty() && choice.source.is_none() && choice.code.is_none() {
        return Err(Error::Usage("say which: numbers, --source or --code".to_owned()));
    }
    let reason = given_or_asked(reason, "why are they not needed", "--reason TEXT")?;
    let mut run = Run { bus, project, book, by, reason, rows: Vec::new() };
    if seqs.is_empty() {
        run.chosen(&choice).await?;
    } else {
        let mut letters = Vec::new();
        for seq in seqs {
            letters.push(one(bus, project, seq).await?);
        }
        run.book.turn_to(letters.iter().map(|letter| letter.seq)).await?;
        if let Some(closed) = letters.iter().find(|letter| run.book.state(letter.seq) == LetterState::Replayed) {
            let mend = "what was replayed need not be discarded; leave it out";
            return Err(Error::Closed { seq: closed.seq, state: LetterState::Replayed.word(), mend });
        }
        for letter in &letters {
            run.discard(letter).await?;
        }
    }
    out.rows(&["seq", "source", "state", "reason", "by"], &run.rows)?;
    next("tidemill dead summary");
    Ok(0)
}

/// A command under way. Of a letter that is done only its line is kept.
struct Run<'a> {
    bus: &'a Bus,
    project: &'a ProjectName,
    book: Book,
    by: String,
    reason: String,
    rows: Vec<Value>,
}

impl Run<'_> {
    /// The open letters that the options choose.
    async fn chosen(&mut self, choice: &Choice) -> Result<()> {
        let most = choice.limit.unwrap_or(usize::MAX);
        let mut pages = Pages::open(self.bus).await?;
        while let Some(page) = pages.next(&mut self.book).await? {
            for letter in &page {
                if self.rows.len() >= most {
                    return Ok(());
                }
                let is_open = self.book.state(letter.seq) == LetterState::Open;
                if is_open && choice.takes(self.project, &self.book, letter) {
                    self.discard(letter).await?;
                }
            }
        }
        Ok(())
    }

    async fn discard(&mut self, letter: &Message) -> Result<()> {
        if self.book.state(letter.seq) != LetterState::Discarded {
            // The audit log first: an entry without its trace would hide who did it.
            audit(self.bus, self.project, letter, &self.by, &self.reason).await?;
            let (by, reason) = (self.by.clone(), self.reason.clone());
            let state = LetterState::Discarded;
            let entry = LetterEntry { state, at: now(), by, reason, event_id: None, event_seq: None, mended: false };
            self.book.note(letter.seq, entry).await?;
        }
        self.rows.push(row(letter, &self.book));
        Ok(())
    }
}

fn row(letter: &Message, book: &Book) -> Value {
    let entry = book.entry(letter.seq);
    json!({
        "seq": letter.seq,
        "source": letter.subject.rsplit('.').next(),
        "state": book.state(letter.seq).word(),
        "reason": entry.map(|entry| entry.reason.clone()),
        "by": entry.map(|entry| entry.by.clone()),
    })
}

/// Tells the audit log; the same letter twice is one entry.
async fn audit(bus: &Bus, project: &ProjectName, letter: &Message, by: &str, reason: &str) -> Result<()> {
    let body = json!({
        "project": project,
        "kind": "letter_discarded",
        "letter": letter.seq,
        "code": letter.headers.get(headers::DEAD_CODE),
        "stream": letter.headers.get(headers::DEAD_STREAM),
        "event_seq": letter.headers.get(headers::DEAD_SEQ),
        "at": now(),
        "by": by,
        "reason": reason,
    });
    let id = format!("letter-discarded-{project}-{}", letter.seq);
    Ok(Teller { role: "tidemill", bus, project }.audit(Some(&id), &body).await?)
}
