//! What the name of a column says about its class, by the phrases in `data/column_names.txt`.

use crate::class::PiiClass;
use crate::words::NameWords;
use std::sync::LazyLock;

/// How much a name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hint {
    /// The name says the class.
    Strong(&'static str),
    /// The name is often used for the class, and for other things.
    Weak(&'static str),
    /// The name says that it is something else.
    Against,
    /// Nothing.
    Silent,
}

/// The phrases of one class.
#[derive(Debug, Default)]
struct Phrases {
    strong: Vec<&'static str>,
    weak: Vec<&'static str>,
    against: Vec<&'static str>,
}

/// All phrases.
#[derive(Debug, Default)]
struct Lexicon {
    classes: Vec<(PiiClass, Phrases)>,
    things: Vec<&'static str>,
    persons: Vec<&'static str>,
}

static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| read(include_str!("../data/column_names.txt")));

fn read(text: &'static str) -> Lexicon {
    let mut lexicon = Lexicon {
        classes: PiiClass::ALL.into_iter().map(|class| (class, Phrases::default())).collect(),
        ..Lexicon::default()
    };
    for (head, phrases) in text.lines().filter_map(|line| line.split_once(": ")) {
        let phrases = phrases.split(", ").collect();
        match head.split_once(' ') {
            None if head == "things" => lexicon.things = phrases,
            None if head == "persons" => lexicon.persons = phrases,
            None => {}
            Some((name, strength)) => {
                let Some((_, of)) = lexicon.classes.iter_mut().find(|(class, _)| class.as_str() == name) else {
                    continue;
                };
                match strength {
                    "strong" => of.strong = phrases,
                    "weak" => of.weak = phrases,
                    _ => of.against = phrases,
                }
            }
        }
    }
    lexicon
}

/// What a name says about a class. What speaks against outweighs what speaks for it.
pub(crate) fn hint(name: &NameWords, class: PiiClass) -> Hint {
    let Some((_, phrases)) = LEXICON.classes.iter().find(|(known, _)| *known == class) else { return Hint::Silent };
    let strong = name.first(&phrases.strong);
    // "patient name" and "tax file number" are a person's, whatever else has names and files.
    let of_things = matches!(class, PiiClass::PersonName | PiiClass::NationalId) && strong.is_none();
    if of_things && name.has_word(&LEXICON.things) || name.first(&phrases.against).is_some() {
        return Hint::Against;
    }
    match (strong, name.first(&phrases.weak)) {
        (Some(phrase), _) => Hint::Strong(phrase),
        (None, Some(phrase)) => Hint::Weak(phrase),
        (None, None) => Hint::Silent,
    }
}

/// Whether a name speaks of a person.
pub(crate) fn names_a_person(name: &NameWords) -> bool {
    name.has_word(&LEXICON.persons)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lexicon_has_phrases_for_every_class() {
        assert!(LEXICON.things.len() > 50 && LEXICON.persons.len() > 10);
        for (class, phrases) in &LEXICON.classes {
            assert!(!phrases.strong.is_empty() || *class == PiiClass::FreeText, "{class}");
            let all = phrases.strong.iter().chain(&phrases.weak).chain(&phrases.against);
            assert!(all.clone().all(|p| !p.is_empty() && *p == crate::words::fold(p).trim()), "{class}");
        }
    }

    #[test]
    fn names_speak_for_and_against() {
        let of = |name: &str, class| hint(&NameWords::of(name), class);
        assert_eq!(of("customer_email", PiiClass::Email), Hint::Strong("email"));
        assert_eq!(of("name", PiiClass::PersonName), Hint::Weak("name"));
        assert_eq!(of("product_name", PiiClass::PersonName), Hint::Against);
        assert_eq!(of("patient_name", PiiClass::PersonName), Hint::Strong("patient name"));
        assert_eq!(of("tax_file_number", PiiClass::NationalId), Hint::Strong("tax file"));
        assert_eq!(of("ip_address", PiiClass::Address), Hint::Against);
        assert_eq!(of("ip_address", PiiClass::IpAddress), Hint::Strong("ip"));
        assert_eq!(of("soc_sec_id", PiiClass::NationalId), Hint::Strong("soc sec"));
        assert_eq!(of("amount", PiiClass::Phone), Hint::Silent);
    }
}
