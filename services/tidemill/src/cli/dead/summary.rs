//! Why events are refused, counted: letters of one source, code and kind of reason together.

use super::book::Book;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tidemill_bus::Message;
use tidemill_contracts::headers;
use tidemill_contracts::letters::LetterState;
use tidemill_types::Millis;

/// What counts of a letter.
pub(super) struct Seen {
    /// Source, code, and reason without the values in it.
    kind: (String, String, String),
    state: LetterState,
    at: Millis,
    seq: u64,
}

impl Seen {
    /// Looks at a letter in hand.
    pub(super) fn of(letter: &Message, book: &Book) -> Self {
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

/// One row a kind, the most frequent first.
pub(super) fn rows(letters: Vec<Seen>) -> Vec<Value> {
    let mut kinds: BTreeMap<(String, String, String), Kind> = BTreeMap::new();
    for Seen { kind, state, at, seq } in letters {
        let kind =
            kinds.entry(kind).or_insert_with(|| Kind { states: BTreeMap::new(), first: at, last: at, example: seq });
        *kind.states.entry(state).or_default() += 1;
        (kind.first, kind.last, kind.example) = (kind.first.min(at), kind.last.max(at), kind.example.max(seq));
    }
    let mut rows: Vec<_> = kinds.into_iter().collect();
    rows.sort_by_key(|(_, kind)| std::cmp::Reverse(kind.states.values().sum::<u64>()));
    rows.into_iter().map(|((source, code, reason), kind)| row(&source, &code, &reason, &kind)).collect()
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
    use super::*;

    #[test]
    fn reasons_that_differ_in_numbers_only_are_one() {
        assert_eq!(general("value 17.5 in column \"x2\" at 3"), "value # in column \"x2\" at #");
        assert_eq!(general("no digits"), "no digits");
        assert_eq!(general("8 bytes, 9 allowed"), "# bytes, # allowed");
    }
}
