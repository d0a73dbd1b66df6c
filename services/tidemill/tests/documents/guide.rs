//! The newcomer's path, run as it is written: from a CSV file to a served prediction.

use crate::markdown::{Block, blocks, read, root};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tidemill_testkit::Victim;

const FILE: &str = "infra/docs/guide.md";
/// Longest wait for the instance to be ready, obtaining a nats-server included.
const READY: Duration = Duration::from_secs(180);
const DRAIN: Duration = Duration::from_secs(60);
const PROGRAM: &str = env!("CARGO_BIN_EXE_tidemill");

/// The same commands beside whatever else runs on this machine: free ports, the program of this build.
fn environment() -> Vec<(String, String)> {
    let addresses = [
        "ADMIN__BIND",
        "INGESTION__HTTP",
        "FEATURE__GRPC",
        "TRAINING__GRPC",
        "EVALUATION__GRPC",
        "SERVING__GRPC",
        "SERVING__HTTP",
        "MONITORING__GRPC",
        "CONSOLE__HTTP",
    ];
    let mut all: Vec<_> = addresses.map(|key| (format!("TIDEMILL_{key}"), "127.0.0.1:0".to_owned())).into();
    let programs = Path::new(PROGRAM).parent().unwrap().display().to_string();
    let found = std::env::var_os("PATH").unwrap_or_default();
    all.push(("PATH".to_owned(), format!("{programs}:{}", found.display())));
    all.push(("TIDEMILL".to_owned(), root().display().to_string()));
    all.push(("NO_COLOR".to_owned(), "1".to_owned()));
    all
}

/// Runs a block of commands as a shell would, the first failure ending it; gives what it printed.
fn run(folder: &Path, script: &str) -> String {
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script]).current_dir(folder).env_remove("TIDEMILL_CONFIG");
    let output = command.envs(environment()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}\nended with {:?}: {told}", output.status.code());
    String::from_utf8(output.stdout).unwrap()
}

fn run_file(folder: &Path) -> Value {
    let text = std::fs::read(folder.join("tidemill-data/run.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn digest(folder: &Path, file: &str) -> Value {
    let answer = run(folder, &format!("tidemill project validate {file} -o json"));
    serde_json::from_str::<Value>(&answer).unwrap()["digest"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_leads_from_a_csv_file_to_a_served_prediction_as_written() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut instance: Option<Victim> = None;
    let mut told: Vec<(String, String)> = Vec::new();
    for Block { language, text } in blocks(&read(FILE)) {
        match language.as_str() {
            "yaml" => {
                std::fs::write(folder.join("project.yaml"), &text).unwrap();
                let commented = "\"$TIDEMILL/infra/examples/penguins/project.yaml\"";
                assert_eq!(
                    digest(folder, "project.yaml"),
                    digest(folder, commented),
                    "the example says something else"
                );
            }
            "sh" if text.starts_with("tidemill up ") => {
                let script = format!("exec {}", text.trim());
                let log = folder.join("up.log");
                let script = format!("cd '{}'; {script}", folder.display());
                let mut up = Victim::spawn(Path::new("bash"), ["-c", &script], environment(), &log).unwrap();
                up.wait_for_log("next: tidemill events publish", READY).await.unwrap();
                instance = Some(up);
            }
            "sh" => {
                let mut script = text.clone();
                if script.contains("http://127.0.0.1:8000") {
                    let run = run_file(folder);
                    script =
                        script.replace("http://127.0.0.1:8000", run["endpoints"]["serving_http"].as_str().unwrap());
                }
                let printed = tokio::task::block_in_place(|| run(folder, &script));
                told.push((text, printed));
            }
            _ => {}
        }
    }
    let of = |part: &str| {
        let found = told.iter().find(|(script, _)| script.contains(part));
        found.unwrap_or_else(|| panic!("the guide does not run {part}")).1.clone()
    };
    assert!(of("project validate").contains("penguins"));
    assert!(of("events publish").contains("344"), "{}", of("events publish"));
    assert!(of("train --wait").contains("roc_auc"), "{}", of("train --wait"));
    assert!(of("models ls").contains("champion"), "{}", of("models ls"));
    assert!(std::fs::read_to_string(folder.join("card.html")).unwrap().contains("samples_spared"));
    for predicted in [of("predict --key"), of("predict --row")] {
        let of = |name: &str| predicted.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).unwrap();
        assert_eq!(of("status "), "present", "{predicted}");
        let score: f64 = of("score ").parse().unwrap();
        assert!(score > 0.0 && score < 1.0, "{predicted}");
    }
    let over_http: Value = serde_json::from_str(&of("curl")).unwrap();
    assert!(over_http["outputs"][0]["data"][0].as_f64().is_some_and(|score| score > 0.5), "{over_http}");
    // `tidemill down` was the last command.
    let status = instance.unwrap().wait(DRAIN).await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", std::fs::read_to_string(folder.join("up.log")).unwrap());
}
