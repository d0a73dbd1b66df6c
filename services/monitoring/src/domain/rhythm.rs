//! The rhythm in which a source speaks: when its next row is overdue, and where its lag is heading.

use std::collections::VecDeque;
use tidemill_types::Millis;

/// Arrivals remembered.
pub const KEPT: usize = 33;
/// Pauses below which nothing is called a rhythm.
const FEW_PAUSES: usize = 5;
/// Arrivals below which no lag is called a trend.
const FEW_LAGS: usize = 8;

/// Something new from a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When it was seen.
    pub seen: Millis,
    /// How old it was by then, in milliseconds.
    pub lag: i64,
}

impl Arrival {
    /// The instant from which the source counts as silent.
    #[must_use]
    pub fn heard(self) -> Millis {
        Millis(self.seen.0.saturating_sub(self.lag))
    }
}

/// The newest arrivals of a source.
#[derive(Clone, Debug, Default)]
pub struct Rhythm {
    arrivals: VecDeque<Arrival>,
}

impl Rhythm {
    /// Remembers an arrival and forgets the oldest.
    pub fn take(&mut self, arrival: Arrival) {
        if self.arrivals.len() == KEPT {
            self.arrivals.pop_front();
        }
        self.arrivals.push_back(arrival);
    }

    /// The newest arrival.
    #[must_use]
    pub fn last(&self) -> Option<Arrival> {
        self.arrivals.back().copied()
    }

    /// The longest pause that kept the promise, in milliseconds; `None` while there are too few to speak of a rhythm.
    #[must_use]
    pub fn longest_pause(&self, within: i64) -> Option<i64> {
        let pairs = self.arrivals.iter().zip(self.arrivals.iter().skip(1));
        let pauses = pairs.map(|(a, b)| b.heard().0.saturating_sub(a.heard().0)).filter(|pause| *pause <= within);
        let (count, longest) = pauses.fold((0, 0), |(count, longest), pause| (count + 1, pause.max(longest)));
        (count >= FEW_PAUSES).then_some(longest)
    }

    /// The instant from which the next row is overdue: midway between the longest pause and the end of the promise.
    #[must_use]
    pub fn due(&self, within: i64) -> Option<Millis> {
        let (last, longest) = (self.last()?, self.longest_pause(within)?);
        Some(Millis(last.heard().0.saturating_add(longest.midpoint(within))))
    }

    /// The instant at which rows will come later than promised if their lag goes on growing as it did: the median of
    /// the slopes between all arrivals (Theil and Sen), so that single late rows do not decide. `None` when the lag does
    /// not grow, has not used up half of the promise, or will not break it within one more promise.
    #[must_use]
    pub fn breach(&self, within: i64) -> Option<Millis> {
        let last = self.last()?;
        if self.arrivals.len() < FEW_LAGS || last.lag.saturating_mul(2) < within {
            return None;
        }
        let slope = self.slope()?;
        let left = within.saturating_sub(last.lag).max(0);
        if slope <= 0.0 || left as f64 / slope > within as f64 {
            return None;
        }
        Some(Millis(last.seen.0.saturating_add((left as f64 / slope) as i64)))
    }

    /// Growth of the lag, in milliseconds a millisecond.
    fn slope(&self) -> Option<f64> {
        let mut slopes = Vec::new();
        for (place, a) in self.arrivals.iter().enumerate() {
            for b in self.arrivals.iter().skip(place + 1) {
                let apart = b.seen.0.saturating_sub(a.seen.0);
                if apart > 0 {
                    slopes.push(b.lag.saturating_sub(a.lag) as f64 / apart as f64);
                }
            }
        }
        slopes.sort_unstable_by(f64::total_cmp);
        slopes.get(slopes.len() / 2).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rhythm(arrivals: impl IntoIterator<Item = (i64, i64)>) -> Rhythm {
        let mut rhythm = Rhythm::default();
        for (seen, lag) in arrivals {
            rhythm.take(Arrival { seen: Millis(seen), lag });
        }
        rhythm
    }

    #[test]
    fn a_row_is_overdue_midway_between_the_longest_pause_and_the_promise() {
        let daily = rhythm((0..6).map(|day| (day * 24, 0)));
        assert_eq!(daily.due(26), Some(Millis(5 * 24 + 25)));
        let fast = rhythm([(0, 0), (1, 0), (2, 0), (6, 0), (7, 0), (8, 0)]);
        assert_eq!(fast.due(300), Some(Millis(8 + 152)));
        assert_eq!(rhythm([(0, 0), (1, 0), (2, 0)]).due(300), None, "three arrivals are no rhythm");
    }

    #[test]
    fn a_pause_that_broke_the_promise_is_no_part_of_the_rhythm() {
        let outage = rhythm([(0, 0), (1, 0), (2, 0), (900, 0), (901, 0), (902, 0), (903, 0)]);
        assert_eq!(outage.longest_pause(300), Some(1));
    }

    #[test]
    fn a_growing_lag_says_when_it_will_break_the_promise() {
        let growing = rhythm((0..10).map(|n| (n * 100, n * 25)));
        assert_eq!(growing.breach(240), Some(Millis(900 + 60)), "15 are left, a quarter is lost each unit of time");
        assert_eq!(growing.breach(450), None, "further away than one more promise");
    }

    #[test]
    fn steady_shrinking_and_still_short_lags_are_no_trend() {
        assert_eq!(rhythm((0..10).map(|n| (n * 100, 200))).breach(240), None);
        assert_eq!(rhythm((0..10).map(|n| (n * 100, 230 - n * 5))).breach(240), None);
        assert_eq!(rhythm((0..10).map(|n| (n * 100, n * 2))).breach(240), None, "less than half is used up");
        let one_late_row = (0..10).map(|n| (n * 100, if n == 9 { 200 } else { 10 }));
        assert_eq!(rhythm(one_late_row).breach(240), None);
    }

    #[test]
    fn only_the_newest_arrivals_count() {
        let slowing = rhythm((0..40).map(|n| (n * 10, 0)).chain((0..40).map(|n| (400 + n * 20, 0))));
        assert_eq!((slowing.longest_pause(100), slowing.arrivals.len()), (Some(20), KEPT));
    }
}
