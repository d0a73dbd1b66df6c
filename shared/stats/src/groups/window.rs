//! Windows of event time: days, months and years of the calendar in UTC, or a stretch that fits no calendar.

use chrono::{DateTime, Datelike as _, Months, NaiveDate, NaiveTime};
use serde::{Deserialize, Serialize};

/// Milliseconds of a day.
pub(super) const DAY: i64 = 86_400_000;

/// A stretch of event time, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Window {
    /// The first instant.
    pub from: i64,
    /// The first instant after it.
    pub to: i64,
}

impl Window {
    /// Whether an instant of the window lies in the range; an end that is absent is open.
    #[must_use]
    pub fn meets(self, from: Option<i64>, to: Option<i64>) -> bool {
        from.is_none_or(|from| self.to > from) && to.is_none_or(|to| self.from < to)
    }

    /// Whether no instant of the window lies outside the range.
    #[must_use]
    pub fn is_within(self, from: Option<i64>, to: Option<i64>) -> bool {
        from.is_none_or(|from| self.from >= from) && to.is_none_or(|to| self.to <= to)
    }
}

/// Lengths of windows, each of which the next one is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Day,
    Month,
    Year,
}

impl Unit {
    pub(super) const ALL: [Self; 3] = [Self::Day, Self::Month, Self::Year];

    /// The window in which a day lies, counted from 1970-01-01; none beyond the calendar.
    pub(super) fn window(self, day: i64) -> Option<Window> {
        let start = day.checked_mul(DAY)?;
        let date = DateTime::from_timestamp_millis(start)?.date_naive();
        let (first, months) = match self {
            Self::Day => return Some(Window { from: start, to: start.checked_add(DAY)? }),
            Self::Month => (date.with_day(1)?, 1),
            Self::Year => (NaiveDate::from_ymd_opt(date.year(), 1, 1)?, 12),
        };
        let millis = |date: NaiveDate| date.and_time(NaiveTime::MIN).and_utc().timestamp_millis();
        Some(Window { from: millis(first), to: millis(first.checked_add_months(Months::new(months))?) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_day_lies_in_its_month_and_its_month_in_its_year() {
        let mut day = -800_000;
        while day < 800_000 {
            let [one, month, year] = Unit::ALL.map(|unit| unit.window(day).unwrap());
            assert!(one.is_within(Some(month.from), Some(month.to)), "{day}");
            assert!(month.is_within(Some(year.from), Some(year.to)), "{day}");
            assert!((28..=31).contains(&((month.to - month.from) / DAY)));
            assert!((365..=366).contains(&((year.to - year.from) / DAY)));
            day += 13;
        }
        // 2024-02-29 is day 19 782.
        let february = Unit::Month.window(19_782).unwrap();
        assert_eq!((february.from, february.to), (1_706_745_600_000, 1_709_251_200_000));
        assert!(Unit::Year.window(i64::MAX / DAY).is_none() && Unit::Day.window(i64::MIN / DAY).is_none());
    }

    #[test]
    fn the_end_of_a_range_is_not_part_of_it() {
        let window = Window { from: 10, to: 20 };
        assert!(window.meets(Some(19), None) && !window.meets(Some(20), None));
        assert!(window.meets(None, Some(11)) && !window.meets(None, Some(10)));
        assert!(window.is_within(Some(10), Some(20)) && !window.is_within(Some(11), None));
        assert!(window.meets(None, None) && window.is_within(None, None));
    }
}
