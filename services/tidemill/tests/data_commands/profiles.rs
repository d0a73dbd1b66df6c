//! The profile of a live table: stored profiles merged, and rows drawn for what needs rows.

use crate::place::{Place, meters, reading};
use serde_json::Value;

/// Readings whose value is a parabola of their number; every fifth is missing for the last meter.
fn message(numbers: std::ops::Range<i64>) -> String {
    let rows: Vec<String> = numbers
        .map(|n| {
            let row = reading(n, ((n - 600) * (n - 600)) as f64 / 1_000.0);
            if n % 7 == 6 && n % 5 != 0 {
                row.replacen(row.split("\"value\":").nth(1).unwrap(), "null}", 1)
            } else {
                row
            }
        })
        .collect();
    format!("[{}]", rows.join(","))
}

fn names<'a>(found: &'a Value, list: &str, key: &str) -> Vec<&'a str> {
    found[list].as_array().unwrap().iter().map(|one| one[key].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_table_is_told_of_like_a_bare_file() {
    // A meter stands for a household.
    let spec = meters("").replace("meter: {type: string}", "meter: {type: string, pii: address}");
    let place = Place::start(&spec).await;
    for round in 0..4 {
        place.publish(&[(&format!("m{round}"), message(round * 300..round * 300 + 300))]).await;
    }
    let table = "clean/meters/readings";
    let found = place.json(&format!("dataset profile {table}"));
    assert_eq!(
        (found["sampled"].as_u64(), found["whole"].as_bool(), found["seed"].as_u64()),
        (Some(1_200), Some(true), Some(0))
    );
    assert_eq!(found["duplicates"]["repeated"], 0, "{found:#}");
    let hidden = &found["non_linear"]["found"];
    let pairs: Vec<(&str, &str)> =
        hidden.as_array().unwrap().iter().map(|one| (one["a"].as_str().unwrap(), one["b"].as_str().unwrap())).collect();
    assert!(pairs.contains(&("n", "value")), "{pairs:?}");
    assert!(names(&found, "densities", "y").contains(&"value"));
    let order: Vec<&str> =
        found["associations"]["order"].as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
    assert!(order.contains(&"value") && !order.contains(&"meter"), "what is personal is not looked at: {order:?}");
    assert!(!order.iter().any(|name| name.starts_with("tm_")), "{order:?}");
    let gaps = &found["missing"]["places"][0];
    assert_eq!((gaps["column"].as_str(), gaps["by"].as_str()), (Some("value"), None), "only meters tell of the gaps");
    assert!(!found.to_string().contains("meter-3"), "{found:#}");

    // The report has the same parts, and no personal value.
    let told = place.run(&format!("dataset profile {table} --report report.html"));
    let text = String::from_utf8(told.stdout).unwrap();
    assert!(told.status.success() && text.contains("all rows of version"), "{text}");
    let report = std::fs::read_to_string(place.file("report.html")).unwrap();
    for part in ["Missing cells", "Associations", "Relations that a linear model will miss", "value against"] {
        assert!(report.contains(part), "{part}");
    }
    assert!(report.len() <= 500_000 && !report.contains("meter-3"), "{} bytes", report.len());

    // Fewer rows than there are say so; a range of commits has profiles only; a column that is not there is refused.
    let some = place.json(&format!("dataset profile {table} --sample 200 --seed 4"));
    assert!((100..=300).contains(&some["sampled"].as_u64().unwrap()) && some["whole"] == false, "{}", some["sampled"]);
    assert!(some["duplicates"].is_null() && some["seed"] == 4 && some["rows"] == 1_200);
    let range = place.json(&format!("dataset profile {table} --since 2"));
    assert!(range["associations"].is_null() && range["sampled"] == 0 && range["rows"].as_u64() < Some(1_200));
    let wrong = place.run(&format!("dataset profile {table} --by metre"));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("TM1361"), "{wrong:?}");
    place.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_range_of_event_time_and_any_segment_is_told_of_without_reading_a_row() {
    let spec = meters("").replace("    event_time: at\n", "    event_time: at\n    segments: [meter]\n");
    let place = Place::start(&spec).await;
    // Four thousand minutes from 2024-01-01 on, in commits that share days; the first hour comes last.
    for (name, numbers) in [("a", 60..1_000), ("b", 1_000..1_500), ("c", 1_500..4_000), ("d", 0..60)] {
        let rows: Vec<String> = numbers.map(|n| reading(n, (n % 100) as f64)).collect();
        place.publish(&[(name, format!("[{}]", rows.join(",")))]).await;
    }
    let table = "clean/meters/readings";
    let told = |line: &str| place.json(&format!("dataset profile {table} {line}"));
    let number = |found: &Value, key: &str| {
        let column = found["columns"].as_array().unwrap().iter().find(|column| column["name"] == "n").unwrap();
        column[key].as_f64().unwrap()
    };
    let in_segment = |numbers: std::ops::Range<i64>| numbers.filter(|n| n % 7 == 3).count() as u64;
    let cases = [
        ("--from 2024-01-02 --to 2024-01-03", 1_440, 1_440.0, 2_879.0),
        ("--to 2024-01-02", 1_440, 0.0, 1_439.0),
        ("--from 2024-01-02", 2_560, 1_440.0, 3_999.0),
        ("--segment meter=meter-3", in_segment(0..4_000), 3.0, 3_993.0),
        ("--to 2024-01-02 --segment meter=meter-3", in_segment(0..1_440), 3.0, 1_438.0),
    ];
    for (line, rows, min, max) in cases {
        let found = told(line);
        assert_eq!(found["rows"].as_u64(), Some(rows), "{line}");
        assert_eq!((number(&found, "min"), number(&found, "max")), (min, max), "{line}");
        assert!(found["associations"].is_null() && found["sampled"] == 0, "{line}: rows were read");
    }
    let run = |line: &str| {
        let done = place.run(&format!("dataset profile {table} {line}"));
        (done.status.success(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let (is_well, said) = run("--from 2024-01-02T12:00:00Z --to 2024-01-03");
    assert!(is_well && said.contains("1440 of 1440 rows lie in windows that reach beyond the range"), "{said}");
    let (is_well, said) = run("--segment meter=meter-9");
    assert!(!is_well && said.contains("meter-3"), "{said}");
    let (is_well, said) = run("--segment value=1");
    assert!(!is_well && said.contains("sources.readings.segments"), "{said}");
    let (is_well, said) = run("--from 2031-01-01");
    assert!(!is_well && said.contains("profile in this range"), "{said}");
    assert!(!run("--from 2024-01-01 --since 2024-01-01").0, "event time or knowledge");
    place.end().await;
}
