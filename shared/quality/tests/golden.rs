//! Checksums, formats and statistics against python-stdnum, numpy and Python's own library (infra/golden/quality.py).
#![allow(clippy::unwrap_used, reason = "tests")]

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use serde_json::{Value, json};
use std::sync::Arc;
use tidemill_quality::{CommitMemory, Memory, RuleResult, Rules};
use tidemill_spec::{Rule, Source};

fn document() -> Value {
    serde_json::from_str(include_str!("golden/quality.json")).unwrap()
}

fn source() -> Source {
    serde_json::from_value(json!({"key": [], "event_time": "", "columns": {
        "text": {"type": "string", "nullable": true}, "number": {"type": "float64", "nullable": true}}}))
    .unwrap()
}

fn judge(rule: Value, rows: &RecordBatch) -> RuleResult {
    let rule: Rule = serde_json::from_value(rule).unwrap();
    let rules = Rules::compile(&source(), &[rule]).unwrap();
    let mut memory = Memory::new(&rules, 10);
    rules.check_commit(&mut memory, &CommitMemory::new(&rules), rows).unwrap().results.remove(0)
}

fn passes(check: Value, text: &str) -> bool {
    let array: ArrayRef = Arc::new(StringArray::from(vec![text]));
    let mut rule = json!({"id": "r"});
    rule.as_object_mut().unwrap().extend(check.as_object().unwrap().clone());
    judge(rule, &RecordBatch::try_from_iter([("text", array)]).unwrap()).failed == 0
}

fn numbers(values: &Value) -> RecordBatch {
    let values: Float64Array = values.as_array().unwrap().iter().map(Value::as_f64).collect();
    RecordBatch::try_from_iter([("number", Arc::new(values) as ArrayRef)]).unwrap()
}

#[test]
fn checksums_and_formats_agree_with_python() {
    let document = document();
    for (kind, least) in [("iban", 400), ("luhn", 100), ("ip", 15), ("uuid", 10)] {
        let cases = document[kind].as_array().unwrap();
        assert!(cases.len() >= least, "{kind}: {}", cases.len());
        for case in cases {
            let text = case[0].as_str().unwrap();
            assert_eq!(passes(json!({kind: "text"}), text), case[1].as_bool().unwrap(), "{kind} of {text:?}");
        }
    }
    for case in document["dates"].as_array().unwrap() {
        let check = json!({"date_format": {"column": "text", "format": case[0]}});
        assert_eq!(passes(check, case[1].as_str().unwrap()), case[2].as_bool().unwrap(), "{case}");
    }
}

/// Whether a statistic is the wanted one to nine digits: it lies in a band around it, and in none beside it.
#[track_caller]
fn is_near(kind: &str, extra: &Value, rows: &RecordBatch, wanted: f64) {
    let width = 1e-9 * wanted.abs().max(1.0);
    for (low, high, holds) in [(wanted - width, wanted + width, true), (wanted + width, wanted + 3.0 * width, false)] {
        let mut params = json!({"column": "number", "min": low, "max": high});
        params.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let result = judge(json!({"id": "r", kind: params}), rows);
        assert_eq!(result.failed == 0, holds, "{kind} {extra} of {wanted}: {:?}", result.observed);
    }
}

#[test]
fn statistics_agree_with_numpy() {
    let golden = &document()["statistics"];
    let rows = numbers(&golden["values"]);
    for kind in ["mean", "std", "sum", "distinct"] {
        is_near(kind, &json!({}), &rows, golden[kind].as_f64().unwrap());
    }
    for pair in golden["quantiles"].as_array().unwrap() {
        is_near("quantile", &json!({"at": pair[0]}), &rows, pair[1].as_f64().unwrap());
    }
    is_near("median", &json!({}), &rows, golden["quantiles"][3][1].as_f64().unwrap());
}

#[test]
fn a_distribution_fails_by_the_calibrated_index() {
    let golden = &document()["stability"];
    let mut verdicts = Vec::new();
    for window in golden["windows"].as_array().unwrap() {
        let rows = numbers(&window["values"]);
        let rule = |at_least: f64| {
            json!({"id": "r", "distribution": {
                "column": "number", "edges": golden["edges"], "counts": golden["counts"], "at_least": at_least}})
        };
        let psi = window["psi"].as_f64().unwrap();
        let calibrated = judge(rule(0.0), &rows);
        assert!(calibrated.observed.as_deref().unwrap().starts_with("PSI "), "{:?}", calibrated.observed);
        // The index itself: just below it nothing fails by `at_least`, just above it does unless calibration says no.
        assert_eq!(judge(rule(psi + 1e-9), &rows).failed, 0);
        assert_eq!(judge(rule(psi - 1e-9), &rows).failed, calibrated.failed);
        verdicts.push((calibrated.failed, judge(rule(0.1), &rows).failed));
    }
    // No shift; one that is real and small; two that are real and large.
    assert_eq!(verdicts, [(0, 0), (1, 0), (1, 1), (1, 1)]);
}
