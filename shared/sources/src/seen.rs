//! Rows that were published before, by the hash of what identifies them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::HashMap;
use xxhash_rust::xxh3::xxh3_128;

/// Most rows that are remembered of a poll.
pub(crate) const MOST: usize = 200_000;
/// Most rows that one note can hold in all its sets: it must fit one message of the bus, which is 8 MiB.
const NOTED: usize = 300_000;

/// Whether a note can hold these sets together.
pub(crate) fn fit_one_note(sets: &[&Seen]) -> bool {
    sets.iter().map(|set| set.len()).sum::<usize>() <= NOTED
}

/// How often each row was there. Equal rows are told apart by their number only, so they are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen(HashMap<u128, u32>);

impl Seen {
    /// Whether a row of this identity is known.
    pub(crate) fn has(&self, identity: &[u8]) -> bool {
        self.count(identity) > 0
    }

    /// How many rows of this identity are known.
    pub(crate) fn count(&self, identity: &[u8]) -> u32 {
        self.0.get(&xxh3_128(identity)).copied().unwrap_or_default()
    }

    /// Notes that a row of this identity is there, once however often it is noted.
    pub(crate) fn note(&mut self, identity: &[u8]) {
        self.raise(identity, 1);
    }

    /// Notes that so many rows of this identity are there, if no more are known already.
    pub(crate) fn raise(&mut self, identity: &[u8], count: u32) {
        let known = self.0.entry(xxh3_128(identity)).or_default();
        *known = count.max(*known);
    }

    /// Counts one row more; its number among its equals, from 1.
    pub(crate) fn add(&mut self, identity: &[u8]) -> u32 {
        let count = self.0.entry(xxh3_128(identity)).or_default();
        *count += 1;
        *count
    }

    /// Counts all rows of another set.
    pub(crate) fn add_all(&mut self, other: &Self) {
        for (row, count) in &other.0 {
            *self.0.entry(*row).or_default() += count;
        }
    }

    /// Whether there is none among these rows that both sets together have more often than it is known here.
    pub(crate) fn covers(&self, one: &Self, other: &Self) -> bool {
        let count = |set: &Self, row| set.0.get(row).copied().unwrap_or_default();
        other.0.iter().all(|(row, rows)| count(one, row) + rows <= count(self, row))
    }

    /// Rows noted.
    pub(crate) fn len(&self) -> usize {
        self.0.values().map(|count| usize::try_from(*count).unwrap_or(usize::MAX)).sum()
    }

    /// Notes all rows of another set, as [`Self::note`] does.
    pub(crate) fn absorb(&mut self, other: Self) {
        for (row, count) in other.0 {
            let known = self.0.entry(row).or_default();
            *known = count.max(*known);
        }
    }
}

impl Serialize for Seen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rows = self.0.iter().flat_map(|(row, count)| std::iter::repeat_n(*row, *count as usize));
        let mut sorted: Vec<u128> = rows.collect();
        sorted.sort_unstable();
        let bytes: Vec<u8> = sorted.iter().flat_map(|hash| hash.to_le_bytes()).collect();
        serializer.serialize_str(&STANDARD_NO_PAD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Seen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD_NO_PAD.decode(text).map_err(serde::de::Error::custom)?;
        let mut seen = Self::default();
        for chunk in bytes.chunks_exact(16).filter_map(|chunk| chunk.try_into().ok()) {
            *seen.0.entry(u128::from_le_bytes(chunk)).or_default() += 1;
        }
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn seen(rows: &[&str]) -> Seen {
        let mut seen = Seen::default();
        for row in rows {
            seen.add(row.as_bytes());
        }
        seen
    }

    #[test]
    fn a_set_survives_being_noted_down() {
        let set = seen(&["a", "b", "a"]);
        let text = serde_json::to_string(&set).unwrap();
        assert_eq!(serde_json::from_str::<Seen>(&text).unwrap(), set);
        assert_eq!((set.count(b"a"), set.count(b"c"), set.has(b"b"), set.len()), (2, 0, true, 3));
    }

    #[test]
    fn a_note_is_bounded_by_all_its_sets_together() {
        let of = |numbers: std::ops::Range<usize>| {
            let mut seen = Seen::default();
            numbers.for_each(|n| seen.note(&n.to_le_bytes()));
            seen
        };
        let (one, other) = (of(0..MOST), of(MOST..NOTED));
        assert!(fit_one_note(&[&one, &other]) && !fit_one_note(&[&one, &one]));
        assert!(serde_json::to_vec(&(one, other)).unwrap().len() < 7 << 20);
    }

    #[test]
    fn what_is_noted_again_is_not_counted_again() {
        let mut set = Seen::default();
        set.note(b"a");
        set.note(b"a");
        assert_eq!(set.len(), 1);
        set.absorb(seen(&["a", "a", "b"]));
        set.absorb(seen(&["a"]));
        assert_eq!((set.count(b"a"), set.count(b"b")), (2, 1));
    }

    #[test]
    fn rows_of_two_pages_are_known_only_as_often_as_they_were() {
        let known = seen(&["x", "y", "y"]);
        assert!(known.covers(&seen(&["y"]), &seen(&["x", "y"])));
        assert!(!known.covers(&seen(&["x"]), &seen(&["x"])), "one more than was known");
        assert!(known.covers(&seen(&["z"]), &seen(&["x"])), "only the other page is asked about");
        assert!(!known.covers(&seen(&[]), &seen(&["z"])));
    }
}
