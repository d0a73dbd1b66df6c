//! Three-valued logic, for columns and for constants.

use super::show;
use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use std::sync::Arc;
use tidemill_expr::Compiled;

const VALUES: [Option<bool>; 3] = [Some(true), Some(false), None];

fn and(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn or(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    and(a.map(|a| !a), b.map(|b| !b)).map(|both| !both)
}

fn word(value: Option<bool>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.to_string())
}

fn evaluate(text: &str, p: Option<bool>, q: Option<bool>) -> String {
    let columns: [(&str, ArrayRef); 2] =
        [("p", Arc::new(BooleanArray::from(vec![p]))), ("q", Arc::new(BooleanArray::from(vec![q])))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    show(&Compiled::new(text, &batch.schema()).unwrap().evaluate(&batch).unwrap())
}

#[test]
fn follows_kleene() {
    for p in VALUES {
        for q in VALUES {
            for (operator, rule) in [("and", and as fn(_, _) -> _), ("or", or)] {
                let expected = word(rule(p, q));
                assert_eq!(evaluate(&format!("p {operator} q"), p, q), expected, "{p:?} {operator} {q:?}");
                let (left, right) = (word(p), word(q));
                assert_eq!(evaluate(&format!("{left} {operator} {right}"), p, q), expected, "constants");
                assert_eq!(evaluate(&format!("p {operator} {right}"), p, q), expected, "column and constant");
            }
        }
    }
}

#[test]
fn tests_of_truth_are_never_null() {
    for p in VALUES {
        assert_eq!(evaluate("not p", p, None), word(p.map(|p| !p)));
        assert_eq!(evaluate("p is true", p, None), (p == Some(true)).to_string());
        assert_eq!(evaluate("p is not true", p, None), (p != Some(true)).to_string());
        assert_eq!(evaluate("p is false", p, None), (p == Some(false)).to_string());
        assert_eq!(evaluate("p is not false", p, None), (p != Some(false)).to_string());
        assert_eq!(evaluate("p is unknown", p, None), p.is_none().to_string());
        assert_eq!(evaluate("p is not null", p, None), p.is_some().to_string());
        for q in VALUES {
            assert_eq!(evaluate("p is distinct from q", p, q), (p != q).to_string());
            assert_eq!(evaluate("p is not distinct from q", p, q), (p == q).to_string());
        }
    }
}
