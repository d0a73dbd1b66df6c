//! Where a cycle cuts its rows in time.

use crate::error::TrainingError;
use serde::{Deserialize, Serialize};
use tidemill_spec::Split;
use tidemill_types::Millis;

const DAY: i64 = 86_400_000;

/// Training, gap, validation, gap, sealed test: half-open windows over the instant of the prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Windows {
    /// Training rows are before this instant.
    pub train_until: Millis,
    /// Validation begins here.
    pub valid_from: Millis,
    /// Validation ends here; the last fit uses every row before it.
    pub valid_until: Millis,
    /// The sealed test begins here.
    pub test_from: Millis,
    /// The sealed test ends here: the outcome of every earlier row is known by the cycle's instant.
    pub test_until: Millis,
}

impl Windows {
    /// Cuts backwards from `as_of`: first the time outcomes take, then test, gap, validation, gap. With little
    /// history, test and validation shrink to a fifth of it each, but never below one day; the gaps never shrink.
    ///
    /// `last` is the instant of the newest labelled row. Where it lies before the test window that `as_of` leads to,
    /// history has ended long ago and the cut begins just behind it.
    ///
    /// # Errors
    /// Less history than two such days, two gaps and a day to train on.
    pub fn cut(
        split: &Split,
        matures_within: i64,
        (first, last): (Millis, Millis),
        as_of: Millis,
    ) -> Result<Self, TrainingError> {
        let mut test_until = as_of.0 - matures_within;
        if last.0 < test_until - split.test.millis() {
            test_until = last.0 + 1;
        }
        let gap = split.embargo.millis();
        let history = test_until - first.0;
        let (mut test, mut validation) = (split.test.millis(), split.validation.millis());
        if history - test - validation - 2 * gap < validation {
            let fifth = (history / 5).max(DAY);
            (test, validation) = (test.min(fifth), validation.min(fifth));
        }
        let test_from = test_until - test;
        let valid_until = test_from - gap;
        let valid_from = valid_until - validation;
        let train_until = valid_from - gap;
        if train_until - first.0 < DAY {
            return Err(TrainingError::TooLittleHistory { days: history.max(0) / DAY, until: Millis(test_until) });
        }
        Ok(Self {
            train_until: Millis(train_until),
            valid_from: Millis(valid_from),
            valid_until: Millis(valid_until),
            test_from: Millis(test_from),
            test_until: Millis(test_until),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use tidemill_spec::{Span, SplitScheme};

    fn split() -> Split {
        let week = Span::hours(24 * 7);
        Split { scheme: SplitScheme::Time, validation: week, test: week, embargo: Span::hours(36) }
    }

    #[test]
    fn windows_lie_behind_each_other_with_gaps() {
        let as_of = Millis(200 * DAY);
        let w = Windows::cut(&split(), 36 * 3_600_000, (Millis(0), as_of), as_of).unwrap();
        assert_eq!(w.test_until.0, as_of.0 - 36 * 3_600_000);
        assert_eq!(w.test_until.0 - w.test_from.0, 7 * DAY);
        assert_eq!(w.test_from.0 - w.valid_until.0, 36 * 3_600_000);
        assert_eq!(w.valid_until.0 - w.valid_from.0, 7 * DAY);
        assert_eq!(w.valid_from.0 - w.train_until.0, 36 * 3_600_000);
    }

    #[test]
    fn history_that_ended_long_ago_is_tested_on_its_own_newest_rows() {
        let (last, now) = (Millis(60 * DAY), Millis(6_000 * DAY));
        let w = Windows::cut(&split(), 36 * 3_600_000, (Millis(0), last), now).unwrap();
        assert_eq!((w.test_until, w.test_from.0), (Millis(last.0 + 1), last.0 + 1 - 7 * DAY));
        // A quiet week at the end of a stream that goes on does not move the windows.
        let recent = Millis(now.0 - 8 * DAY);
        let w = Windows::cut(&split(), 36 * 3_600_000, (Millis(0), recent), now).unwrap();
        assert_eq!(w.test_until.0, now.0 - 36 * 3_600_000);
    }

    #[test]
    fn a_month_is_enough_and_a_few_days_shrink_the_windows() {
        let month = Windows::cut(&split(), 36 * 3_600_000, (Millis(0), Millis(31 * DAY)), Millis(31 * DAY)).unwrap();
        assert!(month.train_until.0 > 12 * DAY);
        assert_eq!(month.test_until.0 - month.test_from.0, 7 * DAY);
        let days = Windows::cut(&split(), 36 * 3_600_000, (Millis(0), Millis(12 * DAY)), Millis(12 * DAY)).unwrap();
        assert!(days.test_until.0 - days.test_from.0 < 3 * DAY);
        assert_eq!(days.test_from.0 - days.valid_until.0, 36 * 3_600_000, "a gap never shrinks");
        let refused = Windows::cut(&split(), 36 * 3_600_000, (Millis(0), Millis(6 * DAY)), Millis(6 * DAY));
        assert!(matches!(refused, Err(TrainingError::TooLittleHistory { .. })));
    }
}
