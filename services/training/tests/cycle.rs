//! A cycle on a real bus: from a notice to a signed candidate, once, whatever comes twice.
#![allow(clippy::unwrap_used, reason = "tests")]

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use prost::Message as _;
use std::sync::Arc;
use std::time::Duration;
use tidemill_bus::{Bus, OrderedReader, Retention, StreamSpec};
use tidemill_contracts::events::{CandidateTrained, Notice, RetrainRequested, notice::Fact};
use tidemill_contracts::feature::feature_service_server::{FeatureService, FeatureServiceServer};
use tidemill_contracts::feature::{
    BuildTrainingSetRequest, BuildTrainingSetResponse, DescribeRequest, DescribeResponse, ReadOnlineRequest,
    ReadOnlineResponse,
};
use tidemill_contracts::{headers, paths, subjects};
use tidemill_features::Plan;
use tidemill_learn::Model;
use tidemill_quality::{Freshness, QualityReport, Tally, score};
use tidemill_registry::{SigningKey, TrustedKeys};
use tidemill_spec::Spec;
use tidemill_stats::TableProfile;
use tidemill_storage::{S3Options, Storage};
use tidemill_telemetry::Metrics;
use tidemill_testkit::Nats;
use tidemill_training::{ColumnRole, Deps, Options, RunRecord, RunState, run, run_path};
use tidemill_types::{Digest, Millis, SourceName};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

const DAY: i64 = 86_400_000;
const ROWS: i64 = 6_000;

/// Serves one stored training set, as the feature service does.
struct Stored {
    path: String,
    digest: String,
    plan: String,
}

#[tonic::async_trait]
impl FeatureService for Stored {
    async fn read_online(&self, _: Request<ReadOnlineRequest>) -> Result<Response<ReadOnlineResponse>, Status> {
        Err(Status::unimplemented("training reads no online features"))
    }
    async fn describe(&self, _: Request<DescribeRequest>) -> Result<Response<DescribeResponse>, Status> {
        Err(Status::unimplemented("training describes no features"))
    }
    async fn build_training_set(
        &self,
        request: Request<BuildTrainingSetRequest>,
    ) -> Result<Response<BuildTrainingSetResponse>, Status> {
        let request = request.into_inner();
        assert_eq!((request.from_ms, request.to_ms), (0, request.known_by_ms));
        Ok(Response::new(BuildTrainingSetResponse {
            path: self.path.clone(),
            rows: ROWS as u64,
            labelled: ROWS as u64,
            digest: self.digest.clone(),
            plan_digest: self.plan.clone(),
            table_versions: [("orders".to_owned(), 3)].into(),
            seconds: 0.1,
        }))
    }
}

fn noise(i: i64, salt: i64) -> f64 {
    let mut z = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(salt as u64 * 77);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((z ^ (z >> 27)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Sixty days of orders; large ones are returned more often, and the courier of some returned ones is deleted.
fn training_set() -> RecordBatch {
    let n = 0..ROWS;
    let amount: Vec<f64> = n.clone().map(|i| 100.0 * noise(i, 1)).collect();
    let label: Vec<bool> = n.clone().map(|i| noise(i, 2) < 0.05 + 0.006 * amount[i as usize]).collect();
    let gone = |i: i64| label[i as usize] && i % 10 == 0;
    let at: Vec<i64> = n.clone().map(|i| 1_000 * DAY + i * 60 * DAY / ROWS).collect();
    let instants =
        |shift: i64| TimestampMillisecondArray::from_iter_values(at.iter().map(|t| t + shift)).with_timezone("UTC");
    let region = |i: i64| ["north", "south", "west"][(i % 3) as usize];
    let hour = |i: i64| (at[i as usize] % DAY / 3_600_000) as f64;
    let texts =
        |f: &dyn Fn(i64) -> Option<&'static str>| -> ArrayRef { Arc::new(n.clone().map(f).collect::<StringArray>()) };
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(n.clone()));
    let amounts: ArrayRef = Arc::new(Float64Array::from(amount.clone()));
    let refund: Vec<f64> = label.iter().map(|l| if *l { 9.0 } else { 0.0 }).collect();
    RecordBatch::try_from_iter_with_nullable([
        ("tm_label", Arc::new(BooleanArray::from(label.clone())) as ArrayRef, true),
        ("tm_label_known_at", Arc::new(instants(DAY / 2)), true),
        ("tm_excluded", Arc::new(BooleanArray::from_iter(n.clone().map(|i| Some(gone(i))))), true),
        ("tm_key", Arc::clone(&ids), true),
        ("tm_as_of", Arc::new(instants(0)), true),
        ("amount", Arc::clone(&amounts), true),
        ("hour", Arc::new(n.clone().map(|i| Some(hour(i))).collect::<Float64Array>()), true),
        ("region", texts(&|i| Some(region(i))), true),
        ("entity.amount", amounts, true),
        ("entity.courier", texts(&|i| (!gone(i)).then_some("fast")), true),
        ("entity.order_id", ids, true),
        ("entity.placed_at", Arc::new(instants(0)), true),
        ("entity.region", texts(&|i| Some(region(i))), true),
        ("outcome.closed_at", Arc::new(instants(DAY / 2)), true),
        ("outcome.refund", Arc::new(Float64Array::from(refund)), true),
    ])
    .unwrap()
}

/// What validation says of a commit of ten rows with some cells missing.
async fn report(storage: &Storage, spec: &Spec, raw_version: i64, known_at: Millis, missing: i64) {
    let numbers =
        |gaps: i64| -> ArrayRef { Arc::new((0..10).map(|n| (n >= gaps).then_some(n)).collect::<Int64Array>()) };
    let rows = [("order_id", numbers(0), true), ("amount", numbers(missing), true), ("region", numbers(0), true)];
    let profile = TableProfile::of(&RecordBatch::try_from_iter_with_nullable(rows).unwrap()).unwrap();
    let source: SourceName = "orders".parse().unwrap();
    let freshness = Freshness::of(&spec.sources[&source], Some(known_at), known_at);
    let tally = Tally { rows: 10, cells: 30, missing: missing.unsigned_abs(), ..Tally::default() };
    let report = QualityReport {
        raw_version,
        checked: 10,
        quarantined: 0,
        held: None,
        blocked: None,
        rules: Vec::new(),
        score: score(&tally, &freshness),
        tally,
        freshness: Some(freshness),
        newest_known_at: Some(known_at),
        profile,
    };
    let path = paths::profile(&spec.project, &source, raw_version);
    storage.put(&path, serde_json::to_vec(&report).unwrap()).await.unwrap();
}

async fn streams(bus: &Bus) {
    bus.ensure_stream(&StreamSpec::new(subjects::NOTICES_STREAM, ["tm.notices.>"])).await.unwrap();
    bus.ensure_stream(&StreamSpec::new(subjects::DEAD_STREAM, ["tm.dead.>"])).await.unwrap();
    let work = StreamSpec { retention: Retention::WorkQueue, ..StreamSpec::new(subjects::WORK_STREAM, ["tm.work.>"]) };
    bus.ensure_stream(&work).await.unwrap();
}

async fn request(bus: &Bus, spec: &Spec, cycle: &str, id: &str) {
    let fact = RetrainRequested { reason: "first".to_owned(), as_of_ms: 1_060 * DAY };
    let notice = Notice {
        project: spec.project.to_string(),
        cycle_id: cycle.to_owned(),
        fact: Some(Fact::RetrainRequested(fact)),
    };
    let sent = tidemill_bus::Headers::new().with(headers::NATS_MSG_ID, id).unwrap();
    bus.publish(&subjects::notice(&spec.project, "retrain", "requested"), &sent, notice.encode_to_vec()).await.unwrap();
}

async fn candidate(tail: &mut tidemill_bus::Tail) -> CandidateTrained {
    for _ in 0..1_200 {
        if let Some(message) = tail.next_within(Duration::from_millis(100)).await.unwrap() {
            match Notice::decode(message.payload.as_ref()).unwrap().fact.unwrap() {
                Fact::CandidateTrained(fact) => return fact,
                other => assert!(matches!(other, Fact::RetrainRequested(_)), "{other:?}"),
            }
        }
    }
    unreachable!("no candidate within two minutes")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_becomes_one_signed_candidate() {
    let (nats, folder) = (Nats::start().await.unwrap(), tempfile::tempdir().unwrap());
    let bus = nats.bus().await.unwrap();
    streams(&bus).await;
    let storage = Storage::open(&format!("file://{}", folder.path().display()), &S3Options::default()).unwrap();
    let spec = Arc::new(Spec::parse(include_str!("shop.yaml")).unwrap());
    let plan = Plan::compile(&spec).unwrap();
    let path = "features/order_now/training/c-1.parquet".to_owned();
    let digest = tidemill_dataset::write_parquet(&storage, &path, &[training_set()]).await.unwrap();

    let features = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let feature_url = format!("http://{}", features.local_addr().unwrap());
    let stored = Stored { path, digest: digest.to_string(), plan: plan.digest().to_string() };
    let server = tonic::transport::Server::builder().add_service(FeatureServiceServer::new(stored));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(features)));

    for (raw_version, known_at, missing) in [(1, 1_059 * DAY, 1), (2, 1_061 * DAY, 4)] {
        report(&storage, &spec, raw_version, Millis(known_at), missing).await;
    }
    let (key, stop) = (SigningKey::generate().unwrap(), CancellationToken::new());
    let trusted = TrustedKeys::default().with(&key.id()).unwrap();
    let deps = Deps {
        bus: bus.clone(),
        storage: storage.clone(),
        spec: Arc::clone(&spec),
        signing_key: key,
        options: Options { feature_url, ..Options::default() },
        metrics: Metrics::new(),
        listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
    };
    let mut tail = bus.tail(subjects::NOTICES_STREAM, vec!["tm.notices.shop.>".to_owned()]).await.unwrap();
    let role = tokio::spawn(run(deps, stop.clone()));
    request(&bus, &spec, "c-1", "one").await;
    let fact = candidate(&mut tail).await;

    let record: RunRecord = serde_json::from_slice(&storage.get(&run_path("shop", "c-1")).await.unwrap()).unwrap();
    assert_eq!((record.state, record.trials.len()), (RunState::Done, 4));
    assert_eq!(record.model_digest.as_deref(), Some(fact.model_digest.as_str()));
    let named = |role, column: &str| record.leaks.iter().any(|l| l.role == role && l.column == column);
    assert!(named(ColumnRole::Entity, "entity.courier"), "{:?}", record.leaks);
    assert!(named(ColumnRole::Outcome, "outcome.refund"), "{:?}", record.leaks);
    assert!(record.leaks.iter().all(|leak| leak.role != ColumnRole::Feature));

    let digest = Digest::parse(&fact.model_digest).unwrap();
    let bundle = tidemill_registry::load(&storage, &digest, &trusted).await.unwrap();
    let model = Model::load(&bundle.model_files()).unwrap();
    let examples = bundle.require("examples.arrow").unwrap();
    let rows = arrow::ipc::reader::StreamReader::try_new(examples.as_ref(), None).unwrap().next().unwrap().unwrap();
    let expected: Vec<f64> = serde_json::from_slice(bundle.require("examples.json").unwrap()).unwrap();
    assert_eq!(model.predict(&rows).unwrap(), expected);
    let sealed = record.sealed.clone().unwrap();
    // Of what was known by the instant of the cycle: a tenth of one of three columns is missing, and nothing was promised.
    let quality = &bundle.manifest.about.quality["orders"];
    assert_eq!((quality.rows, quality.commits), (10, 1));
    let completeness = quality.completeness.unwrap();
    assert!((completeness - 100.0 * 29.0 / 30.0).abs() < 1e-9, "{}", quality.formula);
    assert_eq!((quality.accuracy, quality.consistency, quality.timeliness), (None, None, None), "{}", quality.formula);
    assert_eq!(record.quality, bundle.manifest.about.quality);
    assert_eq!(sealed.until, Millis(1_059 * DAY));

    // The same request again changes nothing; the next cycle, which is taken after it, is another candidate.
    let before = storage.get(&run_path("shop", "c-1")).await.unwrap();
    request(&bus, &spec, "c-1", "two").await;
    request(&bus, &spec, "c-2", "three").await;
    while candidate(&mut tail).await.run_id != "c-2" {}
    assert_eq!(storage.get(&run_path("shop", "c-1")).await.unwrap(), before);

    // A cycle that began with another project file ends by name instead of waiting for trials that nobody takes.
    let began =
        RunRecord { cycle: "c-3".to_owned(), state: RunState::Running, spec_digest: "other".to_owned(), ..record };
    storage.put(&run_path("shop", "c-3"), serde_json::to_vec(&began).unwrap()).await.unwrap();
    request(&bus, &spec, "c-3", "four").await;
    let failure = loop {
        let run: RunRecord = serde_json::from_slice(&storage.get(&run_path("shop", "c-3")).await.unwrap()).unwrap();
        if run.state != RunState::Running {
            break run.failure.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(failure.code, "TM0964");

    // A record that cannot be read stays so: what asks for its cycle is given up at once, with code, reason and attempts.
    storage.put(&run_path("shop", "c-4"), "{").await.unwrap();
    request(&bus, &spec, "c-4", "five").await;
    let mut dead = OrderedReader::open(&bus, subjects::DEAD_STREAM, 1).await.unwrap();
    let letters = dead.next_batch(1, usize::MAX, Duration::from_secs(60)).await.unwrap();
    let head = |name| letters[0].message().unwrap().headers.get(name).unwrap().to_owned();
    assert_eq!((head(headers::DEAD_CODE), head(headers::DEAD_ATTEMPTS)), ("TM0960".to_owned(), "1".to_owned()));
    assert!(head(headers::DEAD_REASON).contains("c-4"), "{}", head(headers::DEAD_REASON));
    stop.cancel();
    role.await.unwrap().unwrap();
    // Two bundles, each with manifest and signature.
    assert_eq!(storage.list("models").await.unwrap().len(), 2 * (bundle.names().count() + 2));
}
