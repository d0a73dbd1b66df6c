//! Public data sets with known faults, from files through ingestion and validation: each fault is found, with its
//! number, in what was stored.

use crate::place::Place;
use arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampMillisecondArray};
use arrow::compute::cast;
use prost::Message as _;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tidemill_bus::{Entry, OrderedReader};
use tidemill_contracts::events::{AlertRaised, Notice, notice::Fact};
use tidemill_contracts::subjects;
use tidemill_dataset::{Table, read_parquet, write_parquet};
use tidemill_storage::{S3Options, Storage};
use tidemill_testkit::eventually;
use tidemill_types::Millis;

/// Longest wait for all rows of all files.
const PATIENCE: Duration = Duration::from_secs(120);
/// Instant of the first row of files that say nothing of time.
const BEGIN: Millis = Millis(1_704_067_200_000);
/// What the persons' columns are.
const PERSONAL: [(&str, &str); 9] = [
    ("given_name", "person_name"),
    ("surname", "person_name"),
    ("street_number", "address"),
    ("address_1", "address"),
    ("address_2", "address"),
    ("suburb", "address"),
    ("postcode", "postcode"),
    ("date_of_birth", "birth_date"),
    ("soc_sec_id", "national_id"),
];

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data").canonicalize().unwrap()
}

fn folder(path: &Path) -> Storage {
    Storage::open(&format!("file://{}", path.display()), &S3Options::default()).unwrap()
}

/// Drops a data set into the inbox with a number and an instant in each row, its own values untouched.
async fn drop_numbered(inbox: &Path, file: &str) {
    let mut from = 0;
    let mut numbered = |batch: &RecordBatch| {
        let numbers = from..from + i64::try_from(batch.num_rows()).unwrap();
        from = numbers.end;
        let instants = TimestampMillisecondArray::from_iter_values(numbers.clone().map(|n| BEGIN.0 + n * 1_000));
        let more: [(&str, ArrayRef); 2] = [
            ("row", Arc::new(Int64Array::from_iter_values(numbers))),
            ("taken_at", cast(&instants, &Millis::arrow_type()).unwrap()),
        ];
        let schema = batch.schema();
        let own = schema.fields().iter().zip(batch.columns()).map(|(field, array)| (field.name().as_str(), array));
        let all = own.map(|(name, array)| (name, Arc::clone(array))).chain(more);
        RecordBatch::try_from_iter_with_nullable(all.map(|(name, array)| (name, array, true))).unwrap()
    };
    let batches = read_parquet(&folder(&data()), file, None).await.unwrap();
    let batches: Vec<RecordBatch> = batches.iter().map(&mut numbered).collect();
    write_parquet(&folder(inbox), file, &batches).await.unwrap();
}

/// Drops a data set into the inbox byte for byte.
fn drop_whole(inbox: &Path, file: &str) {
    std::fs::copy(data().join(file), inbox.join(format!("{file}.tmp"))).unwrap();
    std::fs::rename(inbox.join(format!("{file}.tmp")), inbox.join(file)).unwrap();
}

async fn rows(place: &Place, area: &str, source: &str) -> u64 {
    match Table::open(place.store.storage(), &format!("{area}/faults/{source}")).await {
        Ok(table) => table.load().await.unwrap().num_rows(),
        Err(_) => 0,
    }
}

/// Waits until each row of these sources is raw and judged.
async fn judged(place: &Place, sources: &[(&str, u64)]) {
    for (source, count) in sources {
        let all = eventually(PATIENCE, || async {
            rows(place, "clean", source).await + rows(place, "quarantine", source).await >= *count
        });
        assert!(all.await, "{source} was not judged in time; refused: {:#}", place.json("dead ls"));
        assert_eq!(rows(place, "raw", source).await, *count, "{source}");
        assert_eq!(rows(place, "clean", source).await + rows(place, "quarantine", source).await, *count, "{source}");
    }
}

/// The stored profiles and rule results of a source, merged.
fn profile(place: &Place, source: &str) -> Value {
    place.json(&format!("dataset profile clean/faults/{source}"))
}

fn column<'a>(profile: &'a Value, name: &str) -> &'a Value {
    profile["columns"].as_array().unwrap().iter().find(|column| column["name"] == name).unwrap()
}

/// Rows that failed each rule, in the order of the project file.
fn failed(profile: &Value) -> Vec<u64> {
    let rules = profile["quality"]["rules"].as_array().unwrap();
    rules.iter().map(|rule| rule["failed"].as_u64().unwrap()).collect()
}

/// Quarantined rows with what they failed.
fn quarantined(place: &Place, source: &str) -> Vec<Value> {
    place.json(&format!("dataset export quarantine/faults/{source} --out {source}.jsonl"));
    let text = std::fs::read_to_string(place.file(&format!("{source}.jsonl"))).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_rule<'a>(rows: &'a [Value], rule: &'a str) -> impl Iterator<Item = &'a Value> {
    rows.iter().filter(move |row| row["tm_failed_rules"].as_str().unwrap().split(',').any(|failed| failed == rule))
}

/// The warnings of a profile, one a line, with the column before.
fn warnings(profile: &Value) -> String {
    let told = profile["warnings"].as_array().unwrap().iter();
    told.map(|w| format!("{}: {}\n", w["column"].as_str().unwrap_or("-"), w["text"].as_str().unwrap())).collect()
}

/// What people are told of columns that hold a source back.
async fn held_back(place: &Place) -> Vec<AlertRaised> {
    let state = place.bus.stream_state(subjects::NOTICES_STREAM).await.unwrap();
    let mut found = Vec::new();
    let mut reader = OrderedReader::open(&place.bus, subjects::NOTICES_STREAM, state.first_seq.max(1)).await.unwrap();
    let mut at = state.first_seq.max(1);
    while at <= state.last_seq {
        for entry in reader.next_ready(1_000, 64 << 20, Duration::from_secs(5)).await.unwrap() {
            at = entry.seq() + 1;
            let Entry::Message(message) = entry else { continue };
            if let Some(Fact::AlertRaised(alert)) = Notice::decode(message.payload.as_ref()).unwrap().fact {
                found.push(alert);
            }
        }
    }
    found.retain(|alert| alert.rule == "unclassified_personal_data");
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn known_faults_of_real_files_are_found_in_what_the_pipeline_stored() {
    let inbox = tempfile::tempdir().unwrap();
    let text = include_str!("../../../../tests/data/known_faults.yaml");
    let undeclared = text.replace("INBOX", &format!("file://{}", inbox.path().display()));
    let mut place = Place::prepare(&undeclared).await;
    // The persons are all there before anybody judges them; the others come while validation runs.
    drop_numbered(inbox.path(), "febrl_persons.parquet").await;
    place.start_ingestion().await;
    let there = eventually(PATIENCE, || async { rows(&place, "raw", "persons").await == 10_000 });
    assert!(there.await, "the persons were not taken; refused: {:#}", place.json("dead ls"));
    place.start_validation().await;
    drop_whole(inbox.path(), "traffic_volume.parquet");
    drop_numbered(inbox.path(), "adult.parquet").await;
    drop_numbered(inbox.path(), "credit_default.parquet").await;
    judged(&place, &[("traffic", 48_204), ("adult", 48_842), ("credit", 30_000)]).await;

    traffic(&place);
    adult(&place);
    credit(&place);
    let declared = persons_wait(&place, &undeclared).await;
    let place = place.restarted(&declared).await;
    judged(&place, &[("persons", 10_000)]).await;
    persons(&place);
    // Every row has a value of its column's type, so none is refused.
    assert_eq!(place.json("dead ls"), json!([]));
    place.end().await;
}

/// 0 K, 9,831 mm of rain, repeated timestamps, full duplicates, and a gap of 307 days.
fn traffic(place: &Place) {
    let stored = profile(place, "traffic");
    assert_eq!(failed(&stored), [10, 1, 7_629, 17], "{:#}", stored["quality"]["rules"]);
    let aside = quarantined(place, "traffic");
    assert_eq!(aside.len(), 28);
    assert_eq!(of_rule(&aside, "kelvin").filter(|row| row["temp"] == 0.0).count(), 10);
    let rain: Vec<f64> = of_rule(&aside, "rain").map(|row| row["rain_1h"].as_f64().unwrap()).collect();
    assert!(matches!(rain[..], [mm] if (mm - 9_831.3).abs() < 0.01), "{rain:?}");
    assert_eq!(of_rule(&aside, "whole").count(), 17);
    // What went on is free of them.
    assert_eq!(stored["rows"], 48_204 - 28);
    assert!(column(&stored, "temp")["min"].as_f64() > Some(200.0), "{}", column(&stored, "temp"));
    assert!(column(&stored, "rain_1h")["max"].as_f64() < Some(400.0), "{}", column(&stored, "rain_1h"));

    // Relations between rows are told of the stored rows: those that came, and those that went on.
    let own = "date_time,holiday,temp,rain_1h,snow_1h,clouds_all,weather_main,weather_description,traffic_volume,split";
    for (area, rows, duplicates, repeated) in [("raw", 48_204, 17, "7,629"), ("clean", 48_176, 0, "7,612")] {
        place.json(&format!("dataset export {area}/faults/traffic --columns {own} --out {area}.parquet"));
        let found = place.json(&format!("dataset profile {area}.parquet"));
        assert_eq!((&found["rows"], &found["duplicates"]["repeated"]), (&json!(rows), &json!(duplicates)), "{area}");
        let told = warnings(&found);
        assert!(told.contains(&format!("date_time: {repeated} timestamps")), "{area}: {told}");
        assert!(told.contains("307 days"), "{area}: {told}");
        let is_dirty = told.contains("9,831.3") && told.contains("10 rows have the smallest value 0");
        assert_eq!(is_dirty, area == "raw", "{told}");
    }
}

/// 6,465 missing cells in three columns.
fn adult(place: &Place) {
    let stored = profile(place, "adult");
    assert_eq!(failed(&stored), [2_799, 2_809, 857]);
    assert_eq!((&stored["rows"], &stored["missing_cells"]), (&json!(48_842), &json!(6_465)));
    for (name, missing) in [("workclass", 2_799), ("occupation", 2_809), ("native_country", 857), ("age", 0)] {
        assert_eq!(column(&stored, name)["nulls"], missing, "{name}");
    }
}

/// Codes of education and marriage that no document names.
fn credit(place: &Place) {
    let stored = profile(place, "credit");
    assert_eq!(failed(&stored), [345, 54]);
    let aside = quarantined(place, "credit");
    let codes = |rule: &str, code: i64| of_rule(&aside, rule).filter(|row| row[rule] == code).count();
    assert_eq!([5, 6, 0].map(|code| codes("education", code)), [280, 51, 14]);
    assert_eq!(codes("marriage", 0), 54);
    let documented = "--values education=1,2,3,4 --values marriage=1,2,3";
    let told = warnings(&place.json(&format!("dataset profile clean/faults/credit {documented}")));
    assert!(!told.contains("education: ") && !told.contains("marriage: "), "{told}");
    place.json("dataset export raw/faults/credit --out credit.parquet");
    let told = warnings(&place.json(&format!("dataset profile credit.parquet {documented}")));
    assert!(told.contains("345 rows") && told.contains("54 rows"), "{told}");
}

/// Nobody has said what is personal of the persons: they wait, and the alert says what to write. The project with that.
async fn persons_wait(place: &Place, undeclared: &str) -> String {
    let told = eventually(PATIENCE, || async { !held_back(place).await.is_empty() });
    assert!(told.await, "nobody was told of the persons");
    let alerts = held_back(place).await;
    let [alert] = alerts.as_slice() else { panic!("{alerts:#?}") };
    assert!(alert.text.contains("TM1801") && alert.text.contains("source persons"), "{}", alert.text);
    assert_eq!(alert.text.matches("looks like").count(), PERSONAL.len(), "{}", alert.text);
    for area in ["clean", "quarantine"] {
        assert_eq!(rows(place, area, "persons").await, 0, "{area}");
    }
    let mut declared = undeclared.to_owned();
    for (name, class) in PERSONAL {
        let line = declared.lines().find(|line| line.trim_start().starts_with(&format!("{name}: {{"))).unwrap().trim();
        let mended = line.replace('}', &format!(", pii: {class}}}"));
        assert!(alert.text.contains(&mended), "{mended} is not in {}", alert.text);
        declared = declared.replace(line, &mended);
    }
    declared
}

/// Half of the persons are the other half again; their values are shown nowhere.
fn persons(place: &Place) {
    let stored = profile(place, "persons");
    let failures = failed(&stored);
    assert_eq!((&stored["rows"], failures[0]), (&json!(10_000), 5_000));
    assert!(failures[1] > 0, "typing errors make days that no calendar has");
    for (name, _) in PERSONAL {
        assert_eq!(column(&stored, name)["top"], json!([]), "{name} shows values");
    }
    let compared = PERSONAL.map(|(name, _)| name).join(",");
    let near = place.json(&format!("quality duplicates --source persons --columns {compared} --at-least 0.4"));
    // The same bounds as for the bare file: at least 99 in 100 found, at most one in 1,000 wrong.
    let pairs = near["pairs"].as_u64().unwrap();
    assert_eq!(near["rows"], 10_000);
    assert!((4_950..=5_005).contains(&pairs), "{pairs} pairs");
}
