//! When a window may be reported on, and when late rows stop counting.

use super::calendar::CalendarWindow;
use tidemill_types::Millis;

/// What is to be done about a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing yet, or nothing any more.
    Wait,
    /// The first report, closed at once when its grace is over too.
    Report {
        /// Whether late rows no longer count.
        closed: bool,
    },
    /// The last word.
    Close,
}

/// Decides by event time alone. A window is mature when outcomes are complete `matures` milliseconds past its end
/// and the predictions in it have been taken in; its grace lasts as long again. `closed` is the state of its report,
/// `None` while there is none.
#[must_use]
pub fn next(window: CalendarWindow, outcomes: Millis, predictions: Millis, matures: i64, closed: Option<bool>) -> Step {
    let end = window.end();
    let mature = outcomes.0 >= end.0.saturating_add(matures) && predictions >= end;
    let over = outcomes.0 >= end.0.saturating_add(2 * matures);
    match closed {
        None if mature => Step::Report { closed: over },
        Some(false) if mature && over => Step::Close,
        _ => Step::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemill_spec::Window;

    const HOUR: i64 = 3_600_000;

    fn at(text: &str) -> Millis {
        Millis::parse(text).unwrap()
    }

    #[test]
    fn a_window_waits_for_its_outcomes_and_its_predictions() {
        let february = CalendarWindow::of(Window::Month, at("2013-02-10T00:00:00Z"));
        let step =
            |outcomes: &str, predictions: Millis, closed| next(february, at(outcomes), predictions, 36 * HOUR, closed);
        assert_eq!(step("2013-03-02T11:59:59Z", Millis::MAX, None), Step::Wait);
        assert_eq!(step("2013-03-02T12:00:00Z", Millis::MAX, None), Step::Report { closed: false });
        // Predictions of the window still wait in the stream.
        assert_eq!(step("2013-03-02T12:00:00Z", at("2013-02-20T00:00:00Z"), None), Step::Wait);
        assert_eq!(step("2013-03-02T12:00:00Z", at("2013-03-01T00:00:00Z"), None), Step::Report { closed: false });
        assert_eq!(step("2013-03-03T23:59:59Z", Millis::MAX, Some(false)), Step::Wait);
        assert_eq!(step("2013-03-04T00:00:00Z", Millis::MAX, Some(false)), Step::Close);
        assert_eq!(step("2013-03-04T00:00:00Z", Millis::MAX, None), Step::Report { closed: true });
        assert_eq!(step("2014-01-01T00:00:00Z", Millis::MAX, Some(true)), Step::Wait);
    }
}
