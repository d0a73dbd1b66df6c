//! Counts of frequent hashes in fixed room: what the values behind them are is looked up once, at the end.
//!
//! Misra & Gries (1982) as Anderson et al. (2017) made it quick: when the table is full, the median count is taken
//! from all, and what is at zero leaves. What was taken bounds the error of every count.

/// Slots; a table of 24 kB stays near the processor.
const SLOTS: usize = 1024;
/// Slots in use at most.
const FULL: usize = 768;

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    hash: u64,
    /// Zero marks a free slot.
    count: u64,
    row: u32,
}

/// A frequent hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    /// The hash.
    pub(crate) hash: u64,
    /// A row that has it.
    pub(crate) row: u32,
    /// Upper bound of its count.
    pub(crate) count: u64,
    /// The true count lies in `count - error ..= count`.
    pub(crate) error: u64,
}

/// A stream of hashes, counted.
#[derive(Debug)]
pub(crate) struct Counter {
    slots: Vec<Slot>,
    used: usize,
    taken: u64,
}

impl Counter {
    pub(crate) fn new() -> Self {
        Self { slots: vec![Slot::default(); SLOTS], used: 0, taken: 0 }
    }

    /// Adds a hash that occurs `weight` times, first in `row`.
    #[inline]
    pub(crate) fn add(&mut self, hash: u64, row: u32, weight: u64) {
        let mut at = hash as usize % SLOTS;
        loop {
            let slot = &mut self.slots[at];
            if slot.count == 0 {
                *slot = Slot { hash, count: weight, row };
                self.used += 1;
                break;
            }
            if slot.hash == hash {
                slot.count += weight;
                return;
            }
            at = (at + 1) % SLOTS;
        }
        if self.used > FULL {
            self.purge();
        }
    }

    fn purge(&mut self) {
        let mut live: Vec<Slot> = self.slots.iter().copied().filter(|slot| slot.count > 0).collect();
        let middle = live.len() / 2;
        let (_, median, _) = live.select_nth_unstable_by_key(middle, |slot| slot.count);
        let toll = median.count;
        self.taken += toll;
        self.slots.fill(Slot::default());
        self.used = 0;
        for slot in live.into_iter().filter(|slot| slot.count > toll) {
            let mut at = slot.hash as usize % SLOTS;
            while self.slots[at].count > 0 {
                at = (at + 1) % SLOTS;
            }
            self.slots[at] = Slot { count: slot.count - toll, ..slot };
            self.used += 1;
        }
    }

    /// The `most` most frequent ones from the top, and a bound on the count of all others.
    pub(crate) fn top(&self, most: usize) -> (Vec<Counted>, u64) {
        let counted =
            |slot: &Slot| Counted { hash: slot.hash, row: slot.row, count: slot.count + self.taken, error: self.taken };
        let mut all: Vec<Counted> = self.slots.iter().filter(|slot| slot.count > 0).map(counted).collect();
        all.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.hash.cmp(&b.hash)));
        let floor = all.get(most).map_or(self.taken, |next| next.count);
        all.truncate(most);
        // One that is no more frequent than what is left out tells nothing.
        if floor > 0 {
            all.retain(|one| one.count > floor);
        }
        (all, floor)
    }
}
