//! The known faults of public data sets are found, each with its number.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use tidemill_dataset::{Error, LocalParquet};
use tidemill_explore::warnings::Sort;
use tidemill_explore::{Exploration, Level, Options, ScanOptions, Scanned, Shape, explore, scan};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data").join(name)
}

/// Why a file was not scanned, as text.
#[derive(Debug)]
struct Failed(String);

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

impl From<tidemill_explore::Error> for Failed {
    fn from(error: tidemill_explore::Error) -> Self {
        Self(error.to_string())
    }
}

fn scanned(path: &Path, options: &ScanOptions) -> Scanned {
    try_scanned(path, options).unwrap_or_else(|Failed(why)| panic!("{why}"))
}

fn try_scanned(path: &Path, options: &ScanOptions) -> Result<Scanned, Failed> {
    let file = LocalParquet::open(path)?;
    let columns = file.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    let shape = Shape { columns, groups: file.row_groups() };
    scan(&shape, options, |group, column, visit| file.read::<Failed>(group, column, visit))
}

fn explored(name: &str, options: &Options) -> Exploration {
    let scanned = scanned(&file(name), &ScanOptions { threads: 2, ..ScanOptions::default() });
    explore(name, &scanned, options).unwrap()
}

fn documented(values: &[(&str, &str)]) -> Options {
    let one = |(column, values): &(&str, &str)| {
        (column.to_string(), values.split(',').map(str::to_owned).collect::<Vec<_>>())
    };
    Options { documented: values.iter().map(one).collect(), ..Options::default() }
}

#[track_caller]
fn warned(found: &Exploration, sort: Sort, column: Option<&str>, parts: &[&str]) {
    let of_sort: Vec<_> = found.warnings.iter().filter(|w| w.sort == sort && w.column.as_deref() == column).collect();
    let told = of_sort.iter().any(|w| parts.iter().all(|part| w.text.contains(part)));
    assert!(told, "{sort:?} of {column:?} with {parts:?} not among {:#?}", found.warnings);
}

#[test]
fn traffic_volume_tells_its_faults() {
    let found = explored("traffic_volume.parquet", &Options::default());
    assert_eq!((found.rows, found.whole), (48_204, true));
    assert_eq!(found.duplicates.unwrap().repeated, 17);
    warned(&found, Sort::DuplicateRows, None, &["17 full duplicate rows"]);
    warned(&found, Sort::Isolated, Some("temp"), &["10 rows have the smallest value 0"]);
    warned(&found, Sort::Isolated, Some("rain_1h"), &["one row has the largest value 9,831.3"]);
    warned(&found, Sort::Repeated, Some("date_time"), &["7,629 timestamps"]);
    warned(&found, Sort::Gap, Some("date_time"), &["307 days"]);
    let times = &found.times[0];
    assert_eq!((times.repeated, times.gaps[0].millis() / 86_400_000), (7_629, 307));
    // The gravest stand first.
    assert_eq!(found.warnings[0].level, Level::Bad);
    assert!(found.warnings.is_sorted_by_key(|w| std::cmp::Reverse(w.level)));
    // Zero rain is not far from anything, and codes of weather are no faults.
    assert!(found.warnings.iter().filter(|w| w.level == Level::Bad).count() <= 5, "{:#?}", found.warnings);
}

#[test]
fn adult_tells_its_missing_cells() {
    let found =
        explored("adult.parquet", &Options { target: Some("income_over_50k".to_owned()), ..Options::default() });
    assert_eq!((found.rows, found.missing_cells), (48_842, 6_465));
    let missing = found.missing.as_ref().unwrap();
    assert_eq!(missing.columns, ["workclass", "occupation", "native_country"]);
    let rows: u64 = missing.patterns.iter().map(|pattern| pattern.rows).sum();
    assert_eq!(rows, 48_842);
    // Who has no work class has no occupation: the gaps come together and are foretold by each other.
    let pair = missing.nullity.iter().find(|p| p.a == "workclass" && p.b == "occupation").unwrap();
    assert!(pair.correlation > 0.99, "{pair:?}");
    warned(&found, Sort::Systematic, Some("occupation"), &["not missing at random", "workclass"]);
    warned(&found, Sort::Redundant, Some("education"), &["education_num"]);
    let age = found.tests.iter().find(|test| test.column == "age").unwrap();
    assert!(age.by == "income_over_50k" && age.q < 1e-6 && !age.reason.is_empty(), "{age:?}");
}

#[test]
fn credit_default_tells_its_undocumented_codes() {
    let found = explored("credit_default.parquet", &documented(&[("education", "1,2,3,4"), ("marriage", "1,2,3")]));
    warned(&found, Sort::Undocumented, Some("education"), &["345 rows", "5 (280 rows)", "6 (51 rows)", "0 (14 rows)"]);
    warned(&found, Sort::Undocumented, Some("marriage"), &["54 rows", "0 (54 rows)"]);
    // Nobody documented them: they are rare, which is worth a look too.
    let found = explored("credit_default.parquet", &Options::default());
    warned(&found, Sort::Rare, Some("education"), &["5 (280)", "6 (51)", "0 (14)"]);
    warned(&found, Sort::Rare, Some("marriage"), &["0 (54)"]);
    warned(&found, Sort::IdLike, Some("id"), &["30,000"]);
}

#[test]
fn febrl_persons_tells_what_names_persons() {
    let found = explored("febrl_persons.parquet", &Options::default());
    assert_eq!(found.rows, 10_000);
    warned(&found, Sort::IdLike, Some("rec_id"), &["10,000"]);
    warned(&found, Sort::HighCardinality, Some("surname"), &["different values"]);
    let key = found.columns.iter().find(|column| column.name == "person_key").unwrap();
    // Every person occurs twice.
    assert!(key.distinct.abs_diff(5_000) < 300, "{}", key.distinct);
    assert!(found.columns.iter().any(|c| c.lengths.is_some_and(|l| l.max > 10.0)));
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    for name in ["traffic_volume.parquet", "febrl_persons.parquet"] {
        let of = |threads, seed| {
            let options = ScanOptions { threads, seed, sample_rows: 3_000 };
            let scanned = scanned(&file(name), &options);
            let sample = scanned.sample.clone();
            (serde_json::to_value(explore(name, &scanned, &Options::default()).unwrap()).unwrap(), sample)
        };
        let (one, sample) = of(1, 7);
        assert_eq!(one, of(4, 7).0);
        assert!(sample.num_rows().abs_diff(3_000) < 300, "{}", sample.num_rows());
        assert_ne!(sample, of(1, 8).1);
    }
}

#[test]
fn an_option_that_names_no_column_is_refused_with_the_nearest() {
    let scanned = scanned(&file("credit_default.parquet"), &ScanOptions::default());
    let error = explore("credit", &scanned, &documented(&[("eduction", "1")])).unwrap_err();
    assert!(error.to_string().contains("\"education\""), "{error}");
}
