//! Raw bodies of HTTP sources: listed, read as of an instant, hidden where they hold personal data, dropped by age.

use crate::place::{Place, meters};
use serde_json::{Value, json};
use tidemill_types::Digest;

const FOLDER: &str = "raw/_snapshots/meters/readings";

/// Puts a body and its note where the puller puts them, a day ago by the clock of the store.
async fn kept(place: &Place, at: &str, url: &str, body: &str) -> Digest {
    let digest = Digest::of(body.as_bytes());
    let note = json!({
        "url": url, "fetched_at": at, "status": 200, "etag": null, "last_modified": null,
        "content_type": "application/json", "bytes": body.len(), "sha256": digest, "license": "CC-BY-4.0",
    });
    let storage = place.store.storage();
    let path = format!("{FOLDER}/{digest}.body");
    storage.put(&path, body.as_bytes().to_vec()).await.unwrap();
    let at = tidemill_types::Millis::parse(at).unwrap();
    storage.put(&format!("{FOLDER}/{:015}-{}.json", at.0, digest.short()), note.to_string()).await.unwrap();
    let file = std::fs::File::options().write(true).open(place.store.dir().join(&path)).unwrap();
    file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(86_400)).unwrap();
    digest
}

fn texts(rows: &Value, key: &str) -> Vec<String> {
    rows.as_array().unwrap().iter().map(|row| row[key].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_known_when_is_told_and_goes_with_the_rows() {
    let spec = meters("retention:\n  classes: {default: {rows: 10d}}\n");
    let place = Place::start(&spec.replace("meter: {type: string}", "meter: {type: string, pii: person_name}")).await;
    let (one, two) = ("https://h.test/?page=1", "https://h.test/?page=2");
    let first = kept(&place, "2024-01-01T00:00:00Z", one, "[1]").await;
    let other = kept(&place, "2024-01-01T00:00:05Z", two, "[2]").await;
    let second = kept(&place, "2024-01-20T00:00:00Z", one, "[1,3]").await;
    // The first body once more: it is needed still when its first fetch is forgotten.
    kept(&place, "2024-01-21T00:00:00Z", one, "[1]").await;

    let all = place.json("source snapshots ls readings");
    assert_eq!(texts(&all, "sha256"), [&first, &second, &other, &first].map(Digest::to_string), "newest first");
    assert_eq!(place.json("source snapshots ls readings --limit 1").as_array().unwrap().len(), 1);
    let at = |instant: &str| texts(&place.json(&format!("source snapshots at readings {instant}")), "sha256");
    assert_eq!(at("2023-12-31"), [] as [&str; 0]);
    assert_eq!(at("2024-01-01T00:00:01Z"), [first.to_string()]);
    assert_eq!(at("2024-01-20T12:00:00Z"), [second.to_string(), other.to_string()]);
    assert_eq!(at("2024-02-01"), [first.to_string(), other.to_string()]);

    // Where personal data stands in a body is not known, so all of it is hidden until it is asked for.
    let hidden = place.run(&format!("source snapshots show readings {}", second.short()));
    assert_eq!((hidden.status.code(), hidden.stdout.len()), (Some(2), 0));
    assert!(String::from_utf8_lossy(&hidden.stderr).contains("--unmask"));
    let shown = place.run(&format!("source snapshots show readings {} --unmask", second.short()));
    assert_eq!(shown.stdout, b"[1,3]");
    assert!(!place.run("source snapshots show readings ffffffffff --unmask").status.success());
    assert!(!place.run("source snapshots ls elsewhere").status.success());

    // Ten days before the newest fetch; the plan alone deletes nothing.
    let of = |plan: &Value| plan.as_array().unwrap().iter().find(|row| row["table"] == FOLDER).unwrap().clone();
    assert_eq!(of(&place.json("dataset vacuum"))["files"], 3, "two notes and a body");
    assert_eq!(place.json("source snapshots ls readings").as_array().unwrap().len(), 4);
    let held = format!("{spec}  hold: [{{source: readings, reason: case 17, by: legal}}]\n");
    std::fs::write(place.file("project.yaml"), held).unwrap();
    place.json("project apply project.yaml");
    assert_eq!(of(&place.json("dataset vacuum --apply"))["hold"], "case 17, by legal");
    assert_eq!(place.json("source snapshots ls readings").as_array().unwrap().len(), 4);
    std::fs::write(place.file("project.yaml"), &spec).unwrap();
    place.json("project apply project.yaml");
    assert_eq!(of(&place.json(&format!("dataset vacuum {FOLDER} --apply")))["done"], true);
    assert_eq!(texts(&place.json("source snapshots ls readings"), "sha256"), [&first, &second].map(Digest::to_string));
    let storage = place.store.storage();
    assert!(storage.exists(&format!("{FOLDER}/{first}.body")).await.unwrap());
    assert!(!storage.exists(&format!("{FOLDER}/{other}.body")).await.unwrap());
    place.end().await;
}
