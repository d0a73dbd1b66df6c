//! Why events are refused, counted: letters of one source, code and kind of reason together.

use super::Choice;
use super::book::Book;
use super::letters::{each, newest};
use crate::error::Result;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tidemill_bus::{Bus, Message};
use tidemill_contracts::headers;
use tidemill_contracts::letters::LetterState;
use tidemill_types::{Millis, ProjectName};

/// Kinds that are told apart at most: a producer that puts a value of its own into each reason fills no memory.
const MOST_KINDS: usize = 10_000;
/// The reason of letters of further kinds.
const OTHER: &str = "other reasons";

/// What counts of a letter.
struct Seen {
    /// Source, code, and reason without the values in it.
    kind: (String, String, String),
    state: LetterState,
    at: Millis,
    seq: u64,
}

impl Seen {
    /// Looks at a letter in hand.
    fn of(letter: &Message, book: &Book) -> Self {
        let head = |name: &str| letter.headers.get(name).unwrap_or_default();
        let source = letter.subject.rsplit('.').next().unwrap_or_default().to_owned();
        let kind = (source, head(headers::DEAD_CODE).to_owned(), general(head(headers::DEAD_REASON)));
        Self { kind, state: book.state(letter.seq), at: letter.published_at, seq: letter.seq }
    }
}

/// Letters of one kind.
struct Kind {
    states: BTreeMap<LetterState, u64>,
    first: Millis,
    last: Millis,
    /// The newest of them.
    example: u64,
}

/// Letters counted by kind.
#[derive(Default)]
pub(super) struct Summary {
    kinds: BTreeMap<(String, String, String), Kind>,
}

/// Counts the letters that the options choose: all, or so many of the newest as are asked for.
pub(super) async fn of(bus: &Bus, project: &ProjectName, book: Book, choice: &Choice) -> Result<Summary> {
    let mut summary = Summary::default();
    match choice.limit {
        Some(_) => newest(bus, project, book, choice, Seen::of).await?.into_iter().for_each(|seen| summary.add(seen)),
        None => each(bus, project, book, choice, |letter, book| summary.add(Seen::of(letter, book))).await?,
    }
    Ok(summary)
}

impl Summary {
    fn add(&mut self, seen: Seen) {
        let Seen { mut kind, state, at, seq } = seen;
        if self.kinds.len() >= MOST_KINDS && !self.kinds.contains_key(&kind) {
            OTHER.clone_into(&mut kind.2);
        }
        let new = || Kind { states: BTreeMap::new(), first: at, last: at, example: seq };
        let kind = self.kinds.entry(kind).or_insert_with(new);
        *kind.states.entry(state).or_default() += 1;
        (kind.first, kind.last, kind.example) = (kind.first.min(at), kind.last.max(at), kind.example.max(seq));
    }

    /// One row a kind, the most frequent first.
    pub(super) fn rows(self) -> Vec<Value> {
        let mut rows: Vec<_> = self.kinds.into_iter().collect();
        rows.sort_by_key(|(_, kind)| std::cmp::Reverse(kind.states.values().sum::<u64>()));
        rows.into_iter().map(|((source, code, reason), kind)| row(&source, &code, &reason, &kind)).collect()
    }
}

fn row(source: &str, code: &str, reason: &str, kind: &Kind) -> Value {
    let count = |state| kind.states.get(&state).copied().unwrap_or_default();
    json!({
        "source": source,
        "code": code,
        "reason": reason,
        "letters": kind.states.values().sum::<u64>(),
        "open": count(LetterState::Open),
        "replayed": count(LetterState::Replayed),
        "discarded": count(LetterState::Discarded),
        "first": kind.first.to_string(),
        "last": kind.last.to_string(),
        "example": kind.example,
    })
}

/// A reason without the values in it: numbers become `#`. What stands in quotes is kept, as it names columns.
fn general(reason: &str) -> String {
    let mut text = String::with_capacity(reason.len());
    let mut in_number = false;
    let mut before = ' ';
    for c in reason.chars() {
        let goes_on = in_number && (c.is_ascii_digit() || c == '.');
        let begins = c.is_ascii_digit() && !before.is_alphanumeric() && before != '_';
        if begins && !in_number {
            text.push('#');
        }
        in_number = goes_on || begins;
        if !in_number {
            text.push(c);
        }
        before = c;
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn reasons_that_differ_in_numbers_only_are_one() {
        assert_eq!(general("value 17.5 in column \"x2\" at 3"), "value # in column \"x2\" at #");
        assert_eq!(general("no digits"), "no digits");
        assert_eq!(general("8 bytes, 9 allowed"), "# bytes, # allowed");
    }

    #[test]
    fn however_many_reasons_there_are_each_letter_is_counted_and_few_are_held() {
        let mut summary = Summary::default();
        for seq in 0..50_000 {
            let kind = ("readings".to_owned(), "TM0312".to_owned(), format!("column \"c{seq}\""));
            summary.add(Seen { kind, state: LetterState::Open, at: Millis(1), seq });
        }
        assert!(summary.kinds.len() <= MOST_KINDS + 1);
        let rows = summary.rows();
        assert_eq!(rows.iter().map(|row| row["letters"].as_u64().unwrap()).sum::<u64>(), 50_000);
        assert_eq!((rows[0]["reason"].as_str(), rows[0]["letters"].as_u64()), (Some(OTHER), Some(40_000)));
    }
}
