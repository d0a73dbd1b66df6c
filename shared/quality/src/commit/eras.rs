//! Counted periods, and which of them belong together: one wrong instant must not move what is usual.
//!
//! Rows join the era that rules when they lie within its reach: no more than one memory later than its newest instant,
//! no more than one season before its first period. What lies beyond is astray. Astray rows that belong together form a
//! rival, and periods vote: an era that moves on to a new period gains a vote, of at most one season, and takes one from
//! the other. A rival with more votes rules, and what ruled stays as its rival. So a single instant, however far off,
//! moves nothing; a source that really was silent for longer than the memory, or whose first row was wrong, is followed
//! after half a season at the latest.

use std::collections::BTreeMap;

/// Earlier periods of a season needed before one is judged.
pub(super) const LEAST: usize = 4;
/// Segments told apart; rows of others count together.
const SEGMENTS: usize = 1_000;

/// Rows of one segment in one period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) rows: u64,
    pub(super) nulls: u64,
}

/// How long things are, in milliseconds and in periods.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lengths {
    /// Milliseconds of a period.
    pub(super) period: i64,
    /// Periods of a season.
    pub(super) season: i64,
    /// Periods that are kept.
    pub(super) memory: i64,
}

impl Lengths {
    fn period_of(&self, instant: i64) -> i64 {
        instant.div_euclid(self.period)
    }
}

/// Periods without a gap longer than the memory.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Era {
    pub(super) segments: BTreeMap<String, BTreeMap<i64, Cell>>,
    /// The first period with a row that is kept.
    pub(super) first: i64,
    /// The newest instant.
    pub(super) newest: i64,
    votes: i64,
    /// Whether it ruled at any time.
    ruled: bool,
}

/// The era that rules, and the one that may.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Eras {
    ruling: Option<Era>,
    rival: Option<Era>,
    /// The newest instant of what ruled, and the first period of what follows it after more than a memory.
    gap: Option<(i64, i64)>,
}

impl Eras {
    /// The era that later rows are held against, and the other.
    pub(super) fn both(&self) -> impl Iterator<Item = &Era> {
        [&self.ruling, &self.rival].into_iter().flatten()
    }

    /// Where the era that rules came after a longer silence than is remembered, since [`Self::look_on`].
    pub(super) fn gap(&self) -> Option<(i64, i64)> {
        self.gap
    }

    /// Takes what was found for told.
    pub(super) fn look_on(&mut self) {
        self.gap = None;
    }

    /// The newest instant that was known here of an era that has come further.
    pub(super) fn newest_of(&self, later: &Era, lengths: &Lengths) -> Option<i64> {
        let own = |at: &i64| *at <= later.newest && lengths.period_of(*at) >= later.first;
        self.both().map(|era| era.newest).filter(own).max()
    }

    /// Counts a row, and tells whether it belongs to the era that rules.
    pub(super) fn count(&mut self, segment: &str, instant: i64, is_null: bool, lengths: &Lengths) -> bool {
        let Some(ruling) = &mut self.ruling else {
            self.ruling = Some(Era { ruled: true, ..Era::begin(segment, instant, is_null, lengths) });
            return true;
        };
        if ruling.reaches(lengths.period_of(instant), lengths) {
            if ruling.count(segment, instant, is_null, lengths) {
                self.rival = self.rival.take().and_then(|rival| ruling.outvote(rival, lengths));
            }
            return true;
        }
        match &mut self.rival {
            Some(rival) if rival.reaches(lengths.period_of(instant), lengths) => {
                ruling.votes -= i64::from(rival.count(segment, instant, is_null, lengths));
                if rival.votes > ruling.votes.max(1) {
                    let is_gap = !rival.ruled && ruling.newest < rival.newest && ruling.is_long(lengths);
                    self.gap = is_gap.then_some((ruling.newest, rival.first.saturating_mul(lengths.period)));
                    rival.ruled = true;
                    std::mem::swap(ruling, rival);
                    return true;
                }
            }
            Some(rival) if rival.votes > 1 => rival.votes -= 1,
            rival => *rival = Some(Era::begin(segment, instant, is_null, lengths)),
        }
        false
    }

    /// Forgets periods that no later one is compared with.
    pub(super) fn forget(&mut self, lengths: &Lengths) {
        for era in [&mut self.ruling, &mut self.rival].into_iter().flatten() {
            era.forget(lengths);
        }
    }
}

impl Era {
    fn begin(segment: &str, instant: i64, is_null: bool, lengths: &Lengths) -> Self {
        let first = lengths.period_of(instant);
        let mut era = Self { segments: BTreeMap::new(), first, newest: instant, votes: 1, ruled: false };
        era.count(segment, instant, is_null, lengths);
        era
    }

    /// Whether it is long enough for its own periods to be judged.
    fn is_long(&self, lengths: &Lengths) -> bool {
        lengths.period_of(self.newest) - self.first >= LEAST as i64 * lengths.season
    }

    fn reaches(&self, period: i64, lengths: &Lengths) -> bool {
        self.first - lengths.season <= period && period <= lengths.period_of(self.newest) + lengths.memory
    }

    /// Counts a row, and tells whether the era moved on to another period.
    fn count(&mut self, segment: &str, instant: i64, is_null: bool, lengths: &Lengths) -> bool {
        let period = lengths.period_of(instant);
        let cell = self.cell(segment, period);
        cell.rows += 1;
        cell.nulls += u64::from(is_null);
        self.first = self.first.min(period);
        let moves_on = period > lengths.period_of(self.newest);
        self.newest = self.newest.max(instant);
        self.votes = (self.votes + i64::from(moves_on)).min(lengths.season);
        moves_on
    }

    fn cell(&mut self, segment: &str, period: i64) -> &mut Cell {
        let is_full = self.segments.len() >= SEGMENTS && !self.segments.contains_key(segment);
        let name = if is_full { "(others)" } else { segment };
        self.segments.entry(name.to_owned()).or_default().entry(period).or_default()
    }

    /// Takes a vote from the rival, or takes it in where it has come within reach. A rival of a single period is left
    /// outside: time coming closer to a wrong instant does not make it right.
    fn outvote(&mut self, mut rival: Era, lengths: &Lengths) -> Option<Era> {
        let is_near = |at| self.reaches(at, lengths);
        if rival.votes < 2 || !(is_near(rival.first) || is_near(lengths.period_of(rival.newest))) {
            rival.votes = (rival.votes - 1).max(0);
            return Some(rival);
        }
        for (segment, periods) in rival.segments {
            for (period, counted) in periods {
                let cell = self.cell(&segment, period);
                cell.rows += counted.rows;
                cell.nulls += counted.nulls;
            }
        }
        self.first = self.first.min(rival.first);
        self.newest = self.newest.max(rival.newest);
        self.votes = (self.votes + rival.votes).min(lengths.season);
        None
    }

    fn forget(&mut self, lengths: &Lengths) {
        let oldest = lengths.period_of(self.newest) - lengths.memory;
        for periods in self.segments.values_mut() {
            // `split_off` would move what stays; usually nothing goes.
            while periods.first_key_value().is_some_and(|(period, _)| *period < oldest) {
                periods.pop_first();
            }
        }
        let firsts = self.segments.values().filter_map(|periods| periods.first_key_value());
        self.first = firsts.map(|(period, _)| *period).min().unwrap_or(self.first);
    }
}
