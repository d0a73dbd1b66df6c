//! Shared datasets, read by a client that is not ours: rows and columns as the project file gives them, with manifests
//! that can be checked by anybody.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[expect(unreachable_pub, reason = "the test tiers export it from their library")]
#[path = "../../../tests/src/python.rs"]
mod python;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use tidemill_testkit::{Victim, eventually};

const PATIENCE: Duration = Duration::from_secs(120);

/// Settings of addresses; each takes a free port.
const LISTENERS: [&str; 9] = [
    "admin.bind",
    "ingestion.http",
    "feature.grpc",
    "training.grpc",
    "evaluation.grpc",
    "serving.grpc",
    "serving.http",
    "monitoring.grpc",
    "console.http",
];

/// What the partner gets of the birds: fewer columns than the share, and of Gentoo penguins only.
const SHARES: &str = "
share:
  birds:
    source: penguins
    purpose: a joint study of body mass
    columns: [penguin, species, island, body_mass_g]
    where: body_mass_g is not null
    partners:
      institute: {columns: [species, body_mass_g, penguin], where: \"species = 'Gentoo'\"}
      zoo: {}
  islands:
    source: penguins
    purpose: a map
    partners:
      institute: {until: \"2020-01-01T00:00:00Z\"}
  not_theirs:
    source: penguins
    purpose: a map
    partners: {zoo: {}}
";

struct Instance {
    folder: tempfile::TempDir,
    victim: Victim,
    flight: String,
}

fn program(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill"));
    command.args(arguments).args(["-o", "json"]).current_dir(folder).env_remove("TIDEMILL_CONFIG").output().unwrap()
}

fn answer(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)))
}

impl Instance {
    /// An instance with the birds in it; the token of the partner comes second.
    async fn start() -> (Self, String) {
        let folder = tempfile::tempdir().unwrap();
        let example =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/examples/penguins").canonicalize().unwrap();
        let text = std::fs::read_to_string(example.join("project.yaml")).unwrap();
        std::fs::write(folder.path().join("project.yaml"), format!("{text}{SHARES}")).unwrap();
        let made = answer(&program(folder.path(), &["share", "token", "institute"]));
        std::fs::write(folder.path().join("tokens.txt"), format!("{}\n", made["line"].as_str().unwrap())).unwrap();
        let place = |name: &str| folder.path().join(name).display().to_string();
        let (project, data) = (place("project.yaml"), place("data"));
        let mut arguments = ["up", "--project", &project, "--data-dir", &data].map(str::to_owned).to_vec();
        let settings =
            ["validation.flight=127.0.0.1:0".to_owned(), format!("validation.tokens_file={}", place("tokens.txt"))];
        let settings = settings.into_iter().chain(LISTENERS.map(|key| format!("{key}=127.0.0.1:0")));
        arguments.extend(settings.flat_map(|setting| ["--set".to_owned(), setting]));
        let log = folder.path().join("log");
        let mut victim = Victim::spawn(Path::new(env!("CARGO_BIN_EXE_tidemill")), arguments, [], &log).unwrap();
        victim.wait_for_log("next: ", PATIENCE).await.unwrap();
        // Each row gets a number and the middle of November of its year.
        let text = std::fs::read_to_string(example.join("data/penguins.csv")).unwrap();
        let row = |(number, line): (usize, &str)| match number {
            0 => format!("penguin,measured_at,{line}\n"),
            _ => format!("{number},{}-11-15T00:00:00Z,{line}\n", line.split(',').nth(7).unwrap()),
        };
        std::fs::write(folder.path().join("birds.csv"), text.lines().enumerate().map(row).collect::<String>()).unwrap();
        let run: Value = serde_json::from_slice(&std::fs::read(folder.path().join("data/run.json")).unwrap()).unwrap();
        let flight = run["endpoints"]["shares"].as_str().unwrap().replacen("http", "grpc", 1);
        let instance = Self { folder, victim, flight };
        let sent = instance.run(&["events", "publish", "--source", "penguins", "birds.csv"]);
        assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
        (instance, made["token"].as_str().unwrap().to_owned())
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut all = arguments.to_vec();
        all.extend(["--data-dir", "data"]);
        program(self.folder.path(), &all)
    }

    async fn clean_rows(&self) -> bool {
        eventually(PATIENCE, async || {
            let shown = self.run(&["dataset", "show", "clean/penguins/penguins"]);
            shown.status.success() && answer(&shown)["rows"].as_u64() == Some(344)
        })
        .await
    }
}

fn partner(instance: &Instance, token: &str) -> Value {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let python = python::environment("share", &tests.join("share.requirements.txt")).unwrap();
    let folder: PathBuf = instance.folder.path().to_owned();
    let output =
        Command::new(python).arg(tests.join("share.py")).args([&instance.flight, token]).arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    answer(&output)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partner_reads_the_rows_and_columns_given_and_can_prove_what_they_were() {
    let (mut instance, token) = Instance::start().await;
    assert!(instance.clean_rows().await);
    let seen = partner(&instance, &token);
    assert_eq!(seen["without_token"], "FlightUnauthenticatedError");
    for foreign in ["of_others", "forged", "writing"] {
        assert!(seen[foreign].is_string(), "{foreign}: {seen}");
    }
    assert_eq!(seen["actions"], serde_json::json!(["manifest"]));
    // What is over, or for others, is not even listed.
    let flights = seen["flights"].as_object().unwrap();
    assert_eq!(flights.keys().collect::<Vec<_>>(), ["birds"]);
    let birds = &flights["birds"];
    // In the order of the share; 124 Gentoo penguins, of which one was not weighed.
    assert_eq!(birds["columns"], serde_json::json!(["penguin", "species", "body_mass_g"]));
    assert_eq!((birds["rows"].as_u64(), &birds["species"]), (Some(123), &serde_json::json!(["Gentoo"])));
    let manifest = &birds["manifest"];
    assert_eq!(manifest["rows"], 123);
    assert_eq!(manifest["purpose"], "a joint study of body mass");
    assert_eq!(manifest["contract"]["kind"], "DataContract");
    assert!(manifest["quality"]["checked"].as_u64().unwrap() > 0, "{manifest}");

    // Anybody with the public key can check both, and a row too few is noticed.
    let trusted = instance.folder.path().join("data/keys/manifest.key.pub").display().to_string();
    let verify = |rows: &str| instance.run(&["share", "verify", "birds.json", rows, "--trusted", &trusted]);
    let good = verify("birds.parquet");
    assert_eq!(answer(&good)["signature"], "good", "{}", String::from_utf8_lossy(&good.stderr));
    let all = instance.run(&["dataset", "export", "clean/penguins/penguins", "--out", "all.parquet"]);
    assert!(all.status.success(), "{}", String::from_utf8_lossy(&all.stderr));
    let other = verify("all.parquet");
    assert_eq!(other.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&other.stderr).contains("TM0765"), "{}", String::from_utf8_lossy(&other.stderr));
    let forged = std::fs::read_to_string(instance.folder.path().join("birds.json")).unwrap();
    std::fs::write(instance.folder.path().join("birds.json"), forged.replace("body mass", "body mess")).unwrap();
    assert!(String::from_utf8_lossy(&verify("birds.parquet").stderr).contains("TM0764"));

    let pid = instance.victim.pid().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    instance.victim.wait(PATIENCE).await.unwrap();
}
