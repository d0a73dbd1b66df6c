//! National numbers of America, Asia, Africa and Australia.

use super::{IdKind, digit, exactly, is_uniform, pair};
use crate::checksum::{luhn, number, verhoeff, weighted};
use crate::dates::{exists, exists_short};
use crate::value::Value;

/// Kinds and their definitions.
pub(super) const KINDS: &[IdKind] = &[
    IdKind::new("us_ssn", "Social Security Administration, POMS RM 10201.035 (no check digit)", 0.05, us_ssn),
    IdKind::new("us_itin", "Internal Revenue Manual 3.21.263, ranges of ITIN (no check digit)", 0.02, us_itin),
    IdKind::new("ca_sin", "Employment and Social Development Canada, SIN Code of Practice: Luhn", 0.1, ca_sin),
    IdKind::new("mx_curp", "RENAPO, instructivo normativo CURP 2021, check digit", 0.002, mx_curp),
    IdKind::new("br_cpf", "Receita Federal, instrução normativa 1548/2015: two checks modulo 11", 0.02, br_cpf),
    IdKind::new("au_tfn", "Australian Taxation Office, TFN algorithm: modulus 11", 0.1, au_tfn),
    IdKind::new("au_medicare", "Services Australia, Medicare card number: modulus 10", 0.1, au_medicare),
    IdKind::new("in_aadhaar", "UIDAI, A UID Numbering Scheme for India: Verhoeff", 0.1, in_aadhaar),
    IdKind::new("in_pan", "Income-tax Rules 1962, rule 114: form and type of holder", 0.01, in_pan),
    IdKind::new("cn_resident", "GB 11643-1999: ISO 7064 MOD 11-2", 0.005, cn_resident),
    IdKind::new("za_id", "Identification Act 68 of 1997: date, then Luhn", 0.02, za_id),
];

/// Social security numbers and look-alikes are told apart by their hyphens, as they have no check digit.
fn hyphenated(value: &Value<'_>) -> Option<(u32, u32, u32)> {
    let text = value.text.as_bytes();
    let hyphens = text.len() == 11 && text.get(3) == Some(&b'-') && text.get(6) == Some(&b'-');
    let digits = exactly(value, 9).filter(|_| hyphens)?;
    let area = pair(digits, 0) * 10 + digit(digits, 2);
    Some((area, pair(digits, 3), pair(digits, 5) * 100 + pair(digits, 7)))
}

fn us_ssn(value: &Value<'_>) -> bool {
    hyphenated(value).is_some_and(|(area, group, serial)| !matches!(area, 0 | 666 | 900..) && group != 0 && serial != 0)
}

fn us_itin(value: &Value<'_>) -> bool {
    hyphenated(value)
        .is_some_and(|(area, group, _)| area >= 900 && matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99))
}

fn ca_sin(value: &Value<'_>) -> bool {
    exactly(value, 9).is_some_and(|digits| !matches!(digit(digits, 0), 0 | 8) && luhn(digits))
}

fn mx_curp(value: &Value<'_>) -> bool {
    let code = value.compact.as_bytes();
    if code.len() != 18 {
        return false;
    }
    let form = code.iter().enumerate().all(|(i, b)| match i {
        4..=9 | 17 => b.is_ascii_digit(),
        10 => b"HMX".contains(b),
        16 => true,
        _ => b.is_ascii_uppercase(),
    });
    // The alphabet has an Ñ between N and O.
    let worth = |b: &u8| match b {
        b'0'..=b'9' => u32::from(b - b'0'),
        b'A'..=b'N' => u32::from(b - b'A') + 10,
        _ => u32::from(b.saturating_sub(b'A')) + 11,
    };
    let sum: u32 = code.iter().take(17).zip((2..=18).rev()).map(|(b, weight)| worth(b) * weight).sum();
    form && code.last().is_some_and(|check| u32::from(check.saturating_sub(b'0')) == (10 - sum % 10) % 10)
}

fn br_cpf(value: &Value<'_>) -> bool {
    let Some(digits) = exactly(value, 11) else { return false };
    let first = weighted(digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) * 10 % 11 % 10;
    let second = weighted(digits, &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) * 10 % 11 % 10;
    !is_uniform(digits) && first == digit(digits, 9) && second == digit(digits, 10)
}

fn au_tfn(value: &Value<'_>) -> bool {
    let Some(digits) = value.digits.as_deref() else { return false };
    let sum = match digits.len() {
        8 => weighted(digits, &[10, 7, 8, 4, 6, 3, 5, 1]),
        9 => weighted(digits, &[1, 4, 3, 7, 5, 8, 6, 9, 10]),
        _ => return false,
    };
    number(digits) > 0 && sum.is_multiple_of(11)
}

fn au_medicare(value: &Value<'_>) -> bool {
    let Some(digits) = value.digits.as_deref().filter(|digits| matches!(digits.len(), 10 | 11)) else { return false };
    let sum = weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9]);
    matches!(digit(digits, 0), 2..=6) && sum % 10 == digit(digits, 8)
}

fn in_aadhaar(value: &Value<'_>) -> bool {
    exactly(value, 12).is_some_and(|digits| digit(digits, 0) >= 2 && verhoeff(digits))
}

fn in_pan(value: &Value<'_>) -> bool {
    let code = value.compact.as_bytes();
    code.len() == 10
        && code.iter().enumerate().all(|(i, b)| match i {
            3 => b"ABCFGHJLPT".contains(b),
            5..=8 => b.is_ascii_digit(),
            _ => b.is_ascii_uppercase(),
        })
}

fn cn_resident(value: &Value<'_>) -> bool {
    let code = value.compact.as_bytes();
    let [body @ .., check] = code else { return false };
    if body.len() != 17 || !body.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let digits: Vec<u8> = body.iter().map(|b| b - b'0').collect();
    let year = i32::try_from(pair(&digits, 6) * 100 + pair(&digits, 8)).unwrap_or(0);
    let sum = weighted(&digits, &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
    let rest = usize::try_from(sum % 11).unwrap_or(0);
    let dated = (1850..2100).contains(&year) && exists(year, pair(&digits, 10), pair(&digits, 12));
    dated && b"10X98765432".get(rest) == Some(check)
}

fn za_id(value: &Value<'_>) -> bool {
    exactly(value, 13).is_some_and(|digits| {
        exists_short(pair(digits, 0), pair(digits, 2), pair(digits, 4)) && digit(digits, 10) <= 1 && luhn(digits)
    })
}
