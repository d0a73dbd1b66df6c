//! Who shows which token. Only digests are kept, so that the file gives nobody access.

use super::error::ShareError;
use std::collections::BTreeMap;
use std::path::Path;
use tidemill_types::Digest;

/// Partners by the digest of their token.
#[derive(Clone, Debug, Default)]
pub struct Tokens(BTreeMap<Digest, String>);

impl Tokens {
    /// Reads a file of lines `PARTNER SHA-256-OF-TOKEN`; empty lines and lines that begin with `#` are skipped.
    ///
    /// # Errors
    /// [`ShareError::Tokens`] naming the line.
    pub fn load(path: &Path) -> Result<Self, ShareError> {
        let refused = |reason: String| ShareError::Tokens { path: path.display().to_string(), reason };
        let text = std::fs::read_to_string(path).map_err(|e| refused(e.to_string()))?;
        let mut tokens = Self::default();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            let (partner, digest) = match words.as_slice() {
                [partner, digest] => (*partner, Digest::parse(digest)),
                _ => ("", None),
            };
            let digest = digest.ok_or_else(|| refused(format!("line {}: expected PARTNER SHA-256", at + 1)))?;
            tokens.0.insert(digest, partner.to_owned());
        }
        Ok(tokens)
    }

    /// The partner who shows a token. Digests are compared, so that the time of a comparison tells nothing of the token.
    pub(super) fn partner(&self, token: &str) -> Option<&str> {
        self.0.get(&Digest::of(token.as_bytes())).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn partners_are_known_by_their_tokens_and_a_bad_line_is_named() {
        let folder = std::env::temp_dir().join(format!("tidemill-share-tokens-{}", std::process::id()));
        std::fs::write(&folder, format!("# partners\n\nacme {}\n", Digest::of(b"secret"))).unwrap();
        let tokens = Tokens::load(&folder).unwrap();
        assert_eq!((tokens.partner("secret"), tokens.partner("secret ")), (Some("acme"), None));
        std::fs::write(&folder, "acme secret\n").unwrap();
        assert!(Tokens::load(&folder).unwrap_err().to_string().contains("line 1: expected"));
        std::fs::remove_file(folder).unwrap();
    }
}
