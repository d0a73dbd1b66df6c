//! The promise of the demo: the whole loop on real flights, with nothing lost, nothing twice, and online equal to
//! offline. Two months are enough to see every part of it.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

#[test]
fn the_loop_closes_on_real_flights_and_its_books_balance() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let output = Command::new(env!("CARGO_BIN_EXE_tidemill"))
        .current_dir(&root)
        .args(["demo", "--exit", "--months", "3", "--free-ports", "--report"])
        .arg(&report)
        .arg("--data-dir")
        .arg(folder.path().join("data"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stdout));
    let report: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    let number =
        |path: &str| report.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path} in {report}"));

    for source in ["schedules", "departures", "outcomes", "weather"] {
        let of = |what: &str| number(&format!("/events/{source}/{what}"));
        assert!(of("published") > 4_000.0, "{source}");
        assert!((of("published") - of("rows") - of("dead") - of("duplicates")).abs() < 0.5, "{source}: {report}");
        assert!(of("lost").abs() < 0.5 && of("doubled") < 0.5, "{source}");
    }
    // Flights whose decision falls in February and March 2013.
    let answered = number("/predictions/answered");
    assert!((answered - 53_808.0).abs() < 0.5, "{answered}");
    for same in [
        "/predictions/requested",
        "/predictions/logged",
        "/outcomes_joined",
        "/parity/vectors_compared",
        "/parity/scores_compared",
    ] {
        assert!((number(same) - answered).abs() < 0.5, "{same}: {} of {answered}", number(same));
    }
    assert!(number("/parity/vectors_different") < 0.5, "online differs from offline");
    assert!(number("/parity/scores_different") < 0.5, "online scores differ from offline");

    let months = report.pointer("/months").and_then(Value::as_array).unwrap();
    let names: Vec<&str> = months.iter().filter_map(|m| m.pointer("/month")?.as_str()).collect();
    assert_eq!(names, ["2013-02", "2013-03"]);
    for month in months {
        let auc = month.pointer("/auc_champion").and_then(Value::as_f64).unwrap();
        assert!((0.6..0.9).contains(&auc), "{month}");
    }
    let cycles = report.pointer("/promotions").and_then(Value::as_array).unwrap();
    assert_eq!(cycles.len(), 2, "bootstrap and one monthly cycle: {cycles:?}");
    assert_eq!(cycles[0].pointer("/promoted").and_then(Value::as_bool), Some(true));
    let leaks = report.pointer("/leaks").unwrap().to_string();
    for trap in ["entity.tailnum", "outcome.arr_delay_min", "outcome.air_time_min", "outcome.status"] {
        assert!(leaks.contains(trap), "{trap} is not named in {leaks}");
    }
}
