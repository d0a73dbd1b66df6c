//! What a reason tells of the value it is about: the value itself, or only of which kind it is and how long.

use crate::reject::shortened;
use crate::schema::{Kind, Values};
use std::fmt;

/// Characters of the longest text that is still taken for an attempt at an instant.
const LONGEST_INSTANT: usize = 40;

impl Values {
    /// A number, as in "found the number 7".
    pub(crate) fn number(self, kind: Kind, value: impl fmt::Display) -> String {
        if self.quotes_numbers(kind) { format!("the number {value}") } else { "a number".to_owned() }
    }

    /// A number or instant that begins a sentence, as in "70000 does not fit"; `unnamed` where it is not told.
    pub(crate) fn subject(self, kind: Kind, value: impl fmt::Display, unnamed: &str) -> String {
        if self.quotes_numbers(kind) { value.to_string() } else { unnamed.to_owned() }
    }

    /// A text, as in "found the text \"12\"".
    pub(crate) fn text(self, text: &str) -> String {
        if self == Self::Plain { format!("the text \"{}\"", shortened(text)) } else { length(text) }
    }

    /// A text where an instant is expected.
    pub(crate) fn instant(self, text: &str) -> String {
        let quotes = match self {
            Self::Personal => false,
            Self::Unclassified => is_like_an_instant(text),
            Self::Plain => true,
        };
        if quotes { format!("\"{}\"", shortened(text)) } else { length(text) }
    }

    /// A number in a column of texts may be one of a person, such as that of a telephone.
    fn quotes_numbers(self, kind: Kind) -> bool {
        match self {
            Self::Personal => false,
            Self::Unclassified => kind != Kind::Text,
            Self::Plain => true,
        }
    }
}

fn length(text: &str) -> String {
    match text.chars().count() {
        1 => "a text of 1 character".to_owned(),
        count => format!("a text of {count} characters"),
    }
}

/// Whether a text begins with a year and has nothing in it that instants do not have.
fn is_like_an_instant(text: &str) -> bool {
    let year = text.get(..5).is_some_and(|year| {
        let (digits, sign) = year.as_bytes().split_at(4);
        digits.iter().all(u8::is_ascii_digit) && matches!(sign, b"-" | b"/" | b".")
    });
    let known = |byte: u8| byte.is_ascii_digit() || b" -/.:+TZtz".contains(&byte);
    year && text.len() <= LONGEST_INSTANT && text.bytes().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_quoted_only_where_nobody_can_be_meant() {
        assert_eq!(Values::Plain.text("12"), "the text \"12\"");
        for values in [Values::Personal, Values::Unclassified] {
            assert_eq!(values.text("anna@example.org"), "a text of 16 characters");
        }
        assert_eq!(Values::Personal.text("é"), "a text of 1 character");
    }

    #[test]
    fn what_is_no_instant_is_quoted_when_it_looks_like_one_and_is_no_persons() {
        assert_eq!(Values::Unclassified.instant("2013-02-01 06:00"), "\"2013-02-01 06:00\"");
        assert_eq!(Values::Personal.instant("2013-02-01 06:00"), "a text of 16 characters");
        for text in ["anna", "+49 170 1234567", "2013-02-01 anna", "1234 5678 9012 3456", "é1234"] {
            assert!(!Values::Unclassified.instant(text).contains(text), "{text}");
        }
    }

    #[test]
    fn a_number_is_quoted_where_the_column_takes_numbers_and_is_no_persons() {
        assert_eq!(Values::Unclassified.number(Kind::Bool, 7), "the number 7");
        assert_eq!(Values::Unclassified.number(Kind::Text, 491_701_234_567_u64), "a number");
        assert_eq!(Values::Personal.number(Kind::Int(8), 7), "a number");
        assert_eq!(Values::Personal.subject(Kind::Int(8), 700, "the number"), "the number");
    }
}
