//! Promises of profiles by window and segment: any range is a merge, nothing is lost, and what is kept is bounded.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod random;

use arrow::array::{
    ArrayRef, AsArray as _, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{Float64Type, TimestampMillisecondType};
use random::Random;
use std::sync::Arc;
use tidemill_stats::groups::{Group, MOST_SEGMENTS, MOST_SKETCHES, MOST_WINDOWS};
use tidemill_stats::{Groups, Quantiles, Segment, TableProfile};

const DAY: i64 = 86_400_000;
/// 2024-01-01.
const START: i64 = 1_704_067_200_000;

/// Rows at these instants.
fn rows(random: &mut Random, instants: Vec<i64>) -> RecordBatch {
    let count = instants.len();
    let value = |random: &mut Random| match random.bits() % 20 {
        0 => None,
        1 => Some(f64::NAN),
        2 => Some(0.0),
        _ => Some(random.normal() * 100.0 + 7.0),
    };
    let values: Float64Array = (0..count).map(|_| value(random)).collect();
    let numbers = Int64Array::from_iter_values((0..count).map(|_| (random.bits() % 50_000) as i64));
    let carrier = |random: &mut Random| match random.bits() % 8 {
        0 => None,
        n => Some(format!("c{}", n % 5)),
    };
    let carriers: StringArray = (0..count).map(|_| carrier(random)).collect();
    let at = TimestampMillisecondArray::from(instants).with_timezone("UTC");
    let columns: [(&str, ArrayRef, bool); 4] = [
        ("at", Arc::new(at), false),
        ("value", Arc::new(values), true),
        ("number", Arc::new(numbers), false),
        ("carrier", Arc::new(carriers), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

/// Commits of some days each, every one with late rows of the days before.
fn commits(random: &mut Random, count: usize) -> Vec<RecordBatch> {
    let commit = |commit: usize, random: &mut Random| {
        let day = |random: &mut Random| match random.bits() % 25 {
            0 => (random.bits() % (2 * commit as u64 + 1)) as i64,
            _ => 2 * commit as i64 + (random.bits() % 4) as i64,
        };
        let instants = (0..2_500).map(|_| START + day(random) * DAY + (random.bits() % DAY as u64) as i64).collect();
        rows(random, instants)
    };
    (0..count).map(|at| commit(at, random)).collect()
}

fn kept(batch: &RecordBatch, is_kept: impl Fn(i64, Option<&str>) -> bool) -> RecordBatch {
    let at = batch["at"].as_primitive::<TimestampMillisecondType>().values();
    let carriers = batch["carrier"].as_string::<i32>();
    let mask: BooleanArray = at.iter().zip(carriers).map(|(at, carrier)| Some(is_kept(*at, carrier))).collect();
    filter_record_batch(batch, &mask).unwrap()
}

fn merged<'a>(groups: impl Iterator<Item = &'a Group>) -> TableProfile {
    let mut all = TableProfile::default();
    groups.for_each(|group| all.merge(&group.profile).unwrap());
    all
}

/// Queries of quantiles, and those that missed the stated error.
fn assert_same(found: &TableProfile, rows: &RecordBatch, told: &str) -> (u32, u32) {
    let wanted = TableProfile::of(rows).unwrap();
    assert_eq!(found.rows, wanted.rows, "{told}");
    let (mut queries, mut misses) = (0, 0);
    for (mine, theirs) in found.columns.iter().zip(&wanted.columns) {
        let of = |c: &tidemill_stats::ColumnProfile| {
            (c.name.clone(), c.count, c.nulls, c.nans, c.infs, c.zeros, c.negatives, c.blanks, c.extremes.clone())
        };
        assert_eq!(of(mine), of(theirs), "{told}");
        assert_eq!((mine.moments.min, mine.moments.max), (theirs.moments.min, theirs.moments.max), "{told}");
        let (mean, other) = (mine.moments.mean, theirs.moments.mean);
        assert!((mean - other).abs() <= 1e-9 * other.abs().max(1.0), "{told}: {mean} or {other}");
        let (spread, other) = (mine.moments.variance().unwrap_or(0.0), theirs.moments.variance().unwrap_or(0.0));
        assert!((spread - other).abs() <= 1e-7 * other.abs().max(1.0), "{told}: {spread} or {other}");
        assert_eq!(mine.distinct, theirs.distinct, "{told}: the registers of parts are those of the whole");
        if mine.name == "carrier" {
            assert_eq!(mine.topk, theirs.topk, "{told}");
        }
        if mine.name == "value" {
            let mut values: Vec<f64> = rows["value"].as_primitive::<Float64Type>().iter().flatten().collect();
            values.retain(|value| value.is_finite());
            values.sort_by(f64::total_cmp);
            for step in 1..20 {
                let q = f64::from(step) / 20.0;
                let Some(answer) = mine.quantiles.quantile(q).unwrap() else { continue };
                let below = values.partition_point(|v| *v < answer) as f64 / values.len() as f64;
                let upto = values.partition_point(|v| *v <= answer) as f64 / values.len() as f64;
                // Equal values have many ranks.
                let off = (below - q).max(q - upto).max(0.0);
                queries += 1;
                misses += u32::from(off > Quantiles::rank_error());
            }
        }
    }
    (queries, misses)
}

#[test]
fn a_range_of_windows_is_the_profile_of_exactly_its_rows() {
    let mut random = Random(7);
    let commits = commits(&mut random, 12);
    let all = concat_batches(&commits[0].schema(), &commits).unwrap();
    let stored: Vec<Groups> = commits.iter().map(|rows| Groups::of(rows, "at", &[]).unwrap().1).collect();
    let (mut queries, mut misses) = (0, 0);
    for (first, last) in [(0, 1), (0, 30), (3, 4), (5, 12), (20, 24), (2, 23)] {
        let (from, to) = (START + first * DAY, START + last * DAY);
        let wanted = kept(&all, |at, _| (from..to).contains(&at));
        let groups = stored.iter().flat_map(|groups| &groups.cut(None).unwrap().groups);
        let found = merged(groups.filter(|group| group.window.meets(Some(from), Some(to))));
        assert!(found.rows > 0);
        let (asked, missed) = assert_same(&found, &wanted, &format!("days {first} to {last}"));
        (queries, misses) = (queries + asked, misses + missed);
    }
    assert!(f64::from(misses) <= 0.01 * f64::from(queries), "{misses} of {queries}");
}

#[test]
fn segments_are_profiles_of_exactly_their_rows_and_all_of_them_are_the_whole() {
    let mut random = Random(11);
    let commits = commits(&mut random, 6);
    let all = concat_batches(&commits[0].schema(), &commits).unwrap();
    let by = ["carrier".to_owned()];
    let (mut queries, mut misses) = (0, 0);
    let mut count = |(asked, missed): (u32, u32)| (queries, misses) = (queries + asked, misses + missed);
    let mut stored = Vec::new();
    for rows in &commits {
        let (whole, groups) = Groups::of(rows, "at", &by).unwrap();
        count(assert_same(&whole, rows, "whole"));
        stored.push(groups);
    }
    let (from, to) = (START + 2 * DAY, START + 9 * DAY);
    for (segment, carrier) in [("c1", Some("c1")), ("c4", Some("c4")), ("(null)", None)] {
        let wanted = kept(&all, |at, value| (from..to).contains(&at) && value == carrier);
        let groups = stored.iter().flat_map(|groups| &groups.cut(Some("carrier")).unwrap().groups);
        let groups = groups.filter(|group| group.segment == Some(Segment::parse(segment)));
        let found = merged(groups.filter(|group| group.window.meets(Some(from), Some(to))));
        count(assert_same(&found, &wanted, segment));
    }
    assert!(stored.iter().all(|groups| groups.cut(Some("value")).is_none()));
    assert!(f64::from(misses) <= 0.01 * f64::from(queries), "{misses} of {queries}");
}

#[test]
fn a_late_row_lands_in_its_own_day_and_survives_being_stored() {
    let late = START - 400 * DAY + 5;
    let batch = rows(&mut Random(1), vec![START + 1, late, START + DAY, START + DAY - 1]);
    let groups = Groups::of(&batch, "at", &[]).unwrap().1;
    let groups = Groups::from_bytes(&groups.to_bytes().unwrap()).unwrap();
    let told: Vec<(i64, i64, u64)> =
        groups.cuts[0].groups.iter().map(|one| (one.window.from, one.window.to, one.profile.rows)).collect();
    let day = |at: i64, rows| (at, at + DAY, rows);
    assert_eq!(told, [day(START - 400 * DAY, 1), day(START, 2), day(START + DAY, 1)]);
    let extent = groups.extent().unwrap();
    assert_eq!((extent.from, extent.to), (START - 400 * DAY, START + 2 * DAY));
    assert!(Groups::from_bytes(b"none").is_err());
}

#[test]
fn what_is_kept_is_bounded_however_far_a_commit_reaches() {
    let mut random = Random(3);
    let ten_years: Vec<i64> = (0..40_000).map(|_| START - (random.bits() % (3_650 * DAY as u64)) as i64).collect();
    let two_years: Vec<i64> = (0..5_000).map(|_| START + (random.bits() % (700 * DAY as u64)) as i64).collect();
    let wild = vec![i64::MIN, i64::MAX, 0, START];
    for (instants, windows) in [(ten_years, 9..=11), (two_years, 23..=25), (wild, 1..=1)] {
        let batch = rows(&mut random, instants);
        for by in [vec![], vec!["carrier".to_owned()], vec!["number".to_owned(), "carrier".to_owned()]] {
            let (whole, groups) = Groups::of(&batch, "at", &by).unwrap();
            assert_eq!(whole.rows, batch.num_rows() as u64);
            for cut in &groups.cuts {
                assert_eq!(merged(cut.groups.iter()).rows, whole.rows, "no row is lost");
                let mut of: Vec<_> = cut.groups.iter().map(|group| group.window).collect();
                of.dedup();
                assert!(of.len() <= MOST_WINDOWS, "{} windows by {by:?}", of.len());
                // Many segments leave room for fewer windows.
                assert!(by.len() > 1 || windows.contains(&of.len()), "{} windows by {by:?}", of.len());
                assert!(of.is_sorted() && of.windows(2).all(|pair| pair[0].to <= pair[1].from), "they do not overlap");
            }
            let sketches: usize =
                groups.cuts.iter().flat_map(|cut| &cut.groups).map(|one| one.profile.columns.len()).sum();
            assert!(sketches <= MOST_SKETCHES, "{sketches} sketches by {by:?}");
            let bytes = groups.to_bytes().unwrap().len();
            assert!(bytes < 8_000_000, "{bytes} bytes by {by:?}");
        }
    }
}

#[test]
fn rare_values_count_together() {
    let instants = (0..4_000).map(|n| START + n).collect();
    let batch = rows(&mut Random(5), instants);
    let values: Vec<String> =
        (0..4_000).map(|n| if n % 4 == 0 { format!("rare{n}") } else { format!("v{}", n % 7) }).collect();
    let mut columns = batch.columns().to_vec();
    columns[3] = Arc::new(StringArray::from(values));
    let batch = RecordBatch::try_new(batch.schema(), columns).unwrap();
    let groups = Groups::of(&batch, "at", &["carrier".to_owned()]).unwrap().1;
    let cut = groups.cut(Some("carrier")).unwrap();
    assert_eq!(cut.groups.len(), MOST_SEGMENTS + 1);
    let of =
        |segment: &Segment| cut.groups.iter().find(|one| one.segment.as_ref() == Some(segment)).unwrap().profile.rows;
    let frequent = (0..4_000).filter(|n| n % 4 != 0 && n % 7 == 3).count() as u64;
    assert_eq!(of(&Segment::Value("v3".to_owned())), frequent);
    // 7 frequent values and 9 of 1 000 rare ones are kept.
    assert_eq!(of(&Segment::Others), 1_000 - (MOST_SEGMENTS as u64 - 7));
}

#[test]
fn of_personal_columns_no_group_keeps_a_value_nor_is_named_by_one() {
    let batch = rows(&mut Random(9), (0..600).map(|n| START + n * DAY / 100).collect());
    let by = ["carrier".to_owned()];
    let (_, mut groups) = Groups::of(&batch, "at", &by).unwrap();
    groups.withhold(|column| column == "carrier" || column == "value");
    assert!(groups.cut(Some("carrier")).is_none());
    let cut = groups.cut(None).unwrap();
    let text = serde_json::to_string(&groups).unwrap();
    assert!((0..5).all(|n| !text.contains(&format!("\"c{n}\""))), "a value stands there");
    assert_eq!(merged(cut.groups.iter()).rows, 600);
    for group in &cut.groups {
        assert!(group.segment.is_none());
        assert!(group.profile.column("value").unwrap().is_withheld());
        assert!(!group.profile.column("number").unwrap().is_withheld());
    }
}

#[test]
fn groups_of_neighbours_join_without_loss_until_they_are_too_many() {
    let mut random = Random(13);
    let day = |random: &mut Random, day: i64| rows(random, (0..50).map(|n| START + day * DAY + n).collect());
    let mut all = Groups::of(&day(&mut random, 0), "at", &[]).unwrap().1;
    for _ in 0..3 {
        assert!(all.join(&Groups::of(&day(&mut random, 0), "at", &[]).unwrap().1));
    }
    assert_eq!((all.cuts[0].groups.len(), all.whole().unwrap().unwrap().rows), (1, 200));
    for next in 1..MOST_WINDOWS as i64 {
        assert!(all.join(&Groups::of(&day(&mut random, next), "at", &[]).unwrap().1), "{next}");
    }
    let before = all.clone();
    assert!(!all.join(&Groups::of(&day(&mut random, 99), "at", &[]).unwrap().1), "too many windows");
    assert!(!all.join(&Groups::of(&day(&mut random, 0), "at", &["carrier".to_owned()]).unwrap().1), "other cuts");
    let other = day(&mut random, 0).project(&[0, 1]).unwrap();
    assert!(!all.join(&Groups::of(&other, "at", &[]).unwrap().1), "other columns");
    assert_eq!(all, before);
}
