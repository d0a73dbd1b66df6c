//! Versions of tables: travelled to, compared, tagged, exported, proved, joined, and dropped when nobody needs them.

use crate::place::{Place, meters, reading};
use serde_json::Value;
use std::collections::BTreeMap;
use tidemill_contracts::subjects;
use tidemill_dataset::Table;
use tidemill_registry::{MoveRequest, NewVersion, Registry};
use tidemill_types::{Digest, Millis};

/// Readings of a range in one message.
fn message(numbers: std::ops::Range<i64>, offset: f64) -> String {
    let rows: Vec<String> = numbers.map(|n| reading(n, offset + (n % 50) as f64)).collect();
    format!("[{}]", rows.join(","))
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_travelled_to_compared_tagged_exported_and_proved() {
    let place = Place::start(&meters("")).await;
    place.publish(&[("a", message(0..400, 0.0))]).await;
    let first = place.json("dataset show clean/meters/readings")["version"].as_u64().unwrap();
    let then = place.json("dataset show clean/meters/readings")["versions"][0]["committed_at"].clone();
    place.publish(&[("b", message(400..800, 500.0))]).await;

    // By number, by commit instant, by tag.
    let table = "clean/meters/readings";
    assert_eq!(place.json(&format!("dataset show {table}@{first}"))["rows"], 400);
    let at = place.json(&format!("dataset at {table} {}", then.as_str().unwrap()));
    assert_eq!((at["by_commit"]["version"].as_u64(), at["by_commit"]["rows"].as_u64()), (Some(first), Some(400)));
    assert_eq!(at["by_knowledge"]["rows"], 400, "the rest became known later: {at:#}");
    let tag = place.json(&format!("dataset tag before {table}@{first} raw/meters/readings@1 --note first"));
    assert_eq!(tag["tables"][0]["rows"], 400);
    assert!(tag["tables"][0]["quality"]["score"].as_f64().unwrap() > 0.5, "{tag:#}");
    assert_eq!(place.json(&format!("dataset show {table}@before"))["version"], first);
    let taken = place.run(&format!("dataset tag before {table}"));
    assert_eq!(taken.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&taken.stderr).contains("TM0522"));

    // What was added differs in value, and not in the meters.
    let diff = place.json(&format!("dataset diff {table}@before {table} --hash"));
    assert_eq!((diff["compared"].as_str(), diff["origin"].as_str()), (Some("added_rows"), Some("stored_profiles")));
    assert_eq!((diff["rows_more"].as_i64(), diff["content_hash"]["same"].as_bool()), (Some(400), Some(false)));
    let differs = |name: &str| {
        let column = diff["columns"].as_array().unwrap().iter().find(|c| c["name"] == name).unwrap();
        column["differs"].as_bool().unwrap()
    };
    assert!(differs("value") && !differs("meter"), "{diff:#}");
    assert_eq!(place.run(&format!("dataset diff {table} {table} --check --hash")).status.code(), Some(0));
    assert_eq!(place.run(&format!("dataset diff {table}@before {table} --check")).status.code(), Some(3));
    assert!(!place.run(&format!("dataset diff {table}@before {table}")).stdout.is_empty());

    // Four formats of the same rows.
    for name in ["rows.parquet", "rows.csv", "rows.jsonl", "rows.arrow"] {
        let made = place.json(&format!("dataset export {table}@before --out {name} --columns n,value"));
        assert_eq!(made["rows"], 400, "{name}");
        assert!(std::fs::metadata(place.file(name)).unwrap().len() > 1_000, "{name}");
    }
    let lines = std::fs::read_to_string(place.file("rows.csv")).unwrap();
    assert_eq!((lines.lines().next(), lines.lines().count()), (Some("n,value"), 401));
    let line = std::fs::read_to_string(place.file("rows.jsonl")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(line.lines().next().unwrap()).unwrap()["n"], 0);

    // The events alone give the same content; a table that was meddled with is found out.
    let proof = place.json("dataset verify raw/meters/readings");
    assert_eq!((proof["same"].as_bool(), proof["rows_from_events"].as_u64()), (Some(true), Some(800)));
    let raw = Table::open(place.store.storage(), "raw/meters/readings").await.unwrap();
    let some: Vec<_> = raw.load().await.unwrap().files().take(1).cloned().collect();
    raw.drop_files(&some, "a test").await.unwrap();
    assert_eq!(place.run("dataset verify raw/meters/readings").status.code(), Some(3));
    place.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_knows_what_was_sent_again_after_it_had_expired_and_ends_when_the_bus_lost_events() {
    let place = Place::start(&meters("")).await;
    place.publish(&[("a", message(0..10, 0.0)), ("b", message(10..20, 0.0))]).await;
    let stream = subjects::events_stream(&place.spec.project, &"readings".parse().unwrap());
    place.expire(&stream, 2).await;
    place.publish(&[("a", message(0..10, 0.0)), ("c", message(20..30, 0.0))]).await;
    let proof = place.json("dataset verify raw/meters/readings");
    assert_eq!((proof["first_event"].as_u64(), proof["last_event"].as_u64()), (Some(2), Some(4)));
    assert_eq!((proof["same"].as_bool(), proof["rows_from_events"].as_u64()), (Some(true), Some(20)), "{proof:#}");

    // A table that has come further than the stream reaches, as after a restored backup of the bus.
    let other = Place::prepare(&meters("")).await;
    let state = other.bus.stream_state(&stream).await.unwrap();
    let schema = Table::open(place.store.storage(), "raw/meters/readings").await.unwrap().schema();
    let raw = Table::open_or_create(other.store.storage(), "raw/meters/readings", &schema).await.unwrap();
    let none = raw.load().await.unwrap();
    raw.commit(none, &[], &state.incarnation(&stream), 10, BTreeMap::new()).await.unwrap();
    let ended = other.run("dataset verify raw/meters/readings");
    assert!(String::from_utf8_lossy(&ended.stderr).contains("TM0610"), "{ended:?}");
    place.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vacuum_plans_first_and_keeps_what_a_tag_needs() {
    let place = Place::start(&meters("retention:\n  classes: {default: {versions: 1s}}\n")).await;
    for round in 0..6 {
        place.publish(&[(&format!("r{round}"), message(round * 50..round * 50 + 50, 0.0))]).await;
    }
    let before = place.json("dataset show clean/meters/readings --hash");
    place.json("dataset tag kept clean/meters/readings@2");
    let joined = place.json("dataset compact");
    let clean = joined.as_array().unwrap().iter().find(|t| t["table"] == "clean/meters/readings").unwrap();
    assert_eq!((clean["files_before"].as_u64(), clean["files_after"].as_u64()), (Some(6), Some(1)), "{joined:#}");
    assert_eq!(place.json("dataset show clean/meters/readings --hash")["content_hash"], before["content_hash"]);

    // Nothing that was written within the hour goes: a writer might be about to name it.
    let plan = place.json("dataset vacuum");
    let of = |plan: &Value, table: &str| plan.as_array().unwrap().iter().find(|t| t["table"] == table).unwrap().clone();
    assert_eq!(
        (of(&plan, "clean/meters/readings")["files"].as_u64(), plan[0]["done"].as_bool()),
        (Some(0), Some(false))
    );

    // As if all of it had been written a day ago.
    age(&place, "clean/meters/readings").await;
    let plan = of(&place.json("dataset vacuum"), "clean/meters/readings");
    assert_eq!((plan["files"].as_u64(), plan["files_kept_for"].as_u64()), (Some(4), Some(2)), "{plan:#}");
    assert_eq!(plan["kept_for"][0], "tag kept");
    assert_eq!(place.json("dataset show clean/meters/readings@5 --rows 1")["rows"], 250, "a plan deletes nothing");
    place.json("dataset vacuum --apply");
    assert!(!place.run("dataset show clean/meters/readings@5 --rows 300").status.success(), "its files are gone");
    assert_eq!(place.json("dataset show clean/meters/readings@kept --hash")["rows"], 100);
    assert_eq!(place.json("dataset show clean/meters/readings --hash")["content_hash"], before["content_hash"]);

    // A dropped tag protects nothing, and its name is never given again.
    place.json("dataset tag kept --drop --reason done");
    let plan = of(&place.json("dataset vacuum"), "clean/meters/readings");
    assert_eq!((plan["files"].as_u64(), plan["files_kept_for"].as_u64()), (Some(2), Some(0)));
    assert!(!place.run("dataset tag kept clean/meters/readings").status.success());
    place.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_drops_old_rows_by_class_joined_or_not_but_none_under_a_legal_hold() {
    let spec = meters("retention:\n  classes: {short: {rows: 2h}}\n  sources: {readings: short}\n");
    let place = Place::start(&spec).await;
    // A reading a minute: six hours of them, an hour a message.
    for hour in 0..6 {
        place.publish(&[(&format!("h{hour}"), message(hour * 60..hour * 60 + 60, 0.0))]).await;
    }
    let of = |plan: &Value, table: &str| plan.as_array().unwrap().iter().find(|t| t["table"] == table).unwrap().clone();
    let clean = "clean/meters/readings";
    // Three hours as a whole, and most of the fourth: the newest reading is of minute 359.
    let plan = place.json("dataset vacuum");
    assert_eq!(of(&plan, clean)["class"], "short");
    assert_eq!(of(&plan, clean)["rows_expired"], 239, "{plan:#}");
    assert_eq!(of(&plan, "raw/meters/readings")["rows_expired"], 0, "raw rows count by when they became known");

    let held = format!("{spec}  hold: [{{source: readings, reason: case 17, by: legal}}]\n");
    std::fs::write(place.file("project.yaml"), &held).unwrap();
    place.json("project apply project.yaml");
    let plan = of(&place.json("dataset vacuum --apply"), clean);
    assert_eq!((plan["rows_expired"].as_u64(), plan["hold"].as_str()), (Some(0), Some("case 17, by legal")));
    assert_eq!(place.json("dataset show clean/meters/readings")["rows"], 360);

    std::fs::write(place.file("project.yaml"), &spec).unwrap();
    place.json("project apply project.yaml");
    assert_eq!(of(&place.json("dataset vacuum --apply"), clean)["rows_expired"], 239);
    assert_eq!(place.json("dataset show clean/meters/readings")["rows"], 121);
    // The writers go on after it.
    place.publish(&[("late", message(360..420, 0.0))]).await;
    assert_eq!(place.json("dataset show clean/meters/readings")["rows"], 181);

    // All in one file, with a reading of the year 2999, which makes no other old.
    let future = reading(0, 1.0).replace("2024-", "2999-").replace("\"n\":0", "\"n\":999");
    place.publish(&[("future", future)]).await;
    place.json("dataset compact");
    assert_eq!(place.json("dataset show clean/meters/readings")["files"], 1);
    assert_eq!(of(&place.json("dataset vacuum --apply"), clean)["rows_expired"], 60);
    assert_eq!(place.json("dataset show clean/meters/readings")["rows"], 122);
    place.publish(&[("later", message(420..421, 0.0))]).await;
    assert_eq!(place.json("dataset show clean/meters/readings")["rows"], 123);
    place.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vacuum_keeps_what_a_model_in_service_was_trained_on_and_what_validation_has_not_read() {
    let mut place = Place::prepare(&meters("retention:\n  classes: {default: {versions: 1s}}\n")).await;
    place.start_ingestion().await;
    let (raw, clean) = ("raw/meters/readings", "clean/meters/readings");
    for round in 0..4 {
        place.send(&[(&format!("r{round}"), message(round * 50..round * 50 + 50, 0.0))]).await;
        place.taken_in().await;
    }
    place.json("dataset compact");
    age(&place, raw).await;
    let of = |plan: &Value, table: &str| plan.as_array().unwrap().iter().find(|t| t["table"] == table).unwrap().clone();
    let plan = of(&place.json("dataset vacuum"), raw);
    assert_eq!((plan["files"].as_u64(), plan["readable_since_version"].as_u64()), (Some(0), Some(0)), "{plan:#}");
    place.start_validation().await;
    place.caught_up().await;
    let plan = of(&place.json("dataset vacuum"), raw);
    assert_eq!(plan["files"], 4, "validation has read them: {plan:#}");

    place.publish(&[("r4", message(200..250, 0.0))]).await;
    let trained_on = place.json(&format!("dataset show {clean}"))["version"].as_u64().unwrap();
    let digest = serve_model(&place, trained_on).await;
    place.publish(&[("r5", message(250..300, 0.0))]).await;
    place.json("dataset compact");
    age(&place, clean).await;
    let plan = of(&place.json("dataset vacuum --apply"), clean);
    assert_eq!(plan["kept_for"][0], format!("model {} (champion)", digest.short()), "{plan:#}");
    assert_eq!(plan["files_kept_for"], 2, "{plan:#}");
    assert_eq!(place.json(&format!("dataset show {clean}@{trained_on} --hash"))["rows"], 250);
    place.end().await;
}

/// Puts a model into service that was trained on a version of the clean table.
async fn serve_model(place: &Place, version: u64) -> Digest {
    let none = Digest::of(b"");
    let manifest = serde_json::json!({
        "format": 1, "project": "meters", "run": "c-1", "created_at": 0, "task": "binary", "learner": "logistic",
        "inputs": [], "target": "high", "params": {}, "seeds": {}, "metrics": {}, "threshold": null, "budget": null,
        "spec_digest": none, "code": "0", "data_digest": none, "files": {},
        "lineage": [{"kind": "table", "name": "readings", "version": version}],
    });
    let text = manifest.to_string();
    let digest = Digest::of(text.as_bytes());
    place.store.storage().put(&format!("models/{digest}/manifest.json"), text.into_bytes()).await.unwrap();
    let registry = Registry::open(&place.bus).await.unwrap();
    let made = NewVersion { digest: digest.clone(), run: "c-1".parse().unwrap(), cycle: None, created: Millis(1) };
    registry.register(&place.spec.project, &made).await.unwrap();
    let why = MoveRequest { by: "ann".to_owned(), reason: "a test".to_owned(), at: Millis(1), traceparent: None };
    registry.set_alias(&place.spec.project, "champion", &digest, None, why).await.unwrap();
    digest
}

/// Sets the clock of a table's commits and files back by a day.
async fn age(place: &Place, table: &str) {
    let folder = place.store.dir().join(table);
    let day = std::time::Duration::from_secs(86_400);
    for entry in std::fs::read_dir(&folder).unwrap().chain(std::fs::read_dir(folder.join("_delta_log")).unwrap()) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        if path.extension().is_some_and(|extension| extension == "json") {
            let text = std::fs::read_to_string(&path).unwrap();
            let aged: Vec<String> = text.lines().map(aged_line).collect();
            std::fs::write(&path, aged.join("\n") + "\n").unwrap();
        }
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(std::time::SystemTime::now() - day).unwrap();
    }
}

fn aged_line(line: &str) -> String {
    let mut value: Value = serde_json::from_str(line).unwrap();
    if let Some(at) = value.get_mut("commitInfo").and_then(|info| info.get_mut("timestamp")) {
        *at = (at.as_i64().unwrap() - 86_400_000).into();
    }
    value.to_string()
}
