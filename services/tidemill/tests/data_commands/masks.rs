//! No person is told of where rows, reasons or facts are shown, at a terminal or on a page, unless somebody asks.

use crate::place::{Place, meters, reading};
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tidemill_contracts::{prediction_log, subjects};
use tidemill_dataset::Table;
use tidemill_testkit::eventually;

/// Values that nobody may see, in lower case.
const SECRETS: [&str; 2] = ["schmidt", "701234567"];

fn tells_nothing(what: &str, text: &str) {
    let text = text.to_lowercase();
    let told = SECRETS.iter().find(|secret| text.contains(**secret));
    assert!(told.is_none(), "{what} tells {told:?}: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_tells_of_no_person_wherever_it_is_shown() {
    let spec = meters("").replace("meter: {type: string}", "meter: {type: string, pii: person_name}");
    let mut place = Place::start(&spec).await;
    let named = |n: i64| reading(n, 1.0).replace(&format!("meter-{}", n % 7), "Anna Schmidt");
    let refused = [
        // Refused for another column, which the body stands beside.
        named(0).replace("\"n\":0", "\"n\":\"no\""),
        // The value itself is at fault: text for number, for instant, number for text.
        named(1).replace("1.0", "\"anna@schmidt.example\""),
        named(2).replace("\"at\":\"2024", "\"at\":\"anna@schmidt.example 2024"),
        reading(3, 1.0).replace("\"meter-3\"", "491701234567"),
        // No row at all, and a key that nobody declared.
        named(4).replace('}', ""),
        named(5).replace('}', ",\"contact\":{\"mail\":\"anna@schmidt.example\"}}"),
        format!("[{},{}]", named(6).replace("1.0", "{\"to\":\"anna@schmidt.example\"}"), named(7)),
    ];
    let ids = ["a", "b", "c", "d", "e", "f", "g"];
    place.publish(&ids.into_iter().zip(refused.clone()).collect::<Vec<_>>()).await;
    assert_eq!(place.json("dead ls").as_array().unwrap().len(), refused.len());
    for command in ["dead ls", "dead summary"] {
        tells_nothing(command, &place.json(command).to_string());
    }
    let host = place.start_console().await;
    let mut pages = vec!["/dead".to_owned(), "/dead.json".to_owned()];
    for seq in 1..=refused.len() {
        let shown = place.json(&format!("dead show {seq}"));
        tells_nothing(&format!("dead show {seq}"), &shown.to_string());
        pages.extend([format!("/dead/{seq}"), format!("/dead/{seq}.json")]);
    }
    for page in pages {
        let answer = crate::http::get(&host, &page).await;
        assert_eq!(answer.status, 200, "{page}: {}", answer.text());
        tells_nothing(&page, &answer.text());
    }
    let first = crate::http::get(&host, "/dead/1.json").await.json();
    assert_eq!((first["masked"][0].as_str(), first["code"].as_str()), (Some("meter"), Some("TM0312")));
    assert!(first["body"].as_str().unwrap().contains("\"meter\":\"A***\""), "the rest is shown: {first}");

    // Asked for, and noted; also where nothing but the form of the bytes speaks of a person.
    for seq in [1, 5] {
        let shown = place.json(&format!("dead show {seq} --unmask"));
        assert_eq!(shown["body"].as_str(), Some(refused[seq - 1].as_str()));
        assert_eq!(place.bus.stream_state(subjects::AUDIT_STREAM).await.unwrap().last_seq, (seq as u64).div_ceil(4));
    }
    place.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_of_versions_tells_counts_of_personal_columns_and_no_value() {
    let spec = meters("")
        .replace("meter: {type: string}", "meter: {type: string, pii: person_name}")
        .replace("value: {type: float64, nullable: true}", "value: {type: float64, nullable: true, pii: location}");
    let mut place = Place::start(&spec).await;
    let rows = |numbers: std::ops::Range<i64>| {
        let named =
            |n: i64| reading(n, 70.123_456_7).replace("meter-", if n < 20 { "Berta " } else { "Anna Schmidt " });
        format!("[{}]", numbers.map(named).collect::<Vec<_>>().join(","))
    };
    place.publish(&[("a", rows(0..20))]).await;
    place.publish(&[("b", rows(20..40))]).await;
    let host = place.start_console().await;
    let page = crate::http::get(&host, "/diff.json?left=1&right=2").await;
    let told = place.json("dataset diff clean/meters/readings@1 clean/meters/readings@2");
    for (what, found) in [("the page", &page.json()["found"]), ("the command", &told)] {
        let column = |name: &str| found["columns"].as_array().unwrap().iter().find(|c| c["name"] == name).unwrap();
        assert_eq!(column("n")["left"]["max"], 19.0, "{what}: what is nobody's is told");
        for side in ["left", "right"] {
            let facts = &column("value")[side];
            assert_eq!(facts["rows"], 20, "{what}");
            let values = ["mean", "std_dev", "min", "median", "max"].map(|fact| &facts[fact]);
            assert!(values.iter().all(|value| value.is_null()), "{what}: {facts}");
        }
        assert!(!found.to_string().contains("70.12") && !found.to_string().contains("Schmidt"), "{what}: {found}");
    }

    // What a profile keeps of them is counts as well, and the page of the source says why there is no more.
    let source = crate::http::get(&host, "/data/readings.json").await.json();
    let value = source["columns"].as_array().unwrap().iter().find(|c| c["column"] == "value").unwrap();
    assert_eq!((value["withheld"].as_bool(), value["mean"].is_null()), (Some(true), true), "{value}");
    let page = crate::http::get(&host, "/data/readings").await.text();
    assert!(page.contains("personal, not shown") && !page.contains("one value"), "{page}");
    place.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_waits_for_its_classification_shows_no_person_in_comparisons() {
    let mut place = Place::prepare(&meters("")).await;
    place.start_ingestion().await;
    let rows = |numbers: std::ops::Range<i64>| {
        let named = |n: i64| reading(n, 1.0).replace(&format!("meter-{}", n % 7), &format!("anna{n}@schmidt.example"));
        format!("[{}]", numbers.map(named).collect::<Vec<_>>().join(","))
    };
    for (id, numbers) in [("a", 0..20), ("b", 20..40)] {
        let there = usize::try_from(numbers.end).unwrap();
        place.send(&[(id, rows(numbers))]).await;
        let stored = || async {
            Table::open(place.store.storage(), "raw/meters/readings").await.is_ok()
                && place.numbers().await.len() == there
        };
        assert!(eventually(Duration::from_secs(60), stored).await);
    }
    let told = place.json("dataset diff raw/meters/readings@1 raw/meters/readings@2");
    tells_nothing("dataset diff", &told.to_string());
    let host = place.start_console().await;
    let page = crate::http::get(&host, "/diff.json?area=raw&left=1&right=2").await.text();
    tells_nothing("/diff", &page);
    for found in [told.to_string(), page] {
        assert!(found.contains("a***@***.example"), "{found}");
    }
    place.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn predictions_show_keys_and_features_of_persons_masked() {
    let spec = meters("")
        .replace("key: [n]", "key: [meter]")
        .replace("meter: {type: string}", "meter: {type: string, pii: person_name}")
        .replace("entity: {source: readings, key: n}", "entity: {source: readings, key: meter}")
        .replace("source: readings, key: n, value", "source: readings, key: meter, value")
        .replace("    hour: hour(at)", "    hour: hour(at)\n    who: {expr: meter, kind: category}");
    let place = Place::prepare(&spec).await;
    let texts = |text: &str| Arc::new(StringArray::from(vec![text; 3])) as ArrayRef;
    let columns = [(prediction_log::KEY, "Anna Schmidt"), ("who", "Anna Schmidt"), ("entity.meter", "Anna Schmidt")];
    let rows = RecordBatch::try_from_iter(columns.map(|(name, text)| (name, texts(text)))).unwrap();
    for path in ["predictions/meters/high", "features/readings/rows"] {
        let table = Table::open_or_create(place.store.storage(), path, rows.schema_ref()).await.unwrap();
        let head = table.load().await.unwrap();
        table.commit(head, std::slice::from_ref(&rows), "test", 1, BTreeMap::new()).await.unwrap();
        let shown = place.json(&format!("dataset show {path} --rows 3"));
        assert_eq!(shown["sample"][0]["who"], "A***", "{shown}");
        tells_nothing(path, &shown.to_string());
        let made = place.json(&format!("dataset export {path} --out rows.jsonl"));
        assert_eq!(made["masked"].as_array().unwrap().len(), 3, "{made}");
        tells_nothing(path, &std::fs::read_to_string(place.file("rows.jsonl")).unwrap());
    }
    place.end().await;
}
