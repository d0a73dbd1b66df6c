//! One process for each role, as in containers: every one with its own key for the bus and the store, and no right
//! that it does not need.
#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use tidemill_bus::{Bus, BusOptions, Credentials, Headers};
use tidemill_servers::{NatsOptions, NatsServer, Obtain, SeaweedFs, SeaweedOptions, nats_server, seaweedfs};
use tidemill_storage::{S3Options, Storage};
use tidemill_testkit::{Victim, eventually};

/// Roles and the settings of the addresses at which they listen.
const ROLES: [(&str, &[&str]); 8] = [
    ("ingestion", &["INGESTION__HTTP"]),
    ("validation", &[]),
    ("feature", &["FEATURE__GRPC"]),
    ("training", &["TRAINING__GRPC"]),
    ("evaluation", &["EVALUATION__GRPC"]),
    ("serving", &["SERVING__GRPC", "SERVING__HTTP"]),
    ("monitoring", &["MONITORING__GRPC"]),
    ("console", &["CONSOLE__HTTP"]),
];
const PATIENCE: Duration = Duration::from_secs(180);
/// What nats-server writes when it denies a subject: "Publish Violation" or "Subscription Violation".
const VIOLATION: &str = " Violation - ";

/// A system of processes, in a temporary folder.
struct System {
    dir: tempfile::TempDir,
    nats: NatsServer,
    store: SeaweedFs,
    /// Address of each setting in [`ROLES`], and of the health of each role.
    addresses: BTreeMap<String, String>,
    roles: BTreeMap<&'static str, Victim>,
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/examples/flights").join(name)
}

fn tidemill() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tidemill"))
}

fn succeed(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {out}{err}", output.status);
    out.into_owned()
}

/// Addresses that were free a moment ago; all are held until the last is known. Their ports are none of those that the
/// system gives to connections, of which one could sit on the address of a role while that is started again.
fn free_addresses(names: BTreeSet<String>) -> BTreeMap<String, String> {
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    let mut free = (first..32_000).filter_map(|port| std::net::TcpListener::bind(("127.0.0.1", port)).ok());
    let held: Vec<_> = names.into_iter().map(|name| (name, free.next().unwrap())).collect();
    held.into_iter().map(|(name, listener)| (name, listener.local_addr().unwrap().to_string())).collect()
}

impl System {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let secrets = dir.path().join("secrets");
        let mut init = tidemill();
        init.args(["secrets", "init"]).arg(&secrets).arg("--project").arg(example("project.yaml"));
        init.arg("--nats-store").arg(dir.path().join("jetstream"));
        succeed(&init.output().unwrap());
        let obtain = Obtain::from_env();
        let config = std::fs::read_to_string(secrets.join("nats/nats.conf")).unwrap();
        let options = NatsOptions::new(nats_server(&obtain).await.unwrap(), dir.path().join("nats"));
        let nats = NatsServer::start(NatsOptions { config: Some(config), ..options }).await.unwrap();
        let seaweed = dir.path().join("seaweedfs");
        std::fs::create_dir(&seaweed).unwrap();
        std::fs::copy(secrets.join("seaweedfs/s3.json"), seaweed.join("s3.json")).unwrap();
        let store = SeaweedFs::start(SeaweedOptions::new(seaweedfs(&obtain).await.unwrap(), &seaweed)).await.unwrap();
        let listened = ROLES.iter().flat_map(|(_, settings)| settings.iter().map(|s| (*s).to_owned()));
        let health = ROLES.iter().map(|(role, _)| format!("health {role}"));
        let addresses = free_addresses(listened.chain(health).collect());
        Self { dir, nats, store, addresses, roles: BTreeMap::new() }
    }

    /// The environment of a process that has the keys of `identity`.
    fn environment(&self, identity: &str) -> Vec<(String, String)> {
        let folder = self.dir.path().join("secrets").join(identity);
        let file = |name: &str| folder.join(name).display().to_string();
        let mut all = vec![
            ("BUS__URL".to_owned(), self.nats.url()),
            ("BUS__NKEY_FILE".to_owned(), file("nkey.seed")),
            ("STORE__URL".to_owned(), format!("s3://{}", self.store.bucket())),
            ("STORE__ENDPOINT".to_owned(), self.store.endpoint()),
            ("STORE__ACCESS_KEY_FILE".to_owned(), file("access.key")),
            ("STORE__SECRET_KEY_FILE".to_owned(), file("secret.key")),
            ("KEYS__TRUSTED_FILE".to_owned(), file("trusted.keys")),
            ("ADMIN__BIND".to_owned(), "127.0.0.1:0".to_owned()),
            ("DATA_DIR".to_owned(), self.dir.path().join("data").join(identity).display().to_string()),
        ];
        for (setting, peer) in [
            ("FEATURE__GRPC", "FEATURE"),
            ("TRAINING__GRPC", "TRAINING"),
            ("EVALUATION__GRPC", "EVALUATION"),
            ("SERVING__GRPC", "SERVING"),
            ("SERVING__HTTP", "SERVING_HTTP"),
            ("MONITORING__GRPC", "MONITORING"),
        ] {
            all.push((format!("PEERS__{peer}"), format!("http://{}", self.addresses[setting])));
        }
        if identity == "training" {
            all.push(("KEYS__SIGNING_FILE".to_owned(), file("signing.key")));
        }
        if let Some((_, settings)) = ROLES.iter().find(|(role, _)| *role == identity) {
            all.push(("ADMIN__GRPC".to_owned(), self.addresses[&format!("health {identity}")].clone()));
            all.extend(settings.iter().map(|setting| ((*setting).to_owned(), self.addresses[*setting].clone())));
        }
        all.into_iter().map(|(name, value)| (format!("TIDEMILL_{name}"), value)).collect()
    }

    fn run(&mut self, role: &'static str) {
        let log = self.dir.path().join(format!("{role}.log"));
        let program = Path::new(env!("CARGO_BIN_EXE_tidemill"));
        let victim = Victim::spawn(program, ["run", role], self.environment(role), &log).unwrap();
        self.roles.insert(role, victim);
    }

    /// What `tidemill …` answers to an operator, as JSON.
    fn ask(&self, arguments: &[&str]) -> Value {
        let output = tidemill().args(arguments).args(["-o", "json"]).envs(self.environment("operator")).output();
        serde_json::from_str(&succeed(&output.unwrap())).unwrap()
    }

    fn health(&self, role: &str, arguments: &[&str]) -> Option<i32> {
        let output = tidemill().arg("health").args(arguments).envs(self.environment(role)).output().unwrap();
        output.status.code()
    }

    fn nats_log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.nats.log()).unwrap()).into_owned()
    }

    async fn bus(&self, identity: &str) -> Bus {
        let seed = std::fs::read_to_string(self.dir.path().join("secrets").join(identity).join("nkey.seed")).unwrap();
        let mut options = BusOptions::new(self.nats.url(), "test");
        options.credentials = Credentials::NkeySeed(seed);
        options.request_timeout = Duration::from_secs(5);
        Bus::connect(options).await.unwrap()
    }

    fn storage(&self, identity: &str) -> Storage {
        let folder = self.dir.path().join("secrets").join(identity);
        let options = S3Options {
            endpoint: Some(self.store.endpoint()),
            access_key_id: Some(std::fs::read_to_string(folder.join("access.key")).unwrap()),
            secret_access_key: Some(std::fs::read_to_string(folder.join("secret.key")).unwrap()),
            allow_http: true,
            ..S3Options::default()
        };
        Storage::open(&format!("s3://{}", self.store.bucket()), &options).unwrap()
    }

    /// Rows in the raw tables, once nothing on the bus is ahead of them.
    fn rows(&self) -> Option<i64> {
        let status = self.ask(&["status"]);
        let sources = status["sources"].as_array().unwrap();
        let sum = |column: &str| sources.iter().map(|source| source[column].as_i64().unwrap()).sum::<i64>();
        (sum("lag") == 0).then(|| sum("rows"))
    }

    /// Publishes history up to a day; gives the rows that were published.
    fn replay(&self, until: &str) -> i64 {
        let plan = example("replay.yaml");
        self.ask(&["events", "replay", plan.to_str().unwrap(), "--until", until])["rows"].as_i64().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_for_each_role_with_no_more_rights_than_it_needs() {
    let mut system = System::start().await;
    // Roles may come before the project, and in any order.
    for (role, _) in ROLES.into_iter().rev() {
        system.run(role);
    }
    let applied = system.ask(&["project", "apply", example("project.yaml").to_str().unwrap()]);
    assert_eq!(applied["changed"], true, "{applied}");
    for (role, _) in ROLES {
        let lives = || std::future::ready(system.health(role, &[]) == Some(0));
        assert!(eventually(PATIENCE, lives).await, "{role}: {}", last_words(&system, role));
    }
    assert_eq!(system.health("serving", &["--ready"]), Some(3), "there is no champion yet");

    let first = system.replay("2013-01-20");
    // One is killed and one is stopped and started again while events lie on the bus.
    system.roles.get_mut("ingestion").unwrap().kill().await.unwrap();
    system.roles.remove("monitoring");
    let published = first + system.replay("2013-02-01");
    system.run("ingestion");
    system.run("monitoring");
    let done = || std::future::ready(system.rows() == Some(published));
    let caught_up = eventually(PATIENCE, done).await;
    assert!(caught_up, "{published} published: {}, {}", system.ask(&["status"]), last_words(&system, "ingestion"));

    system.ask(&["train", "--as-of", "2013-02-01"]);
    let ready = || std::future::ready(system.health("serving", &["--ready"]) == Some(0));
    assert!(eventually(PATIENCE, ready).await, "{}", last_words(&system, "training"));
    for key in ["26732", "26733", "26734"] {
        let answer = system.ask(&["predict", "--key", key, "--as-of", "2013-01-31T20:00:00Z"]);
        assert!(answer.to_string().contains("score"), "{answer}");
    }
    let logged = || std::future::ready(system.ask(&["status"])["predictions"]["logged"] == 3);
    assert!(eventually(PATIENCE, logged).await, "{}", system.ask(&["status"]));

    let log = system.nats_log();
    let violations: Vec<&str> = log.lines().filter(|line| line.contains(VIOLATION)).collect();
    assert!(violations.is_empty(), "{violations:#?}");
    nothing_is_open_from_inside(&system);
    a_key_opens_nothing_else(&system).await;
}

/// `doctor` with the keys of a role finds nothing open: what those keys may not ask is no fault.
fn nothing_is_open_from_inside(system: &System) {
    for (role, _) in ROLES {
        let output = tidemill().args(["doctor", "-o", "json"]).envs(system.environment(role)).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{role}: {}{said}", String::from_utf8_lossy(&output.stdout));
        assert!(!said.contains("ERROR"), "{role}: {said}");
    }
}

/// The keys of serving neither publish events nor write tables; those of nobody get in at all.
async fn a_key_opens_nothing_else(system: &System) {
    let bus = system.bus("serving").await;
    let refused = bus.publish("tm.events.flights.weather", &Headers::new(), "{}").await.unwrap_err();
    assert!(matches!(refused, tidemill_bus::Error::Denied(_)), "{refused}");
    assert!(system.nats_log().contains(VIOLATION));
    let anonymous = Bus::connect(BusOptions::new(system.nats.url(), "test")).await.unwrap_err();
    assert!(matches!(anonymous, tidemill_bus::Error::Denied(_)), "{anonymous}");

    let serving = system.storage("serving");
    assert!(!serving.list("raw").await.unwrap().is_empty());
    assert!(serving.put("raw/flights/weather/mine", "x").await.is_err());
    let ingestion = system.storage("ingestion");
    assert!(ingestion.put("models/mine", "x").await.is_err());
    ingestion.put("raw/flights/mine", "x").await.unwrap();
}

fn last_words(system: &System, role: &str) -> String {
    let log = std::fs::read_to_string(system.roles[role].log()).unwrap_or_default();
    let mut last: Vec<&str> = log.lines().rev().take(12).collect();
    last.reverse();
    last.join("\n")
}
