//! What belongs to instants, kept in a bounded number of spans of equal length whatever comes in whatever order.

use std::collections::BTreeMap;

/// Spans at most between the first and the last instant.
const MOST: i64 = 64;

/// Values by span. A span is one millisecond long at first and as long as need be later: between 32 and 64 spans cover
/// what a longer time brought.
#[derive(Clone, Debug)]
pub struct Spans<T> {
    length: i64,
    slots: BTreeMap<i64, T>,
}

impl<T> Default for Spans<T> {
    fn default() -> Self {
        Self { length: 1, slots: BTreeMap::new() }
    }
}

impl<T> Spans<T> {
    /// Adds a value at an instant; `merge` takes the second into the first where both fall into one span.
    pub fn add(&mut self, at: i64, value: T, merge: impl Fn(&mut T, T)) {
        let mut place = at.div_euclid(self.length);
        while !self.reaches(place) {
            let double = |place: i64| place.div_euclid(2);
            place = double(place);
            self.length = self.length.saturating_mul(2);
            for (place, value) in std::mem::take(&mut self.slots) {
                self.put(double(place), value, &merge);
            }
        }
        self.put(place, value, &merge);
    }

    fn reaches(&self, place: i64) -> bool {
        let (Some((first, _)), Some((last, _))) = (self.slots.first_key_value(), self.slots.last_key_value()) else {
            return true;
        };
        place.max(*last).saturating_sub(place.min(*first)) < MOST
    }

    fn put(&mut self, place: i64, value: T, merge: impl Fn(&mut T, T)) {
        match self.slots.get_mut(&place) {
            Some(there) => merge(there, value),
            None => {
                self.slots.insert(place, value);
            }
        }
    }

    /// Length of a span in milliseconds.
    #[must_use]
    pub fn length(&self) -> i64 {
        self.length
    }

    /// Values with the middle of their span, from early to late.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (i64, &T)> {
        self.slots
            .iter()
            .map(|(place, value)| (place.saturating_mul(self.length).saturating_add(self.length / 2), value))
    }
}
