//! E-mail addresses and telephone numbers.

use crate::checksum::weighted;
use crate::value::Value;

/// An address of RFC 5321: one `@`, a local part of at most 64 bytes, and a domain of labels that ends in letters.
pub(crate) fn is_email(value: &Value<'_>) -> bool {
    let Some((local, domain)) = value.text.split_once('@') else { return false };
    let labels: Vec<&str> = domain.split('.').collect();
    let label = |label: &&str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    (1..=64).contains(&local.len())
        && !local.starts_with('.')
        && local.chars().all(|c| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c))
        && labels.len() >= 2
        && labels.iter().all(label)
        && labels.last().is_some_and(|top| top.len() >= 2 && top.chars().all(char::is_alphabetic))
}

/// Digits of a telephone number with how it is written.
struct Dialled {
    digits: Vec<u8>,
    groups: Vec<usize>,
    international: bool,
    one_dot: bool,
}

fn dialled(value: &Value<'_>) -> Option<Dialled> {
    let text = without_extension(value.text);
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '(')) {
        return None;
    }
    let (plus, rest) = match text.strip_prefix('+') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if !rest.bytes().all(|b| b.is_ascii_digit() || matches!(b, b' ' | b'-' | b'.' | b'(' | b')' | b'/')) {
        return None;
    }
    let groups: Vec<usize> =
        rest.split(|c: char| !c.is_ascii_digit()).map(str::len).filter(|length| *length > 0).collect();
    let mut digits: Vec<u8> = rest.bytes().filter(u8::is_ascii_digit).map(|b| b - b'0').collect();
    let abroad = !plus && digits.starts_with(&[0, 0]);
    if abroad {
        digits.drain(..2);
    }
    let one_dot = groups.len() == 2 && rest.contains('.');
    Some(Dialled { digits, groups, international: plus || abroad, one_dot })
}

/// The number without the extension that some write behind it.
fn without_extension(text: &str) -> &str {
    let cut = text.find(['x', 'X', 'e', 'E']).filter(|at| *at >= 7);
    let Some((number, extension)) = cut.and_then(|at| text.split_at_checked(at)) else { return text };
    let digits = extension.trim_start_matches(|c: char| c.is_ascii_alphabetic() || matches!(c, '.' | ' '));
    let marks = extension.len() - digits.len();
    let is_extension = marks <= 6 && (1..=6).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if is_extension { number.trim_end() } else { text }
}

/// Country calling codes of ITU-T E.164 by length: those of one digit, of two, and the first two of three.
const CALLING_2: &[u8] = &[
    20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54, 55, 56, 57, 58, 60, 61, 62,
    63, 64, 65, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98,
];
const CALLING_3: &[u8] = &[21, 22, 23, 24, 25, 26, 29, 35, 37, 38, 42, 50, 59, 67, 68, 69, 80, 85, 87, 88, 96, 97, 99];

fn has_calling_code(digits: &[u8]) -> bool {
    let [a, b, ..] = digits else { return false };
    let two = a * 10 + b;
    matches!(a, 1 | 7) || CALLING_2.contains(&two) || CALLING_3.contains(&two)
}

/// A number written for dialling: international with a calling code, North American in its groups, or national with a
/// trunk 0 and separators.
pub(crate) fn is_phone(value: &Value<'_>) -> bool {
    let Some(number) = dialled(value) else { return false };
    let count = number.digits.len();
    if number.international {
        return (8..=15).contains(&count) && has_calling_code(&number.digits);
    }
    let grouped = matches!(number.groups.as_slice(), [3, 3, 4] | [1, 3, 3, 4]) && is_american(&number.digits);
    let trunk = number.digits.first() == Some(&0)
        && (9..=12).contains(&count)
        && (2..=6).contains(&number.groups.len())
        && !number.one_dot
        && !is_isbn(&number);
    grouped || trunk
}

fn is_american(digits: &[u8]) -> bool {
    let local = if digits.len() == 11 && digits.first() == Some(&1) { digits.get(1..) } else { Some(digits) };
    local.is_some_and(|local| {
        let above_one = |at: usize| local.get(at).is_some_and(|d| *d >= 2);
        local.len() == 10 && above_one(0) && above_one(3)
    })
}

/// Book numbers of ten digits begin with 0 as well, in four groups of which the last is the check digit.
fn is_isbn(number: &Dialled) -> bool {
    number.groups.len() == 4
        && number.groups.last() == Some(&1)
        && number.digits.len() == 10
        && weighted(&number.digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

/// Digits and separators as in a telephone number; order numbers look the same.
pub(crate) fn may_be_phone(value: &Value<'_>) -> bool {
    dialled(value).is_some_and(|number| (6..=15).contains(&number.digits.len()) && !number.one_dot)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone(text: &str) -> (bool, bool) {
        Value::new(text).map_or((false, false), |value| (is_phone(&value), may_be_phone(&value)))
    }

    #[test]
    fn addresses_have_a_local_part_and_a_domain() {
        let is = |text: &str| Value::new(text).is_some_and(|value| is_email(&value));
        for address in ["a@b.de", "first.last+tag@sub.example.co.uk", "o'neil@example.org", "müller@bücher.example"] {
            assert!(is(address), "{address}");
        }
        for other in ["a@b", "@b.de", "a@b.1", "a b@c.de", "a@-b.de", "a@@b.de", "git@host:repo", "user@10.0.0.1"] {
            assert!(!is(other), "{other}");
        }
    }

    #[test]
    fn numbers_are_read_as_they_are_written() {
        for number in [
            "+49 170 1234567",
            "+1-581-896-0013x3890",
            "001-581-896-0013",
            "(846) 914-1527",
            "581.896.2013",
            "01 23 45 67 89",
            "0170 1234567",
            "+61 2 9876 5432",
            "(02) 9876 5432",
            "020 7946 0958 ext. 12",
        ] {
            assert!(phone(number).0, "{number}");
        }
        for other in ["0-306-40615-2", "0.123456789", "01-02-2013", "2013-01-01", "123-456-7890", "+999", "12345"] {
            assert!(!phone(other).0, "{other}");
        }
        assert_eq!(phone("5818962013"), (false, true));
        assert_eq!(phone("1.5"), (false, false));
    }
}
