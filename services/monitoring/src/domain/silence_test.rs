//! Silent sources by the hands of a clock that the test moves.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::alerts::{Alert, AlertSeverity};
use super::silence::{CLOCK_SKEW_MS, Change, HISTORY_MS, News, Silences, Standing};
use std::collections::BTreeMap;
use tidemill_spec::{Source, Span};
use tidemill_types::{Millis, SourceName};

const MINUTE: i64 = 60_000;
/// Noon of a day.
const NOON: i64 = 1_700_049_600_000;

fn name() -> SourceName {
    "readings".parse().unwrap()
}

fn sources(within: Option<i64>) -> BTreeMap<SourceName, Source> {
    let source = Source {
        key: vec!["n".to_owned()],
        event_time: "at".to_owned(),
        known_at: None,
        fresh_within: within.map(Span::from_millis),
        role: tidemill_spec::SourceRole::Input,
        from: None,
        owner: None,
        cadence: None,
        access: None,
        licence: None,
        description: None,
        segments: Vec::new(),
        columns: BTreeMap::new(),
    };
    BTreeMap::from([(name(), source)])
}

fn at(minutes: i64) -> Millis {
    Millis(NOON + minutes * MINUTE)
}

/// A source that promises to speak every ten minutes.
fn watched() -> Silences {
    Silences::new(&sources(Some(10 * MINUTE)), &[])
}

/// A row that was known `age` before it came.
fn row(seen: Millis, age: i64) -> News {
    News { newest: Millis(seen.0 - age), committed: seen, seen }
}

fn raised(changes: Vec<Change>) -> Alert {
    let [Change::Raise(alert)] = changes.as_slice() else { panic!("{changes:?}") };
    alert.clone()
}

fn standing(silences: &Silences, now: Millis) -> Standing {
    silences.standings(now).next().unwrap().1
}

#[test]
fn a_silence_is_one_alert_however_often_it_is_looked_at_and_ends_with_the_next_row() {
    let mut silences = watched();
    silences.take(&name(), row(at(0), 0));
    assert_eq!(silences.step(at(10)), [], "exactly as long as promised is fresh");
    let alert = raised(silences.step(at(11)));
    assert_eq!((alert.rule.as_str(), alert.severity), ("stale.readings", AlertSeverity::Page));
    assert_eq!((alert.raised_at, alert.since, alert.source.clone()), (at(11), Some(at(0)), Some(name())));
    for minute in 12..2_000 {
        assert_eq!(silences.step(at(minute)), []);
    }
    silences.take(&name(), row(at(2_000), 0));
    assert_eq!(silences.step(at(2_001)), [Change::Resolve(Alert { resolved_at: Some(at(2_001)), ..alert.clone() })]);
    assert_eq!(silences.step(at(2_002)), []);
    let again = raised(silences.step(at(2_011)));
    assert_ne!(again.id(), alert.id(), "another silence is another alert");
}

#[test]
fn the_next_row_is_missed_before_the_promise_is_broken() {
    let mut silences = watched();
    for minute in 0..6 {
        silences.take(&name(), row(at(minute), 0));
    }
    assert_eq!(silences.step(at(10)), []);
    let late = raised(silences.step(at(11)));
    assert_eq!((late.rule.as_str(), late.severity), ("late.readings", AlertSeverity::Warn));
    assert!(late.text.contains(&at(15).to_string()), "it says when it will be too late: {}", late.text);
    assert_eq!(silences.step(at(15)), []);
    assert_eq!(raised(silences.step(at(16))).rule, "stale.readings");
    silences.take(&name(), row(at(17), 0));
    assert_eq!(silences.step(at(17)).len(), 2, "both are over");
}

#[test]
fn a_lag_that_grows_is_late_before_any_row_is() {
    let mut silences = watched();
    for n in 0..10 {
        silences.take(&name(), row(at(n * 2), CLOCK_SKEW_MS + n * MINUTE));
    }
    let late = raised(silences.step(at(18)));
    assert_eq!(late.rule, "late.readings");
    assert!(late.text.contains("later and later") && late.text.contains(&at(20).to_string()), "{}", late.text);
}

#[test]
fn clocks_that_differ_raise_nothing() {
    for skew in [-9 * MINUTE, 9 * MINUTE, -120 * MINUTE] {
        let mut silences = Silences::new(&sources(Some(5 * MINUTE)), &[]);
        for minute in 0..60 {
            silences.take(&name(), row(at(minute), skew));
            assert_eq!(silences.step(at(minute)), [], "skew {skew}");
        }
        assert!(!silences.step(at(66)).is_empty(), "a source with another clock falls silent like any other");
    }
}

#[test]
fn history_is_not_judged_by_a_clock_until_something_new_comes() {
    let mut silences = watched();
    for slice in 0..20 {
        silences.take(&name(), row(at(slice), HISTORY_MS * 100 - slice));
        assert_eq!(silences.step(at(slice)), []);
    }
    assert_eq!((silences.step(at(10_000)), standing(&silences, at(10_000))), (vec![], Standing::History));
    silences.take(&name(), row(at(10_001), 0));
    assert_eq!(standing(&silences, at(10_001)), Standing::Fresh);
    assert_eq!(raised(silences.step(at(10_012))).rule, "stale.readings");
    silences.take(&name(), row(at(10_013), HISTORY_MS * 2));
    assert_eq!(standing(&silences, at(10_013)), Standing::Stale, "old rows beside it end no silence");
}

#[test]
fn what_was_raised_before_a_restart_is_not_raised_again_and_is_ended() {
    let mut before = watched();
    before.take(&name(), row(at(0), 0));
    let alert = raised(before.step(at(11)));
    let over = Alert { resolved_at: Some(at(3)), since: Some(at(-90)), ..alert.clone() };
    let mut after = Silences::new(&sources(Some(10 * MINUTE)), &[over, alert.clone()]);
    after.take(&name(), row(at(0), 0));
    assert_eq!(after.step(at(12)), []);
    after.take(&name(), row(at(13), 0));
    assert_eq!(after.step(at(13)), [Change::Resolve(Alert { resolved_at: Some(at(13)), ..alert.clone() })]);
    let mut unpromised = Silences::new(&sources(None), std::slice::from_ref(&alert));
    assert_eq!(unpromised.step(at(14)), [Change::Resolve(Alert { resolved_at: Some(at(14)), ..alert })]);
    assert_eq!(unpromised.step(at(15)), []);
}

#[test]
fn a_source_that_was_never_heard_or_promises_nothing_raises_nothing() {
    assert_eq!(watched().step(at(1_000)), []);
    let mut silences = Silences::new(&sources(None), &[]);
    silences.take(&name(), row(at(0), 0));
    assert_eq!(silences.step(at(1_000)), []);
    assert!(!silences.watches(&name()));
}
