//! Ranges of event time and segments, merged from groups of many commits.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use std::sync::Arc;
use tidemill_explore::{Range, Ranged};
use tidemill_stats::{Groups, Segment};
use tidemill_types::Millis;

const DAY: i64 = 86_400_000;

/// Ten rows a day, of two meters in turn; their numbers tell the day.
fn commit(days: std::ops::Range<i64>, segments: &[&str]) -> Groups {
    let rows: Vec<(i64, i64)> = days.flat_map(|day| (0..10).map(move |n| (day, n))).collect();
    let at: ArrayRef =
        Arc::new(TimestampMillisecondArray::from_iter_values(rows.iter().map(|(day, n)| day * DAY + n * 1_000)));
    let value: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|(day, n)| day * 10 + n)));
    let meter: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|(_, n)| format!("m{}", n % 2))));
    let batch = RecordBatch::try_from_iter([("at", at), ("value", value), ("meter", meter)]).unwrap();
    let segments: Vec<String> = segments.iter().map(|name| (*name).to_owned()).collect();
    Groups::of(&batch, "at", &segments).unwrap().1
}

fn range(from: i64, to: i64) -> Range {
    Range { from: Some(Millis(from * DAY)), to: Some(Millis(to * DAY)), segment: None }
}

fn ends(ranged: &Ranged) -> (u64, Option<f64>, Option<f64>) {
    let value = ranged.profile.column("value").unwrap();
    (ranged.profile.rows, value.moments.min, value.moments.max)
}

#[test]
fn exactly_the_rows_of_a_range_are_told_of() {
    let mut ranged = Ranged::of(range(3, 6));
    // Every commit has the two days of the one before, too.
    (0..20).for_each(|day| ranged.add(&commit(day..day + 3, &[]), 1));
    assert_eq!(ends(&ranged), (90, Some(30.0), Some(59.0)));
    assert!(ranged.caveats().is_empty(), "{:?}", ranged.caveats());
    assert!(ranged.origin().contains("1970-01-04") && ranged.origin().contains("1970-01-07"), "{}", ranged.origin());
    let moments = &ranged.over_time().unwrap().columns[0].moments;
    assert_eq!(moments.iter().map(|moment| moment.rows).sum::<u64>(), 90);
}

#[test]
fn a_segment_is_told_of_and_what_is_not_known_of_it_is_said() {
    let segment = Some(("meter".to_owned(), Segment::Value("m1".to_owned())));
    let mut ranged = Ranged::of(Range { segment: segment.clone(), ..range(0, 2) });
    ranged.add(&commit(0..3, &[]), 4);
    ranged.add(&commit(0..3, &["meter"]), 1);
    assert_eq!(ends(&ranged), (10, Some(1.0), Some(19.0)));
    assert_eq!(ranged.segments(), ["m0", "m1"]);
    assert!(ranged.caveats()[0].starts_with("4 commits are left out"), "{:?}", ranged.caveats());
    let mut whole = Ranged::of(Range { segment: None, ..range(0, 2) });
    whole.add(&commit(0..3, &["meter"]), 1);
    assert_eq!(ends(&whole), (20, Some(0.0), Some(19.0)), "segments add up to all rows");
}

#[test]
fn rows_that_were_not_asked_for_are_counted() {
    let mut ranged = Ranged::of(range(100, 101));
    ranged.add(&commit(0..365, &[]), 1);
    // Day 100 is in April, and a commit of a year is told by months.
    assert_eq!(ends(&ranged), (300, Some(900.0), Some(1_199.0)));
    assert!(ranged.caveats()[0].starts_with("300 of 300 rows"), "{:?}", ranged.caveats());
}
