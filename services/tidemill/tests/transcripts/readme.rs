//! Shell commands and Python programs of the README, in its order.

use crate::fences::{Block, blocks};
use crate::instance::{Instance, root};
use crate::python;
use std::path::Path;
use std::process::Command;

/// Commands that are checked elsewhere, by how they begin, with the reason.
const ELSEWHERE: [(&str, &str); 7] = [
    ("cargo demo", "tests/demo.rs tells the story, with fewer months"),
    ("cargo test", "this is a part of it"),
    ("cargo build", "the program that runs here was made by it"),
    ("git clone", "the repository is here"),
    ("nats ", "the NATS command line is not required; the Python program beside it publishes the same message"),
    ("docker", "needs a container engine; infra/docker has a script that runs them where one exists"),
    ("cd ", "commands run in a folder that looks like the root"),
];

fn readme() -> Vec<Block> {
    blocks(&std::fs::read_to_string(root().join("README.md")).unwrap())
}

/// Runs every command; `tidemill up` stays, and what follows from a command is waited for before the next.
pub(crate) async fn commands_run_as_written(instance: &mut Instance) {
    let (mut run, mut until) = (0, String::new());
    for block in readme().iter().filter(|block| block.is_shell()) {
        for command in block.commands() {
            if ELSEWHERE.iter().any(|(begin, _)| command.starts_with(begin)) {
                continue;
            }
            if let Some((_, date)) = command.split_once(" --until ") {
                date.split_whitespace().next().unwrap_or_default().clone_into(&mut until);
            }
            if command.starts_with("tidemill train") {
                // A reader is slower than the roles, a test is not: what is not known yet is not trained on.
                instance.wait_for("tidemill status", |status| is_read(status, &until)).await;
            }
            if command.starts_with("tidemill up") {
                instance.start(&command).await;
            } else {
                succeeds(instance, &command, block.line);
            }
            if command.starts_with("tidemill train") {
                let champion = |models: &serde_json::Value| models.to_string().contains("champion");
                instance.wait_for("tidemill models ls", champion).await;
                instance
                    .wait_for("tidemill predict --row '{\"dep_hour\": 17}'", |answer| answer["score"].is_number())
                    .await;
            }
            run += 1;
        }
    }
    assert!(run >= 5, "the README has only {run} commands of ours");
}

/// Whether every source is in its table, and known to the features until a date.
fn is_read(status: &serde_json::Value, until: &str) -> bool {
    let known = |source: &serde_json::Value| source["watermark"].as_str().is_some_and(|at| at.starts_with(until));
    status["sources"].as_array().is_some_and(|all| all.iter().all(|source| source["lag"] == 0 && known(source)))
}

fn succeeds(instance: &Instance, command: &str, line: usize) {
    let output = tokio::task::block_in_place(|| instance.run(command));
    let (out, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "README.md:{line}: {command}\n{out}{told}");
    assert!(!told.contains('\r') && !told.contains('\u{1b}'), "progress or colours off a terminal: {told:?}");
    if command.starts_with("tidemill ") {
        assert!(told.contains("next: "), "README.md:{line}: {command} names no next step: {told}");
    }
}

/// Runs every Python program against the instance. Only addresses and paths differ from what is printed.
pub(crate) async fn programs_run_as_written(instance: &Instance) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let environment = tokio::task::block_in_place(|| {
        python::environment("clients", &tests.join("outside_clients.requirements.txt")).unwrap()
    });
    let predictions = |tables: &serde_json::Value| {
        let rows = tables.as_array().into_iter().flatten();
        rows.into_iter().any(|t| t["table"] == "predictions/flights/disruption" && t["rows"].as_u64() > Some(0))
    };
    instance.wait_for("tidemill dataset ls", predictions).await;
    let run_file = instance.run_file();
    let place = |pointer: &str| run_file.pointer(pointer).unwrap().as_str().unwrap().replace("http://", "");
    let programs: Vec<Block> = readme().into_iter().filter(|block| block.language == "python").collect();
    assert!(!programs.is_empty());
    for block in programs {
        let text = block
            .text
            .replace("nats://127.0.0.1:4222", &place("/bus_url"))
            .replace("127.0.0.1:8001", &place("/endpoints/serving_grpc"))
            .replace("127.0.0.1:8000", &place("/endpoints/serving_http"));
        let mut python = Command::new(&environment);
        python.args(["-c", &text]).current_dir(instance.folder());
        let output = tokio::task::block_in_place(|| python.output().unwrap());
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "README.md:{}: {told}\n{text}", block.line);
        assert!(!output.stdout.is_empty(), "README.md:{}: the program printed nothing", block.line);
    }
}
