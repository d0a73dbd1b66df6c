//! Names of persons, by lists of given names and surnames.

use crate::value::Value;
use crate::words::fold;
use std::collections::HashSet;
use std::sync::LazyLock;

/// The lists as they are stored; see `data/README.md`.
const GIVEN: &[u8] = include_bytes!("../data/given.txt.zst");
const SURNAMES: &[u8] = include_bytes!("../data/surnames.txt.zst");

/// Words before or behind a name that are no part of it.
const TITLES: &str = "mr mrs ms miss mx dr prof sir dame herr frau ing dipl mag univ sig sra sr srta dott jr ii iii iv phd md dds \
    dvm esq msc bsc mba b a don dona mme mlle m dhr mevr mw pan pani";
/// Words that firms and places have in their names.
const OTHERS: &str = "inc llc ltd limited gmbh ag kg ohg plc corp corporation co company group sons and und et y spa srl sarl sas \
    sa bv nv ab oy holding partners airport airlines airways air university college school bank hospital hotel \
    center centre station regional municipal field international park street road avenue lake county city the of \
    stiftung werke industries systems services solutions";

static KNOWN_GIVEN: LazyLock<HashSet<String>> = LazyLock::new(|| list(GIVEN));
static KNOWN_SURNAMES: LazyLock<HashSet<String>> = LazyLock::new(|| list(SURNAMES));

fn listed(list: &str, word: &str) -> bool {
    list.split(' ').any(|known| known == word)
}

fn list(compressed: &[u8]) -> HashSet<String> {
    // A damaged list is found by a test, not at run time.
    let text = zstd::decode_all(compressed).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
}

/// The words of a name, folded, without titles; `None` when the value has no form of a name.
fn words(value: &Value<'_>) -> Option<Vec<String>> {
    let text = value.text;
    if text.len() > 80 || !text.chars().all(|c| c.is_alphabetic() || matches!(c, ' ' | '-' | '\'' | '’' | '.' | ','))
    {
        return None;
    }
    let folded = fold(text);
    let mut words: Vec<String> = folded
        .split([' ', ','])
        .map(|word| word.trim_matches(['.', '\'', '-']).replace(['\'', '’'], ""))
        .filter(|word| !word.is_empty())
        .collect();
    if words.len() > 8 || words.iter().any(|word| listed(OTHERS, word)) {
        return None;
    }
    if words.len() > 1 {
        words.retain(|word| !listed(TITLES, &word.replace('.', "")));
    }
    (1..=6).contains(&words.len()).then_some(words)
}

fn any_part(word: &str, known: &HashSet<String>) -> bool {
    known.contains(word) || word.contains('-') && word.split('-').all(|part| known.contains(part))
}

/// Whether the value is one word that is a known name, and whether it is a full name of known parts.
pub(crate) fn known(value: &Value<'_>) -> (bool, bool) {
    let Some(words) = words(value) else { return (false, false) };
    let given = |word: &String| any_part(word, &KNOWN_GIVEN);
    let surname = |word: &String| any_part(word, &KNOWN_SURNAMES);
    match words.as_slice() {
        [one] => (one.len() >= 2 && (given(one) || surname(one)), false),
        [first, .., last] => {
            let turned = value.text.contains(',');
            let (given_part, surname_part) = if turned { (last, first) } else { (first, last) };
            (false, given(given_part) && surname(surname_part))
        }
        [] => (false, false),
    }
}

/// Letters as in a name: one to six words without digits, each of two letters or an initial.
pub(crate) fn may_be(value: &Value<'_>) -> bool {
    words(value).is_some_and(|words| words.iter().any(|word| word.chars().count() >= 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(text: &str) -> (bool, bool) {
        Value::new(text).map_or((false, false), |value| known(&value))
    }

    #[test]
    fn the_lists_are_whole() {
        assert_eq!((KNOWN_GIVEN.len(), KNOWN_SURNAMES.len()), (5_163, 25_000));
        assert!(GIVEN.len() + SURNAMES.len() < 100_000);
    }

    #[test]
    fn full_names_are_told_from_firms_and_airports() {
        for name in ["Mary Smith", "Smith, John", "Dr. James T. Kirk", "MICHELLE O'Connor", "Anna-Maria Lopez"] {
            assert_eq!(both(name), (false, true), "{name}");
        }
        for other in ["Endeavor Air Inc.", "Jekyll Island Airport", "Smith and Sons", "scattered clouds", "A320-214"] {
            assert!(!both(other).1, "{other}");
        }
        assert_eq!(both("José"), (true, false));
        assert_eq!(both("Adelie"), (false, false));
    }
}
