//! One running instance for all transcripts, in a folder that looks like the root of the repository.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tidemill_testkit::{Victim, eventually};

/// Longest wait for the instance, and for a model of one month.
const PATIENCE: Duration = Duration::from_secs(120);
/// Longest wait for the end in good order.
const DRAIN: Duration = Duration::from_secs(60);

/// The folder, and once `tidemill up` was run, what runs in it.
pub(crate) struct Instance {
    folder: TempDir,
    variables: Vec<(String, String)>,
    up: Option<Victim>,
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Every address of the default settings, moved to a free port, so that instances can run side by side.
fn free_addresses() -> Vec<(String, String)> {
    let defaults = std::fs::read_to_string(root().join("infra/config/tidemill.default.toml")).unwrap();
    let mut section = String::new();
    let mut found = Vec::new();
    for line in defaults.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_uppercase();
        }
        if let Some((key, value)) = line.split_once(" = ")
            && value.starts_with("\"127.0.0.1:")
        {
            found.push((format!("TIDEMILL_{section}__{}", key.to_uppercase()), "127.0.0.1:0".to_owned()));
        }
    }
    assert!(found.len() >= 7, "{found:?}");
    found
}

impl Instance {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(root().join("infra"), folder.path().join("infra")).unwrap();
        // The README shows tables under the demo's folder; here the instance's own is the same place.
        std::fs::create_dir_all(folder.path().join("tidemill-data")).unwrap();
        std::fs::create_dir(folder.path().join("target")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("tidemill-data"), folder.path().join("target/demo")).unwrap();
        let mut variables = free_addresses();
        for commit_age in ["TIDEMILL_INGESTION__COMMIT_AGE", "TIDEMILL_MONITORING__COMMIT_AGE"] {
            variables.push((commit_age.into(), "500ms".into()));
        }
        Self { folder, variables, up: None }
    }

    /// The command with the program under test in front of all others of its name.
    fn line(command: &str) -> String {
        let programs = Path::new(env!("CARGO_BIN_EXE_tidemill")).parent().unwrap().display();
        format!("export PATH='{programs}':\"$PATH\"; {command}")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder().join("log")).unwrap_or_default()
    }

    /// A shell that is about to run `command` in the folder.
    pub(crate) fn shell(&self, command: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", &Self::line(command)]).current_dir(self.folder()).stdin(Stdio::null());
        shell.env_remove("TIDEMILL_CONFIG").envs(self.variables.iter().map(|(k, v)| (k.as_str(), v.as_str())));
        shell
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, command: &str) -> Output {
        self.shell(command).output().unwrap()
    }

    /// Runs a command that must succeed, and gives its answer as JSON.
    pub(crate) fn json(&self, command: &str) -> Value {
        let output = self.run(&format!("{command} -o json"));
        let answer = serde_json::from_slice(&output.stdout);
        assert!(answer.is_ok(), "{command}: {answer:?}: {}", String::from_utf8_lossy(&output.stderr));
        answer.unwrap()
    }

    /// Runs a command that stays, and waits until it serves.
    pub(crate) async fn start(&mut self, command: &str) {
        let arguments = ["-c".to_owned(), Self::line(&format!("cd '{}' && exec {command}", self.folder().display()))];
        let log = self.folder().join("log");
        let mut up = Victim::spawn(Path::new("/bin/sh"), arguments, self.variables.clone(), &log).unwrap();
        up.wait_for_log("next: ", PATIENCE).await.unwrap();
        self.up = Some(up);
    }

    /// Waits until a command answers something.
    pub(crate) async fn wait_for(&self, command: &str, what: impl Fn(&Value) -> bool) {
        let mut said = String::new();
        let met = eventually(PATIENCE, || {
            let output = tokio::task::block_in_place(|| self.run(&format!("{command} -o json")));
            said = format!("{output:?}");
            let answer = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
            std::future::ready(output.status.success() && what(&answer))
        });
        let met = met.await;
        let log = self.log();
        let bad: Vec<&str> =
            log.lines().filter(|line| line.contains("\"WARN\"") || line.contains("\"ERROR\"")).collect();
        assert!(met, "{command} never said what it should, but {said}\n{}", bad.join("\n"));
    }

    /// Addresses by which programs reach the instance.
    pub(crate) fn run_file(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.folder().join("tidemill-data/run.json")).unwrap()).unwrap()
    }

    /// The process must have ended by itself, in good order.
    pub(crate) async fn ended(&mut self) {
        let status = self.up.as_mut().unwrap().wait(DRAIN).await.unwrap();
        assert_eq!(status.code(), Some(0), "{}", self.log());
        self.up = None;
    }
}
