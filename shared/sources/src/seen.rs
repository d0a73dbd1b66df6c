//! Rows that were published before, by the hash of what identifies them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::HashSet;
use xxhash_rust::xxh3::xxh3_128;

/// Most rows that are remembered; the note of a position must fit one message of the bus.
pub(crate) const MOST: usize = 200_000;

/// A set of rows. Equal rows of one poll are told apart by their number: the first, the second, …
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen(HashSet<u128>);

impl Seen {
    /// Whether the `number`th row of this identity is known.
    pub(crate) fn has(&self, identity: &[u8], number: u32) -> bool {
        self.0.contains(&hash(identity, number))
    }

    /// Notes a row.
    pub(crate) fn note(&mut self, identity: &[u8], number: u32) {
        self.0.insert(hash(identity, number));
    }

    /// Notes a row that was published: the first number of its identity that is in neither set.
    pub(crate) fn note_next(&mut self, identity: &[u8], before: &Self) {
        let free = (0..).find(|number| !self.has(identity, *number) && !before.has(identity, *number));
        self.note(identity, free.unwrap_or(u32::MAX));
    }

    /// Rows noted.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes all of another set.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

fn hash(identity: &[u8], number: u32) -> u128 {
    // Almost all rows are the first of their identity.
    if number == 0 {
        return xxh3_128(identity);
    }
    let mut longer = identity.to_vec();
    longer.extend_from_slice(&number.to_le_bytes());
    xxh3_128(&longer)
}

impl Serialize for Seen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sorted: Vec<u128> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        let bytes: Vec<u8> = sorted.iter().flat_map(|hash| hash.to_le_bytes()).collect();
        serializer.serialize_str(&STANDARD_NO_PAD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Seen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD_NO_PAD.decode(text).map_err(serde::de::Error::custom)?;
        let hashes = bytes.chunks_exact(16).filter_map(|chunk| Some(u128::from_le_bytes(chunk.try_into().ok()?)));
        Ok(Self(hashes.collect()))
    }
}

/// Numbers equal rows of one poll.
#[derive(Debug, Default)]
pub(crate) struct Numbers(std::collections::HashMap<u128, u32>);

impl Numbers {
    /// How many rows of this identity came before in this poll.
    pub(crate) fn next(&mut self, identity: &[u8]) -> u32 {
        let count = self.0.entry(xxh3_128(identity)).or_default();
        *count += 1;
        *count - 1
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_set_survives_being_noted_down() {
        let mut seen = Seen::default();
        seen.note(b"a", 0);
        seen.note(b"a", 1);
        let text = serde_json::to_string(&seen).unwrap();
        assert_eq!(serde_json::from_str::<Seen>(&text).unwrap(), seen);
        assert!(seen.has(b"a", 1) && !seen.has(b"a", 2) && !seen.has(b"b", 0));
    }

    #[test]
    fn a_published_row_takes_the_next_number_of_its_equals() {
        let mut before = Seen::default();
        before.note(b"row", 0);
        let mut published = Seen::default();
        published.note_next(b"row", &before);
        assert!(published.has(b"row", 1) && !published.has(b"row", 0));
        let mut numbers = Numbers::default();
        assert_eq!([numbers.next(b"x"), numbers.next(b"x"), numbers.next(b"y")], [0, 1, 0]);
    }
}
