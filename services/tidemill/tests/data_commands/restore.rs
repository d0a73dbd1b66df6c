//! A table as it was: beside itself, back and forth there, and never where a service has its place.

use crate::place::{Place, meters, reading};
use std::process::Output;

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
    assert_eq!(place.json(&format!("dataset diff {table}@before {beside}"))["stale_models"], serde_json::json!([]));
    place.end().await;
}
