//! Check-digit schemes, on digits as numbers from 0 to 9.

/// ISO/IEC 7812-1 annex B ("Luhn"): from the right, every second digit doubled, sum divisible by ten.
pub(crate) fn luhn(digits: &[u8]) -> bool {
    let doubled = |d: u8| if d > 4 { d * 2 - 9 } else { d * 2 };
    let sum: u32 =
        digits.iter().rev().enumerate().map(|(i, d)| u32::from(if i % 2 == 1 { doubled(*d) } else { *d })).sum();
    sum.is_multiple_of(10)
}

/// Sum of digits times weights; the shorter of the two ends it.
pub(crate) fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(d, w)| u32::from(*d) * w).sum()
}

/// The number that digits write in base ten.
pub(crate) fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |n, d| n * 10 + u64::from(*d))
}

/// ISO/IEC 7064, MOD 11,10: a hybrid system with one check digit.
pub(crate) fn mod_11_10(digits: &[u8]) -> bool {
    let Some((check, body)) = digits.split_last() else { return false };
    let product = body.iter().fold(10_u32, |product, d| {
        let sum = (product + u32::from(*d)) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == u32::from(*check)
}

/// ISO/IEC 7064, MOD 97-10 over letters and digits, as ISO 13616 uses it: A is 10, Z is 35; the remainder is one.
pub(crate) fn mod_97_10(characters: impl Iterator<Item = u8>) -> bool {
    let mut rest = 0_u32;
    for character in characters {
        rest = match character {
            b'0'..=b'9' => rest * 10 + u32::from(character - b'0'),
            b'A'..=b'Z' => rest * 100 + u32::from(character - b'A') + 10,
            _ => return false,
        } % 97;
    }
    rest == 1
}

/// Multiplication in the dihedral group of order ten.
const DIHEDRAL: [[u8; 10]; 10] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
    [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
    [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
    [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
    [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
    [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
    [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
    [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
    [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
];
/// The permutation of Verhoeff, by position modulo eight.
const PERMUTATION: [[u8; 10]; 8] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
    [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
    [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
    [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
    [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
    [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
    [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
];

/// J. Verhoeff, "Error Detecting Decimal Codes" (1969): every single error and every swap of neighbours is found.
pub(crate) fn verhoeff(digits: &[u8]) -> bool {
    let step = |sum: u8, (i, d): (usize, &u8)| {
        let permuted = PERMUTATION[i % 8][usize::from(*d % 10)];
        DIHEDRAL[usize::from(sum)][usize::from(permuted)]
    };
    digits.iter().rev().enumerate().fold(0, step) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> Vec<u8> {
        text.bytes().map(|b| b - b'0').collect()
    }

    #[test]
    fn published_examples_pass() {
        assert!(luhn(&digits("79927398713")));
        assert!(verhoeff(&digits("2363")));
        assert!(mod_11_10(&digits("86095742719")));
        assert!(mod_97_10("WEST12345698765432GB82".bytes()));
    }

    #[test]
    fn every_single_wrong_digit_is_found() {
        for (scheme, text) in
            [(luhn as fn(&[u8]) -> bool, "79927398713"), (verhoeff, "2363"), (mod_11_10, "86095742719")]
        {
            let right = digits(text);
            for place in 0..right.len() {
                for other in (0..10).filter(|d| *d != right[place]) {
                    let mut wrong = right.clone();
                    wrong[place] = other;
                    assert!(!scheme(&wrong), "{text}: {other} at {place}");
                }
            }
        }
    }
}
