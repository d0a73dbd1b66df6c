//! Tables made by Faker: persons of twelve countries, and look-alikes.

use crate::table::Tally;
use arrow::array::{ArrayRef, StringArray};
use serde::Deserialize;
use std::sync::Arc;
use tidemill_privacy::{ColumnView, Declaration, PiiClass, Verdict, classify};

#[derive(Deserialize)]
struct Golden {
    tables: Vec<Table>,
}

#[derive(Deserialize)]
struct Table {
    name: String,
    columns: Vec<Column>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
    truth: String,
    values: Vec<String>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/columns.json")).unwrap()
}

/// Verdicts on a table; `blind` calls its columns c0, c1, …
fn judged(table: &Table, blind: bool, seed: u64) -> Vec<Verdict> {
    let arrays: Vec<(String, ArrayRef)> = table
        .columns
        .iter()
        .enumerate()
        .map(|(nth, column)| {
            let name = if blind { format!("c{nth}") } else { column.name.clone() };
            (name, Arc::new(StringArray::from(column.values.clone())) as ArrayRef)
        })
        .collect();
    let views: Vec<ColumnView<'_>> =
        arrays.iter().map(|(name, values)| ColumnView { name, values, declared: None }).collect();
    classify(&views, seed).unwrap()
}

fn tally(golden: &Golden, blind: bool) -> Tally {
    let mut tally = Tally::default();
    for table in &golden.tables {
        for (column, verdict) in table.columns.iter().zip(judged(table, blind, 1)) {
            tally.count(&table.name, &column.truth, &verdict);
        }
    }
    tally
}

#[test]
fn columns_of_persons_are_found_and_look_alikes_are_not() {
    let golden = golden();
    let of = |personal: bool| {
        let columns = golden.tables.iter().flat_map(|table| &table.columns);
        columns.filter(|column| (column.truth != "none") == personal).count()
    };
    println!("{} columns of persons, {} look-alikes", of(true), of(false));
    assert!(of(true) >= 40 && of(false) >= 40);
    let named = tally(&golden, false);
    named.print("with their names");
    assert!(named.precision() >= 0.95 && named.recall() >= 0.95);
    let blind = tally(&golden, true);
    blind.print("without names, by values alone");
    assert!(blind.precision() >= 0.95 && blind.recall() >= 0.6);
}

/// Brier score and expected calibration error of confidences, with and without names of columns.
#[expect(clippy::cast_precision_loss, reason = "counts of columns")]
fn calibration(golden: &Golden, blind: bool) -> (f64, f64) {
    let mut believed: Vec<(f64, f64)> = Vec::new();
    for table in &golden.tables {
        for (column, verdict) in table.columns.iter().zip(judged(table, blind, 1)) {
            if !column.truth.ends_with('?') {
                believed.push((verdict.confidence, f64::from(u8::from(column.truth != "none"))));
            }
        }
    }
    let brier = believed.iter().map(|(p, y)| (p - y).powi(2)).sum::<f64>() / believed.len() as f64;
    let mut error = 0.0;
    for bin in 0..5 {
        let inside: Vec<_> = believed.iter().filter(|(p, _)| ((p * 5.0).floor() as usize).min(4) == bin).collect();
        if inside.is_empty() {
            continue;
        }
        let mean = |of: fn(&(f64, f64)) -> f64| inside.iter().map(|pair| of(pair)).sum::<f64>() / inside.len() as f64;
        let (said, seen) = (mean(|(p, _)| *p), mean(|(_, y)| *y));
        let (low, high) = (bin as f64 / 5.0, (bin + 1) as f64 / 5.0);
        println!("  confidence {low:.1} to {high:.1}: {} columns, said {said:.3}, seen {seen:.3}", inside.len());
        error += (said - seen).abs() * inside.len() as f64 / believed.len() as f64;
    }
    (brier, error)
}

#[test]
fn confidence_is_a_frequency() {
    let golden = golden();
    for (title, blind, worst_brier, worst_error) in
        [("with their names", false, 0.02, 0.05), ("without names", true, 0.15, 0.15)]
    {
        let (brier, error) = calibration(&golden, blind);
        println!("{title}: Brier {brier:.4}, expected calibration error {error:.4}");
        assert!(brier <= worst_brier && error <= worst_error, "{title}: {brier} {error}");
    }
}

#[test]
fn a_declared_column_is_not_judged_and_tells_of_its_neighbours() {
    let post: ArrayRef = Arc::new(StringArray::from((0..40).map(|n| format!("{}", 2_000 + n * 7)).collect::<Vec<_>>()));
    let ids: ArrayRef = Arc::new(StringArray::from((0..40).map(|n| format!("k{n}")).collect::<Vec<_>>()));
    let of = |declared| {
        let views = [
            ColumnView { name: "postcode", values: &post, declared: None },
            ColumnView { name: "k", values: &ids, declared },
        ];
        classify(&views, 0).unwrap()
    };
    let beside = of(Some(Declaration::Class(PiiClass::PersonName)));
    assert_eq!(beside.len(), 1);
    assert!(beside[0].is_suspicious() && beside[0].class == Some(PiiClass::Postcode), "{beside:?}");
    assert!(of(None).iter().all(|verdict| !verdict.is_suspicious()));
    assert!(of(Some(Declaration::None)).iter().all(|verdict| !verdict.is_suspicious()));
}

#[test]
fn hostile_values_are_looked_at_in_bounded_time() {
    let long = "a@".repeat(500_000);
    let nines = "9".repeat(1_000_000);
    let spaces = " 1-".repeat(300_000);
    let odd = ["\u{0}", "\u{202e}abc", "ﬀ", "𝟗𝟗𝟗", "é".repeat(255).as_str(), "x@\u{a0}.de"].map(str::to_owned);
    let values: ArrayRef = Arc::new(StringArray::from([vec![long, nines, spaces], odd.to_vec()].concat()));
    let began = std::time::Instant::now();
    let found = classify(&[ColumnView { name: "x", values: &values, declared: None }], 0).unwrap();
    assert!(!found[0].is_suspicious(), "{found:?}");
    assert!(began.elapsed() < std::time::Duration::from_secs(5));
}
