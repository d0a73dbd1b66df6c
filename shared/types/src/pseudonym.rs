//! Names that stand for values which are not to be read where they are kept: equal values have equal names, within one
//! column and under one salt.

use crate::digest::Digest;

/// Characters of a pseudonym: 128 bits, so that no two values of a column ever share one.
const LENGTH: usize = 32;

/// The name that stands for a value of a column. Who holds the salt and guesses the value can tell that it is the one, so
/// this keeps values from being read, not from being looked for.
#[must_use]
pub fn pseudonym(salt: &str, column: &str, value: &str) -> String {
    // Lengths first, so that no two triples are written alike.
    let text = format!("{}:{}:{salt}{column}{value}", salt.len(), column.len());
    Digest::of(text.as_bytes()).as_str().chars().take(LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_alike_under_one_salt_in_one_column_only() {
        let name = pseudonym("s", "doctor", "Anna");
        assert_eq!((name.len(), pseudonym("s", "doctor", "Anna")), (LENGTH, name.clone()));
        let others =
            [("t", "doctor", "Anna"), ("s", "nurse", "Anna"), ("s", "doctor", "Berta"), ("sd", "octor", "Anna")];
        assert!(others.iter().all(|(salt, column, value)| pseudonym(salt, column, value) != name));
    }
}
