//! Every kind of rule, on rows that pass and rows that fail, and the manual against the table of kinds.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use arrow::array::RecordBatch;
use arrow::json::ReaderBuilder;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tidemill_quality::{CommitMemory, Memory, RuleResult, Rules};
use tidemill_spec::{KINDS, Rule, Scope, Severity, Source, read_yaml};

/// Orders: one column for each thing that a rule can be about.
fn orders() -> Source {
    serde_json::from_value(json!({"key": ["id"], "event_time": "ordered_at", "columns": {
        "id": {"type": "int64"}, "code": {"type": "string", "nullable": true},
        "name": {"type": "string", "nullable": true}, "note": {"type": "string", "nullable": true},
        "email": {"type": "string", "nullable": true}, "site": {"type": "string", "nullable": true},
        "token": {"type": "string", "nullable": true}, "address": {"type": "string", "nullable": true},
        "host": {"type": "string", "nullable": true}, "payload": {"type": "string", "nullable": true},
        "born": {"type": "string", "nullable": true}, "country": {"type": "string", "nullable": true},
        "currency": {"type": "string", "nullable": true}, "iban": {"type": "string", "nullable": true},
        "card": {"type": "string", "nullable": true}, "phone": {"type": "string", "nullable": true},
        "amount": {"type": "float64", "nullable": true}, "net": {"type": "float64", "nullable": true},
        "tax": {"type": "float64", "nullable": true}, "quantity": {"type": "int32", "nullable": true},
        "lat": {"type": "float64", "nullable": true}, "lon": {"type": "float64", "nullable": true},
        "ordered_at": {"type": "timestamp"}, "paid_at": {"type": "timestamp", "nullable": true}}}))
    .unwrap()
}

/// Rows from JSON objects; what is left out is null, positions and knowledge times are added.
fn rows(values: &[Value]) -> RecordBatch {
    let schema = orders().table_schema();
    let fields: Vec<_> = schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
    let mut decoder = ReaderBuilder::new(Arc::new(arrow::datatypes::Schema::new(fields))).build_decoder().unwrap();
    let lines = values.iter().enumerate().map(|(nth, value)| {
        let mut row = json!({
            "id": nth, "ordered_at": "2013-06-03T12:00:00Z", "tm_known_at": "2013-06-03T12:00:00Z",
            "tm_seq": nth, "tm_row": 0, "tm_event_id": nth.to_string(),
        });
        for (key, value) in value.as_object().unwrap() {
            row[key] = value.clone();
        }
        row.to_string() + "\n"
    });
    assert!(!values.is_empty());
    let text: String = lines.collect();
    let mut done = 0;
    while done < text.len() {
        done += decoder.decode(&text.as_bytes()[done..]).unwrap();
    }
    decoder.flush().unwrap().unwrap()
}

/// What a rule, written as in a project file, finds in a commit of such rows.
fn found(rule: &str, values: &[Value]) -> RuleResult {
    let rule: Rule = read_yaml(&format!("{{id: r, {rule}}}")).unwrap();
    let rules = Rules::compile(&orders(), &[rule]).unwrap();
    let mut memory = Memory::new(&rules, Memory::CAPACITY);
    rules.check_commit(&mut memory, &CommitMemory::new(&rules), &rows(values)).unwrap().results.remove(0)
}

/// Rows tested and failed, one row per value of a column.
fn tested(rule: &str, column: &str, values: Value) -> (u64, u64) {
    let rows: Vec<Value> = values.as_array().unwrap().iter().map(|value| json!({column: value})).collect();
    let result = found(rule, &rows);
    (result.checked, result.failed)
}

#[test]
fn every_kind_reads_its_example_compiles_and_writes_itself_back() {
    assert!(KINDS.len() >= 40, "{}", KINDS.len());
    let keys: BTreeSet<&str> = KINDS.iter().map(|kind| kind.key).collect();
    assert_eq!(keys.len(), KINDS.len());
    for kind in KINDS {
        let text = format!("{{id: r, {}: {}, on_fail: quarantine}}", kind.key, kind.example);
        let rule: Rule = read_yaml(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(rule.check.kind(), kind);
        let compiled = Rules::compile(&orders(), std::slice::from_ref(&rule));
        assert!(compiled.is_ok(), "{text}: {}", compiled.err().map(|e| e.to_string()).unwrap_or_default());
        let again: Rule = read_yaml(&rule.to_line()).unwrap_or_else(|e| panic!("{}: {e}", rule.to_line()));
        assert_eq!(again, rule, "{}", rule.to_line());
        let again: Rule = serde_json::from_value(serde_json::to_value(&rule).unwrap()).unwrap();
        assert_eq!(again, rule);
        assert!(!rule.in_words().is_empty());
        let names = orders();
        assert!(rule.columns().iter().all(|column| names.columns.contains_key(*column)), "{text}");
    }
}

#[test]
fn the_manual_has_the_table_of_kinds() {
    let mut table = "| key | asks | example |\n|---|---|---|\n".to_owned();
    let scopes = [(Scope::Row, "row"), (Scope::Memory, "row, with memory"), (Scope::Commit, "commit")];
    for (scope, name) in scopes {
        table.push_str(&format!("| *{name}* | | |\n"));
        for kind in KINDS.iter().filter(|kind| kind.scope == scope) {
            let example = kind.example.replace('|', "\\|");
            table.push_str(&format!("| `{}` | {} | `{example}` |\n", kind.key, kind.says));
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/docs/guide.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (begin, end) = ("<!-- kinds of rules: made from shared/spec/src/rule/kinds.rs by a test -->\n", "<!-- end -->");
    let (head, rest) = text.split_once(begin).unwrap();
    let (found, tail) = rest.split_once(end).unwrap();
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() && found != table {
        std::fs::write(path, format!("{head}{begin}{table}{end}{tail}")).unwrap();
        return;
    }
    assert!(found == table, "the guide's table of rules is old: UPDATE_SNAPSHOTS=1 writes it anew");
}

#[test]
fn rules_on_presence() {
    assert_eq!(tested("not_null: amount", "amount", json!([1, null])), (2, 1));
    assert_eq!(tested("not_blank: note", "note", json!(["a", "", " \t", null])), (3, 2));
    let pairs = [json!({"lat": 1, "lon": 1}), json!({"lat": 1}), json!({})];
    assert_eq!(
        (found("any_present: [lat, lon]", &pairs).failed, found("all_or_none: [lat, lon]", &pairs).failed),
        (1, 1)
    );
    let paid =
        [json!({"code": "OPEN"}), json!({"code": "PAID"}), json!({}), json!({"paid_at": "2013-01-01T00:00:00Z"})];
    let rule = "null_only_when: {column: paid_at, condition: \"code = 'OPEN'\"}";
    // A condition that is unknown is not true.
    assert_eq!(found(rule, &paid).failed, 2);
}

#[test]
fn rules_on_numbers() {
    let edge = json!([-1, 0, 0.5, 1, 1.5, null, f64::MAX]);
    for (rule, failed) in [
        ("range: {column: amount, min: 0, max: 1}", 3),
        ("range: {column: amount, min: 0}", 1),
        ("inside: {column: amount, above: 0, below: 1}", 5),
        ("positive: amount", 2),
        ("non_negative: amount", 1),
        ("finite: amount", 0),
        ("whole_number: amount", 2),
        ("multiple_of: {column: amount, of: 0.5}", 0),
        ("decimals: {column: amount, at_most: 0}", 2),
        ("in_set: {column: amount, values: [0, 0.5, 1]}", 3),
        ("not_in_set: {column: amount, values: [0, 0.5, 1]}", 3),
    ] {
        assert_eq!(tested(rule, "amount", edge.clone()), (6, failed), "{rule}");
    }
    assert_eq!(
        tested("decimals: {column: amount, at_most: 2}", "amount", json!([0.1, 19.99, 1e6, 0.001, 1234567.891])),
        (5, 2)
    );
    assert_eq!(tested("multiple_of: {column: amount, of: 0.1}", "amount", json!([0.3, 0.35, 1e9])), (3, 1));
    assert_eq!(tested("in_set: {column: quantity, values: [1, 2]}", "quantity", json!([1, 2, 3])), (3, 1));
    assert_eq!(tested("latitude: lat", "lat", json!([-90, 90, 90.1])), (3, 1));
    assert_eq!(tested("longitude: lon", "lon", json!([-180, 180, -181])), (3, 1));
    let fiji = "bounding_box: {latitude: lat, longitude: lon, south: -20, north: -10, west: 177, east: -178}";
    let points = [
        json!({"lat": -17, "lon": 179}),
        json!({"lat": -17, "lon": -179}),
        json!({"lat": -17, "lon": 0}),
        json!({"lat": 0, "lon": 179}),
    ];
    assert_eq!(found(fiji, &points).failed, 2);
}

#[test]
fn rules_on_texts() {
    let codes = json!(["OPEN", "paid", " Late ", "Ünï", "", null]);
    for (rule, failed) in [
        ("in_set: {column: code, values: [OPEN, paid, \"\"]}", 2),
        ("not_in_set: {column: code, values: [OPEN, a-long-value-of-more-than-eight]}", 1),
        ("regex: {column: code, pattern: \"^[A-Za-z]+$\"}", 3),
        ("not_regex: {column: code, pattern: \"[A-Z]\"}", 2),
        ("length: {column: code, min: 3, max: 4}", 2),
        ("starts_with: {column: code, values: [O, p]}", 3),
        ("ends_with: {column: code, values: [N, d]}", 3),
        ("trimmed: code", 1),
        ("ascii: code", 1),
        ("case: {column: code, is: upper}", 3),
        ("case: {column: code, is: lower}", 3),
        ("case: {column: code, is: title}", 2),
    ] {
        assert_eq!(tested(rule, "code", codes.clone()), (5, failed), "{rule}");
    }
}

#[test]
fn rules_on_instants() {
    let days =
        json!(["2013-06-01T23:59:59.999Z", "2013-06-02T00:00:00Z", "2013-06-03T00:00:00Z", "1969-12-31T12:00:00Z"]);
    // Saturday, Sunday, Monday, Wednesday.
    assert_eq!(tested("weekday: {column: paid_at, days: [mon, wed]}", "paid_at", days.clone()), (4, 2));
    assert_eq!(tested("date_range: {column: paid_at, from: 2013-06-02, until: 2013-06-03}", "paid_at", days), (4, 3));
    let known = json!(["2013-06-03T12:00:00Z", "2013-06-03T12:10:00Z", "2013-06-03T12:10:00.001Z", null]);
    assert_eq!(tested("not_in_future: {column: paid_at}", "paid_at", known.clone()), (3, 2));
    assert_eq!(tested("not_in_future: {column: paid_at, tolerance: 10m}", "paid_at", known), (3, 1));
    let formats = json!(["2013-02-28", "2013-02-29", "2013-2-28", "28.02.2013", "2013-02-28 "]);
    assert_eq!(tested("date_format: {column: born, format: \"%Y-%m-%d\"}", "born", formats), (5, 3));
    assert_eq!(
        tested("date_format: {column: born, format: \"%H:%M\"}", "born", json!(["23:59", "24:00", "7"])),
        (3, 2)
    );
}

#[test]
fn rules_on_several_columns_and_conditions() {
    let rows = [
        json!({"net": 0.1, "tax": 0.2, "amount": 0.3, "quantity": 1, "code": "OPEN"}),
        json!({"net": 1, "tax": 1, "amount": 2.005, "quantity": 0, "code": "PAID"}),
        json!({"net": 1, "tax": null, "amount": 2, "quantity": 0, "code": "OPEN"}),
        json!({"net": 3, "tax": 1, "amount": 2, "quantity": 5, "code": null}),
    ];
    let count = |rule: &str| {
        let result = found(rule, &rows);
        (result.checked, result.failed)
    };
    assert_eq!(count("sum_equals: {columns: [net, tax], total: amount}"), (3, 2));
    assert_eq!(count("sum_equals: {columns: [net, tax], total: amount, tolerance: 0.01}"), (3, 1));
    assert_eq!(count("compare: {left: net, is: \"<=\", right: amount}"), (4, 1));
    assert_eq!(count("compare: {left: quantity, is: \"<\", right: amount}"), (4, 2));
    assert_eq!(count("compare: {left: net, is: \"<>\", right: tax}"), (3, 1));
    assert_eq!(count("expr: \"quantity > 0\""), (4, 2));
    assert_eq!(count("expr: \"quantity > 0\", when: \"code = 'OPEN'\""), (2, 1));
    assert_eq!(count("range: {column: amount, max: 1}, when: \"quantity = 0\""), (2, 2));
}

#[test]
fn rules_with_memory() {
    let rows = [
        json!({"code": "a", "name": "x", "quantity": 1}),
        json!({"code": "a", "name": "x", "quantity": 1}),
        json!({"code": "b", "name": "y", "quantity": 5}),
        json!({"code": "a", "name": "z", "quantity": 0}),
        json!({"code": "b", "name": null, "quantity": 6}),
        json!({"code": "a", "name": "x", "quantity": 2}),
    ];
    let count = |rule: &str| {
        let result = found(rule, &rows);
        (result.checked, result.failed)
    };
    assert_eq!(count("unique: [code]"), (6, 4));
    assert_eq!(count("unique: [code, quantity]"), (6, 1));
    assert_eq!(count("unique: [code], when: \"quantity > 1\""), (3, 1));
    assert_eq!(count("determines: {key: [code], value: name}"), (5, 1));
    assert_eq!(count("increasing: {column: quantity, by: [code]}"), (6, 1));
    assert_eq!(count("increasing: {column: quantity, by: [code], strictly: true}"), (6, 2));
    // Rows that only warn are remembered too: after 5 and 6 come 0 and 2.
    assert_eq!(count("increasing: {column: quantity}"), (6, 2));
}

#[test]
fn a_value_must_stand_in_the_other_source() {
    let rule: Rule = read_yaml("{id: r, refers: {column: code, to: catalogue.sku}, on_fail: quarantine}").unwrap();
    let rules = Rules::compile(&orders(), &[rule]).unwrap();
    assert_eq!(rules.references(), [("catalogue", "sku")]);
    let catalogue = |values: Vec<&str>| {
        let array: arrow::array::ArrayRef = Arc::new(arrow::array::StringArray::from(values));
        RecordBatch::try_from_iter([("sku", array)]).unwrap()
    };
    let batch = rows(&[json!({"code": "A"}), json!({"code": "B"}), json!({"code": null})]);
    let mut commits = CommitMemory::new(&rules);
    commits.refer(&rules, "catalogue", &catalogue(vec!["A"])).unwrap();
    commits.refer(&rules, "elsewhere", &catalogue(vec!["B"])).unwrap();
    let mut memory = Memory::new(&rules, 10);
    let verdict = rules.check_commit(&mut memory, &commits, &batch).unwrap();
    assert_eq!((verdict.results[0].checked, verdict.results[0].failed, verdict.accepted.num_rows()), (2, 1, 2));
    commits.refer(&rules, "catalogue", &catalogue(vec!["B"])).unwrap();
    let later = rules.check_commit(&mut memory, &commits, &batch).unwrap();
    assert_eq!(later.accepted.num_rows(), 3);
    // What an interrupted pass had set aside stays there.
    let aside = [(1, 0)].into_iter().collect();
    let (settled, is_other) = later.clone().settled(&batch, &aside).unwrap();
    assert!(is_other && settled.accepted == verdict.accepted);
    assert!(!verdict.settled(&batch, &aside).unwrap().1);
    // A bare file knows no other source: nothing is judged, and nothing fails.
    let bare = rules.check_commit(&mut memory, &CommitMemory::without_others(&rules), &batch).unwrap();
    assert_eq!((bare.results[0].checked, bare.results[0].failed), (0, 0));
}

#[test]
fn mostly_counts_failing_rows_until_there_are_too_many() {
    let mut values: Vec<Value> = (0..100).map(|n| json!({"amount": n})).collect();
    let rule = "range: {column: amount, max: 94}, mostly: 0.95, on_fail: quarantine";
    let judged = |values: &[Value]| {
        let rule: Rule = read_yaml(&format!("{{id: r, {rule}}}")).unwrap();
        let rules = Rules::compile(&orders(), &[rule]).unwrap();
        let mut memory = Memory::new(&rules, 10);
        rules.check_commit(&mut memory, &CommitMemory::new(&rules), &rows(values)).unwrap()
    };
    let enough = judged(&values);
    assert_eq!((enough.results[0].failed, enough.accepted.num_rows(), enough.held.as_deref()), (5, 100, None));
    values[0] = json!({"amount": 1_000});
    let too_many = judged(&values);
    assert_eq!((too_many.results[0].failed, too_many.accepted.num_rows()), (6, 0));
    assert_eq!((too_many.held.as_deref(), too_many.blocked.as_deref()), (Some("r"), None));
    assert!(too_many.results[0].on_commit && too_many.results[0].commit_failed);
    assert_eq!(too_many.quarantined.num_rows(), 100, "the severity applies to the commit");
}

#[test]
fn a_rule_on_the_commit_holds_all_of_it() {
    let values: Vec<Value> = (0..10).map(|n| json!({"amount": n})).collect();
    for (on_fail, held, blocked) in [("warn", false, false), ("quarantine", true, false), ("block", true, true)] {
        let rule: Rule =
            read_yaml(&format!("{{id: r, mean: {{column: amount, max: 4}}, on_fail: {on_fail}}}")).unwrap();
        let rules = Rules::compile(&orders(), &[rule]).unwrap();
        let mut memory = Memory::new(&rules, 10);
        let verdict = rules.check_commit(&mut memory, &CommitMemory::new(&rules), &rows(&values)).unwrap();
        assert_eq!((verdict.held.is_some(), verdict.blocked.is_some()), (held, blocked), "{on_fail}");
        assert_eq!(verdict.accepted.num_rows(), if held { 0 } else { 10 });
        let result = &verdict.results[0];
        assert_eq!((result.checked, result.failed, result.observed.as_deref()), (1, 1, Some("4.5000, above 4")));
        // A message of a stream is no commit.
        assert!(rules.check(&mut memory, &rows(&values)).unwrap().held.is_none());
    }
}

#[test]
fn a_volume_is_held_against_the_median_of_earlier_commits() {
    let rule: Rule = read_yaml("{id: r, row_count_near: {low: 0.5, high: 2, commits: 5}, on_fail: warn}").unwrap();
    let rules = Rules::compile(&orders(), &[rule]).unwrap();
    let batch = rows(&[json!({}), json!({}), json!({})]);
    let mut commits = CommitMemory::new(&rules);
    let judge = |commits: &CommitMemory| {
        let mut memory = Memory::new(&rules, 10);
        let result = rules.check_commit(&mut memory, commits, &batch).unwrap().results.remove(0);
        (result.checked, result.failed)
    };
    for size in [1_000, 6, 6, 6] {
        commits.count(size);
    }
    assert_eq!(judge(&commits), (0, 0), "four commits are too few");
    commits.count(7);
    assert_eq!(judge(&commits), (1, 0), "3 of 6");
    for _ in 0..3 {
        commits.count(7);
    }
    assert_eq!(judge(&commits), (1, 1), "3 of 7, the old ones are forgotten");
}

#[test]
fn severities_and_unknown_keys_are_refused_with_the_nearest() {
    let rule: Rule = read_yaml("{id: r, not_null: id}").unwrap();
    assert_eq!(rule.on_fail, Severity::Warn);
    for (text, wanted) in [
        ("{id: r, not_nul: id}", "did you mean \"not_null\"?"),
        ("{id: r, not_null: id, on_fial: warn}", "did you mean \"on_fail\"?"),
        ("{id: r, range: {column: amount, maxx: 1}}", "did you mean \"max\"?"),
        ("{id: r}", "exactly one check"),
        ("{id: r, not_null: id, unique: [id]}", "`not_null` and `unique`"),
        ("{not_null: id}", "id"),
    ] {
        let error = read_yaml::<Rule>(text).unwrap_err().to_string();
        assert!(error.contains(wanted), "{text}: {error}");
    }
}
