//! Keys of one rule, bounded: past the capacity those taken first are forgotten.
//!
//! A key is kept as the 128-bit XXH3 of its values: two different keys share one with a probability below 10^-25 among
//! a million. Rows come in stream order, so every consumer of the same stream forgets alike. A row that is looked at
//! again (same sequence and row number) passes as it did.

use super::MemoryCheck;
use super::keys::Entry;
use std::collections::{HashMap, VecDeque};

/// Place of a row in its stream: sequence, and row of the message.
pub type Position = (i64, i32);

/// How a key's value and a new row's are held against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// Any second row fails.
    Once,
    /// Another value fails.
    Same,
    /// A smaller value fails.
    Rising { strictly: bool },
}

/// Keys of one rule, with a value each.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Keyed {
    order: Order,
    held: HashMap<u128, (i64, Position)>,
    /// Keys from the first to the last taken.
    taken: VecDeque<u128>,
}

/// How to take the newest change back.
pub(crate) enum Undo {
    /// A key was taken; another may have been forgotten for it.
    Taken(Option<(u128, (i64, Position))>),
    /// A key's value was replaced.
    Replaced(u128, (i64, Position)),
}

impl Keyed {
    pub(super) fn of(check: &MemoryCheck) -> Self {
        let order = match check {
            MemoryCheck::Determines { .. } => Order::Same,
            MemoryCheck::Increasing { strictly, .. } => Order::Rising { strictly: *strictly },
            MemoryCheck::Unique(_) | MemoryCheck::Refers { .. } => Order::Once,
        };
        Self { order, held: HashMap::new(), taken: VecDeque::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.taken.len()
    }

    /// Whether values are stored with the keys.
    pub(super) fn has_values(&self) -> bool {
        self.order != Order::Once
    }

    /// Whether a row contradicts what is known.
    pub(crate) fn contradicts(&self, entry: Entry, owner: Position) -> bool {
        let Some((value, holder)) = self.held.get(&entry.key) else {
            return false;
        };
        match self.order {
            Order::Once => *holder != owner,
            Order::Same => *holder != owner && *value != entry.value,
            // A row that is not newer than the one remembered was judged before.
            Order::Rising { strictly } => {
                owner > *holder && (entry.value < *value || (strictly && entry.value == *value))
            }
        }
    }

    pub(super) fn take(&mut self, entry: Entry, owner: Position, capacity: usize) -> Option<Undo> {
        if let Some(held) = self.held.get_mut(&entry.key) {
            // Written so that rows read again in another order than they came leave the same behind: the first row of a
            // key, or the newest of those with the largest value.
            let replaces = match self.order {
                Order::Once | Order::Same => owner < held.1,
                Order::Rising { .. } => (entry.value, owner) > *held,
            };
            return replaces.then(|| Undo::Replaced(entry.key, std::mem::replace(held, (entry.value, owner))));
        }
        self.held.insert(entry.key, (entry.value, owner));
        self.taken.push_back(entry.key);
        let oldest = if self.taken.len() > capacity { self.taken.pop_front() } else { None };
        Some(Undo::Taken(oldest.and_then(|oldest| self.held.remove(&oldest).map(|held| (oldest, held)))))
    }

    pub(super) fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Replaced(key, held) => {
                self.held.insert(key, held);
            }
            Undo::Taken(forgotten) => {
                if let Some(key) = self.taken.pop_back() {
                    self.held.remove(&key);
                }
                if let Some((key, held)) = forgotten {
                    self.taken.push_front(key);
                    self.held.insert(key, held);
                }
            }
        }
    }

    /// Every key with its value and row, from the first to the last taken.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u128, i64, Position)> {
        self.taken.iter().filter_map(|key| self.held.get(key).map(|(value, owner)| (*key, *value, *owner)))
    }
}
