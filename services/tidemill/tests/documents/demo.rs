//! Examples and notebooks, run on one instance that holds two months of flights.

use crate::markdown::{in_language, read, root};
use crate::{publish, python};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tidemill_testkit::{Victim, eventually};

/// Longest wait for the story of two months.
const STORY: Duration = Duration::from_secs(900);
/// Longest wait for published rows to stand in the table.
const COMMITTED: Duration = Duration::from_secs(60);

/// The instance, as the programs see it.
struct Instance<'a> {
    data_dir: &'a Path,
    run_file: Value,
    interpreter: std::path::PathBuf,
}

impl Instance<'_> {
    fn python(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(&self.interpreter);
        command.args(arguments).current_dir(root()).env("TIDEMILL_DATA_DIR", self.data_dir);
        let output =
            command.env("NATS_URL", self.bus()).env("PYTHONWARNINGS", "error::SyntaxWarning").output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {told}\n{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stdout).unwrap()
    }

    fn bus(&self) -> &str {
        self.run_file["bus_url"].as_str().unwrap()
    }

    /// Rows of the raw table of weather, as `tidemill status` counts them.
    fn weather_rows(&self) -> u64 {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill"));
        let output = command.args(["status", "-o", "json", "--data-dir"]).arg(self.data_dir).output().unwrap();
        let status: Value = serde_json::from_slice(&output.stdout).unwrap();
        let sources = status["sources"].as_array().unwrap();
        let weather = sources.iter().find(|source| source["source"] == "weather").unwrap();
        weather["rows"].as_u64().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn notebooks_and_examples_run_on_a_demo_and_http_answers_as_documented() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let project = root().join("infra/examples/flights").display().to_string();
    let (program, log) = (Path::new(env!("CARGO_BIN_EXE_tidemill")), folder.path().join("log"));
    let at = data_dir.display().to_string();
    let arguments = ["demo", "--months", "2", "--free-ports", "--data-dir", &at, "--project", &project];
    let mut demo = Victim::spawn(program, arguments, [], &log).unwrap();
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/documents.requirements.txt");
    let interpreter = tokio::task::block_in_place(|| python::environment("documents", &requirements)).unwrap();
    demo.wait_for_log("The system stays up", STORY).await.unwrap();

    let run_file = std::fs::read(data_dir.join("run.json")).unwrap();
    let run_file = serde_json::from_slice(&run_file).unwrap();
    let instance = Instance { data_dir: &data_dir, run_file, interpreter };
    tokio::task::block_in_place(|| {
        notebooks(&instance);
        openapi(&instance);
    });
    examples(&instance).await;
    demo.kill().await.unwrap();
}

fn notebooks(instance: &Instance<'_>) {
    let tables = instance.python(&["infra/examples/notebooks/01_tables.py"]);
    // Flights of the month, cancelled ones among them, whose decision fell in it too.
    for told in ["landed", "cancelled", "predictions of February have an outcome", "AUC of February: 0.7"] {
        assert!(tables.contains(told), "{told} is not in:\n{tables}");
    }
    let predicted = instance.python(&["infra/examples/notebooks/02_predict.py"]);
    for told in ["'score', 'alerted', 'prediction_id', 'status'", "on the list", "model_digest", "90% late"] {
        assert!(predicted.contains(told), "{told} is not in:\n{predicted}");
    }
    let published = instance.python(&["infra/examples/notebooks/03_publish.py"]);
    for told in ["refused: TM0308", "2 rows of 4 messages", "TM_EVENTS_flights_weather"] {
        assert!(published.contains(told), "{told} is not in:\n{published}");
    }
}

fn openapi(instance: &Instance<'_>) {
    let run_file = instance.data_dir.join("run.json").display().to_string();
    let script = "services/tidemill/tests/documents/openapi.py";
    let seen = instance.python(&[script, "proto/openapi.yaml", "check", &run_file]);
    let seen: Value = serde_json::from_str(&seen).unwrap();
    assert_eq!((seen["server"].as_str(), seen["calls"].as_u64()), (Some("tidemill"), Some(13)), "{seen}");
}

/// The examples of the contract in Python and Rust: each event is acknowledged and becomes a row.
async fn examples(instance: &Instance<'_>) {
    let before = tokio::task::block_in_place(|| instance.weather_rows());
    let shown = in_language(&read("infra/docs/contracts.md"), "python").concat();
    let told = tokio::task::block_in_place(|| instance.python(&["-c", &shown]));
    let first: u64 = told.trim().parse().unwrap();
    let sequence = publish::publish(instance.bus()).await.unwrap();
    assert!(sequence > first, "{sequence} after {first}");
    let two_more = || async { tokio::task::block_in_place(|| instance.weather_rows()) == before + 2 };
    assert!(eventually(COMMITTED, two_more).await, "the published events did not become two rows");
}
