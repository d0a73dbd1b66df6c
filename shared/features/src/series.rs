//! Entries of one key in one group, as sorted columns.

use crate::value::{ValueKind, Values};
use std::cmp::Ordering;

/// Place of an entry: window time, knowledge time, stream sequence, row of the message.
///
/// The order is total and belongs to the data, not to the order of arrival; scanning in it makes sums
/// reproducible to the bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) on: i64,
    pub(crate) known: i64,
    pub(crate) seq: i64,
    pub(crate) row: i32,
}

/// Entries of one key, sorted by [`Place`].
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) on: Vec<i64>,
    /// Empty when windows lie over knowledge time: then `on` is the knowledge time.
    known: Vec<i64>,
    pub(crate) seq: Vec<i64>,
    pub(crate) row: Vec<i32>,
    pub(crate) columns: Vec<Values>,
    on_known: bool,
}

impl Series {
    pub(crate) fn new(kinds: impl Iterator<Item = ValueKind>, on_known: bool) -> Self {
        let columns = kinds.map(Values::empty).collect();
        Self { on: Vec::new(), known: Vec::new(), seq: Vec::new(), row: Vec::new(), columns, on_known }
    }

    /// Whether windows lie over knowledge time.
    pub(crate) fn is_on_known(&self) -> bool {
        self.on_known
    }

    pub(crate) fn len(&self) -> usize {
        self.on.len()
    }

    /// Knowledge times in the order of entries.
    pub(crate) fn known(&self) -> &[i64] {
        if self.on_known { &self.on } else { &self.known }
    }

    pub(crate) fn place(&self, index: usize) -> Place {
        Place { on: self.on[index], known: self.known()[index], seq: self.seq[index], row: self.row[index] }
    }

    /// Adds an entry; false when it is already there.
    pub(crate) fn insert(&mut self, place: Place, values: &[Values], from: usize) -> bool {
        let Some(at) = self.position(place) else { return false };
        self.on.insert(at, place.on);
        if !self.on_known {
            self.known.insert(at, place.known);
        }
        self.seq.insert(at, place.seq);
        self.row.insert(at, place.row);
        for (mine, theirs) in self.columns.iter_mut().zip(values) {
            mine.insert(at, theirs, from);
        }
        true
    }

    /// Where a new entry goes; `None` when it is there. Entries mostly come in order.
    fn position(&self, place: Place) -> Option<usize> {
        let len = self.len();
        if len == 0 || self.place(len - 1) < place {
            return Some(len);
        }
        let (mut low, mut high) = (0, len);
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.place(middle).cmp(&place) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return None,
                Ordering::Greater => high = middle,
            }
        }
        Some(low)
    }

    /// Drops the oldest `count` entries.
    pub(crate) fn drop_front(&mut self, count: usize) {
        self.on.drain(..count);
        if !self.on_known {
            self.known.drain(..count);
        }
        self.seq.drain(..count);
        self.row.drain(..count);
        for column in &mut self.columns {
            column.drop_front(count);
        }
    }

    /// Drops the entries with a sequence after `after`; returns how many.
    pub(crate) fn drop_after(&mut self, after: i64) -> usize {
        let keeps: Vec<bool> = self.seq.iter().map(|seq| *seq <= after).collect();
        let dropped = keeps.iter().filter(|keeps| !**keeps).count();
        if dropped == 0 {
            return 0;
        }
        retain(&mut self.on, &keeps);
        retain(&mut self.known, &keeps);
        retain(&mut self.row, &keeps);
        self.seq.retain(|seq| *seq <= after);
        for column in &mut self.columns {
            column.retain(&keeps);
        }
        dropped
    }
}

fn retain<T>(values: &mut Vec<T>, keeps: &[bool]) {
    let mut at = keeps.iter();
    values.retain(|_| at.next().is_none_or(|keeps| *keeps));
}

/// Number of leading elements that are at most `limit`; `times` is sorted.
pub(crate) fn up_to(times: &[i64], limit: i64) -> usize {
    // Most questions are about the newest entries: gallop from the end before halving.
    let mut step = 1;
    let mut high = times.len();
    while step <= high && times[high - step] > limit {
        high -= step;
        step *= 2;
    }
    let low = high.saturating_sub(step);
    low + times[low..high].partition_point(|time| *time <= limit)
}
