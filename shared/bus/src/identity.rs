//! Nkeys: who a process is to the bus. The seed is the secret, the public key is what the server knows.

use crate::error::{Error, Result};
use nkeys::{KeyPair, KeyPairType};
use std::fmt;

/// The key of one user of the bus. Its seed is never printed.
pub struct Nkey {
    pair: KeyPair,
    seed: String,
}

impl fmt::Debug for Nkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Nkey").field(&self.public()).finish()
    }
}

impl Nkey {
    /// A new key from the operating system's random source.
    ///
    /// # Errors
    /// `TM0612` when its seed cannot be written as text.
    pub fn generate() -> Result<Self> {
        let pair = KeyPair::new_user();
        let seed = pair.seed().map_err(|error| Error::Malformed(format!("a new nkey: {error}")))?;
        Ok(Self { pair, seed })
    }

    /// The key of a seed (`SU…`).
    ///
    /// # Errors
    /// `TM0612` when the text is no seed of a user. The text is not repeated.
    pub fn from_seed(seed: &str) -> Result<Self> {
        let seed = seed.trim();
        let malformed = |reason: String| Error::Malformed(format!("the seed of an nkey: {reason}"));
        let pair = KeyPair::from_seed(seed).map_err(|error| malformed(error.to_string()))?;
        if !matches!(pair.key_pair_type(), KeyPairType::User) {
            return Err(malformed("it is not of a user, which begins with SU".to_owned()));
        }
        Ok(Self { pair, seed: seed.to_owned() })
    }

    /// The secret, to be written to a file that its owner alone can read.
    #[must_use]
    pub fn seed(&self) -> &str {
        &self.seed
    }

    /// The public key (`U…`), by which the server grants permissions.
    #[must_use]
    pub fn public(&self) -> String {
        self.pair.public_key()
    }

    /// Prefix of the subjects on which this user, and nobody else, receives answers.
    #[must_use]
    pub fn inbox(&self) -> String {
        format!("_INBOX.{}", self.public())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_its_key_again_and_is_not_printed() {
        let key = Nkey::generate().unwrap();
        let again = Nkey::from_seed(&format!(" {}\n", key.seed())).unwrap();
        assert_eq!(again.public(), key.public());
        assert!(key.public().starts_with('U'));
        assert_eq!(key.inbox(), format!("_INBOX.{}", key.public()));
        assert!(!format!("{key:?}").contains(key.seed()));
    }

    #[test]
    fn what_is_no_seed_of_a_user_is_refused_without_being_repeated() {
        let server = KeyPair::new_server().seed().unwrap();
        for bad in ["", "SUABC", server.as_str()] {
            let error = Nkey::from_seed(bad).unwrap_err().to_string();
            assert!(bad.is_empty() || !error.contains(bad), "{error}");
        }
    }
}
