//! One serving role against a real nats-server, a folder as object store and signed bundles.

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use arrow::ipc::writer::StreamWriter;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tidemill_bus::{Bus, BusOptions};
use tidemill_learn::{Params, TrainData, learner};
use tidemill_registry::{
    BundleBytes, BundleWriter, Input, InputKind, ManifestDraft, MoveRequest, NewVersion, Registry, SigningKey,
    TrustedKeys, file, store,
};
use tidemill_runtime::{CancellationToken, Readiness};
use tidemill_servers::{NatsOptions, NatsServer, Obtain, nats_server};
use tidemill_serving::{Config, Deps, Error};
use tidemill_spec::Spec;
use tidemill_storage::{S3Options, Storage};
use tidemill_telemetry::Metrics;
use tidemill_transform::Split;
use tidemill_types::{Digest, Millis, ProjectName};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) const THRESHOLD: f64 = 0.5;

pub(crate) struct Harness {
    pub(crate) dir: TempDir,
    /// Lives as long as the rest.
    _nats: NatsServer,
    pub(crate) bus: Bus,
    pub(crate) registry: Registry,
    pub(crate) storage: Storage,
    pub(crate) key: SigningKey,
}

pub(crate) struct Role {
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) readiness: Readiness,
    pub(crate) metrics: Metrics,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

impl Role {
    pub(crate) async fn end(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }
}

pub(crate) fn project() -> ProjectName {
    "flights".parse().unwrap()
}

/// Rows with a number and a category.
pub(crate) fn rows(n: usize) -> RecordBatch {
    let x: ArrayRef = Arc::new((0..n).map(|i| Some((i % 17) as f64 / 17.0)).collect::<Float64Array>());
    let carrier: ArrayRef = Arc::new((0..n).map(|i| Some(["UA", "B6", "DL"][i % 3])).collect::<StringArray>());
    RecordBatch::try_from_iter_with_nullable([("x", x, true), ("carrier", carrier, true)]).unwrap()
}

impl Harness {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let binary = nats_server(&Obtain::from_env()).await.unwrap();
        let nats = NatsServer::start(NatsOptions::new(binary, dir.path().join("nats"))).await.unwrap();
        let bus = Bus::connect(BusOptions::new(nats.url(), "serving-test")).await.unwrap();
        let registry = Registry::open(&bus).await.unwrap();
        let url = format!("file://{}", dir.path().join("store").display());
        let storage = Storage::open(&url, &S3Options::default()).unwrap();
        Self { dir, _nats: nats, bus, registry, storage, key: SigningKey::generate().unwrap() }
    }

    pub(crate) async fn role(&self, feature_endpoint: &str) -> Role {
        let text = include_str!("../../../../infra/examples/flights/project.yaml");
        let spec = Arc::new(Spec::parse(text).unwrap());
        let grpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (grpc_address, http_address) = (grpc.local_addr().unwrap(), http.local_addr().unwrap());
        let (metrics, readiness, shutdown) = (Metrics::new(), Readiness::new(), CancellationToken::new());
        let deps = Deps {
            bus: self.bus.clone(),
            storage: self.storage.clone(),
            trusted: TrustedKeys::default().with(&self.key.id()).unwrap(),
            specs: vec![spec],
            feature_endpoint: feature_endpoint.to_owned(),
            grpc,
            http,
            metrics: metrics.clone(),
            readiness: readiness.clone(),
            shutdown: shutdown.clone(),
            spool_dir: self.dir.path().join("spool"),
            config: Config { log_wait_ms: 20, ..Config::default() },
        };
        let task = tokio::spawn(tidemill_serving::run(deps));
        Role { grpc: grpc_address, http: http_address, readiness, metrics, shutdown, task }
    }

    /// A logistic model; `flip` learns the opposite label.
    pub(crate) fn bundle(&self, flip: bool, key: &SigningKey, tamper: impl Fn(&mut Vec<f64>)) -> BundleBytes {
        let batch = rows(400);
        let labels: Vec<bool> = (0..400).map(|i| (i % 17 > 8) != flip).collect();
        let split = Split::all_training(400).unwrap();
        let data = TrainData { batch: &batch, labels: &labels, rows: split.train(), valid: None };
        let model = learner("logistic").unwrap().fit(&data, &Params::new(), 7).unwrap().model;
        let examples = batch.slice(0, 50);
        let mut expected = model.predict(&examples).unwrap();
        tamper(&mut expected);
        let mut stream = Vec::new();
        let mut writer = StreamWriter::try_new(&mut stream, &examples.schema()).unwrap();
        writer.write(&examples).unwrap();
        writer.finish().unwrap();
        drop(writer);
        let input = |name: &str, kind| Input { name: name.to_owned(), kind };
        let draft = ManifestDraft {
            project: project(),
            run: "run-1".parse().unwrap(),
            created_at: Millis(0),
            task: "binary".to_owned(),
            learner: "logistic".to_owned(),
            inputs: vec![input("x", InputKind::Number), input("carrier", InputKind::Category)],
            target: "disrupted".to_owned(),
            // The digest covers the manifest without its signature: another signer is to make another bundle.
            params: serde_json::json!({ "signer": key.id() }),
            seeds: Default::default(),
            metrics: Default::default(),
            threshold: Some(THRESHOLD),
            budget: Some(0.1),
            quality: std::collections::BTreeMap::new(),
            spec_digest: Digest::of(b"spec"),
            code: "test".to_owned(),
            data_digest: Digest::of(b"data"),
            lineage: Vec::new(),
        };
        let writer = BundleWriter::new(draft).model(model.save().unwrap()).unwrap();
        let writer = writer.file(file::EXAMPLES, stream).unwrap();
        writer.file(file::EXPECTED, serde_json::to_vec(&expected).unwrap()).unwrap().sign(key).unwrap()
    }

    /// Stores, registers and promotes a bundle.
    pub(crate) async fn promote(&self, alias: &str, bundle: &BundleBytes) -> Digest {
        store(&self.storage, bundle).await.unwrap();
        let digest = bundle.digest.clone();
        let new = NewVersion { digest: digest.clone(), run: "run-1".parse().unwrap(), cycle: None, created: Millis(0) };
        self.registry.register(&project(), &new).await.unwrap();
        let now = self.registry.alias(&project(), alias).await.unwrap().map(|s| s.entry.digest);
        let request =
            MoveRequest { by: "test".to_owned(), reason: "test".to_owned(), at: Millis(0), traceparent: None };
        self.registry.set_alias(&project(), alias, &digest, now.as_ref(), request).await.unwrap();
        digest
    }
}

/// Waits for a condition, at most thirty seconds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let wait = async {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        while !holds().await {
            tick.tick().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(30), wait).await.is_ok(), "{what}");
}
