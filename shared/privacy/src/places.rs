//! Postal addresses and codes.

use crate::value::Value;
use crate::words::fold;
use regex::RegexSet;
use std::sync::LazyLock;

/// Words that only streets have, behind their names.
const STREETS: &str = "street avenue road boulevard crescent lane parade terrace highway circuit parkway blvd rd ave esplanade \
    cul-de-sac turnpike expressway ulica utca";
/// Words that streets share with other things, or abbreviations: a house number must stand before them.
const STREETS_WITH_NUMBER: &str = "st dr drive ct court pl place ln close way square sq loop trail alley mews grove row walk gardens rise plaza \
    hwy pike path run point ridge view crossing green cres tce cct pde cir circle ter pkwy expy glen mill mount \
    islands island summit park hill hills cove creek heights valley extension ports motorway track bypass estate \
    fields forest harbor haven hollow junction knoll landing manor meadow meadows orchard overpass passage pine \
    plains prairie shore shoal spring springs spur station stravenue stream union unions vista wells";
/// Words that streets begin with in Romance and Slavic languages.
const STREETS_FIRST: &str = "rue chemin impasse allee quai via viale piazza corso vicolo strada calle avenida paseo plaza camino ronda \
    carrer glorieta pasaje rua travessa praca largo ulica ul aleja aleje plac boulevard avenue place route \
    piazzetta contrada borgo rotonda incrocio stretto canale alameda callejon cuesta vial urbanizacion acceso \
    avda al pl corrada rambla pasadizo jardim ladeira nucleo parque recanto viaduto vila \
    vereda trecho setor residencial quadra passarela morro lagoa lago fazenda favela estrada esplanada distrito \
    conjunto condominio colonia chacara campo aeroporto loteamento feira estacao sitio";
/// Ends of words for streets in Germanic languages.
const STREET_ENDS: &str = "strasse str weg platz allee gasse ring damm straat laan plein gatan gata vagen vag grand stigen steeg kade \
    singel gracht dreef hof baan pad veien vej";

/// The words of a value, folded, without punctuation.
fn words(text: &str) -> Vec<String> {
    let folded = fold(text).replace("p.o.", "po");
    folded
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | '\n' | '/'))
        .map(|word| word.trim_matches(['.', '\'', '"', '(', ')', '#']).to_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

/// A house number: one to five digits and at most one letter.
fn is_house_number(word: &str) -> bool {
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let letters = word.len() - digits.len();
    letters <= 1 && (1..=5).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

/// A line of an address: a street by its type word or ending, most with a house number, or a post-office box.
pub(crate) fn is_address(value: &Value<'_>) -> bool {
    if !value.text.contains(char::is_alphabetic) {
        return false;
    }
    let words = words(value.text);
    if !(2..=20).contains(&words.len()) {
        return words.len() == 1 && words.iter().any(|word| ends_as_street(word) && word.len() > 8);
    }
    let is = |list: &str, word: &String| list.split(' ').any(|known| known == word);
    let numbered = words.iter().any(|word| is_house_number(word));
    let number_first = words.first().is_some_and(|word| is_house_number(word));
    let boxed = words.windows(2).any(|pair| matches!(pair, [a, b] if a == "po" && b == "box"));
    let behind = words.iter().skip(1).any(|word| is(STREETS, word)) && words.len() <= 10;
    let short = number_first && words.iter().skip(2).any(|word| is(STREETS_WITH_NUMBER, word));
    let begins = words.iter().take(2).any(|word| is(STREETS_FIRST, word)) && numbered;
    let suffixed = numbered && words.iter().any(|word| ends_as_street(word));
    let glued = numbered && words.windows(2).any(|pair| matches!(pair, [_, b] if is(STREET_ENDS, b)));
    boxed || behind || short || begins || suffixed || glued
}

fn ends_as_street(word: &str) -> bool {
    STREET_ENDS.split(' ').any(|end| word.len() > end.len() + 2 && word.ends_with(end))
}

/// Text of a few words, or a house number; towns and suburbs have no other form.
pub(crate) fn may_be_address(value: &Value<'_>) -> bool {
    let text = value.text;
    let lettered = text.chars().filter(|c| c.is_alphabetic()).count() >= 3;
    let wordy = lettered && text.split_whitespace().count() <= 14 && !text.contains(['@', '{', '<', '\\', '_']);
    wordy && !text.contains("://") || is_house_number(text)
}

/// Forms of codes with letters, which other data seldom have: United Kingdom, Canada, the Netherlands; then forms with
/// a blank or a hyphen, and plain digits.
static POSTCODES: LazyLock<Option<RegexSet>> = LazyLock::new(|| {
    RegexSet::new([
        r"^(?i)[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][ABD-HJLNP-UW-Z]{2}$",
        r"^(?i)[ABCEGHJ-NPRSTVXY][0-9][ABCEGHJ-NPRSTV-Z][ -]?[0-9][ABCEGHJ-NPRSTV-Z][0-9]$",
        r"^[1-9][0-9]{3} ?[A-Z]{2}$",
        r"^(?:[A-Z]{1,2}-)?[0-9]{3,6}$",
        r"^[0-9]{2}-[0-9]{3}$|^[0-9]{4}-[0-9]{3}$|^[0-9]{3} [0-9]{2}$|^[0-9]{5}-[0-9]{4}$|^[0-9]{5}-?[0-9]{3}$|^[0-9]{3}-[0-9]{4}$",
    ])
    .ok()
});

fn forms(value: &Value<'_>) -> Vec<usize> {
    POSTCODES.as_ref().map(|set| set.matches(value.text).into_iter().collect()).unwrap_or_default()
}

/// A code whose form is its own.
pub(crate) fn is_postcode(value: &Value<'_>) -> bool {
    value.text.len() <= 8 && forms(value).iter().any(|form| *form < 3)
}

/// A code of any form.
pub(crate) fn may_be_postcode(value: &Value<'_>) -> bool {
    value.text.len() <= 10 && !forms(value).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(check: fn(&Value<'_>) -> bool, text: &str) -> bool {
        Value::new(text).is_some_and(|value| check(&value))
    }

    #[test]
    fn streets_are_known_by_their_words_in_several_languages() {
        for address in [
            "123 Main St",
            "stanley street",
            "Flat 3, 12 Gordon Road",
            "Hauptstraße 12",
            "Kungsgatan 4",
            "12, rue de la Paix",
            "Via Roma 12",
            "Calle Mayor 5",
            "P.O. Box 77",
            "Prinsengracht 263",
            "ul. Marszałkowska 10",
        ] {
            assert!(holds(is_address, address), "{address}");
        }
        for other in
            ["hard drive", "Fixed wing multi engine", "overcast clouds", "one way", "42", "Adelie", "America/Chicago"]
        {
            assert!(!holds(is_address, other), "{other}");
        }
    }

    #[test]
    fn codes_with_letters_are_told_from_plain_digits() {
        for code in ["SW1A 1AA", "K1A 0B1", "1012 AB"] {
            assert!(holds(is_postcode, code), "{code}");
        }
        for code in ["2913", "90210-1234", "00-950", "113 59"] {
            assert!(!holds(is_postcode, code) && holds(may_be_postcode, code), "{code}");
        }
        assert!(!holds(may_be_postcode, "N14228X99"));
    }
}
