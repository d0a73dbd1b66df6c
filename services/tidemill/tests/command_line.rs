//! The built binary as a user meets it: answers on standard output, remarks on standard error, exit codes.
#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn flights() -> String {
    repository().join("infra/examples/flights/project.yaml").display().to_string()
}

/// Runs the command in an empty folder, where no instance can be found.
fn tidemill(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill"));
    command.args(arguments).current_dir(folder.path()).env_remove("TIDEMILL_CONFIG").env("NO_COLOR", "1");
    command.output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn usage_errors_end_with_2_and_help_with_0() {
    for wrong in [&["no-such-noun"][..], &["events", "publish"], &["predict"], &["status", "-o", "xml"], &["run"]] {
        let output = tidemill(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "{wrong:?}");
        assert!(!output.stderr.is_empty(), "{wrong:?}");
    }
    for help in [&["--help"][..], &["events", "publish", "--help"], &["models", "--help"], &["--version"]] {
        let output = tidemill(help);
        assert_eq!(output.status.code(), Some(0), "{help:?}: {}", stderr(&output));
        assert!(!output.stdout.is_empty());
    }
    assert!(stdout(&tidemill(&["events", "publish", "--help"])).contains("Examples:"));
}

#[test]
fn a_role_that_does_not_exist_is_a_usage_error_that_names_those_that_do() {
    let output = tidemill(&["run", "servin"]);
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(text.contains("TM1503") && text.contains("ingestion") && text.contains("monitoring"), "{text}");
}

#[test]
fn an_unknown_setting_is_refused_with_the_nearest_one() {
    let output = tidemill(&["status", "--set", "bus.ulr=nats://127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(text.contains("TM0012") && text.contains("bus.url"), "{text}");
}

#[test]
fn the_flights_project_is_valid_and_the_next_step_is_named() {
    let output = tidemill(&["project", "validate", &flights(), "-o", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((answer["valid"].as_bool(), answer["project"].as_str()), (Some(true), Some("flights")));
    assert!(answer["features"].as_u64().unwrap() >= 39);
    assert!(stderr(&output).contains("next: tidemill project apply"));
    // The same answer in every form.
    let digest = answer["digest"].as_str().unwrap();
    for format in ["table", "jsonl", "csv"] {
        let output = tidemill(&["project", "validate", &flights(), "-o", format]);
        assert!(stdout(&output).contains(digest), "{format}");
    }
}

#[test]
fn a_refused_spec_ends_with_2_and_lists_path_place_and_mend() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("project.yaml");
    let text = std::fs::read_to_string(flights()).unwrap().replace("  embargo: 36h", "  embargoo: 36h");
    std::fs::write(&file, text).unwrap();
    let output = tidemill(&["project", "validate", &file.display().to_string(), "-o", "json"]);
    assert_eq!(output.status.code(), Some(2));
    let answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(answer["valid"], false);
    assert_eq!(answer["problems"][0]["path"], "split.embargoo");
    assert_eq!(answer["problems"][0]["mend"], "did you mean \"embargo\"?");
    assert!(stderr(&output).contains("TM0101"), "{}", stderr(&output));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let output = tidemill(&["project", "validate", "nowhere.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("TM1502") && stderr(&output).contains("nowhere.yaml"), "{}", stderr(&output));
}

#[test]
fn without_an_instance_commands_end_with_4_and_say_how_to_start_one() {
    // Port 9 takes nothing on loopback; `down` looks for the run file alone.
    for command in [&["down"][..], &["project", "apply", &flights(), "--set", "bus.url=nats://127.0.0.1:9"]] {
        let output = tidemill(command);
        assert_eq!(output.status.code(), Some(4), "{command:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("tidemill up"), "{}", stderr(&output));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn completions_are_written_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = tidemill(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        let script = stdout(&output);
        assert!(script.contains("tidemill") && script.contains("doctor") && script.contains("replay"), "{shell}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let output = tidemill(&["man"]);
    assert!(stdout(&output).contains(".TH tidemill 1"), "{}", stdout(&output));
    let folder = tempfile::tempdir().unwrap();
    let output = tidemill(&["man", "--out", &folder.path().display().to_string()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("next: man "), "{}", stderr(&output));
    for page in ["tidemill.1", "tidemill-doctor.1", "tidemill-events-publish.1", "tidemill-models-promote.1"] {
        let text = std::fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{page}");
    }
    assert!(std::fs::read_to_string(folder.path().join("tidemill-doctor.1")).unwrap().contains("Exit codes"));
}

/// Every command, as the help names them.
fn commands(parents: &[&str], found: &mut Vec<Vec<String>>) {
    let help = stdout(&tidemill(&[parents, &["--help"]].concat()));
    let Some((_, list)) = help.split_once("\nCommands:\n") else {
        found.push(parents.iter().map(|parent| (*parent).to_owned()).collect());
        return;
    };
    for line in list.lines().take_while(|line| !line.is_empty()) {
        let name = line.split_whitespace().next().unwrap();
        if name != "help" {
            commands(&[parents, &[name]].concat(), found);
        }
    }
}

#[test]
fn the_help_of_every_command_has_examples_and_names_its_values() {
    let mut all = Vec::new();
    commands(&[], &mut all);
    assert!(all.len() > 30, "{all:?}");
    for command in &all {
        let arguments: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
        let help = stdout(&tidemill(&arguments));
        let name = command.join(" ");
        assert!(help.contains(&format!("tidemill {name}")), "{name}");
        assert!(help.contains("Examples:"), "{name} has no examples: {help}");
    }
}

#[test]
fn a_refused_project_file_is_shown_at_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("project.yaml");
    let flights = std::fs::read_to_string(flights()).unwrap();
    let validate = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let output = tidemill(&["project", "validate", &file.display().to_string()]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stdout(&output).is_empty(), "{}", stdout(&output));
        stderr(&output)
    };
    // A key that does not exist, a name that points nowhere, an expression that names no column, broken YAML.
    let told = validate(&flights.replace("  embargo: 36h", "  embargoo: 36h"));
    assert!(told.contains("|   embargoo: 36h") && told.contains("|   ^^^^^^^^\n"), "{told}");
    assert!(told.contains("did you mean \"embargo\"?") && told.contains("more: tidemill explain TM0101"), "{told}");
    let told = validate(&flights.replace("key: flight_id\n    value", "key: flightid\n    value"));
    assert!(told.contains("key: flightid\n") && told.contains("did you mean \"flight_id\"?"), "{told}");
    let told = validate(&flights.replace("key: [flight_id]", "key: [flight_id"));
    assert!(told.contains("-->") && told.contains("TM0101"), "{told}");
}

/// Runs a command at a terminal, where there is a program that makes one.
#[cfg(target_os = "linux")]
fn at_a_terminal(command: &str, no_color: &str) -> Option<String> {
    let mut script = Command::new("script");
    script.args(["-qec", command, "/dev/null"]).env("NO_COLOR", no_color).env_remove("TIDEMILL_CONFIG");
    Some(stdout(&script.output().ok()?))
}

#[cfg(target_os = "linux")]
#[test]
fn failures_are_red_at_a_terminal_unless_no_color_is_set() {
    let command = format!("{} explain TM0409", env!("CARGO_BIN_EXE_tidemill"));
    let (Some(red), Some(plain)) = (at_a_terminal(&command, ""), at_a_terminal(&command, "1")) else { return };
    assert!(red.contains("\u{1b}[31mTM1514"), "{red:?}");
    assert!(plain.contains("TM1514") && !plain.contains('\u{1b}'), "{plain:?}");
}
