//! A bus, a store, ingestion and validation of one small project, and the program under test beside them.

use crate::pages;
use serde_json::Value;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tidemill_bus::{BatchPublisher, Bus, Headers, Outgoing};
use tidemill_contracts::{headers, subjects};
use tidemill_dataset::Table;
use tidemill_spec::Spec;
use tidemill_telemetry::Metrics;
use tidemill_testkit::{Nats, Store, eventually};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);

/// The servers, the roles and the folder in which commands run.
pub(crate) struct Place {
    nats: Nats,
    pub(crate) store: Store,
    pub(crate) bus: Bus,
    pub(crate) spec: Arc<Spec>,
    folder: tempfile::TempDir,
    stop: CancellationToken,
    roles: Vec<JoinHandle<()>>,
}

impl Place {
    /// Applies the project by the command, and starts the two roles.
    pub(crate) async fn start(spec_text: &str) -> Self {
        let mut place = Self::prepare(spec_text).await;
        place.start_ingestion().await;
        place.start_validation().await;
        place
    }

    /// Applies the project by the command; no role runs.
    pub(crate) async fn prepare(spec_text: &str) -> Self {
        let nats = Nats::start().await.unwrap();
        let bus = nats.bus().await.unwrap();
        let spec = Arc::new(Spec::parse(spec_text).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let store = Store::local().unwrap();
        let place = Self { nats, store, bus, spec, folder, stop: CancellationToken::new(), roles: Vec::new() };
        place.apply(spec_text);
        place
    }

    fn apply(&self, spec_text: &str) {
        std::fs::write(self.folder.path().join("project.yaml"), spec_text).unwrap();
        self.json("project apply project.yaml");
    }

    /// The same place under another form of its project: both roles end, and begin again with it.
    pub(crate) async fn restarted(mut self, spec_text: &str) -> Self {
        self.stop.cancel();
        for role in std::mem::take(&mut self.roles) {
            role.await.unwrap();
        }
        self.apply(spec_text);
        (self.spec, self.stop) = (Arc::new(Spec::parse(spec_text).unwrap()), CancellationToken::new());
        self.start_ingestion().await;
        self.start_validation().await;
        self
    }

    /// Starts ingestion.
    pub(crate) async fn start_ingestion(&mut self) {
        let deps = tidemill_ingestion::Deps {
            bus: self.nats.bus().await.unwrap(),
            storage: self.store.storage().clone(),
            spec: Arc::clone(&self.spec),
            options: tidemill_ingestion::Options {
                commit_age: Duration::from_millis(50),
                ..tidemill_ingestion::Options::default()
            },
            http: None,
            metrics: Metrics::new(),
        };
        let stop = self.stop.clone();
        self.roles.push(tokio::spawn(async move { tidemill_ingestion::run(deps, stop).await.unwrap() }));
    }

    /// Starts validation.
    pub(crate) async fn start_validation(&mut self) {
        let deps = tidemill_validation::Deps {
            bus: self.nats.bus().await.unwrap(),
            storage: self.store.storage().clone(),
            spec: Arc::clone(&self.spec),
            metrics: Metrics::new(),
        };
        let stop = self.stop.clone();
        self.roles.push(tokio::spawn(async move { tidemill_validation::run(deps, stop).await.unwrap() }));
    }

    /// Starts the console; no other service answers it. Gives where its pages are.
    pub(crate) async fn start_console(&mut self) -> String {
        let bus = self.nats.bus().await.unwrap();
        let console = pages::console(bus, self.store.storage(), &self.spec, self.stop.clone());
        let (host, console) = console.await.unwrap();
        self.roles.push(tokio::spawn(async move { console.await.unwrap().unwrap() }));
        host
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, command: &str) -> Output {
        self.run_with(command, "")
    }

    /// Runs a command with something on its standard input.
    pub(crate) fn run_with(&self, command: &str, input: &str) -> Output {
        let mut program = Command::new(env!("CARGO_BIN_EXE_tidemill"));
        program.args(command.split_whitespace()).current_dir(self.folder.path());
        for (key, value) in
            [("bus.url", self.nats.url()), ("store.url", self.store.url()), ("project", self.spec.project.to_string())]
        {
            program.arg("--set").arg(format!("{key}={value}"));
        }
        program.env_remove("TIDEMILL_CONFIG").env("NO_COLOR", "1").env("USER", "ann");
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = program.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// The JSON answer of a command that must succeed.
    pub(crate) fn json(&self, command: &str) -> Value {
        let output = self.run(&format!("{command} -o json"));
        answer(command, &output)
    }

    /// The same with something on its standard input.
    pub(crate) fn json_with(&self, command: &str, input: &str) -> Value {
        let output = self.run_with(&format!("{command} -o json"), input);
        answer(command, &output)
    }

    /// A file in the folder of the commands.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Publishes messages one after the other, each with an id and a body, and waits until they are in the tables.
    pub(crate) async fn publish(&self, messages: &[(&str, String)]) {
        self.send(messages).await;
        self.caught_up().await;
    }

    /// Publishes messages one after the other, each with an id and a body.
    pub(crate) async fn send(&self, messages: &[(&str, String)]) {
        let source = self.spec.sources.keys().next().unwrap();
        let subject = subjects::events(&self.spec.project, source);
        let message = |(id, body): &(&str, String)| {
            let given = [
                (headers::CE_SPECVERSION, "1.0"),
                (headers::CE_ID, *id),
                (headers::CE_SOURCE, "/meters"),
                (headers::CE_TYPE, "reading"),
                (headers::CONTENT_TYPE, "application/json"),
            ];
            Outgoing::new(subject.clone(), body.clone()).with_headers(Headers::from_pairs(given).unwrap())
        };
        let messages: Vec<Outgoing> = messages.iter().map(message).collect();
        BatchPublisher::new(&self.bus).publish(&messages).await.unwrap();
    }

    /// Stores a dead letter as ingestion would; its number.
    pub(crate) async fn letter(&self, subject: &str, code: &str, row: Option<u64>, body: String) -> u64 {
        let before = self.bus.stream_state(subjects::DEAD_STREAM).await.unwrap().last_seq;
        let (seq, row) = ((1_000 + before).to_string(), row.map(|row| row.to_string()));
        let given = [
            (headers::CONTENT_TYPE, "application/json"),
            (headers::DEAD_CODE, code),
            (headers::DEAD_REASON, "a test"),
            (headers::DEAD_STREAM, "TM_EVENTS_meters_readings@1"),
            (headers::DEAD_SEQ, &seq),
        ];
        let row = row.as_deref().map(|row| (headers::DEAD_ROW, row));
        let headers = Headers::from_pairs(given.into_iter().chain(row)).unwrap();
        self.bus.publish(subject, &headers, body).await.unwrap().sequence
    }

    /// Drops the messages of a stream before a sequence, as their age would.
    pub(crate) async fn expire(&self, stream: &str, before: u64) {
        let client = async_nats::connect(self.nats.url()).await.unwrap();
        let stream = async_nats::jetstream::new(client).get_stream(stream).await.unwrap();
        stream.purge().sequence(before).await.unwrap();
    }

    /// Waits until the raw table holds everything that is on the bus.
    pub(crate) async fn taken_in(&self) {
        let met = eventually(PATIENCE, || async { self.raw_version().await.is_some() });
        assert!(met.await, "the raw table has not caught up");
    }

    /// Waits until both tables hold everything that is on the bus.
    pub(crate) async fn caught_up(&self) {
        let source = self.spec.sources.keys().next().unwrap();
        let (raw, clean) = (format!("raw/meters/{source}"), format!("clean/meters/{source}"));
        let met = eventually(PATIENCE, || async {
            let Some(version) = self.raw_version().await else { return false };
            let Ok(clean) = Table::open(self.store.storage(), &clean).await else { return false };
            let validated = clean.load().await.unwrap().done(&raw).await.unwrap().unwrap_or(0);
            validated >= i64::try_from(version).unwrap()
        });
        assert!(met.await, "the tables have not caught up");
    }

    /// Version of the raw table, when it holds everything that is on the bus.
    async fn raw_version(&self) -> Option<u64> {
        let source = self.spec.sources.keys().next().unwrap();
        let stream = subjects::events_stream(&self.spec.project, source);
        let state = self.bus.stream_state(&stream).await.unwrap();
        let table = Table::open(self.store.storage(), &format!("raw/meters/{source}")).await.ok()?;
        let snapshot = table.load().await.unwrap();
        let done = snapshot.done(&state.incarnation(&stream)).await.unwrap().unwrap_or(0);
        (done >= i64::try_from(state.last_seq).unwrap()).then(|| snapshot.version())
    }

    /// Numbers of the readings in the raw table, in the order of the events.
    pub(crate) async fn numbers(&self) -> Vec<i64> {
        use arrow::array::AsArray as _;
        use arrow::datatypes::Int64Type;
        let table = Table::open(self.store.storage(), "raw/meters/readings").await.unwrap();
        let snapshot = table.load().await.unwrap();
        let batches = table.scan(&snapshot, Some(&["n"]), None).collect().await.unwrap();
        batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
    }

    /// Stops the roles.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        for role in self.roles {
            role.await.unwrap();
        }
    }
}

fn answer(command: &str, output: &Output) -> Value {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {told}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{command}: {e}: {told}"))
}

/// A reading as JSON.
pub(crate) fn reading(n: i64, value: f64) -> String {
    let at = tidemill_types::Millis(1_704_067_200_000 + n * 60_000);
    format!(r#"{{"n":{n},"at":"{at}","meter":"meter-{}","value":{value:?}}}"#, n % 7)
}

/// The project of the tests, with more behind it.
pub(crate) fn meters(more: &str) -> String {
    format!("{}\n{more}", include_str!("../../../../tests/data/meters.yaml"))
}
