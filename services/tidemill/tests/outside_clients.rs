//! The promise to everybody else's programs: unmodified clients predict, and unmodified readers read the tables.
#![allow(clippy::unwrap_used, reason = "tests")]

#[expect(unreachable_pub, reason = "the test tiers export it from their library")]
#[path = "../../../tests/src/python.rs"]
mod python;

use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tidemill_testkit::Victim;

/// Longest wait for the story of two months.
const STORY: Duration = Duration::from_secs(900);
/// Longest wait for the end in good order.
const DRAIN: Duration = Duration::from_secs(60);

/// What the clients saw, as `outside_clients.py` prints it.
fn ask_outside_clients(run_file: &Path) -> Value {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let python = python::environment("clients", &tests.join("outside_clients.requirements.txt")).unwrap();
    let output = Command::new(python).arg(tests.join("outside_clients.py")).arg(run_file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn unmodified_clients_predict_and_unmodified_readers_agree_on_the_tables() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data").display().to_string();
    let project = root.join("infra/examples/flights").display().to_string();
    let arguments = ["demo", "--months", "2", "--free-ports", "--data-dir", &data_dir, "--project", &project];
    let log = folder.path().join("log");
    let mut demo = Victim::spawn(Path::new(env!("CARGO_BIN_EXE_tidemill")), arguments, [], &log).unwrap();
    demo.wait_for_log("The system stays up", STORY).await.unwrap();
    assert!(std::fs::read_to_string(&log).unwrap().contains("predictions answered"), "no summary was printed");

    let run_file = Path::new(&data_dir).join("run.json");
    let seen = tokio::task::block_in_place(|| ask_outside_clients(&run_file));
    tables_agree(&seen["tables"]);
    predictions_agree(&seen["predictions"]);

    let pid = demo.pid().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let status = demo.wait(DRAIN).await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", std::fs::read_to_string(&log).unwrap());
    assert!(!run_file.exists(), "an instance that ended is still announced");
}

fn tables_agree(tables: &Value) {
    let tables = tables.as_object().unwrap();
    assert_eq!(tables.len(), 5);
    for (name, seen) in tables {
        for reader in ["polars", "duckdb"] {
            assert_eq!(seen[reader], seen["deltalake"], "{reader} of {name}: {seen}");
        }
        assert!(seen["deltalake"][0].as_i64().unwrap() > 20_000, "{name}: {seen}");
        assert!(seen["deltalake"][1].as_i64().unwrap() > 0, "{name}: {seen}");
    }
    // Flights whose decision falls in February 2013.
    assert_eq!(tables["predictions/flights/disruption"]["deltalake"][0], 24_943);
    assert_eq!(tables["raw/flights/schedules"]["deltalake"], tables["clean/flights/schedules"]["deltalake"]);
}

fn predictions_agree(seen: &Value) {
    for protocol in ["grpc", "http"] {
        let about = &seen["about"][protocol];
        assert_eq!((about["server"].as_str(), about["model"].as_str()), (Some("tidemill"), Some("disruption")));
        assert_eq!(about["ready"], serde_json::json!([true, true, true]), "{protocol}");
        assert_eq!(about["outputs"], serde_json::json!(["score", "alerted", "prediction_id", "status"]));
        assert!(about["inputs"].as_u64().unwrap() > 40, "{about}");
        assert_eq!(seen["logged_rows"]["same_as_logged"][protocol], true, "{seen}");
        assert_eq!(seen["by_key"]["same_by_row"][protocol], true, "{seen}");
    }
    assert_eq!(seen["about"]["grpc"]["absent_model"], "StatusCode.NOT_FOUND");
    assert_eq!(seen["about"]["http"]["absent_model"], false);
    assert_eq!(seen["about"]["http"]["extensions"], serde_json::json!(["binary_tensor_data"]));
    assert_eq!(seen["logged_rows"]["rows"], 200);
    let by_key = &seen["by_key"];
    assert_eq!(by_key["same_over_http"], true, "{by_key}");
    assert_eq!(by_key["statuses"], serde_json::json!(["present"]));
    assert_eq!(by_key["finite"], by_key["rows"]);
    assert!(by_key["rows"].as_u64().unwrap() > 100 && by_key["distinct"].as_u64().unwrap() > 10, "{by_key}");
    // An instant behind the look-back is refused by name, not answered from what happens to be left.
    let behind = &seen["behind_lookback"];
    assert_eq!(behind["without_score"], serde_json::json!([200, 200]), "{behind}");
    assert!(!behind["statuses"].as_array().unwrap().contains(&"present".into()), "{behind}");
}
