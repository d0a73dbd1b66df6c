//! Calendar windows of event time, UTC: ISO weeks from Monday, and months.

use chrono::{Datelike, Months, NaiveDate, NaiveTime};
use serde::{Deserialize, Serialize};
use std::fmt;
use tidemill_spec::Window;
use tidemill_types::Millis;

const DAY: i64 = 86_400_000;
/// 1970-01-01 was a Thursday: three days after a Monday.
const THURSDAY: i64 = 3;

/// One window of the calendar. Ordered by kind, then start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CalendarWindow {
    /// Week or month.
    pub kind: Window,
    /// First instant.
    pub start: Millis,
}

impl CalendarWindow {
    /// The window of this kind that holds an instant.
    #[must_use]
    pub fn of(kind: Window, instant: Millis) -> Self {
        let start = match kind {
            Window::Week => {
                let days = instant.0.div_euclid(DAY);
                (days - (days + THURSDAY).rem_euclid(7)).saturating_mul(DAY)
            }
            Window::Month => first_of_month(instant),
        };
        Self { kind, start: Millis(start) }
    }

    /// First instant after the window.
    #[must_use]
    pub fn end(self) -> Millis {
        let end = match self.kind {
            Window::Week => self.start.0.saturating_add(7 * DAY),
            Window::Month => {
                let next = self.start.to_utc().and_then(|t| t.date_naive().checked_add_months(Months::new(1)));
                // Beyond the calendar there are no events either; any later instant ends the window.
                next.map_or(self.start.0.saturating_add(31 * DAY), midnight)
            }
        };
        Millis(end)
    }

    /// The window after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self { kind: self.kind, start: self.end() }
    }

    /// Whether an instant lies in the window.
    #[must_use]
    pub fn holds(self, instant: Millis) -> bool {
        self.start <= instant && instant < self.end()
    }

    /// `week` or `month`.
    #[must_use]
    pub fn kind_name(self) -> &'static str {
        match self.kind {
            Window::Week => "week",
            Window::Month => "month",
        }
    }

    /// First day, such as `2013-02-01`.
    #[must_use]
    pub fn start_date(self) -> String {
        date(self.start)
    }
}

impl fmt::Display for CalendarWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.kind_name(), self.start_date())
    }
}

/// Day of an instant, such as `2013-02-01`; milliseconds outside the calendar.
#[must_use]
pub fn date(instant: Millis) -> String {
    instant.to_utc().map_or_else(|| instant.0.to_string(), |t| t.format("%Y-%m-%d").to_string())
}

/// Day of an instant without dashes, such as `20130201`.
#[must_use]
pub fn compact_date(instant: Millis) -> String {
    date(instant).replace('-', "")
}

/// An instant as an object name, such as `20130201T000000Z`.
#[must_use]
pub fn compact(instant: Millis) -> String {
    instant.to_utc().map_or_else(|| instant.0.to_string(), |t| t.format("%Y%m%dT%H%M%SZ").to_string())
}

fn first_of_month(instant: Millis) -> i64 {
    let day = instant.to_utc().map(|t| t.date_naive());
    day.and_then(|d| NaiveDate::from_ymd_opt(d.year(), d.month(), 1)).map_or(instant.0, midnight)
}

fn midnight(day: NaiveDate) -> i64 {
    day.and_time(NaiveTime::MIN).and_utc().timestamp_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Millis {
        Millis::parse(text).unwrap()
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_the_first() {
        let friday = at("2013-02-01T12:00:00Z");
        assert_eq!(CalendarWindow::of(Window::Week, friday).start, at("2013-01-28T00:00:00Z"));
        assert_eq!(CalendarWindow::of(Window::Week, friday).end(), at("2013-02-04T00:00:00Z"));
        assert_eq!(CalendarWindow::of(Window::Month, friday).start, at("2013-02-01T00:00:00Z"));
        assert_eq!(CalendarWindow::of(Window::Month, friday).end(), at("2013-03-01T00:00:00Z"));
        let last = at("2013-12-31T23:59:59Z");
        assert_eq!(CalendarWindow::of(Window::Month, last).next().start, at("2014-01-01T00:00:00Z"));
    }

    #[test]
    fn every_instant_is_in_its_window_before_1970_too() {
        for text in ["1969-12-29T00:00:00Z", "1968-02-29T23:59:59Z", "2013-03-10T07:00:00Z", "2024-02-29T00:00:00Z"] {
            for kind in [Window::Week, Window::Month] {
                let window = CalendarWindow::of(kind, at(text));
                assert!(window.holds(at(text)), "{text} {window}");
                assert_eq!(CalendarWindow::of(kind, window.start), window);
                assert!(!window.holds(window.end()));
            }
        }
        assert_eq!(CalendarWindow::of(Window::Week, at("1970-01-01T00:00:00Z")).start_date(), "1969-12-29");
    }

    #[test]
    fn names_are_those_of_people_and_objects() {
        let window = CalendarWindow::of(Window::Month, at("2013-02-14T00:00:00Z"));
        assert_eq!(window.to_string(), "month-2013-02-01");
        assert_eq!(compact(window.end()), "20130301T000000Z");
        assert_eq!(compact_date(window.end()), "20130301");
    }
}
