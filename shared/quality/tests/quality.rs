//! Verdicts, memory of unique keys, scores and freshness.
#![allow(clippy::unwrap_used, reason = "tests")]

use arrow::array::{
    Array, AsArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use serde_json::json;
use std::sync::Arc;
use tidemill_quality::contract::import;
use tidemill_quality::{
    CommitMemory, Dimension, Freshness, FreshnessState, Memory, QualityError, QualityScore, Rules, Side, Tally,
    Verdict, merge_results, score,
};
use tidemill_spec::{Check, CountRule, Rule, Source, Spec};
use tidemill_stats::random::Random;
use tidemill_types::{Classified, Millis};

fn source() -> Source {
    serde_json::from_value(json!({"key": ["id"], "event_time": "at", "fresh_within": "1h", "columns": {
        "id": {"type": "int32", "nullable": true}, "code": {"type": "string", "nullable": true},
        "size": {"type": "float64", "nullable": true}, "at": {"type": "timestamp"}}}))
    .unwrap()
}

fn rules(text: serde_json::Value) -> Vec<Rule> {
    serde_json::from_value(text).unwrap()
}

fn compiled(text: serde_json::Value) -> Rules {
    Rules::compile(&source(), &rules(text)).unwrap()
}

type Row = (Option<i32>, Option<&'static str>, Option<f64>);

fn batch(first_seq: i64, rows: &[Row]) -> RecordBatch {
    let count = rows.len() as i64;
    let columns: Vec<(&str, Arc<dyn Array>)> = vec![
        ("id", Arc::new(rows.iter().map(|r| r.0).collect::<Int32Array>())),
        ("code", Arc::new(rows.iter().map(|r| r.1).collect::<StringArray>())),
        ("size", Arc::new(rows.iter().map(|r| r.2).collect::<Float64Array>())),
        ("at", Arc::new(TimestampMillisecondArray::from_iter_values(0..count).with_timezone("UTC"))),
        ("tm_seq", Arc::new(Int64Array::from_iter_values(first_seq..first_seq + count))),
        ("tm_row", Arc::new(Int32Array::from_iter_values(rows.iter().map(|_| 0)))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap()
}

fn mask(verdict: &Verdict) -> Vec<bool> {
    verdict.mask.iter().map(Option::unwrap).collect()
}

fn reasons(verdict: &Verdict) -> Vec<String> {
    let column = verdict.quarantined.column_by_name("tm_failed_rules").unwrap();
    column.as_string::<i32>().iter().map(|r| r.unwrap().to_owned()).collect()
}

#[test]
fn row_rules_split_a_batch_and_name_their_reasons() {
    let rules = compiled(json!([
        {"id": "id", "not_null": "id", "on_fail": "quarantine"},
        {"id": "size", "range": {"column": "size", "min": 0, "max": 10}, "on_fail": "quarantine"},
        {"id": "code", "in_set": {"column": "code", "values": ["A", "B1"]}, "on_fail": "quarantine"},
        {"id": "short", "regex": {"column": "code", "pattern": "^.$"}},
        {"id": "even", "expr": "id % 2 = 0 or size > 1.0"},
    ]));
    let rows = batch(
        0,
        &[
            (Some(2), Some("A"), Some(0.0)),
            (Some(4), Some("B1"), Some(10.0)),
            (None, Some("C"), None),
            (Some(1), None, Some(10.5)),
            (Some(6), Some("A"), Some(f64::NAN)),
        ],
    );
    let verdict = rules.check_rows(&rows).unwrap();
    assert_eq!(mask(&verdict), [true, true, false, false, false]);
    assert_eq!(reasons(&verdict), ["id,code", "size", "size"]);
    assert_eq!(verdict.accepted, rows.slice(0, 2));
    assert_eq!(verdict.accepted.num_rows() + verdict.quarantined.num_rows(), 5);
    let counts: Vec<_> = verdict.results.iter().map(|r| (r.id.as_str(), r.checked, r.failed)).collect();
    assert_eq!(counts, [("id", 5, 1), ("size", 4, 2), ("code", 4, 1), ("short", 4, 1), ("even", 4, 0)]);
    assert_eq!(verdict.results[3].dimension, Dimension::Accuracy);
    let sample: serde_json::Value = serde_json::from_str(&verdict.results[1].samples[0]).unwrap();
    assert_eq!((sample["id"].as_i64(), sample["size"].as_f64()), (Some(1), Some(10.5)));
    assert_eq!(verdict.blocked, None);
}

#[test]
fn a_block_rule_holds_the_whole_batch_and_nothing_is_remembered() {
    let rules = compiled(json!([
        {"id": "once", "unique": ["id"], "on_fail": "quarantine"},
        {"id": "size", "range": {"column": "size", "max": 10}, "on_fail": "block"},
        {"id": "code", "not_null": "code", "on_fail": "quarantine"},
    ]));
    let mut state = Memory::new(&rules, 2);
    let first = rules.check(&mut state, &batch(0, &[(Some(1), Some("A"), None), (Some(2), Some("A"), None)])).unwrap();
    assert_eq!(mask(&first), [true, true]);
    let before = state.clone();
    let bad = batch(2, &[(Some(3), Some("A"), Some(1.0)), (Some(4), Some("A"), Some(11.0)), (Some(5), None, None)]);
    let verdict = rules.check(&mut state, &bad).unwrap();
    assert_eq!(verdict.blocked.as_deref(), Some("size"));
    assert_eq!(mask(&verdict), [false; 3]);
    assert_eq!(reasons(&verdict), ["size", "size", "code"]);
    assert_eq!(state, before, "forgotten keys are back, new ones are gone");
    let again = rules.check(&mut state, &batch(5, &[(Some(3), Some("A"), None), (Some(1), Some("A"), None)])).unwrap();
    assert_eq!(mask(&again), [true, true], "room for two: key 1 was forgotten when key 3 came");
}

#[test]
fn the_first_accepted_row_takes_a_key() {
    let rules = compiled(json!([
        {"id": "once", "unique": ["id", "code"], "on_fail": "quarantine"},
        {"id": "size", "range": {"column": "size", "max": 10}, "on_fail": "quarantine"},
    ]));
    let rows: Vec<Row> = vec![
        (Some(1), Some("A"), Some(99.0)),
        (Some(1), Some("A"), Some(1.0)),
        (Some(1), Some("A"), Some(2.0)),
        (Some(1), Some("B"), None),
        (None, Some("A"), None),
        (None, Some("A"), None),
    ];
    let expected = [false, true, false, true, true, true];
    let mut state = Memory::new(&rules, Memory::CAPACITY);
    let whole = rules.check(&mut state, &batch(0, &rows)).unwrap();
    assert_eq!(mask(&whole), expected);
    assert_eq!(reasons(&whole), ["size", "once"]);
    assert_eq!((whole.results[0].checked, whole.results[0].failed), (3, 1));
    // Row by row, with the state saved and read back in between, and each row delivered twice.
    let mut single = Memory::new(&rules, Memory::CAPACITY);
    for (i, row) in rows.iter().enumerate() {
        for _ in 0..2 {
            let verdict = rules.check(&mut single, &batch(i as i64, &[*row])).unwrap();
            assert_eq!(mask(&verdict), [expected[i]], "row {i}");
            single = Memory::from_bytes(&rules, &single.to_bytes()).unwrap();
        }
    }
    assert_eq!(single, state);
    let mut rebuilt = Memory::new(&rules, Memory::CAPACITY);
    rebuilt.remember(&rules, &whole.accepted).unwrap();
    assert_eq!(rebuilt, state);
    assert_eq!(state.len(), 2);
}

#[test]
fn damaged_or_foreign_keys_are_refused() {
    let rules = compiled(json!([{"id": "once", "unique": ["id"], "on_fail": "quarantine"}]));
    let mut state = Memory::new(&rules, 100);
    rules.check(&mut state, &batch(0, &[(Some(1), None, None), (Some(2), None, None)])).unwrap();
    let bytes = state.to_bytes();
    assert_eq!(Memory::from_bytes(&rules, &bytes).unwrap(), state);
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 4;
        assert!(Memory::from_bytes(&rules, &bad).is_err(), "byte {at}");
        assert!(Memory::from_bytes(&rules, &bytes[..at]).is_err(), "cut at {at}");
    }
    let other = compiled(json!([{"id": "once", "unique": ["code"], "on_fail": "quarantine"}]));
    assert!(matches!(Memory::from_bytes(&other, &bytes), Err(QualityError::OtherRules)));
    let refused = other.check(&mut state, &batch(0, &[])).err().unwrap();
    assert_eq!(refused.code().to_string(), "TM0705");
}

#[test]
fn a_row_that_overflows_fails_alone() {
    let rules = compiled(json!([{"id": "sum", "expr": "id * 9223372036854775807 > 0", "on_fail": "quarantine"}]));
    let rows = batch(0, &[(Some(1), None, None), (Some(3), None, None), (None, None, None), (Some(1), None, None)]);
    assert_eq!(mask(&rules.check_rows(&rows).unwrap()), [true, false, true, true]);
}

#[test]
fn rules_that_cannot_be_honoured_are_refused() {
    for bad in [
        json!({"id": "a", "not_null": "nothing"}),
        json!({"id": "a", "range": {"column": "code", "min": 1}}),
        json!({"id": "a", "range": {"column": "size"}}),
        json!({"id": "a", "range": {"column": "size", "min": 2, "max": 1}}),
        json!({"id": "a", "in_set": {"column": "size", "values": ["one"]}}),
        json!({"id": "a", "regex": {"column": "code", "pattern": "("}}),
        json!({"id": "a", "regex": {"column": "code", "pattern": "(a{1000}){1000}"}}),
        json!({"id": "a", "unique": []}),
        json!({"id": "a", "expr": "size + 1"}),
        json!({"id": "a", "expr": "sizes > 1"}),
        json!({"id": "a", "not_null": "id", "when": "size"}),
        json!({"id": "a", "not_null": "id", "mostly": 0}),
        json!({"id": "a", "row_count": {"min": 1}, "mostly": 0.9}),
        json!({"id": "a", "row_count": {}}),
        json!({"id": "a", "multiple_of": {"column": "size", "of": 0}}),
        json!({"id": "a", "date_format": {"column": "code", "format": "%Q"}}),
        json!({"id": "a", "date_range": {"column": "at", "from": "tomorrow"}}),
        json!({"id": "a", "compare": {"left": "id", "is": "<", "right": "code"}}),
        json!({"id": "a", "refers": {"column": "code", "to": "elsewhere"}}),
        json!({"id": "a", "distribution": {"column": "size", "edges": [1, 2], "counts": [1, 2, 3]}}),
        json!({"id": "a", "distribution": {"column": "size", "edges": [2, 1], "counts": [1, 2, 3, 0]}}),
        json!({"id": "a", "seasonal": {"season": "day_of_week", "cycles": 2}}),
        json!({"id": "a,b", "not_null": "id"}),
    ] {
        assert!(Rules::compile(&source(), &rules(json!([bad]))).is_err(), "{bad}");
    }
    for bad in [json!({"id": "a"}), json!({"id": "a", "not_null": "id", "unique": ["id"]})] {
        assert!(serde_json::from_value::<Rule>(bad.clone()).is_err(), "{bad}");
    }
    let twice = json!([{"id": "a", "not_null": "id"}, {"id": "a", "not_null": "at"}]);
    assert!(Rules::compile(&source(), &rules(twice)).is_err());
}

#[test]
fn the_rules_of_the_flights_example_compile() {
    let spec = Spec::parse(include_str!("../../../infra/examples/flights/project.yaml")).unwrap();
    for (name, rules) in &spec.quality {
        let compiled = Rules::compile(&spec.sources[name], rules).unwrap();
        assert_eq!(compiled.ids().count(), rules.len());
        let empty = RecordBatch::new_empty(spec.sources[name].table_schema());
        let mut state = Memory::new(&compiled, 10);
        assert_eq!(compiled.check(&mut state, &empty).unwrap().accepted.num_rows(), 0);
    }
}

#[test]
fn bounds_of_a_contract_that_no_number_meets_are_named_as_not_taken() {
    let read = |bound: u64| {
        let check = json!({"type": "library", "metric": "rowCount", "mustBeGreaterThan": bound});
        let at = json!({"name": "at", "logicalType": "timestamp", "required": true});
        let object = json!({"name": "orders", "properties": [at], "quality": [check]});
        import(&json!({"kind": "DataContract", "apiVersion": "v3.1.0", "schema": [object]})).unwrap()
    };
    let rules: Vec<Rule> = read(4).quality.into_values().flatten().collect();
    assert_eq!(rules[0].check, Check::RowCount(CountRule { min: Some(5), max: None }));
    let refused = read(u64::MAX);
    assert!(refused.quality.values().all(Vec::is_empty), "{refused:?}");
    assert!(refused.not_taken.iter().any(|why| why.contains("whole numbers")), "{refused:?}");
}

#[test]
fn a_score_shows_its_product() {
    let rules = compiled(json!([
        {"id": "size", "range": {"column": "size", "max": 10}},
        {"id": "even", "expr": "id % 2 = 0"},
        {"id": "even-too", "expr": "id % 2 < 1"},
    ]));
    let rows = batch(0, &[(Some(2), Some("A"), Some(1.0)), (Some(3), None, Some(11.0)), (None, None, None)]);
    let half = |rows: &RecordBatch| rules.check_rows(rows).unwrap();
    let (mut results, mut tally) = (half(&rows.slice(0, 1)).results, half(&rows.slice(0, 1)).tally);
    merge_results(&mut results, &half(&rows.slice(1, 2)).results);
    tally.merge(&half(&rows.slice(1, 2)).tally);
    assert_eq!((&results, &tally), (&half(&rows).results, &half(&rows).tally), "parts add up");
    let newest = Some(Millis(0));
    let freshness = Freshness::of(&source(), newest, Millis(4 * 3_600_000));
    assert_eq!(freshness.state(), FreshnessState::Stale);
    let found = score(&tally, &freshness);
    // One row of three fails; that two rules say so of it does not count twice.
    let third = 100.0 * (1.0 - 1.0 / 3.0);
    assert_eq!((found.accuracy, found.consistency, found.timeliness), (Some(third), Some(third), Some(25.0)));
    let completeness = found.completeness.unwrap();
    assert!((completeness - 100.0 * 8.0 / 12.0).abs() < 1e-12);
    assert!((found.total.unwrap() - (2.0 * third + 25.0 + completeness) / 4.0).abs() < 1e-12);
    for part in [
        "accuracy 66.67 = 100 * (1 - 1 / 3 rows)",
        "completeness 66.67 = 100 * (1 - 4 / 12 cells)",
        "timeliness 25.00 = 100 * min(1, 3600 s / 14400 s)",
        "total 56.25 = (66.67 + 66.67 + 66.67 + 25.00) / 4",
    ] {
        assert!(found.formula.contains(part), "{}", found.formula);
    }
    let at = |at| Freshness::of(&source(), newest, Millis(at)).state();
    assert_eq!(
        (at(3_600_000), at(3_600_001), at(-5)),
        (FreshnessState::Fresh, FreshnessState::Stale, FreshnessState::Fresh)
    );
    assert_eq!(Freshness::of(&source(), None, Millis(0)).state(), FreshnessState::Empty);
}

/// A source that promises nothing.
const UNPROMISED: Freshness = Freshness { newest_known_at: None, at: Millis(0), within: None };

/// The score of rows judged as one commit.
fn scored(list: serde_json::Value, rows: &RecordBatch) -> QualityScore {
    let rules = compiled(list);
    let verdict = rules.check_commit(&mut Memory::new(&rules, 100), &CommitMemory::new(&rules), rows).unwrap();
    score(&verdict.tally, &UNPROMISED)
}

#[test]
fn rules_on_every_side_of_quality_count() {
    let rows = batch(0, &[(Some(2), Some("A"), Some(1.0)), (Some(3), Some("B"), None)]);
    let cells = 100.0 * (1.0 - 1.0 / 8.0);
    assert_eq!(scored(json!([]), &rows).completeness, Some(cells));
    assert_eq!(scored(json!([{"id": "a", "not_null": "size"}]), &rows).completeness, Some(cells / 2.0));
    assert_eq!(scored(json!([{"id": "a", "row_count": {"min": 3}}]), &rows).completeness, Some(cells / 2.0));
    assert_eq!(scored(json!([{"id": "a", "row_count": {"min": 2}}]), &rows).completeness, Some(cells));
    let known: Arc<dyn Array> = Arc::new(TimestampMillisecondArray::from(vec![10_000, 10_000]).with_timezone("UTC"));
    let schema = rows.schema();
    let columns = schema.fields().iter().map(|field| field.name().as_str()).zip(rows.columns().iter().cloned());
    let known = RecordBatch::try_from_iter(columns.chain([("tm_known_at", known)])).unwrap();
    let late =
        |within| scored(json!([{"id": "a", "freshness": {"column": "at", "within": within}}]), &known).timeliness;
    assert_eq!((late("1s"), late("1m")), (Some(50.0), Some(100.0)));
    let two =
        json!([{"id": "a", "mean": {"column": "size", "max": 0}}, {"id": "b", "sum": {"column": "size", "min": 0}}]);
    let half = scored(two, &rows);
    assert_eq!(half.accuracy, Some(75.0), "one of two rules on commits fails: {}", half.formula);
    let mostly = scored(json!([{"id": "a", "range": {"column": "size", "min": 2}, "mostly": 0.9}]), &rows);
    assert_eq!(mostly.accuracy, Some(25.0), "{}", mostly.formula);
}

#[test]
fn a_commit_that_was_held_is_scored_by_all_of_its_rows_and_no_rows_are_unknown() {
    let rows = batch(0, &[(Some(2), None, None), (Some(3), Some("B"), None)]);
    let list = json!([{"id": "a", "mean": {"column": "id", "max": 0}, "on_fail": "block"}]);
    let rules = compiled(list.clone());
    let verdict = rules.check_commit(&mut Memory::new(&rules, 100), &CommitMemory::new(&rules), &rows).unwrap();
    assert_eq!((verdict.held.as_deref(), verdict.accepted.num_rows()), (Some("a"), 0));
    let found = score(&verdict.tally, &UNPROMISED);
    assert_eq!(
        (found.accuracy, found.completeness),
        (Some(50.0), Some(100.0 * (1.0 - 3.0 / 8.0))),
        "{}",
        found.formula
    );
    let none = scored(list, &rows.slice(0, 0));
    assert_eq!((none.completeness, none.consistency, none.timeliness, none.total), (None, None, None, None));
    assert!(none.formula.ends_with("total unknown"), "{}", none.formula);
    let promised = Freshness { within: Some(1_000), ..UNPROMISED };
    assert_eq!(score(&Tally::default(), &promised).total, Some(0.0), "a row was promised and never came");
}

#[test]
fn more_faults_never_raise_a_score() {
    let mut random = Random::new(7);
    let mut below = |end: u64| random.below(end as usize) as u64;
    let sides = [Dimension::Accuracy, Dimension::Completeness, Dimension::Consistency, Dimension::Timeliness];
    for _ in 0..2_000 {
        let rows = below(1_000);
        let mut tally = Tally { rows, cells: 3 * rows, missing: below(3 * rows + 1), ..Tally::default() };
        for dimension in sides {
            if below(3) > 0 {
                let verdicts = below(50);
                let side = Side { rows, faulty: below(rows + 1), verdicts, failed: below(verdicts + 1) };
                tally.sides.insert(dimension, side);
            }
        }
        let within = (below(2) == 0).then_some(3_600_000);
        let silent = |millis| Freshness { newest_known_at: Some(Millis(0)), at: Millis(millis), within };
        let silence = below(20_000_000) as i64;
        let before = score(&tally, &silent(silence));
        let mut worse = tally.clone();
        worse.missing = (worse.missing + below(5)).min(worse.cells);
        for side in worse.sides.values_mut() {
            side.faulty = (side.faulty + below(5)).min(side.rows);
            side.failed = (side.failed + below(2)).min(side.verdicts);
        }
        let after = score(&worse, &silent(silence + below(1_000_000) as i64));
        let values = |s: &QualityScore| [s.accuracy, s.completeness, s.consistency, s.timeliness, s.total];
        for (before, after) in values(&before).into_iter().zip(values(&after)) {
            assert_eq!(before.is_some(), after.is_some());
            assert!(
                after <= before && before.is_none_or(|value| (0.0..=100.0).contains(&value)),
                "{tally:?} {worse:?}"
            );
        }
    }
}

#[test]
fn breaking_one_more_value_never_raises_the_score_of_rows() {
    let list = json!([
        {"id": "size", "range": {"column": "size", "min": 0, "max": 10}, "on_fail": "quarantine"},
        {"id": "small", "range": {"column": "size", "max": 8}},
        {"id": "even", "expr": "id % 2 = 0", "on_fail": "quarantine"},
        {"id": "code", "not_null": "code", "on_fail": "quarantine"},
        {"id": "few", "null_share": {"column": "code", "max": 0.4}},
    ]);
    let mut rows: Vec<_> = (0..24).map(|i| (Some(2 * i), Some("A"), Some(i as f64 / 4.0))).collect();
    let mut before = scored(list.clone(), &batch(0, &rows)).total.unwrap();
    for step in 0..72_usize {
        // Every value of every row, in an order that mixes both.
        let (row, column) = (step * 7 % 24, (step + step / 24) % 3);
        match column {
            0 => rows[row].0 = rows[row].0.map(|id| id | 1),
            1 => rows[row].1 = None,
            _ => rows[row].2 = Some(11.0),
        }
        let after = scored(list.clone(), &batch(0, &rows));
        assert!(after.total.unwrap() <= before, "step {step}: {} after {before}", after.formula);
        before = after.total.unwrap();
    }
    assert!(before < 50.0, "{before}");
}
