//! What is refused, with which code, and what the message says.

use super::batch;
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use std::sync::Arc;
use tidemill_expr::{Compiled, ExprError};
use tidemill_types::{Classified, ErrorKind};

fn refuse(text: &str) -> ExprError {
    match Compiled::new(text, &batch().schema()) {
        Ok(compiled) => panic!("`{text}` was accepted as {:?}", compiled.data_type()),
        Err(error) => error,
    }
}

#[test]
fn refuses_with_a_code() {
    let cases: &[(&str, u16)] = &[
        ("", 203),
        ("i +", 203),
        ("i; drop table t", 203),
        ("i j", 203),
        ("'open", 203),
        ("(select 1)", 204),
        ("exists (select 1)", 204),
        ("i in (select i)", 204),
        ("i & 1", 204),
        ("count(i) over ()", 204),
        ("cast(i as blob)", 204),
        ("missing + 1", 205),
        ("nope(i)", 206),
        ("i + s", 207),
        ("i and b", 207),
        ("s = 1", 207),
        ("t > s", 207),
        ("case when i then 1 end", 207),
        ("case when b then 1 else 'x' end", 207),
        ("lower(i)", 207),
        ("t + t", 207),
        ("t * 2", 207),
        ("cast(x as timestamp)", 207),
        ("coalesce(i, s)", 207),
        ("-s", 207),
        ("abs(1, 2)", 208),
        ("if(b, 1)", 208),
        ("coalesce()", 208),
        ("99999999999999999999", 209),
        ("1e999", 209),
        ("t > 'yesterday'", 209),
        ("interval '1 month'", 209),
        ("interval '2 fortnights'", 209),
        ("hour(t, 'Mars/Olympus')", 209),
        ("hour(t, s)", 209),
        ("date_trunc('fortnight', t)", 209),
        ("regexp_like(s, '(')", 209),
        ("regexp_like(s, s)", 209),
        ("sum(i) + 1", 210),
        ("9223372036854775807 + 1", 211),
    ];
    for (text, code) in cases {
        let error = refuse(text);
        assert_eq!(error.code().0, *code, "{text}: {error}");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(!error.is_transient());
    }
}

#[test]
fn suggests_near_names() {
    assert_eq!(refuse("daz").to_string(), "unknown column `daz`; did you mean `day`?");
    assert_eq!(refuse("a.c").to_string(), "unknown column `a.c`; did you mean `a.b`?");
    assert_eq!(
        refuse("1 + coalesc(i, 0)").to_string(),
        "unknown function `coalesc` in `coalesc(i, 0)`; did you mean `coalesce`?"
    );
    assert_eq!(refuse("qqqqqq").to_string(), "unknown column `qqqqqq`");
}

#[test]
fn names_the_sub_expression_that_overflows() {
    let batch = batch();
    for (text, part) in [("1.0 * (i * 2)", "i * 2"), ("abs(j) + (i + 1)", "i + 1"), ("b and i - -5 > 0", "i - -5")] {
        let error = Compiled::new(text, &batch.schema()).unwrap().evaluate(&batch).unwrap_err();
        assert_eq!(error, ExprError::Overflow { text: part.to_owned() }, "{text}");
    }
}

#[test]
fn branches_that_are_not_taken_cannot_fail() {
    assert_eq!(super::run("case when i < 10 then i * 2 else 0 end"), "2, -14, 0, 0");
    assert_eq!(super::run("if(i > 10, 0, i + 1)"), "2, -6, null, 0");
    assert_eq!(super::run("coalesce(j, i + 1)"), "2, 0, 3, -1");
    assert_eq!(super::run("case 9223372036854775807 when i then null else i + j end"), "3, -7, null, null");
    assert_eq!(super::run("case when b then 0 when i + 1 > 0 then 1 else 2 end"), "0, 2, 2, 0");
}

#[test]
fn batches_must_fit() {
    let compiled = Compiled::new("i + 1", &batch().schema()).unwrap();
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    let wrong = RecordBatch::try_from_iter([("i", Arc::clone(&texts))]).unwrap();
    assert_eq!(compiled.evaluate(&wrong).unwrap_err().code().0, 213);
    let missing = RecordBatch::try_from_iter([("k", texts)]).unwrap();
    assert_eq!(compiled.evaluate(&missing).unwrap_err().code().0, 212);
    let other: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let fits = RecordBatch::try_from_iter([("k", Arc::clone(&other)), ("i", other)]).unwrap();
    assert_eq!(compiled.evaluate(&fits).unwrap().len(), 1);
}
