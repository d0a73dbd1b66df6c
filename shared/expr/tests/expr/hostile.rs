//! Texts meant to exhaust the stack, the memory or the time: each must be an error, and soon.

use super::batch;
use tidemill_expr::{Aggregate, Compiled, MAX_CHAIN, MAX_DEPTH, MAX_TEXT_BYTES, columns_of};

fn compile(text: &str) -> Result<Compiled, tidemill_expr::ExprError> {
    let _ = columns_of(text);
    let _ = Aggregate::new(text, &batch().schema());
    Compiled::new(text, &batch().schema())
}

#[test]
fn oversized_texts_are_refused() {
    let longest = MAX_TEXT_BYTES;
    let hostile = [
        "(".repeat(longest),
        format!("{}1{}", "(".repeat(4000), ")".repeat(4000)),
        format!("{}1{}", "(".repeat(MAX_DEPTH + 1), ")".repeat(MAX_DEPTH + 1)),
        "- ".repeat(4000) + "1",
        "not ".repeat(2000) + "b",
        format!("1{}", " + 1".repeat(2000)),
        format!("1{}", "::bigint".repeat(1000)),
        format!("b{}", " is null".repeat(1000)),
        format!("1{}", " is null = 1".repeat(600)),
        "case when ".repeat(800),
        "case ".repeat(1600),
        "interval ".repeat(900) + "'1'",
        "array<".repeat(1300),
        "struct<a ".repeat(900),
        "cast(".repeat(1600),
        "cast(1 as array<".repeat(500),
        "f(".repeat(4000),
        "[".repeat(8000),
        "{a:".repeat(2700),
        "a.".repeat(4000) + "a",
        "a->".repeat(2700) + "a",
        "lambda a : ".repeat(700) + "a",
        "x -> ".repeat(1600) + "x",
        "timestamp ".repeat(800) + "'a'",
        "a[".repeat(4000),
        "(a, ".repeat(2000),
        "select ".repeat(1100),
        "(select ".repeat(1000),
        "exists(".repeat(1100),
        "prior ".repeat(1300) + "a",
        "i between ".repeat(800),
        "i in (".repeat(1300),
        "'a' like ".repeat(900) + "'a'",
        "x ".repeat(4000),
        "i".repeat(longest + 1),
        "ü".repeat(4096),
        "\u{0}".repeat(100),
        "/*".repeat(4000),
        "$$".repeat(4000),
        "1 = all(".repeat(1000),
        "1e".repeat(4000),
        "trim(".repeat(1600),
        "extract(year from ".repeat(450),
        "date ".repeat(1600) + "'a'",
    ];
    for text in hostile {
        let shown: String = text.chars().take(24).collect();
        let started = std::time::Instant::now();
        assert!(compile(&text).is_err(), "{shown} was accepted");
        let elapsed = started.elapsed();
        assert!(elapsed.as_secs() < 5, "{shown} took {elapsed:?}");
    }
}

#[test]
fn the_bounds_themselves_are_allowed() {
    let depth = MAX_DEPTH - 1;
    assert!(compile(&format!("{}1{}", "(".repeat(depth), ")".repeat(depth))).is_ok());
    assert!(compile(&format!("j{}", " + 1".repeat(MAX_CHAIN))).is_ok());
    assert!(compile(&format!("j{}", " + 1".repeat(MAX_CHAIN + 1))).is_err());
    let list = vec!["1"; 1900].join(",");
    assert!(compile(&format!("j in ({list})")).is_ok());
}

#[test]
fn nesting_costs_linear_time() {
    let batch = batch();
    let mut between = "j".to_owned();
    let mut case = "j".to_owned();
    for _ in 0..20 {
        between = format!("cast(({between} between 0 and 5) as bigint)");
        case = format!("case ({case}) when 1 then 2 when 2 then 3 else 4 end");
    }
    for text in [between, case] {
        Compiled::new(&text, &batch.schema()).unwrap().evaluate(&batch).unwrap();
    }
}

#[test]
fn greedy_patterns_stay_cheap() {
    let schema = batch().schema();
    assert!(Compiled::new("regexp_like(s, '((a{1000}){1000}){1000}')", &schema).is_err());
    let slow = Compiled::new("regexp_like(s, '(a+)+$') or s like '%a%a%a%a%a%b'", &schema).unwrap();
    assert!(slow.evaluate(&batch()).is_ok());
}
