//! National numbers of Europe.

use super::{IdKind, digit, exactly, is_uniform, pair};
use crate::checksum::{luhn, mod_11_10, number, weighted};
use crate::dates::exists_short;
use crate::value::Value;

/// Kinds and their definitions.
pub(super) const KINDS: &[IdKind] = &[
    IdKind::new("uk_nino", "HMRC, National Insurance Manual NIM39110", 0.005, uk_nino),
    IdKind::new("uk_nhs", "NHS Data Dictionary, NHS NUMBER: modulus 11", 0.1, uk_nhs),
    IdKind::new("de_steuer_id", "section 139b AO; check digit by ISO 7064 MOD 11,10", 0.05, de_steuer_id),
    IdKind::new("fr_nir", "INSEE, numéro d'inscription au répertoire: key 97 - n mod 97", 0.02, fr_nir),
    IdKind::new("it_codice_fiscale", "decree of 12 March 1974 no. 2227, check character", 0.002, it_codice_fiscale),
    IdKind::new("es_dni", "royal decree 1553/2005: letter of n mod 23", 0.05, es_dni),
    IdKind::new("nl_bsn", "Wet algemene bepalingen burgerservicenummer: eleven test", 0.1, nl_bsn),
    IdKind::new("be_nn", "royal decree of 3 April 1984: key 97 - n mod 97", 0.02, be_nn),
    IdKind::new("pl_pesel", "act of 24 September 2010 on population records, art. 15 to 19", 0.02, pl_pesel),
    IdKind::new("se_personnummer", "Skatteverket, SKV 704: Luhn over ten digits", 0.05, se_personnummer),
    IdKind::new("fi_hetu", "Digital and Population Data Services Agency: n mod 31", 0.002, fi_hetu),
    IdKind::new("no_fodselsnummer", "Skatteetaten, fødselsnummer: two checks modulo 11", 0.02, no_fodselsnummer),
    IdKind::new("dk_cpr", "CPR-kontoret, personnummeret i CPR (the modulus was dropped in 2007)", 0.05, dk_cpr),
    IdKind::new("pt_nif", "decree-law 14/2013: modulus 11", 0.1, pt_nif),
    IdKind::new("ch_ahv", "AHVG art. 50c: 756, then EAN-13", 0.005, ch_ahv),
];

fn uk_nino(value: &Value<'_>) -> bool {
    let [a, b, digits @ .., suffix] = value.compact.as_bytes() else { return false };
    let prefix_letter = |c: &u8, more: &[u8]| c.is_ascii_uppercase() && !b"DFIQUV".contains(c) && !more.contains(c);
    let refused = [b"BG", b"GB", b"NK", b"KN", b"TN", b"NT", b"ZZ"];
    digits.len() == 6
        && digits.iter().all(u8::is_ascii_digit)
        && (b'A'..=b'D').contains(suffix)
        && prefix_letter(a, b"")
        && prefix_letter(b, b"O")
        && !refused.contains(&&[*a, *b])
}

fn uk_nhs(value: &Value<'_>) -> bool {
    let Some(digits) = exactly(value, 10) else { return false };
    // Book numbers have the same check digit, but are grouped otherwise.
    let groups: Vec<usize> = value.text.split([' ', '-']).map(str::len).collect();
    if !matches!(groups.as_slice(), [10] | [3, 3, 4]) {
        return false;
    }
    let check = 11 - weighted(digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    check != 10 && check % 11 == digit(digits, 9)
}

fn de_steuer_id(value: &Value<'_>) -> bool {
    let Some(digits) = exactly(value, 11) else { return false };
    let mut counts = [0_usize; 10];
    for d in digits.iter().take(10) {
        if let Some(count) = counts.get_mut(usize::from(*d)) {
            *count += 1;
        }
    }
    // One digit occurs twice, or since 2016 three times; no other does.
    let repeated: Vec<usize> = counts.into_iter().filter(|count| *count > 1).collect();
    digit(digits, 0) != 0 && matches!(repeated.as_slice(), [2 | 3]) && mod_11_10(digits)
}

fn fr_nir(value: &Value<'_>) -> bool {
    let compact = value.compact.as_str();
    if compact.len() != 15 {
        return false;
    }
    // The departments of Corsica count as 19 and 18.
    let numeric = match compact.get(5..7) {
        Some("2A") => compact.replacen("2A", "19", 1),
        Some("2B") => compact.replacen("2B", "18", 1),
        _ => compact.to_owned(),
    };
    let Some((body, key)) = numeric.split_at_checked(13) else { return false };
    let (Ok(body), Ok(key)) = (body.parse::<u64>(), key.parse::<u64>()) else { return false };
    let month = body / 100_000_000 % 100;
    let first = body / 1_000_000_000_000;
    matches!(first, 1..=4 | 7 | 8) && (month <= 12 || (20..=99).contains(&month)) && key == 97 - body % 97
}

/// Values of the characters at odd places, for 0 to 9 and A to Z.
const ODD_DIGITS: [u32; 10] = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21];
const ODD_LETTERS: [u32; 26] =
    [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];

fn it_codice_fiscale(value: &Value<'_>) -> bool {
    let code = value.compact.as_bytes();
    if code.len() != 16 {
        return false;
    }
    // In place of digits stand letters when two persons would have the same code.
    let numeric = |b: &u8| b.is_ascii_digit() || b"LMNPQRSTUV".contains(b);
    let form = code.iter().enumerate().all(|(i, b)| match i {
        6 | 7 | 9 | 10 | 12..=14 => numeric(b),
        8 => b"ABCDEHLMPRST".contains(b),
        _ => b.is_ascii_uppercase(),
    });
    let worth = |(i, b): (usize, &u8)| {
        let place = usize::from(if b.is_ascii_digit() { b - b'0' } else { b.saturating_sub(b'A') });
        let odd = i % 2 == 0;
        let table: &[u32] = if b.is_ascii_digit() { &ODD_DIGITS } else { &ODD_LETTERS };
        if odd { table.get(place).copied().unwrap_or(0) } else { u32::try_from(place).unwrap_or(0) }
    };
    let sum: u32 = code.iter().take(15).enumerate().map(worth).sum();
    form && code.last().is_some_and(|check| u32::from(check.saturating_sub(b'A')) == sum % 26)
}

fn es_dni(value: &Value<'_>) -> bool {
    let code = value.compact.as_bytes();
    let [first, middle @ .., letter] = code else { return false };
    if middle.len() != 7 || !middle.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let head = match first {
        b'0'..=b'9' => u64::from(first - b'0'),
        // Foreigners: the first letter stands for a digit.
        b'X' | b'Y' | b'Z' => u64::from(first - b'X'),
        _ => return false,
    };
    let rest = middle.iter().fold(head, |n, b| n * 10 + u64::from(b - b'0'));
    usize::try_from(rest % 23).is_ok_and(|at| b"TRWAGMYFPDXBNJZSQVHLCKE".get(at) == Some(letter))
}

fn nl_bsn(value: &Value<'_>) -> bool {
    let Some(digits) = exactly(value, 9) else { return false };
    let sum = weighted(digits, &[9, 8, 7, 6, 5, 4, 3, 2]);
    number(digits) > 0 && sum >= digit(digits, 8) && (sum - digit(digits, 8)).is_multiple_of(11)
}

fn be_nn(value: &Value<'_>) -> bool {
    let Some(digits) = exactly(value, 11) else { return false };
    let (Some(body), Some(key)) = (digits.get(..9).map(number), digits.get(9..).map(number)) else { return false };
    let dated = exists_short(pair(digits, 0), pair(digits, 2), pair(digits, 4));
    // Whoever was born from 2000 on counts with a 2 in front.
    dated && (key == 97 - body % 97 || key == 97 - (2_000_000_000 + body) % 97)
}

fn pl_pesel(value: &Value<'_>) -> bool {
    let Some(digits) = exactly(value, 11) else { return false };
    let sum = weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]);
    // The month carries the century.
    let dated = exists_short(pair(digits, 0), pair(digits, 2) % 20, pair(digits, 4));
    dated && (10 - sum % 10) % 10 == digit(digits, 10)
}

fn se_personnummer(value: &Value<'_>) -> bool {
    let Some(all) = value.digits.as_deref() else { return false };
    let digits = match all.len() {
        10 => all,
        12 if matches!(pair(all, 0), 18..=20) => all.get(2..).unwrap_or_default(),
        _ => return false,
    };
    // Coordination numbers add 60 to the day.
    exists_short(pair(digits, 0), pair(digits, 2), pair(digits, 4) % 60) && luhn(digits)
}

fn fi_hetu(value: &Value<'_>) -> bool {
    let code = value.text.as_bytes();
    let numeric = |range: std::ops::Range<usize>| {
        let part = code.get(range)?;
        part.iter().all(u8::is_ascii_digit).then(|| part.iter().fold(0_u32, |n, b| n * 10 + u32::from(b - b'0')))
    };
    let (11, Some(day), Some(serial)) = (code.len(), numeric(0..6), numeric(7..10)) else { return false };
    let century = code.get(6).is_some_and(|b| b"+-ABCDEFUVWXY".contains(b));
    let rest = usize::try_from((u64::from(day) * 1_000 + u64::from(serial)) % 31).unwrap_or(0);
    let dated = exists_short(day % 100, day / 100 % 100, day / 10_000);
    century && dated && code.get(10) == b"0123456789ABCDEFHJKLMNPRSTUVWXY".get(rest)
}

fn no_fodselsnummer(value: &Value<'_>) -> bool {
    let Some(digits) = exactly(value, 11) else { return false };
    let first = 11 - weighted(digits, &[3, 7, 6, 1, 8, 9, 4, 5, 2]) % 11;
    let second = 11 - weighted(digits, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    // Numbers for those without residence add 40 to the day.
    let dated = exists_short(pair(digits, 4), pair(digits, 2) % 40, pair(digits, 0) % 40);
    dated && first % 11 == digit(digits, 9) && second % 11 == digit(digits, 10)
}

fn dk_cpr(value: &Value<'_>) -> bool {
    let Some(digits) = exactly(value, 10) else { return false };
    let hyphen = value.text.len() == 11 && value.text.as_bytes().get(6) == Some(&b'-');
    hyphen && exists_short(pair(digits, 4), pair(digits, 2), pair(digits, 0) % 60)
}

fn pt_nif(value: &Value<'_>) -> bool {
    let Some(digits) = exactly(value, 9) else { return false };
    let rest = 11 - weighted(digits, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    let check = if rest >= 10 { 0 } else { rest };
    digit(digits, 0) != 0 && !is_uniform(digits) && check == digit(digits, 8)
}

fn ch_ahv(value: &Value<'_>) -> bool {
    let Some(digits) = exactly(value, 13) else { return false };
    let sum = weighted(digits, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]);
    digits.starts_with(&[7, 5, 6]) && sum.is_multiple_of(10)
}
