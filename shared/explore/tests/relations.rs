//! Relations of rows: against dcor and scipy (infra/golden/relations.py), and what they find in rows that are known.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use serde_json::Value;
use std::sync::Arc;
use tidemill_explore::compare::Test;
use tidemill_explore::distance::{Distances, chance, correlation};
use tidemill_explore::report::{Context, Room, page, sections};
use tidemill_explore::seasons::Cycle;
use tidemill_explore::warnings::Sort;
use tidemill_explore::{Options, ScanOptions, Stream, explore, explore_profile, relations_of};
use tidemill_privacy::{Declaration, PiiClass};
use tidemill_stats::TableProfile;
use tidemill_stats::hypothesis::Table;
use tidemill_stats::random::Random;

fn document() -> Value {
    serde_json::from_str(include_str!("golden/relations.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// Four standard errors of a share that was estimated from so many draws.
fn error(p: f64, draws: f64) -> f64 {
    4.0 * (p * (1.0 - p) / draws).sqrt() + 1.0 / draws
}

#[test]
fn distance_correlation_equals_dcor_and_its_chance_lies_within_its_error() {
    for case in document()["distances"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let (a, b) = (Distances::of(&numbers(&case["x"])), Distances::of(&numbers(&case["y"])));
        let (ours, theirs) = (correlation(&a, &b).unwrap(), case["distance"].as_f64().unwrap());
        assert!((ours - theirs).abs() <= 1e-9, "{name}: ours {ours}, dcor {theirs}");
        assert!((correlation(&b, &a).unwrap() - theirs).abs() <= 1e-9, "{name} the other way round");
        let (ours, theirs) = (chance(&a, &b, &mut Random::new(5)), case["p"].as_f64().unwrap());
        assert!((ours - theirs).abs() <= error(theirs, 1_000.0), "{name}: ours {ours}, reference {theirs}");
    }
    assert_eq!(correlation(&Distances::of(&[1.0; 9]), &Distances::of(&[1.0, 2.0, 3.0])), None);
}

#[test]
fn chances_by_random_tables_lie_within_their_error_of_scipys() {
    for case in document()["tables"].as_array().unwrap() {
        let rows: Vec<Vec<f64>> = case["counts"].as_array().unwrap().iter().map(numbers).collect();
        let cells: Vec<u64> = rows.concat().iter().map(|count| *count as u64).collect();
        let table = Table::new(&cells, rows.len(), rows[0].len()).unwrap();
        let theirs = case["p"].as_f64().unwrap();
        for seed in 0..5 {
            let found = table.random_tables(seed);
            let allowed = error(theirs, found.tables as f64);
            assert!((found.p - theirs).abs() <= allowed, "{}: ours {found:?}, scipy {theirs}", case["counts"]);
            assert_eq!(found, table.random_tables(seed), "a seed gives the same");
        }
    }
}

/// Rows every seven hours: a daily wave, a parabola, personal names, and gaps in the south only.
fn rows(count: usize) -> RecordBatch {
    let mut random = Random::new(9);
    let hour = |row: usize| row as i64 * 7;
    let x: Vec<f64> = (0..count).map(|_| 2.0 * random.unit() - 1.0).collect();
    let parabola: Vec<f64> = x.iter().map(|x| x * x + 0.1 * random.unit()).collect();
    let wave = (0..count).map(|row| (hour(row) as f64 * std::f64::consts::TAU / 24.0).sin() + 0.2 * random.unit());
    let wave: ArrayRef = Arc::new(Float64Array::from_iter_values(wave));
    let born: Vec<f64> = x.iter().map(|x| 19_600_101.0 + (x * 100.0).round() * 10_000.0).collect();
    let south = |row: usize| row % 3 == 1;
    let gappy = Float64Array::from_iter((0..count).map(|row| (!south(row) || row % 2 == 0).then_some(row as f64)));
    let mail = StringArray::from_iter_values((0..count).map(|row| format!("person{}@example.org", row % 40)));
    let site = StringArray::from_iter_values((0..count).map(|row| ["north", "south", "west"][row % 3]));
    let at = TimestampMillisecondArray::from_iter_values((0..count).map(|row| hour(row) * 3_600_000));
    RecordBatch::try_from_iter_with_nullable([
        ("at", Arc::new(at) as ArrayRef, true),
        ("x", Arc::new(Float64Array::from(x)), true),
        ("parabola", Arc::new(Float64Array::from(parabola)), true),
        ("wave", wave, true),
        ("born", Arc::new(Float64Array::from(born)), true),
        ("gappy", Arc::new(gappy), true),
        ("mail", Arc::new(mail), true),
        ("site", Arc::new(site), true),
    ])
    .unwrap()
}

fn options() -> Options {
    let declared = [("born".to_owned(), Declaration::Class(PiiClass::BirthDate))].into_iter().collect();
    Options { declared, seed: 3, ..Options::default() }
}

#[test]
fn drawn_rows_of_a_table_tell_what_a_bare_file_tells() {
    let batch = rows(2_000);
    let mut stream = Stream::new(&batch.schema(), &ScanOptions::default());
    stream.push(&batch).unwrap();
    let of_file = explore("table", &stream.finish().unwrap(), &options()).unwrap();
    let parts: Vec<RecordBatch> = (0..4).map(|part| batch.slice(part * 500, 500)).collect();
    let relations = relations_of(&parts, true, &options()).unwrap();
    let profile = TableProfile::of(&batch).unwrap();
    let of_table = explore_profile("table", &profile, Some(&relations), &options());
    assert_eq!(of_table.associations, of_file.associations);
    assert_eq!(of_table.missing, of_file.missing);
    assert_eq!((&of_table.tests, &of_table.non_linear), (&of_file.tests, &of_file.non_linear));
    assert_eq!((&of_table.densities, &of_table.seasons), (&of_file.densities, &of_file.seasons));
    assert_eq!((of_table.duplicates, &of_table.times), (of_file.duplicates, &of_file.times));
    assert_eq!(of_table.warnings, of_file.warnings);
    assert_eq!((of_table.sampled, of_table.whole, of_table.seed), (2_000, true, 3));

    let some = relations_of(&parts[..2], false, &options()).unwrap();
    assert!(some.duplicates.is_none() && some.times.is_empty() && !some.whole && some.sampled == 1_000);
    assert_eq!(relations_of(&[], false, &options()).unwrap().sampled, 0);
}

#[test]
fn what_no_line_shows_seasons_and_places_of_gaps_are_found() {
    let relations = relations_of(&[rows(3_000)], true, &options()).unwrap();
    let found = &relations.non_linear.found;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].a.as_str(), found[0].b.as_str()), ("x", "parabola"));
    assert!(found[0].distance > 0.45 && found[0].pearson.unwrap().abs() < 0.1 && found[0].q <= 0.05, "{found:?}");
    assert!(relations.non_linear.pairs >= 6 && relations.warnings.iter().any(|w| w.sort == Sort::NonLinear));
    let pair = relations.associations.pair("x", "wave").unwrap();
    assert!(pair.distance.unwrap() < 0.15, "{pair:?}");
    assert_eq!((relations.densities[0].x.as_str(), relations.densities[0].y.as_str()), ("x", "parabola"));

    let seasons = relations.seasons.as_ref().unwrap();
    assert_eq!((seasons.by.as_str(), seasons.columns[0].column.as_str()), ("at", "wave"));
    let daily = &seasons.columns[0].seasons[0];
    assert!(daily.cycle == Cycle::Hour && daily.strength > 0.95, "{daily:?}");
    assert_eq!(seasons.cycles.len(), 3);

    let place = relations.missing.places.iter().find(|place| place.column == "gappy").unwrap();
    assert_eq!(place.by.as_deref(), Some("site"));
    assert!(place.segments.iter().all(|s| s.missing == if s.value == "south" { 0.5 } else { 0.0 }), "{place:?}");
}

#[test]
fn personal_columns_are_opaque_and_what_looks_personal_is_in_no_picture() {
    let batch = rows(1_000);
    let relations = relations_of(std::slice::from_ref(&batch), true, &options()).unwrap();
    assert!(relations.associations.order.iter().all(|name| name != "born"));
    assert!(relations.tests.iter().all(|test| test.column != "born" && test.by != "born"));
    let found = explore_profile("t", &TableProfile::of(&batch).unwrap(), Some(&relations), &options());
    let born = found.columns.iter().find(|column| column.name == "born").unwrap();
    assert!(born.min.is_none() && born.top.is_empty() && born.outliers.is_none() && born.histogram.counts.is_empty());
    let json = serde_json::to_string(&(&found.densities, &found.seasons, &found.missing)).unwrap();
    assert!(!json.contains("born") && !json.contains("person1@"), "{json}");
    let mut undeclared = options();
    undeclared.declared.insert("born".to_owned(), Declaration::None);
    let open = relations_of(&[batch], true, &undeclared).unwrap();
    assert!(open.densities.iter().any(|density| density.x == "born" || density.y == "born"), "none: it is no person's");
}

#[test]
fn a_sparse_table_is_tested_by_random_tables_and_says_so() {
    let kinds = StringArray::from_iter_values((0..60).map(|row| ["a", "b", "c", "d", "e", "f"][row * row % 11 % 6]));
    let sizes = StringArray::from_iter_values((0..60).map(|row| ["s", "m", "l", "xl"][row * 7 % 9 % 4]));
    let batch = RecordBatch::try_from_iter([("kind", Arc::new(kinds) as ArrayRef), ("size", Arc::new(sizes))]).unwrap();
    let relations = relations_of(&[batch], true, &Options::default()).unwrap();
    let test = &relations.tests[0];
    assert_eq!(test.test, Test::ChiSquareMonteCarlo);
    assert!(test.reason.contains("random tables with the same sums") && test.reason.contains("below 5"), "{test:?}");
    assert!(test.statistic.is_some() && test.p > 0.0 && test.p <= 1.0);
}

#[test]
fn the_page_of_the_console_is_light_and_the_report_has_all_parts() {
    let batch = rows(3_000);
    let relations = relations_of(std::slice::from_ref(&batch), false, &options()).unwrap();
    let found = explore_profile("table", &TableProfile::of(&batch).unwrap(), Some(&relations), &options());
    let context = Context { drawn: 0, room: Room::PAGE, ..Context::default() };
    let small = sections(&found, &context).into_string();
    let whole = page(&found, &Context::default());
    for part in
        ["Relations that a linear model will miss", "parabola against x", "wave by season", "Where the gaps are"]
    {
        assert!(small.contains(part) && whole.contains(part), "{part}");
    }
    assert!(whole.contains("a sample of 3,000 rows drawn by seed 3"), "size and seed are told");
    assert!(small.len() < 110_000 && whole.len() <= 500_000, "{} and {} bytes", small.len(), whole.len());
}

#[test]
fn no_comparison_is_left_out_for_the_place_of_its_column() {
    let mut random = Random::new(9);
    // 25 columns of two values make 300 pairs; only the last two belong together.
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    for place in 0..24 {
        let values = StringArray::from_iter_values((0..200).map(|_| if random.below(2) == 0 { "no" } else { "yes" }));
        columns.push((format!("c{place:02}"), Arc::new(values)));
    }
    columns.push(("c24".to_owned(), Arc::clone(&columns[23].1)));
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let relations = relations_of(std::slice::from_ref(&batch), true, &Options::default()).unwrap();
    let first = &relations.tests[0];
    let mut pair = [first.column.as_str(), first.by.as_str()];
    pair.sort_unstable();
    assert_eq!(pair, ["c23", "c24"]);
    assert_eq!((relations.tests_made, relations.tests.len()), (300, 200));
    assert!((first.q / first.p - 300.0).abs() < 1e-6, "the family is all 300: {first:?}");
    let found = explore_profile("t", &TableProfile::of(&batch).unwrap(), Some(&relations), &Options::default());
    let page = page(&found, &Context::default());
    assert!(page.contains("300 comparisons, the largest effects first, ") && page.contains("over all 300"));
}
