//! When so many events of a source are refused that somebody should look. Pure: decides by rows, not by clocks, so a
//! replay at any speed decides alike.

use std::collections::VecDeque;
use tidemill_intake::Counts;

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
    raised: bool,
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
        Self { share, window, commits: VecDeque::new(), rows: 0, dead: 0, raised: false }
    }

    /// Takes in a commit. Once raised, an alarm is silent until the share has fallen below half its limit.
    pub(crate) fn note(&mut self, counts: &Counts) -> Option<Alarm> {
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
        if share < self.share / 2.0 {
            self.raised = false;
        }
        let reached = share >= self.share && self.dead >= LEAST_DEAD && !self.raised;
        self.raised |= reached;
        reached.then_some(Alarm { dead: self.dead, of: self.rows })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rows: u64, dead: u64) -> Counts {
        Counts { rows, dead, ..Counts::default() }
    }

    #[test]
    fn an_alarm_is_raised_once_and_again_only_after_the_source_was_well() {
        let mut rate = DeadRate::new(0.05, 1_000);
        assert_eq!(rate.note(&counts(900, 30)), None, "3 % is below the limit");
        assert_eq!(rate.note(&counts(100, 40)), Some(Alarm { dead: 70, of: 1_070 }));
        assert_eq!(rate.note(&counts(100, 40)), None, "it was told already");
        assert_eq!(rate.note(&counts(5_000, 0)), None);
        assert_eq!(rate.note(&counts(0, 1_000)), Some(Alarm { dead: 1_000, of: 1_000 }));
    }

    #[test]
    fn few_letters_and_old_ones_raise_nothing() {
        let mut rate = DeadRate::new(0.05, 1_000);
        assert_eq!(rate.note(&counts(5, 9)), None, "nine letters are no rate");
        let mut rate = DeadRate::new(0.05, 100);
        assert!(rate.note(&counts(0, 50)).is_some());
        assert_eq!(rate.note(&counts(200, 0)), None);
        assert_eq!((rate.rows, rate.dead), (200, 0), "what lies outside the window is forgotten");
        assert_eq!(DeadRate::new(0.0, 100).note(&counts(0, 1_000)), None);
    }
}
