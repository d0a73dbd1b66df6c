//! Usual volumes by hour of the week: what is missing is found, what always varies is not.
#![allow(clippy::unwrap_used, reason = "tests")]

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use serde_json::json;
use std::sync::Arc;
use tidemill_quality::{CommitMemory, Memory, RuleResult, Rules};
use tidemill_spec::{Rule, Source, read_yaml};
use tidemill_stats::random::Random;

const HOUR: i64 = 3_600_000;
/// Monday 2024-01-01.
const BEGIN: i64 = 1_704_067_200_000;

fn source() -> Source {
    serde_json::from_value(json!({"key": [], "event_time": "at", "columns": {
        "at": {"type": "timestamp"}, "station": {"type": "string"}, "value": {"type": "float64", "nullable": true}}}))
    .unwrap()
}

fn rules(text: &str) -> Rules {
    let rule: Rule = read_yaml(text).unwrap();
    Rules::compile(&source(), &[rule]).unwrap()
}

/// Rows of one hour: busy by day at A, always few at B; every seventh value is null.
fn hour(nth: i64, silent: &str) -> Vec<(i64, &'static str, Option<f64>)> {
    let busy = (8..20).contains(&(nth % 24));
    let count = |station: &str| match station {
        _ if station == silent => 0,
        "A" if busy => 60 + nth % 5,
        "A" => 4 + nth % 3,
        _ => 6,
    };
    let stations = ["A", "B"].into_iter();
    let each =
        stations.flat_map(|station| (0..count(station)).map(move |k| (BEGIN + nth * HOUR + k * 1_000, station, k)));
    each.map(|(at, station, k)| (at, station, (k % 7 > 0).then_some(1.0))).collect()
}

fn batch(rows: &[(i64, &str, Option<f64>)]) -> RecordBatch {
    let at = TimestampMillisecondArray::from_iter_values(rows.iter().map(|r| r.0)).with_timezone("UTC");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("at", Arc::new(at)),
        ("station", Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.1)))),
        ("value", Arc::new(rows.iter().map(|r| r.2).collect::<Float64Array>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap()
}

/// Judges one commit and remembers it.
fn commit(rules: &Rules, commits: &mut CommitMemory, rows: &RecordBatch) -> RuleResult {
    let mut memory = Memory::new(rules, 10);
    let verdict = rules.check_commit(&mut memory, commits, rows).unwrap();
    commits.remember(rules, &verdict.accepted).unwrap();
    verdict.results.into_iter().next().unwrap()
}

const VOLUME: &str = "{id: volume, seasonal: {by: station, season: hour_of_week}}";

#[test]
fn an_hour_in_which_a_station_is_silent_is_found_and_ordinary_hours_are_not() {
    let rules = rules(VOLUME);
    let mut commits = CommitMemory::new(&rules);
    let (mut judged, mut failed) = (0, 0);
    for nth in 0..6 * 168 {
        let result = commit(&rules, &mut commits, &batch(&hour(nth, "")));
        judged += result.checked;
        failed += result.failed;
    }
    assert!(judged > 168, "{judged}");
    assert_eq!(failed, 0, "nothing is wrong in six ordinary weeks");
    // Nights at A are always quiet; a day without A is not. The hour is judged when it is over.
    let noon = 6 * 168 + 12;
    for nth in 6 * 168..noon {
        assert_eq!(commit(&rules, &mut commits, &batch(&hour(nth, ""))).failed, 0);
    }
    assert_eq!(commit(&rules, &mut commits, &batch(&hour(noon, "A"))).failed, 0, "it is not over yet");
    let after = commit(&rules, &mut commits, &batch(&hour(noon + 1, "")));
    let observed = after.observed.unwrap();
    assert_eq!(after.failed, 1);
    assert!(observed.contains("1 of 2 periods unusual (rows): A 2024-02-12T12:00:00"), "{observed}");
    assert!(observed.contains(": 0, usually 6"), "{observed}");
}

#[test]
fn a_gap_is_found_when_rows_come_again() {
    let rules = rules("{id: volume, seasonal: {season: day_of_week}}");
    let mut commits = CommitMemory::new(&rules);
    for nth in 0..6 * 168 {
        assert_eq!(commit(&rules, &mut commits, &batch(&hour(nth, ""))).failed, 0);
    }
    let back = commit(&rules, &mut commits, &batch(&hour(7 * 168, "")));
    let observed = back.observed.unwrap();
    assert!(back.failed == 1 && observed.contains("7 of 8 periods unusual"), "{observed}");
}

#[test]
fn what_was_remembered_in_pieces_equals_what_is_read_again_at_once() {
    let rules = rules(VOLUME);
    let mut commits = CommitMemory::new(&rules);
    let mut all = Vec::new();
    for nth in 0..6 * 168 {
        all.extend(hour(nth, ""));
        commit(&rules, &mut commits, &batch(&hour(nth, "")));
    }
    let mut again = CommitMemory::new(&rules);
    again.remember(&rules, &batch(&all)).unwrap();
    let next = batch(&hour(6 * 168 + 3, "B"));
    assert_eq!(commit(&rules, &mut again, &next), commit(&rules, &mut commits, &next));
}

#[test]
fn nulls_are_judged_by_deviation_and_not_by_level() {
    let rules = rules("{id: nulls, seasonal: {column: value, by: station, season: hour_of_day}}");
    let mut commits = CommitMemory::new(&rules);
    for nth in 0..10 * 24 {
        // A seventh of the values is always null.
        assert_eq!(commit(&rules, &mut commits, &batch(&hour(nth, ""))).failed, 0, "hour {nth}");
    }
    let mut broken = hour(10 * 24 + 9, "");
    for row in &mut broken {
        row.2 = None;
    }
    for nth in 10 * 24..10 * 24 + 9 {
        commit(&rules, &mut commits, &batch(&hour(nth, "")));
    }
    commit(&rules, &mut commits, &batch(&broken));
    let after = commit(&rules, &mut commits, &batch(&hour(10 * 24 + 10, "")));
    let observed = after.observed.unwrap();
    assert!(after.failed == 1 && observed.contains("share of nulls"), "{observed}");
}

const WEEK: i64 = 168;

/// A row at an instant of its own, far from those of `hour`.
fn astray(hours: i64) -> (i64, &'static str, Option<f64>) {
    (BEGIN + hours * HOUR, "A", Some(1.0))
}

#[test]
fn no_instant_however_far_off_changes_what_is_judged_or_remembered() {
    let rules = rules(VOLUME);
    for seed in 0..4 {
        let mut random = Random::new(seed);
        let mut below = |end: i64| random.below(end as usize) as i64;
        let (mut plain, mut disturbed) = (CommitMemory::new(&rules), CommitMemory::new(&rules));
        let mut all = Vec::new();
        let silent = 6 * WEEK + 8 + below(12);
        let mut failed = 0;
        for nth in 0..7 * WEEK {
            let rows = hour(nth, if nth == silent { "A" } else { "" });
            let mut more = rows.clone();
            let count = if nth > 0 && below(10) == 0 { 1 + below(3) } else { 0 };
            for _ in 0..count {
                // Ten weeks to a century before or after: more than rules remember.
                let off = 10 * WEEK + below(5_200 * WEEK);
                more.push(astray(if below(2) == 0 { nth + off } else { -off }));
            }
            let expected = commit(&rules, &mut plain, &batch(&rows));
            let found = commit(&rules, &mut disturbed, &batch(&more));
            assert_eq!(found.failed, expected.failed, "seed {seed}, hour {nth}: {:?}", found.observed);
            let told =
                found.observed.is_some_and(|text| text.contains(&format!("{count} rows too far from all others")));
            assert_eq!(told, count > 0, "seed {seed}, hour {nth}");
            failed += found.failed;
            all.extend(more);
        }
        assert_eq!(failed, 1, "seed {seed}: only the silent hour");
        // A restart reads everything again, wrong instants included.
        let mut again = CommitMemory::new(&rules);
        again.remember(&rules, &batch(&all)).unwrap();
        let next = batch(&hour(7 * WEEK + 3, "A"));
        assert_eq!(commit(&rules, &mut again, &next).failed, commit(&rules, &mut plain, &next).failed, "seed {seed}");
    }
}

#[test]
fn a_wrong_instant_in_the_very_first_row_does_not_hide_the_rest() {
    for wrong in [-3_000 * WEEK, 4_000 * WEEK] {
        let rules = rules(VOLUME);
        let mut commits = CommitMemory::new(&rules);
        commit(&rules, &mut commits, &batch(&[astray(wrong)]));
        for nth in 0..6 * WEEK + 12 {
            let result = commit(&rules, &mut commits, &batch(&hour(nth, "")));
            assert_eq!(result.failed, 0, "hour {nth}: {:?}", result.observed);
        }
        commit(&rules, &mut commits, &batch(&hour(6 * WEEK + 12, "A")));
        assert_eq!(commit(&rules, &mut commits, &batch(&hour(6 * WEEK + 13, ""))).failed, 1);
    }
}

#[test]
fn a_source_that_was_silent_for_longer_than_the_memory_is_followed_again() {
    let rules = rules(VOLUME);
    let mut commits = CommitMemory::new(&rules);
    for nth in 0..6 * WEEK {
        commit(&rules, &mut commits, &batch(&hour(nth, "")));
    }
    let back = 40 * WEEK;
    let mut told = Vec::new();
    for nth in back..back + 6 * WEEK + 12 {
        let result = commit(&rules, &mut commits, &batch(&hour(nth, "")));
        told.extend(result.observed.filter(|_| result.failed > 0));
    }
    assert!(told.len() == 1 && told[0].contains("nothing from 2024-02-11T23"), "the silence alone: {told:?}");
    commit(&rules, &mut commits, &batch(&hour(back + 6 * WEEK + 12, "A")));
    assert_eq!(commit(&rules, &mut commits, &batch(&hour(back + 6 * WEEK + 13, ""))).failed, 1);
}

#[test]
fn history_that_is_loaded_late_only_pauses_the_judgement() {
    let rules = rules(VOLUME);
    let mut commits = CommitMemory::new(&rules);
    for nth in 0..6 * WEEK {
        commit(&rules, &mut commits, &batch(&hour(nth, "")));
    }
    let old: Vec<_> = (-60 * WEEK..-50 * WEEK).flat_map(|nth| hour(nth, "")).collect();
    commit(&rules, &mut commits, &batch(&old));
    for nth in 6 * WEEK..7 * WEEK {
        let result = commit(&rules, &mut commits, &batch(&hour(nth, "")));
        assert_eq!(result.failed, 0, "hour {nth}: {:?}", result.observed);
    }
    commit(&rules, &mut commits, &batch(&hour(7 * WEEK + 12, "A")));
    assert!(
        commit(&rules, &mut commits, &batch(&hour(7 * WEEK + 13, ""))).failed == 1,
        "what was usual is still known"
    );
}
