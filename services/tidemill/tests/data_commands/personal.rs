//! Personal data does not leave in files unless somebody asks for it, and asking is noted.

use crate::place::{Place, meters, reading};
use serde_json::Value;
use std::time::Duration;
use tidemill_bus::OrderedReader;
use tidemill_contracts::subjects;

/// Readings whose meters are named after persons; the last is out of range and set aside.
fn people() -> String {
    let reading = |n: i64| reading(n, if n == 29 { 5_000.0 } else { 1.0 });
    let rows: Vec<String> = (0..30).map(|n| reading(n).replace("meter-", "Anna Schmidt ")).collect();
    format!("[{}]", rows.join(","))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_holds_personal_columns_masked_unless_it_is_asked_for_and_noted() {
    let spec = meters("").replace("meter: {type: string}", "meter: {type: string, pii: person_name}");
    let place = Place::start(&spec).await;
    place.publish(&[("a", people())]).await;
    for (table, rows) in [("raw", 30), ("clean", 29), ("quarantine", 1)] {
        for file in ["rows.jsonl", "rows.csv"] {
            let made = place.json(&format!("dataset export {table}/meters/readings --out {file}"));
            assert_eq!((made["rows"].as_u64(), made["masked"][0].as_str()), (Some(rows), Some("meter")), "{made:#}");
            let text = std::fs::read_to_string(place.file(file)).unwrap();
            assert!(text.contains("A***") && !text.contains("Schmidt"), "{table}: {text}");
        }
    }
    // The same in a form that keeps types, and what is not personal is as it was.
    place.json("dataset export clean/meters/readings --out rows.parquet --columns n,meter");
    let shown = place.json("dataset show clean/meters/readings --rows 2");
    assert_eq!(shown["sample"][0]["meter"], "A***");
    let standard = place.run("dataset export clean/meters/readings --out - --as jsonl");
    assert!(!String::from_utf8_lossy(&standard.stdout).contains("Schmidt"));
    let told = String::from_utf8_lossy(&standard.stderr);
    assert!(told.contains("masked: meter; --unmask"), "{told}");
    assert_eq!(
        place.json("dataset export clean/meters/readings --out n.csv --columns n")["masked"],
        serde_json::json!([])
    );

    // What a restored table holds is the same persons.
    place.json("dataset restore clean/meters/readings --to 1 --into june --reason test");
    let made = place.json("dataset export restored/june/clean/meters/readings --out rows.jsonl");
    assert_eq!(made["masked"][0], "meter");

    // Asked for, and noted.
    assert_eq!(place.bus.stream_state(subjects::AUDIT_STREAM).await.unwrap().messages, 0);
    let made = place.json("dataset export clean/meters/readings --out rows.jsonl --unmask");
    assert_eq!(made["masked"], serde_json::json!([]));
    assert!(std::fs::read_to_string(place.file("rows.jsonl")).unwrap().contains("Anna Schmidt 3"));
    let mut reader = OrderedReader::open(&place.bus, subjects::AUDIT_STREAM, 1).await.unwrap();
    let entries = reader.next_ready(10, 1 << 20, Duration::from_secs(10)).await.unwrap();
    let audit: Value = serde_json::from_slice(&entries[0].message().unwrap().payload).unwrap();
    assert_eq!((audit["action"].as_str(), audit["by"].as_str()), (Some("unmask"), Some("ann")));
    assert_eq!((&audit["columns"][0], audit["what"].as_str()), (&"meter".into(), Some("clean/meters/readings")));
    place.end().await;
}
