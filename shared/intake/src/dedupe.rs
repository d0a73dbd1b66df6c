//! Streaming dedupe by event id: producers that retry late send the same event again.

use std::collections::{HashSet, VecDeque};

/// The ids of the newest `capacity` messages of a stream.
///
/// A message whose id is in the window is a duplicate. An id older than the window is forgotten, so a retry
/// that comes later than `capacity` messages counts as new: the stated limit of the promise.
#[derive(Clone, Debug)]
pub struct Window {
    capacity: usize,
    order: VecDeque<String>,
    known: HashSet<String>,
}

impl Window {
    /// An empty window over `capacity` ids, at least one.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), order: VecDeque::new(), known: HashSet::new() }
    }

    /// Notes an id; false when it was known already.
    pub fn note(&mut self, id: &str) -> bool {
        if !self.known.insert(id.to_owned()) {
            return false;
        }
        self.order.push_back(id.to_owned());
        if self.order.len() > self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }

    /// Takes an id out again: its message left nothing behind.
    pub fn forget(&mut self, id: &str) {
        if !self.known.remove(id) {
            return;
        }
        // It was noted a moment ago, so it is found near the end.
        if let Some(at) = self.order.iter().rposition(|other| other == id) {
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
