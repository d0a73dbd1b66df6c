//! Streaming dedupe by event id: producers that retry late send the same event again.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// The ids of the newest `capacity` messages of a stream.
///
/// A message whose id is in the window is a duplicate. An id older than the window is forgotten, so a retry
/// that comes later than `capacity` messages counts as new: the stated limit of the promise. Ids are kept as 128-bit
/// XXH3 hashes, 32 bytes each whatever their length; that two ids of a million share one has a probability of 10^-27,
/// and the seed, drawn anew in each process, keeps anybody from preparing such a pair.
#[derive(Clone, Debug)]
pub struct Window {
    capacity: usize,
    seed: u64,
    order: VecDeque<u128>,
    known: HashSet<u128, BuildHasherDefault<Hashed>>,
}

/// A hasher for what is a hash already.
#[derive(Clone, Copy, Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_le_bytes(word);
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low half of a hash is a hash")]
    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}

impl Window {
    /// An empty window over `capacity` ids, at least one.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let seed = RandomState::new().build_hasher().finish();
        Self { capacity: capacity.max(1), seed, order: VecDeque::new(), known: HashSet::default() }
    }

    /// Notes an id; false when it was known already.
    pub fn note(&mut self, id: &str) -> bool {
        let id = xxh3_128_with_seed(id.as_bytes(), self.seed);
        if !self.known.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }

    /// Takes an id out again: its message left nothing behind.
    pub fn forget(&mut self, id: &str) {
        let id = xxh3_128_with_seed(id.as_bytes(), self.seed);
        if !self.known.remove(&id) {
            return;
        }
        // It was noted a moment ago, so it is found near the end.
        if let Some(at) = self.order.iter().rposition(|other| *other == id) {
            self.order.remove(at);
        }
    }

    /// Ids in the window.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether nothing was noted yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_duplicate_while_it_is_in_the_window() {
        let mut window = Window::new(2);
        assert!(window.note("a"));
        assert!(!window.note("a"));
        assert!(window.note("b"));
        assert!(window.note("c"));
        assert!(window.note("a"), "pushed out by b and c");
        assert_eq!(window.len(), 2);
    }

    #[test]
    fn a_forgotten_id_is_new_again_and_is_kept_as_long_as_any_other() {
        let mut window = Window::new(3);
        assert!(window.note("a"));
        window.forget("a");
        assert!(window.is_empty());
        assert!(window.note("b") && window.note("a") && window.note("c"));
        assert!(!window.note("b"), "nothing was pushed out");
    }
}
