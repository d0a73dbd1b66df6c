//! Near-duplicates among the persons of a data set whose doubles are known, and groups.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use arrow::array::{ArrayRef, AsArray as _, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use tidemill_dataset::{Error, LocalParquet};
use tidemill_explore::near::{NearOptions, near_duplicates};

fn persons() -> RecordBatch {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/febrl_persons.parquet");
    let file = LocalParquet::open(&path).unwrap();
    let schema = file.schema();
    let mut groups = Vec::new();
    for group in 0..file.row_groups().len() {
        let mut columns = Vec::new();
        for column in 0..schema.fields().len() {
            let mut parts = Vec::new();
            let mut take = |array: &ArrayRef| {
                parts.push(Arc::clone(array));
                Ok::<_, Error>(())
            };
            file.read(group, column, &mut take).unwrap();
            let parts: Vec<_> = parts.iter().map(AsRef::as_ref).collect();
            columns.push(arrow::compute::concat(&parts).unwrap());
        }
        let named = schema.fields().iter().map(|field| field.name().clone()).zip(columns);
        groups.push(RecordBatch::try_from_iter_with_nullable(named.map(|(name, array)| (name, array, true))).unwrap());
    }
    concat_batches(&groups[0].schema(), &groups).unwrap()
}

const COMPARED: [&str; 9] = [
    "given_name",
    "surname",
    "street_number",
    "address_1",
    "address_2",
    "suburb",
    "postcode",
    "date_of_birth",
    "soc_sec_id",
];

fn options(at_least: f64) -> NearOptions {
    NearOptions { columns: COMPARED.map(str::to_owned).to_vec(), at_least, ..NearOptions::default() }
}

#[test]
fn the_doubles_of_febrl_persons_are_found() {
    let persons = persons();
    let keys = persons.column_by_name("person_key").unwrap();
    let keys = arrow::compute::cast(keys, &arrow::datatypes::DataType::Utf8).unwrap();
    let keys: &StringArray = keys.as_string::<i32>();
    let mut of: HashMap<&str, Vec<usize>> = HashMap::new();
    for row in 0..persons.num_rows() {
        of.entry(keys.value(row)).or_default().push(row);
    }
    let pairs = of.values().filter(|rows| rows.len() == 2).count();
    assert_eq!(pairs, 5_000);
    println!("at least   found   right   precision   recall");
    for (at_least, precise, recalled) in [(0.3, 0.99, 0.995), (0.4, 0.999, 0.99), (0.6, 0.999, 0.9)] {
        let found = near_duplicates(&persons, &options(at_least)).unwrap();
        let right = found.pairs.iter().filter(|(a, b, _)| keys.value(*a) == keys.value(*b)).count();
        let (precision, recall) = (right as f64 / found.pairs.len() as f64, right as f64 / pairs as f64);
        println!("{at_least:>8} {:>7} {right:>7} {precision:>11.4} {recall:>8.4}", found.pairs.len());
        assert!(precision >= precise && recall >= recalled, "{at_least}: precision {precision}, recall {recall}");
        assert!(found.missed_at_threshold <= 0.01);
    }
}

#[test]
fn groups_hold_all_copies_and_empty_rows_are_like_nothing() {
    let text = |texts: &[&str]| StringArray::from_iter_values(texts.iter());
    let texts = text(&["Main Street 12", "", "main street 12!", "Elm Road 9", "MAIN STREET 12", "", "Main Streat 12"]);
    let rows = RecordBatch::try_from_iter([("address", Arc::new(texts) as _)]).unwrap();
    let found = near_duplicates(&rows, &NearOptions { at_least: 0.5, ..NearOptions::default() }).unwrap();
    assert_eq!((found.rows, found.empty, found.groups.len(), found.pair_count), (7, 2, 1, 6));
    assert_eq!(found.groups[0].rows, [0, 2, 4, 6]);
    assert!(found.groups[0].similarity.0 < 1.0 && found.groups[0].similarity.1 >= 1.0);
    let wrong = near_duplicates(&rows, &NearOptions { columns: vec!["adress".to_owned()], ..NearOptions::default() });
    assert!(wrong.unwrap_err().to_string().contains("the nearest is \"address\""));
}
