//! Personal values inside running text. Names in sentences are not looked for.

use crate::class::PiiClass;
use crate::value::{MAX_TEXT, Value};
use crate::{card, contact};
use regex::Regex;
use std::sync::LazyLock;

/// Words that make a text out of a value.
const WORDS: usize = 4;

/// Candidates inside a text; each is checked by its detector.
static CANDIDATES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?<email>[^\s@<>(),;:]{1,64}@[^\s@<>(),;:]{1,190})",
        r"|(?<iban>\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{2,4}){3,8}\b)",
        r"|(?<ssn>\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b)",
        r"|(?<phone>\+[0-9][0-9 ().-]{6,18}[0-9]|\([0-9]{3}\) ?[0-9]{3}-[0-9]{4}|\b[0-9]{3}[-.][0-9]{3}[-.][0-9]{4}\b)",
        r"|(?<card>\b[0-9](?:[ -]?[0-9]){11,18}\b)",
    ))
    .ok()
});

/// Whether a value is running text, and the first personal value in it.
pub(crate) fn search(text: &str) -> (bool, Option<PiiClass>) {
    let end = text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= MAX_TEXT).last();
    let text = end.and_then(|end| text.get(..end)).unwrap_or_default();
    if text.split_whitespace().nth(WORDS - 1).is_none() {
        return (false, None);
    }
    (true, first(text))
}

fn first(text: &str) -> Option<PiiClass> {
    let candidates = CANDIDATES.as_ref()?;
    candidates.captures_iter(text).find_map(|found| {
        let checked = |name: &str, check: fn(&Value<'_>) -> bool| {
            let text = found.name(name)?.as_str().trim_end_matches(['.', ',', '!', '?', '\'', '"']);
            Value::new(text).filter(check)
        };
        checked("email", contact::is_email)
            .map(|_| PiiClass::Email)
            .or_else(|| checked("iban", card::is_iban).map(|_| PiiClass::Iban))
            .or_else(|| checked("ssn", |value| crate::ids::matching(value) != 0).map(|_| PiiClass::NationalId))
            .or_else(|| checked("phone", contact::is_phone).map(|_| PiiClass::Phone))
            .or_else(|| checked("card", card::is_card).map(|_| PiiClass::Card))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_inside_sentences_are_found() {
        let found = |text: &str| search(text).1;
        assert_eq!(found("please write to anna.b@example.org, thanks"), Some(PiiClass::Email));
        assert_eq!(found("call me on +49 170 1234567 after six"), Some(PiiClass::Phone));
        assert_eq!(found("paid with 4111 1111 1111 1111 last week"), Some(PiiClass::Card));
        assert_eq!(found("transfer to DE89 3704 0044 0532 0130 00 by Friday"), Some(PiiClass::Iban));
        assert_eq!(found("my number is 219-09-9999 as you know"), Some(PiiClass::NationalId));
        assert_eq!(search("order 4111111111111112 was shipped on 2013-01-01"), (true, None));
        assert_eq!(search("a@b.de"), (false, None));
    }

    #[test]
    fn only_the_beginning_of_a_long_text_is_searched() {
        let long = format!("{} a@example.org", "ü word ".repeat(400));
        assert_eq!(search(&long), (true, None));
    }
}
