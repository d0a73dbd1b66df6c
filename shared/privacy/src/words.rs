//! Words of column names.

/// Lower case without the accents of European letters; ß becomes ss.
pub(crate) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        match c {
            'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ą' | 'ă' | 'ā' => folded.push('a'),
            'ç' | 'ć' | 'č' => folded.push('c'),
            'ď' | 'đ' | 'ð' => folded.push('d'),
            'è' | 'é' | 'ê' | 'ë' | 'ę' | 'ě' | 'ē' => folded.push('e'),
            'ğ' => folded.push('g'),
            'ì' | 'í' | 'î' | 'ï' | 'ı' | 'ī' => folded.push('i'),
            'ł' | 'ľ' => folded.push('l'),
            'ñ' | 'ń' | 'ň' => folded.push('n'),
            'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ő' | 'ō' => folded.push('o'),
            'ř' => folded.push('r'),
            'ś' | 'š' | 'ş' | 'ș' => folded.push('s'),
            'ß' => folded.push_str("ss"),
            'ť' | 'ț' => folded.push('t'),
            'ù' | 'ú' | 'û' | 'ü' | 'ů' | 'ű' | 'ū' => folded.push('u'),
            'ý' | 'ÿ' => folded.push('y'),
            'ź' | 'ż' | 'ž' => folded.push('z'),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            '\u{300}'..='\u{36f}' => {}
            other => folded.push(other),
        }
    }
    folded
}

/// The words of a column name: `customerEmail`, `customer_email` and `Customer E-Mail 2` have the same first ones.
#[derive(Clone, Debug)]
pub(crate) struct NameWords {
    words: Vec<String>,
    joined: String,
}

/// From this length on, a phrase is also found where a name runs its words together.
const JOINED: usize = 6;

impl NameWords {
    /// Takes a name apart.
    pub(crate) fn of(name: &str) -> Self {
        let mut words = vec![String::new()];
        let mut before = ' ';
        for c in name.chars().take(128) {
            let new_word = !c.is_alphanumeric()
                || (c.is_uppercase() && before.is_lowercase())
                || (c.is_ascii_digit() != before.is_ascii_digit() && before.is_alphanumeric());
            if new_word {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
                word.push(c);
            }
            before = c;
        }
        let words: Vec<String> = words.iter().filter(|word| !word.is_empty()).map(|word| fold(word)).collect();
        Self { joined: words.concat(), words }
    }

    /// Whether the words of `phrase` follow each other in the name.
    pub(crate) fn has(&self, phrase: &str) -> bool {
        let wanted: Vec<&str> = phrase.split(' ').collect();
        let apart = self.words.windows(wanted.len()).any(|window| window.iter().eq(wanted.iter()));
        let joined = wanted.concat();
        apart || joined == self.joined || joined.len() >= JOINED && self.joined.contains(&joined)
    }

    /// The first of the phrases that the name has.
    pub(crate) fn first(&self, phrases: &[&'static str]) -> Option<&'static str> {
        phrases.iter().copied().find(|phrase| self.has(phrase))
    }

    /// Whether one of the words stands in the name by itself.
    pub(crate) fn has_word(&self, words: &[&str]) -> bool {
        self.words.iter().any(|word| words.contains(&word.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_however_they_are_written() {
        for name in [
            "customerEmail",
            "customer_email",
            "Customer E-Mail",
            "CUSTOMER EMAIL",
            "customeremail",
            "customer_email_2",
        ] {
            let words = NameWords::of(name);
            assert!(words.has("customer email") || words.has("e mail"), "{name}: {words:?}");
        }
        assert!(NameWords::of("dateOfBirth").has("date of birth"));
        assert!(NameWords::of("geburtsdatum").has("geburtsdatum") && NameWords::of("Prénom").has("prenom"));
        assert!(!NameWords::of("microphone").has("phone") && !NameWords::of("zipper").has("zip"));
    }
}
