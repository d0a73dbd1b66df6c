//! One value, looked at by every detector.

use crate::{card, contact, dates, geo, ids, names, network, places, text};

/// Longest value that is compared with forms, in bytes; what is longer can only be running text.
pub const MAX_VALUE: usize = 256;
/// So much of a running text is searched, in bytes.
pub const MAX_TEXT: usize = 2_000;

/// A trimmed value with what several detectors need of it.
#[derive(Clone, Debug)]
pub(crate) struct Value<'a> {
    /// The text.
    pub(crate) text: &'a str,
    /// Letters and digits of it, in capitals; empty when it has characters besides letters, digits and separators.
    pub(crate) compact: String,
    /// The digits as numbers, when `compact` is digits only.
    pub(crate) digits: Option<Vec<u8>>,
}

impl<'a> Value<'a> {
    /// The value, unless it is empty or too long for a form.
    pub(crate) fn new(text: &'a str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text.len() > MAX_VALUE {
            return None;
        }
        let regular = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'-' | b'.' | b'/' | b'(' | b')' | b'+');
        let compact: String = if text.as_bytes().iter().all(regular) {
            text.bytes().filter(u8::is_ascii_alphanumeric).map(|b| char::from(b.to_ascii_uppercase())).collect()
        } else {
            String::new()
        };
        let numeric = !compact.is_empty() && compact.bytes().all(|b| b.is_ascii_digit());
        let digits = numeric.then(|| compact.bytes().map(|b| b - b'0').collect());
        Some(Self { text, compact, digits })
    }

    /// Whether groups are parted by blanks or hyphens only, if at all.
    pub(crate) fn plain_separators(&self) -> bool {
        self.text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'-'))
    }

    /// Number of digits, 0 unless there are only digits.
    pub(crate) fn len_digits(&self) -> usize {
        self.digits.as_ref().map_or(0, Vec::len)
    }
}

/// What the detectors say of one value. `is_…` is a form that other data seldom has; `may_be_…` is one that it shares
/// with other data, so that only the name of the column can decide.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "one field per detector, named after its class")]
pub struct Findings {
    pub is_email: bool,
    pub is_phone: bool,
    pub may_be_phone: bool,
    pub is_card: bool,
    pub may_be_card: bool,
    pub is_iban: bool,
    pub is_bic: bool,
    pub may_be_bic: bool,
    /// Kinds of national numbers whose form and check digits fit, as a set of positions in `id_kinds()`.
    pub ids: u64,
    pub may_be_id: bool,
    pub is_document: bool,
    pub may_be_document: bool,
    pub is_ip: bool,
    pub may_be_ip: bool,
    pub is_mac: bool,
    /// One word that is a known given name or surname.
    pub is_name_word: bool,
    /// Several words, of which the outer ones are known given names or surnames.
    pub is_full_name: bool,
    pub may_be_name: bool,
    pub is_address: bool,
    pub may_be_address: bool,
    pub is_postcode: bool,
    pub may_be_postcode: bool,
    /// Year of a date that could be one of birth.
    pub year: Option<i32>,
    /// A whole date without a time of day.
    pub is_date: bool,
    pub is_position: bool,
    pub may_be_position: bool,
    /// Running text, of at least four words.
    pub is_text: bool,
    /// Running text that contains a personal value.
    pub text_contains: Option<crate::PiiClass>,
}

/// Looks at one value. The work is bounded: [`MAX_VALUE`] bytes of a value, [`MAX_TEXT`] bytes of a text, patterns that
/// are matched in linear time.
#[must_use]
pub fn examine(text: &str) -> Findings {
    let (is_text, text_contains) = text::search(text);
    let base = Findings { is_text, text_contains, ..Findings::default() };
    let Some(value) = Value::new(text) else { return base };
    let (is_ip, may_be_ip) = network::ip(&value);
    let (is_name_word, is_full_name) = names::known(&value);
    let is_address = places::is_address(&value);
    let year = dates::birth_year(&value);
    Findings {
        is_email: contact::is_email(&value),
        is_phone: contact::is_phone(&value),
        may_be_phone: contact::may_be_phone(&value),
        is_card: card::is_card(&value),
        may_be_card: matches!(value.len_digits(), 12..=19) || text.contains('*'),
        is_iban: card::is_iban(&value),
        is_bic: card::is_bic(&value),
        may_be_bic: card::has_bic_form(&value),
        ids: ids::matching(&value),
        may_be_id: ids::may_be(&value),
        is_document: ids::is_machine_readable(&value),
        may_be_document: ids::may_be_document(&value),
        is_ip,
        may_be_ip,
        is_mac: network::is_mac(&value),
        is_name_word,
        is_full_name,
        may_be_name: names::may_be(&value),
        is_address,
        may_be_address: is_address || places::may_be_address(&value),
        is_postcode: places::is_postcode(&value),
        may_be_postcode: places::may_be_postcode(&value),
        year: year.map(|(year, _)| year),
        is_date: year.is_some_and(|(_, whole)| whole),
        is_position: geo::is_position(&value),
        may_be_position: geo::may_be_position(&value),
        ..base
    }
}
