//! The most frequent texts, with a bound on every count.
//!
//! The Space-Saving guarantees of Metwally et al. (2005) kept under merging (Agarwal et al. 2012): counts never
//! undershoot, every entry carries its possible overshoot, and no unlisted value is more frequent than the floor.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// Values kept.
pub(crate) const CAPACITY: usize = 128;

/// One frequent value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The value.
    pub value: String,
    /// Upper bound of its count.
    pub count: u64,
    /// The true count lies in `count - error ..= count`.
    pub error: u64,
}

/// Up to 128 most frequent values; exact (all errors zero) while no more than 128 different ones were seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopK {
    entries: Vec<Entry>,
    floor: u64,
}

impl TopK {
    /// Adds a batch of values: counted exactly, cut to capacity, merged.
    pub fn update<'a>(&mut self, values: impl Iterator<Item = &'a str>) {
        let mut counts: HashMap<&str, u64> = HashMap::new();
        for value in values {
            *counts.entry(value).or_default() += 1;
        }
        let mut counted: Vec<(&str, u64)> = counts.into_iter().collect();
        let by_count = |a: &(&str, u64), b: &(&str, u64)| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0));
        let mut floor = 0;
        if counted.len() > CAPACITY {
            counted.select_nth_unstable_by(CAPACITY, by_count);
            floor = counted[CAPACITY].1;
            counted.truncate(CAPACITY);
        }
        counted.sort_unstable_by(by_count);
        let entries =
            counted.into_iter().map(|(value, count)| Entry { value: value.to_owned(), count, error: 0 }).collect();
        self.merge(&Self { entries, floor });
    }

    /// Entries that were counted elsewhere, at most [`CAPACITY`], and a bound on the count of all other values.
    pub(crate) fn counted(entries: Vec<Entry>, floor: u64) -> Self {
        Self { entries, floor }
    }

    /// Adds all values behind `other`.
    pub fn merge(&mut self, other: &Self) {
        let mut joined: BTreeMap<&str, [Option<&Entry>; 2]> = BTreeMap::new();
        for (side, sketch) in [&*self, other].into_iter().enumerate() {
            for entry in &sketch.entries {
                joined.entry(&entry.value).or_default()[side] = Some(entry);
            }
        }
        // A value that one side does not list may have occurred there up to its floor times.
        let part = |entry: Option<&Entry>, floor: u64| entry.map_or((floor, floor), |e| (e.count, e.error));
        let mut entries: Vec<Entry> = joined
            .into_iter()
            .map(|(value, [mine, theirs])| {
                let (a, b) = (part(mine, self.floor), part(theirs, other.floor));
                Entry { value: value.to_owned(), count: a.0 + b.0, error: a.1 + b.1 }
            })
            .collect();
        entries.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
        let dropped = entries.get(CAPACITY).map_or(0, |e| e.count);
        entries.truncate(CAPACITY);
        self.floor = (self.floor + other.floor).max(dropped);
        // One that may be no more frequent than any value left out tells nothing.
        entries.retain(|e| e.count > self.floor || self.floor == 0);
        self.entries = entries;
    }

    /// Entries from the most frequent down.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// No value outside [`Self::entries`] occurred more often than this.
    #[must_use]
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// True while every count is exact and nothing was left out.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.floor == 0
    }
}
