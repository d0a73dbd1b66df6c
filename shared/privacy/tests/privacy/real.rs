//! Real tables: invented persons with typing errors, and tables without personal data.

use crate::table::{Tally, batches, verdicts};
use tidemill_privacy::{Attribute, THRESHOLD, attribute};

const FEBRL: &str = "tests/data/febrl_persons.parquet";

/// What the columns of `febrl_persons` are. A state is too coarse to point at anybody; the others are keys of the set.
fn febrl(column: &str) -> &'static str {
    match column {
        "given_name" | "surname" => "person_name",
        "street_number" | "address_1" | "address_2" | "suburb" => "address",
        "postcode" => "postcode",
        "date_of_birth" => "birth_date",
        "soc_sec_id" => "national_id",
        _ => "none",
    }
}

#[test]
fn every_personal_column_of_febrl_persons_is_found_and_no_other() {
    for rows in [10_000, 500, 40] {
        let mut tally = Tally::default();
        for (nth, batch) in batches(FEBRL, rows, 20).iter().enumerate() {
            for verdict in verdicts(batch, nth as u64) {
                tally.count("febrl", febrl(&verdict.column), &verdict);
            }
        }
        tally.print(&format!("febrl_persons, batches of {rows} rows"));
        assert!(tally.precision() >= 0.95 && tally.recall() >= 0.95, "{tally:?}");
    }
}

/// Tables without direct identifiers, in batches as small and as large as they arrive.
const HARMLESS: [&str; 10] = [
    "infra/examples/flights/data/flights.parquet",
    "infra/examples/flights/data/weather.parquet",
    "shared/privacy/tests/data/airports.parquet",
    "shared/privacy/tests/data/airlines.parquet",
    "shared/privacy/tests/data/planes.parquet",
    "shared/privacy/tests/data/reviews.parquet",
    "tests/data/adult.parquet",
    "tests/data/credit_default.parquet",
    "tests/data/traffic_volume.parquet",
    "tests/data/febrl_persons.parquet",
];

#[test]
fn tables_without_persons_are_never_held_back_however_their_rows_arrive() {
    let (mut looked_at, mut nearest) = (0_usize, (0.0, String::new()));
    for path in HARMLESS {
        for (rows, most) in [(1, 100), (7, 100), (60, 60), (1_000, 30), (50_000, 1)] {
            for (nth, batch) in batches(path, rows, most).iter().enumerate() {
                let is_febrl = path.ends_with("febrl_persons.parquet");
                let kept: Vec<usize> = (0..batch.num_columns())
                    .filter(|i| !is_febrl || febrl(batch.schema().field(*i).name()) == "none")
                    .collect();
                let batch = batch.project(&kept).unwrap();
                for verdict in verdicts(&batch, nth as u64) {
                    looked_at += 1;
                    if verdict.confidence > nearest.0 {
                        nearest = (verdict.confidence, format!("{path} {rows}: {verdict:?}"));
                    }
                    assert!(!verdict.is_suspicious(), "{path}, batch {nth} of {rows} rows: {verdict:?}");
                }
            }
        }
    }
    println!(
        "{looked_at} looks at columns without persons, none suspicious (threshold {THRESHOLD}); nearest: {nearest:?}"
    );
}

#[test]
fn adult_has_sensitive_attributes_and_no_personal_data() {
    let batch = batches("tests/data/adult.parquet", 1_000, 1).remove(0);
    let found = verdicts(&batch, 1);
    let sensitive: Vec<(&str, Attribute)> =
        found.iter().filter_map(|verdict| Some((verdict.column.as_str(), verdict.sensitive?))).collect();
    println!("adult: {sensitive:?}");
    assert_eq!(sensitive.len(), 6);
    assert_eq!(attribute("sex"), Some(Attribute::Sex));
    assert!(found.iter().all(|verdict| !verdict.is_suspicious()));
}

#[test]
fn the_same_batch_and_seed_give_the_same_verdicts() {
    let batch = batches(FEBRL, 2_000, 1).remove(0);
    assert_eq!(verdicts(&batch, 5), verdicts(&batch, 5));
}
