//! A table as it was: beside itself, back and forth there, and never where a service has its place.

use crate::place::{Place, meters, reading};
use crate::python;
use serde_json::json;
use std::path::Path;
use std::process::{Command, Output};
use tidemill_registry::{BundleWriter, Lineage, ManifestDraft, MoveRequest, NewVersion, Registry, SigningKey, store};
use tidemill_types::{Digest, Millis};

fn message(numbers: std::ops::Range<i64>) -> String {
    let rows: Vec<String> = numbers.map(|n| reading(n, (n % 50) as f64)).collect();
    format!("[{}]", rows.join(","))
}

/// A command that must fail, with this code.
fn refused(output: &Output, code: &str) -> String {
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains(code), "{told}");
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_state_is_put_beside_while_the_services_go_on_and_no_row_is_lost_or_doubled() {
    let place = Place::start(&meters("")).await;
    let table = "clean/meters/readings";
    place.publish(&[("a", message(0..200))]).await;
    let tag = place.json(&format!("dataset tag before {table} raw/meters/readings"));
    assert!(tag["processing"]["program"].as_str().unwrap().contains('.'), "{tag:#}");
    assert_eq!(tag["processing"]["spec"].as_str().map(str::len), Some(64));
    place.publish(&[("b", message(200..500))]).await;

    // The score is of the version, from 0 to 1, whichever commit came last.
    let whole = place.json(&format!("dataset tag after {table}"))["tables"][0]["quality"].clone();
    let score = whole["score"].as_f64().unwrap();
    assert!(score > 0.9 && score <= 1.0, "{whole:#}");
    assert_eq!((whole["checked"].as_u64(), whole["commits"].as_u64()), (Some(500), Some(2)));

    // Into tables that services write: refused, with the way that is open. With a reason only.
    for owned in ["raw/meters/readings", table, "quarantine/meters/readings"] {
        let told = refused(&place.run(&format!("dataset restore {owned} --to before --reason x")), "TM1530");
        assert!(told.contains("--into"), "{told}");
    }
    refused(&place.run(&format!("dataset restore {table} --to before --into june")), "--reason");

    let made = place.json(&format!("dataset restore {table} --to before --into june --reason compare"));
    let beside = "restored/june/clean/meters/readings";
    assert_eq!(
        (made["table"].as_str(), made["rows"].as_u64(), made["version"].as_u64()),
        (Some(beside), Some(200), Some(0))
    );
    let shown = place.json(&format!("dataset show {beside} --hash"));
    assert_eq!(shown["content_hash"], tag["tables"][0]["content_hash"]);
    assert_eq!(shown["versions"][0]["metadata"]["tidemill.reason"], "compare");
    refused(&place.run(&format!("dataset restore {table} --to before --into june --reason x")), "TM0531");
    refused(&place.run(&format!("dataset restore {table} --to before --into ../june --reason x")), "TM0521");

    // The writers did not notice: what comes next lands once.
    place.publish(&[("c", message(500..600))]).await;
    assert_eq!(place.json(&format!("dataset show {table}"))["rows"], 600);
    assert_eq!(place.json("dataset verify raw/meters/readings")["same"], true);
    let listed = place.json("dataset ls");
    assert!(listed.as_array().unwrap().iter().any(|row| row["table"] == beside), "{listed:#}");
    assert_eq!(place.json(&format!("dataset diff {table}@before {beside}"))["stale_models"], json!([]));

    // Changed from outside, and brought back in place; others read what we read.
    assert_eq!(outside(&place, beside, true), [200, 200, 300], "deltalake, Polars; and deltalake after its own append");
    assert_eq!(place.json(&format!("dataset show {beside}"))["rows"], 300);
    let back = place.json(&format!("dataset restore {beside} --to 0 --reason undo"));
    assert_eq!(
        (back["version"].as_u64(), back["rows"].as_u64(), back["files_removed"].as_u64()),
        (Some(2), Some(200), Some(1))
    );
    assert_eq!(place.json(&format!("dataset show {beside} --hash"))["content_hash"], tag["tables"][0]["content_hash"]);
    assert_eq!(outside(&place, beside, false), [200, 200]);
    place.end().await;
}

/// Rows of a table as deltalake and Polars see them; then, if told to, after deltalake has appended its first 100 again.
fn outside(place: &Place, table: &str, append: bool) -> Vec<u64> {
    const READ: &str = "
import json, os, sys
import polars
from deltalake import DeltaTable, write_deltalake
path, append = sys.argv[1], sys.argv[2] == 'true'
rows = DeltaTable(path).to_pyarrow_table()
seen = [rows.num_rows, polars.read_delta(path).height]
if append:
    write_deltalake(path, rows.slice(0, 100), mode='append')
    seen.append(DeltaTable(path).to_pyarrow_table().num_rows)
print(json.dumps(seen), flush=True)
# The threads of these libraries now and then abort the interpreter while it ends.
os._exit(0)
";
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside_clients.requirements.txt");
    let python = python::environment("clients", &requirements).unwrap();
    let path = place.store.dir().join(table);
    let output = Command::new(python).args(["-c", READ]).arg(path).arg(append.to_string()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Registers a model that was trained on a version of the readings.
async fn trained(place: &Place, version: u64) -> Digest {
    let made_from = Lineage { kind: "table".into(), name: "readings".into(), version: Some(version), digest: None };
    let about: ManifestDraft = serde_json::from_value(json!({
        "project": "meters", "run": "r1", "created_at": 0, "task": "binary", "learner": "logistic", "inputs": [],
        "target": "high", "params": {}, "seeds": {}, "metrics": {}, "threshold": null, "budget": null,
        "spec_digest": place.spec.digest(), "code": "0", "data_digest": place.spec.digest(), "lineage": [made_from],
    }))
    .unwrap();
    let bundle = BundleWriter::new(about).sign(&SigningKey::generate().unwrap()).unwrap();
    store(place.store.storage(), &bundle).await.unwrap();
    let new = NewVersion { digest: bundle.digest.clone(), run: "r1".parse().unwrap(), cycle: None, created: Millis(0) };
    Registry::open(&place.bus).await.unwrap().register(&place.spec.project, &new).await.unwrap();
    bundle.digest
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_names_the_models_after_whose_training_rows_came() {
    let place = Place::start(&meters("")).await;
    let table = "clean/meters/readings";
    place.publish(&[("a", message(0..100))]).await;
    let first = place.json(&format!("dataset show {table}"))["version"].as_u64().unwrap();
    place.publish(&[("b", message(100..200))]).await;
    let second = place.json(&format!("dataset show {table}"))["version"].as_u64().unwrap();
    let (old, new) = (trained(&place, first).await, trained(&place, second).await);
    let registry = Registry::open(&place.bus).await.unwrap();
    let request = MoveRequest { by: "ann".into(), reason: "test".into(), at: Millis(1), traceparent: None };
    registry.set_alias(&place.spec.project, "champion", &old, None, request).await.unwrap();

    let stale = |left: u64, right: u64| {
        place.json(&format!("dataset diff {table}@{left} {table}@{right}"))["stale_models"].clone()
    };
    let named = json!([{"model": 1, "digest": old, "trained_on": first, "aliases": ["champion"]}]);
    assert_eq!(stale(first, second), named);
    assert_eq!(stale(second, first), named, "whichever side is named first");
    // Joined files bring nothing new; rows do.
    place.json(&format!("dataset compact {table}"));
    let joined = place.json(&format!("dataset show {table}"))["version"].as_u64().unwrap();
    assert!(joined > second);
    assert_eq!(stale(second, joined), json!([]));
    place.publish(&[("c", message(200..300))]).await;
    let last = place.json(&format!("dataset show {table}"))["version"].as_u64().unwrap();
    assert_eq!(stale(joined, last), json!([]), "what was stale before is not named again");
    assert_eq!(stale(second, last)[0]["digest"], json!(new));
    let shown = place.run(&format!("dataset diff {table}@{first} {table}@{second}"));
    assert!(String::from_utf8_lossy(&shown.stdout).contains("champion), trained on version"), "{shown:?}");
    place.end().await;
}
