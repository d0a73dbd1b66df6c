//! Cleaning decisions: values against reference implementations, what is counted, and what is proposed.
#![expect(clippy::unwrap_used, reason = "tests")]

use arrow::array::{Array as _, ArrayRef, AsArray as _, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::Float64Type;
use serde_json::Value;
use std::sync::Arc;
use tidemill_quality::clean::suggest;
use tidemill_quality::{Cleaner, merge_cleaned};
use tidemill_spec::{Decision, Source, Unit, read_yaml};

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/cleaning.json")).unwrap()
}

fn source() -> Source {
    let text = "
key: [who]
event_time: at
columns:
  who: {type: string, nullable: true}
  size: {type: float64, nullable: true}
  mail: {type: string, nullable: true, pii: email}
  at: {type: timestamp}";
    read_yaml(text).unwrap()
}

fn rows(who: &[Option<&str>], size: &[Option<f64>]) -> RecordBatch {
    let whos: ArrayRef = Arc::new(who.iter().copied().collect::<StringArray>());
    let sizes: ArrayRef = Arc::new(size.iter().copied().collect::<Float64Array>());
    let mails: ArrayRef =
        Arc::new(who.iter().map(|who| who.map(|who| format!("{who}@x.org"))).collect::<StringArray>());
    RecordBatch::try_from_iter_with_nullable([("who", whos, true), ("size", sizes, true), ("mail", mails, true)])
        .unwrap()
}

fn decide(text: &str) -> Vec<Decision> {
    read_yaml(text).unwrap()
}

fn texts(batch: &RecordBatch, column: &str) -> Vec<Option<String>> {
    batch.column_by_name(column).unwrap().as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
}

#[test]
fn units_are_turned_as_pint_does() {
    let golden = golden();
    let all = golden["units"].as_array().unwrap();
    assert!(all.len() > 500);
    for one in all {
        let (from, to) =
            (Unit::named(one[0].as_str().unwrap()).unwrap(), Unit::named(one[1].as_str().unwrap()).unwrap());
        let (value, wanted) = (one[2].as_f64().unwrap(), one[3].as_f64().unwrap());
        let found = from.convert(value, to);
        // What is zero there may be the last digit of a temperature here.
        assert!(
            (found - wanted).abs() <= 1e-9 * wanted.abs().max(1e-3),
            "{value} {} is {found} {}",
            from.name,
            to.name
        );
    }
}

#[test]
fn distances_are_those_of_jellyfish_and_dates_those_of_the_calendar() {
    let golden = golden();
    for one in golden["distances"].as_array().unwrap() {
        let found = strsim::damerau_levenshtein(one[0].as_str().unwrap(), one[1].as_str().unwrap());
        assert_eq!(found as u64, one[2].as_u64().unwrap(), "{one}");
    }
    for one in golden["dates"]["texts"].as_array().unwrap() {
        let (form, text, wanted) = (&one[0], one[1].as_str().unwrap(), one[2].as_str().unwrap());
        let decisions = decide(&format!("[{{id: d, column: who, date: {{from: [{form}]}}, reason: r, by: me}}]"));
        let cleaner = Cleaner::compile(&source(), &decisions).unwrap();
        let (after, _) = cleaner.apply(&rows(&[Some(text)], &[None])).unwrap();
        assert_eq!(texts(&after, "who"), [Some(wanted.to_owned())], "{form}");
    }
}

#[test]
fn decisions_follow_each_other_and_everything_that_changed_is_counted() {
    let decisions = decide(
        "
- {id: tidy, column: who, text: [squeeze, trim, lower], reason: r, by: me}
- {id: same, column: who, merge: {delta: [dleta, delta air]}, reason: r, by: me}
- {id: feet, column: size, unit: {from: ft, to: m}, where: \"who = 'delta'\", reason: r, by: me}
- {id: unknown, column: size, to_null: \"size < 0\", reason: r, by: me}
- {id: mail, column: mail, text: [upper], reason: r, by: me}",
    );
    let cleaner = Cleaner::compile(&source(), &decisions).unwrap();
    let batch = rows(
        &[Some(" Delta  Air"), Some("dleta"), Some("united"), None, Some("delta")],
        &[Some(10.0), Some(100.0), Some(-1.0), Some(5.0), None],
    );
    let (after, done) = cleaner.apply(&batch).unwrap();
    let who = texts(&after, "who");
    assert_eq!(
        who.iter().map(Option::as_deref).collect::<Vec<_>>(),
        [Some("delta"), Some("delta"), Some("united"), None, Some("delta")]
    );
    let sizes = after.column_by_name("size").unwrap().as_primitive::<Float64Type>();
    assert_eq!(sizes.iter().collect::<Vec<_>>(), [Some(3.048), Some(30.48), None, Some(5.0), None]);
    let counts: Vec<_> =
        done.iter().map(|d| (d.id.as_str(), d.rows, d.values_before, d.values_after, d.changed)).collect();
    assert_eq!(
        counts,
        [
            ("tidy", 5, 4, 4, 1),
            ("same", 5, 4, 4, 2),
            ("feet", 3, 2, 2, 2),
            ("unknown", 5, 4, 3, 1),
            ("mail", 5, 4, 4, 4)
        ]
    );
    let examples: Vec<_> = done[1].examples.iter().map(|e| (e.from.as_str(), e.to.as_deref(), e.times)).collect();
    assert_eq!(examples, [("delta air", Some("delta"), 1), ("dleta", Some("delta"), 1)]);
    assert_eq!(done[3].examples[0].to, None);
    assert!(done[4].examples.is_empty(), "personal data is told");

    // The same rows in other batches become the same, and are counted the same.
    let mut merged = Vec::new();
    let mut parts = Vec::new();
    for at in 0..batch.num_rows() {
        let (part, done) = cleaner.apply(&batch.slice(at, 1)).unwrap();
        merge_cleaned(&mut merged, &done);
        parts.push(part);
    }
    assert_eq!(arrow::compute::concat_batches(&after.schema(), &parts).unwrap(), after);
    assert_eq!(merged, done);
    // What is mended once stays as it is, except where a unit was changed.
    let stable =
        Cleaner::compile(&source(), &[decisions[0].clone(), decisions[1].clone(), decisions[3].clone()]).unwrap();
    let (again, done) = stable.apply(&after).unwrap();
    assert!(again == after && done.iter().all(|done| done.changed == 0));
    assert_eq!(after.schema(), batch.schema());
    assert!(after.column_by_name("who").unwrap().is_null(3));
}

#[test]
fn a_decision_that_its_column_cannot_do_is_refused_by_name() {
    let decisions = decide("[{id: x, column: who, unit: {from: m, to: km}, reason: r, by: me}]");
    let error = Cleaner::compile(&source(), &decisions).unwrap_err().to_string();
    assert!(error.contains("\"x\"") && error.contains("float64"), "{error}");
}

#[test]
fn spellings_white_space_and_forms_of_dates_are_proposed_and_different_things_are_not_merged() {
    let mut who: Vec<Option<&str>> = Vec::new();
    let names = [("Delta Air Lines", 400), ("United Airlines", 300), ("Dleta Air Lines", 7), ("UNITED  AIRLINES", 5)];
    // One edit in three letters, and numbers, tell things apart; so does being nearly as frequent.
    let others =
        [("JFK", 90), ("JFL", 3), ("Gate 12", 200), ("Gate 13", 4), ("Northern Line", 50), ("Southern Line", 45)];
    for (name, times) in names.into_iter().chain(others) {
        who.extend(std::iter::repeat_n(Some(name), times));
    }
    who.push(Some(" JFK "));
    let size = vec![None; who.len()];
    let proposed = suggest(&source(), &rows(&who, &size), &|column| column == "mail").unwrap();
    assert_eq!(proposed.len(), 2, "{proposed:?}");
    assert_eq!((proposed[0].decision.id.as_str(), proposed[0].changed), ("who-tidy", 6));
    let merge = proposed[1].decision.merge.as_ref().unwrap();
    let merge: Vec<_> = merge.iter().map(|(kept, others)| (kept.as_str(), others.join(","))).collect();
    let wanted = [("Delta Air Lines", "Dleta Air Lines"), ("United Airlines", "UNITED AIRLINES")];
    assert_eq!(merge, wanted.map(|(kept, others)| (kept, others.to_owned())));
    assert_eq!((proposed[1].changed, proposed[1].values), (12, who.len() as u64));

    let days = ["01.02.2024", "29.02.2024", "02/29/2024", "31.12.2023", "n/a"];
    let who: Vec<_> = days.iter().cycle().take(4).chain(days.iter().cycle().take(50)).map(|day| Some(*day)).collect();
    let proposed = suggest(&source(), &rows(&who, &vec![None; who.len()]), &|column| column == "mail").unwrap();
    assert!(proposed.is_empty(), "one in five is no date: {proposed:?}");
    let who: Vec<_> = days[..4].iter().cycle().take(48).map(|day| Some(*day)).collect();
    let proposed = suggest(&source(), &rows(&who, &vec![None; who.len()]), &|column| column == "mail").unwrap();
    let forms = proposed[0].decision.date.as_ref().unwrap();
    assert_eq!(
        (forms.from.as_slice(), proposed[0].changed),
        (["%d.%m.%Y", "%m/%d/%Y"].map(str::to_owned).as_slice(), 48)
    );
}
