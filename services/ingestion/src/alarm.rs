//! When so many events of a source are refused that somebody should look, and when that is over. Pure: decides by rows, not by clocks, so a
//! replay at any speed decides alike.

use std::collections::VecDeque;
use tidemill_intake::Counts;
use tidemill_types::Millis;

/// Letters below which a share says nothing.
const LEAST_DEAD: u64 = 10;

/// The share of refused rows among the newest ones of a source.
#[derive(Clone, Debug)]
pub(crate) struct DeadRate {
    share: f64,
    window: u64,
    commits: VecDeque<(u64, u64)>,
    rows: u64,
    dead: u64,
    /// When the alarm was raised that stands.
    raised: Option<Millis>,
}

/// What a commit changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Change {
    /// So many are refused that somebody should look.
    Raised(Alarm),
    /// The alarm that was raised at this instant is over.
    Over(Millis),
}

/// An alarm that was just reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Alarm {
    /// Refused rows.
    pub(crate) dead: u64,
    /// Rows they are among.
    pub(crate) of: u64,
}

impl DeadRate {
    /// Watches the newest `window` rows; zero for `share` watches nothing.
    pub(crate) fn new(share: f64, window: u64) -> Self {
        Self { share, window, commits: VecDeque::new(), rows: 0, dead: 0, raised: None }
    }

    /// Rows that are looked at, at least.
    pub(crate) fn window(&self) -> u64 {
        self.window
    }

    /// Takes in a commit that was made at an instant. An alarm stands until the share has fallen below half its limit, so
    /// that a share about the limit is one alarm.
    pub(crate) fn note(&mut self, counts: &Counts, at: Millis) -> Option<Change> {
        if self.share <= 0.0 {
            return None;
        }
        let (rows, dead) = (counts.rows + counts.dead, counts.dead);
        self.commits.push_back((rows, dead));
        self.rows += rows;
        self.dead += dead;
        while let Some((first_rows, first_dead)) = self.commits.front().copied()
            && self.rows - first_rows >= self.window
        {
            self.commits.pop_front();
            self.rows -= first_rows;
            self.dead -= first_dead;
        }
        #[expect(clippy::cast_precision_loss, reason = "a share of far fewer than 2^52 rows")]
        let share = self.dead as f64 / self.rows.max(1) as f64;
        match self.raised {
            Some(raised) if share < self.share / 2.0 => {
                self.raised = None;
                Some(Change::Over(raised))
            }
            None if share >= self.share && self.dead >= LEAST_DEAD => {
                self.raised = Some(at);
                Some(Change::Raised(Alarm { dead: self.dead, of: self.rows }))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(rate: &mut DeadRate, at: i64, rows: u64, dead: u64) -> Option<Change> {
        rate.note(&Counts { rows, dead, ..Counts::default() }, Millis(at))
    }

    fn raised(dead: u64, of: u64) -> Option<Change> {
        Some(Change::Raised(Alarm { dead, of }))
    }

    #[test]
    fn an_alarm_is_raised_once_is_over_when_the_source_is_well_and_may_be_raised_again() {
        let mut rate = DeadRate::new(0.05, 1_000);
        assert_eq!(note(&mut rate, 1, 900, 30), None, "3 % is below the limit");
        assert_eq!(note(&mut rate, 2, 100, 40), raised(70, 1_070));
        assert_eq!(note(&mut rate, 3, 100, 40), None, "it was told already");
        assert_eq!(note(&mut rate, 4, 5_000, 0), Some(Change::Over(Millis(2))));
        assert_eq!(note(&mut rate, 5, 5_000, 0), None);
        assert_eq!(note(&mut rate, 6, 0, 1_000), raised(1_000, 1_000));
    }

    #[test]
    fn few_letters_and_old_ones_raise_nothing() {
        let mut rate = DeadRate::new(0.05, 1_000);
        assert_eq!(note(&mut rate, 1, 5, 9), None, "nine letters are no rate");
        let mut rate = DeadRate::new(0.05, 100);
        assert!(note(&mut rate, 1, 0, 50).is_some());
        assert_eq!(note(&mut rate, 2, 200, 0), Some(Change::Over(Millis(1))));
        assert_eq!((rate.rows, rate.dead), (200, 0), "what lies outside the window is forgotten");
        assert_eq!(note(&mut DeadRate::new(0.0, 100), 1, 0, 1_000), None);
    }
}
