//! The smallest and the largest different values with their exact counts.

use serde::{Deserialize, Serialize};

/// Different values kept at either end.
const KEPT: usize = 5;
/// Values looked at together before any is looked at alone.
const CHUNK: usize = 256;

/// One value at an end of the distribution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Extreme {
    /// The value.
    pub value: f64,
    /// How often it occurred; exact.
    pub count: u64,
}

/// The five smallest and five largest different values.
///
/// Counts are exact and merge exactly: a value among the last of all values was among the last of every part.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Extremes {
    low: Vec<Extreme>,
    high: Vec<Extreme>,
}

impl Extremes {
    /// Adds finite values.
    pub fn extend(&mut self, values: &[f64]) {
        for chunk in values.chunks(CHUNK) {
            let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
            for value in chunk {
                least = if *value < least { *value } else { least };
                most = if *value > most { *value } else { most };
            }
            let (floor, ceiling) = (self.floor(), self.ceiling());
            if least <= floor {
                chunk.iter().for_each(|value| put(&mut self.low, Extreme { value: *value, count: 1 }, |a, b| a < b));
            }
            if most >= ceiling {
                chunk.iter().for_each(|value| put(&mut self.high, Extreme { value: *value, count: 1 }, |a, b| a > b));
            }
        }
    }

    /// Adds all values behind `other`.
    pub fn merge(&mut self, other: &Self) {
        other.low.iter().for_each(|one| put(&mut self.low, *one, |a, b| a < b));
        other.high.iter().for_each(|one| put(&mut self.high, *one, |a, b| a > b));
    }

    /// Smallest different values, rising.
    #[must_use]
    pub fn low(&self) -> &[Extreme] {
        &self.low
    }

    /// Largest different values, falling.
    #[must_use]
    pub fn high(&self) -> &[Extreme] {
        &self.high
    }

    fn floor(&self) -> f64 {
        self.low.get(KEPT - 1).map_or(f64::INFINITY, |last| last.value)
    }

    fn ceiling(&self) -> f64 {
        self.high.get(KEPT - 1).map_or(f64::NEG_INFINITY, |last| last.value)
    }
}

/// Adds a value to a list that is ordered by `before`, and lets the last one go when there are too many.
#[inline]
fn put(list: &mut Vec<Extreme>, one: Extreme, before: fn(f64, f64) -> bool) {
    if list.get(KEPT - 1).is_some_and(|last| before(last.value, one.value)) {
        return;
    }
    let at = list.iter().position(|known| !before(known.value, one.value)).unwrap_or(list.len());
    if let Some(known) = list.get_mut(at).filter(|known| known.value == one.value) {
        known.count += one.count;
        return;
    }
    list.insert(at, one);
    list.truncate(KEPT);
}
