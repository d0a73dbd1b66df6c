//! Numbers that a state gives to a person, each with the check that its definition prescribes.

mod elsewhere;
mod europe;

use crate::checksum::weighted;
use crate::value::Value;

/// A kind of national number.
#[derive(Clone, Copy, Debug)]
pub struct IdKind {
    /// Short name: country and number.
    pub name: &'static str,
    /// Where its form and check digits are defined.
    pub definition: &'static str,
    /// Share of other values of the same length that pass by chance, rounded up.
    pub chance: f64,
    accepts: fn(&Value<'_>) -> bool,
}

impl IdKind {
    const fn new(name: &'static str, definition: &'static str, chance: f64, accepts: fn(&Value<'_>) -> bool) -> Self {
        Self { name, definition, chance, accepts }
    }

    /// Whether a value has the form, and its check digits are right.
    #[must_use]
    pub fn accepts(&self, text: &str) -> bool {
        Value::new(text).is_some_and(|value| (self.accepts)(&value))
    }
}

/// Every kind that is known.
#[must_use]
pub fn kinds() -> &'static [IdKind] {
    static ALL: std::sync::LazyLock<Vec<IdKind>> =
        std::sync::LazyLock::new(|| europe::KINDS.iter().chain(elsewhere::KINDS).copied().collect());
    &ALL
}

/// The kinds that a value passes, as a set of positions in [`kinds`].
pub(crate) fn matching(value: &Value<'_>) -> u64 {
    // The shortest number has eight characters, the longest eighteen.
    if !(8..=18).contains(&value.compact.len()) && value.text.len() != 11 {
        return 0;
    }
    let passed = kinds().iter().enumerate().filter(|(_, kind)| (kind.accepts)(value));
    passed.fold(0, |set, (position, _)| set | 1 << position)
}

/// A number of usual length that may be a national number of a kind without check digits.
pub(crate) fn may_be(value: &Value<'_>) -> bool {
    let digits = value.text.bytes().filter(u8::is_ascii_digit).count();
    digits >= 4
        && (5..=20).contains(&value.text.len())
        && value.text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'-' | b'.' | b'/' | b'+' | b'*'))
}

/// The form of a passport or licence number: six to eighteen letters and digits, four digits at least.
pub(crate) fn may_be_document(value: &Value<'_>) -> bool {
    let compact = value.compact.as_bytes();
    (6..=18).contains(&compact.len()) && compact.iter().filter(|b| b.is_ascii_digit()).count() >= 4
}

/// The second line of a machine-readable passport (ICAO document 9303, part 4): its check digits are right.
pub(crate) fn is_machine_readable(value: &Value<'_>) -> bool {
    let line = value.text.as_bytes();
    if line.len() != 44 || !line.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'<') {
        return false;
    }
    let part = |range: std::ops::Range<usize>| {
        let digits: Vec<u8> = line.get(range).unwrap_or_default().iter().map(|b| machine_value(*b)).collect();
        let weights: Vec<u32> = [7, 3, 1].into_iter().cycle().take(digits.len()).collect();
        weighted(&digits, &weights) % 10
    };
    let check = |at: usize| line.get(at).map(|b| u32::from(machine_value(*b)));
    Some(part(0..9)) == check(9) && Some(part(13..19)) == check(19) && Some(part(21..27)) == check(27)
}

fn machine_value(character: u8) -> u8 {
    match character {
        b'0'..=b'9' => character - b'0',
        b'A'..=b'Z' => character - b'A' + 10,
        _ => 0,
    }
}

/// The digits, when there are so many of them and nothing but separators besides.
fn exactly<'a>(value: &'a Value<'_>, count: usize) -> Option<&'a [u8]> {
    value.digits.as_deref().filter(|digits| digits.len() == count)
}

/// Two digits at a place.
fn pair(digits: &[u8], at: usize) -> u32 {
    digits.get(at..at + 2).map_or(0, |pair| pair.iter().fold(0, |n, d| n * 10 + u32::from(*d)))
}

/// One digit at a place.
fn digit(digits: &[u8], at: usize) -> u32 {
    digits.get(at).copied().map_or(0, u32::from)
}

/// Whether all digits are the same.
fn is_uniform(digits: &[u8]) -> bool {
    digits.windows(2).all(|pair| matches!(pair, [a, b] if a == b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_fits_into_the_set_and_says_where_it_is_defined() {
        assert!(kinds().len() >= 20 && kinds().len() < 64);
        for kind in kinds() {
            assert!(kind.definition.len() > 10 && kind.chance > 0.0 && kind.chance <= 0.1, "{}", kind.name);
        }
    }

    #[test]
    fn the_specimen_of_icao_is_machine_readable() {
        let holds = |text: &str| Value::new(text).is_some_and(|v| is_machine_readable(&v));
        assert!(holds("L898902C36UTO7408122F1204159ZE184226B<<<<<10"));
        assert!(!holds("L898902C37UTO7408122F1204159ZE184226B<<<<<10"));
    }
}
