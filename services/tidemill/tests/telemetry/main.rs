//! What leaves the program for those who watch it: traces as a collector that is not ours receives them, and metrics as
//! a parser that is not ours reads them, from the real program while it replays two months of flights.
#![allow(clippy::unwrap_used, reason = "tests")]

#[expect(unreachable_pub, reason = "the test tiers export it from their library")]
#[path = "../../../../tests/src/python.rs"]
mod python;
mod traces;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tidemill_bus::{Bus, BusOptions, Headers};
use tidemill_contracts::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use tidemill_contracts::inference::model_infer_request::InferInputTensor;
use tidemill_contracts::inference::{InferTensorContents, ModelInferRequest};
use tidemill_contracts::{headers, subjects};
use tidemill_telemetry::names;
use tidemill_testkit::{Victim, eventually};
use traces::{Promise, Seen, Trace, read, traces_with};

/// Longest wait for the story of two months.
const STORY: Duration = Duration::from_secs(900);
/// Longest wait for a trace to be complete, or for the end in good order.
const PATIENCE: Duration = Duration::from_secs(60);

/// Traces that the test begins itself, as any client may.
const PREDICTION: &str = "5ca1ab1e000000000000000000000001";
const EVENT: &str = "5ca1ab1e000000000000000000000002";
const REFUSAL: &str = "5ca1ab1e000000000000000000000003";
const CLIENT: &str = "00f067aa0ba902b7";
/// What must never be seen in a trace: a key, a value of a row, a value that is refused.
const KEY: i64 = 987_654_321;
const VALUE: &str = "1013.4375";
const REFUSED: &str = "given-away-7731";

fn outside(arguments: &[&str]) -> String {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/telemetry");
    let python = python::environment("telemetry", &tests.join("requirements.txt")).unwrap();
    let output = Command::new(python).arg(tests.join("outside.py")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Starts rotel, which prints everything it receives; its address, and itself.
async fn collector(log: &Path) -> (String, Victim) {
    // It tells nobody which port it took, so it is given ones that were free a moment ago.
    let ports: Vec<_> = (0..2).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let address = |at: usize| ports[at].local_addr().unwrap().to_string();
    let (grpc, http) = (address(0), address(1));
    drop(ports);
    let agent = PathBuf::from(outside(&["agent"]));
    let arguments = ["start", "--exporter", "blackhole", "--debug-log", "traces", "--debug-log-verbosity", "detailed"];
    let places = ["--otlp-grpc-endpoint", &grpc, "--otlp-http-endpoint", &http];
    let rotel = Victim::spawn(&agent, arguments.into_iter().chain(places), [], log).unwrap();
    let listens = eventually(PATIENCE, || std::future::ready(TcpStream::connect(&grpc).is_ok()));
    assert!(listens.await, "{}", std::fs::read_to_string(log).unwrap());
    (format!("http://{grpc}"), rotel)
}

/// One prediction by key, in a trace of the client; and one that fails, since failures are counted too.
async fn predict(endpoint: &str) {
    let tensor = |name: &str, value: i64| InferInputTensor {
        name: name.to_owned(),
        datatype: "INT64".to_owned(),
        shape: vec![1],
        contents: Some(InferTensorContents { int64_contents: vec![value], ..InferTensorContents::default() }),
        ..InferInputTensor::default()
    };
    let mut request = tonic::Request::new(ModelInferRequest {
        model_name: "disruption".to_owned(),
        // The last day of February 2013, noon: within what the online state still holds.
        inputs: vec![tensor("flight_id", KEY), tensor("as_of", 1_362_052_800_000)],
        ..ModelInferRequest::default()
    });
    request.metadata_mut().insert("traceparent", format!("00-{PREDICTION}-{CLIENT}-01").parse().unwrap());
    let mut client = GrpcInferenceServiceClient::connect(endpoint.to_owned()).await.unwrap();
    let answer = client.model_infer(request).await.unwrap().into_inner();
    let told = answer.parameters.values().any(|value| format!("{value:?}").contains(PREDICTION));
    assert!(told, "the answer names its trace: {:?}", answer.parameters);
    let absent = ModelInferRequest { model_name: REFUSED.to_owned(), ..ModelInferRequest::default() };
    assert_eq!(client.model_infer(absent).await.unwrap_err().code(), tonic::Code::NotFound);
}

/// One event, in a trace of its producer.
async fn publish(bus: &Bus, trace: &str, observed_at: &str) {
    let (project, source) = ("flights".parse().unwrap(), "weather".parse().unwrap());
    let body = format!(
        r#"{{"origin":"JFK","observed_at":"{observed_at}","published_at":"2013-03-01T06:15:00Z","pressure":{VALUE}}}"#
    );
    let parent = format!("00-{trace}-{CLIENT}-01");
    let pairs = [
        (headers::CE_SPECVERSION, "1.0"),
        (headers::CE_ID, trace),
        (headers::CE_SOURCE, "/test"),
        (headers::CE_TYPE, "observed"),
        (headers::TRACEPARENT, &parent),
    ];
    let headers = Headers::from_pairs(pairs).unwrap();
    bus.publish(&subjects::events(&project, &source), &headers, body.into_bytes()).await.unwrap();
}

/// Waits until a trace has a span of that name.
async fn arrived(log: &Path, trace: &str, name: &str) {
    let there = || async { read(log).iter().any(|span| span.trace == trace && span.name == name) };
    let shape = || Trace::of(&read(log), trace).shape();
    assert!(eventually(PATIENCE, there).await, "no \"{name}\" in\n{}", shape());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_and_a_metrics_parser_that_are_not_ours_see_what_the_manual_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let received = folder.path().join("rotel");
    let (endpoint, mut rotel) = collector(&received).await;

    let data_dir = folder.path().join("data").display().to_string();
    let project = root.join("infra/examples/flights").display().to_string();
    let exporting = format!("telemetry.otlp_endpoint={endpoint}");
    let story = ["demo", "--months", "2", "--free-ports", "--data-dir", &data_dir, "--project", &project];
    let arguments = story.into_iter().chain(["--set", &exporting]);
    let log = folder.path().join("log");
    let mut demo = Victim::spawn(Path::new(env!("CARGO_BIN_EXE_tidemill")), arguments, [], &log).unwrap();
    demo.wait_for_log("The system stays up", STORY).await.unwrap();
    let run_file = std::fs::read(Path::new(&data_dir).join("run.json")).unwrap();
    let run_file: Value = serde_json::from_slice(&run_file).unwrap();
    let of = |pointer: &str| run_file.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();

    predict(&of("/endpoints/serving_grpc")).await;
    arrived(&received, PREDICTION, "predictions join").await;
    let bus = Bus::connect(BusOptions::new(of("/bus_url"), "test")).await.unwrap();
    publish(&bus, EVENT, "2013-03-01T06:00:00Z").await;
    arrived(&received, EVENT, "tm.notices.{project}.clean.committed publish").await;
    // A commit of its own, so that its trace holds one message only.
    publish(&bus, REFUSAL, REFUSED).await;
    arrived(&received, REFUSAL, "tm.notices.{project}.raw.committed publish").await;
    bus.close().await;

    let page = format!("{}/metrics", of("/endpoints/admin"));
    metrics_are_those_of_the_list(&tokio::task::block_in_place(|| outside(&["metrics", &page])));

    let pid = demo.pid().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let status = demo.wait(PATIENCE).await.unwrap();
    let said = std::fs::read_to_string(&log).unwrap();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(!said.contains("BatchSpanProcessor") && !said.contains("could not be sent"), "{said}");

    nothing_is_lost(&received).await;
    rotel.kill().await.unwrap();
    let seen = read(&received);
    let promise = Promise::read(&root);
    spans_are_those_of_the_manual(&seen, &promise);
    shapes_are_those_of_the_manual(&seen, &promise);
    let text = std::fs::read_to_string(&received).unwrap();
    for secret in [KEY.to_string().as_str(), VALUE, REFUSED] {
        assert!(!text.contains(secret), "{secret} left the program in a trace");
    }
}

/// Every parent that a span names has arrived too, but those that the test made up.
async fn nothing_is_lost(received: &Path) {
    let orphans = || {
        let seen = read(received);
        let ids: BTreeSet<&str> = seen.iter().map(|span| span.id.as_str()).collect();
        let has = |span: &&Seen| span.parent.is_empty() || span.parent == CLIENT || ids.contains(span.parent.as_str());
        seen.iter().filter(|span| !has(span)).map(|span| span.name.clone()).collect::<BTreeSet<_>>()
    };
    let complete = eventually(PATIENCE, || std::future::ready(orphans().is_empty())).await;
    assert!(complete, "spans without their parent: {:?}", orphans());
}

fn spans_are_those_of_the_manual(seen: &[Seen], promise: &Promise) {
    let role = |service: &str| service.strip_prefix("tidemill-").unwrap_or("tidemill").to_owned();
    let received: BTreeSet<_> =
        seen.iter().map(|span| (span.name.clone(), role(&span.service), span.kind.clone())).collect();
    let (possible, promised) = promise.spans();
    // Methods are named by their interface: `/tidemill.<role>.v1.<Role>Service/<Method>`.
    let method = |(name, role, kind): &(String, String, String)| {
        let interface =
            if role == "serving" { "/inference.GRPCInferenceService/" } else { &format!("/tidemill.{role}.v1.") };
        kind == "server" && name.starts_with(interface)
    };
    let unlisted: Vec<_> = received.difference(&possible).filter(|row| !method(row)).collect();
    assert!(unlisted.is_empty(), "not in infra/docs/traces.md: {unlisted:#?}");
    let absent: Vec<_> = promised.difference(&received).collect();
    assert!(absent.is_empty(), "promised by infra/docs/traces.md and not received: {absent:#?}");

    // Links hang on children: Jaeger shows those of roots badly. And what is linked is not a parent too.
    let linked: Vec<&Seen> = seen.iter().filter(|span| !span.links.is_empty()).collect();
    assert!(linked.iter().any(|span| span.links.len() > 1), "no batch was linked");
    for span in linked {
        assert!(!span.parent.is_empty(), "a root with links: {span:?}");
        assert!(span.links.len() <= tidemill_telemetry::MAX_LINKS, "{span:?}");
        assert!(!span.links.contains(&span.parent), "{span:?}");
        assert!(span.name.ends_with(" receive"), "{span:?}");
    }
}

fn shapes_are_those_of_the_manual(seen: &[Seen], promise: &Promise) {
    for (trace, heading) in [(PREDICTION, "A prediction"), (EVENT, "An event")] {
        let shape = Trace::of(seen, trace).shape();
        assert_eq!(shape, promise.shape(heading), "{heading} is\n{shape}");
    }
    let cycles = traces_with(seen, "training cycle");
    assert!(!cycles.is_empty(), "no training cycle was received");
    let shapes: BTreeMap<String, &str> = cycles.iter().map(|(id, trace)| (trace.shape(), *id)).collect();
    let promised = promise.shape("A training cycle");
    let found: Vec<&String> = shapes.keys().collect();
    assert!(shapes.contains_key(&promised), "training cycles are\n{found:#?}");
}

/// The families of the page are the list, with its labels.
fn metrics_are_those_of_the_list(families: &str) {
    let families: Vec<Value> = serde_json::from_str(families).unwrap();
    let text = |family: &Value, key: &str| family[key].as_str().unwrap().to_owned();
    let shown: BTreeMap<String, &Value> = families.iter().map(|family| (text(family, "name"), family)).collect();
    let stem = |metric: &names::Metric| metric.name.trim_end_matches("_total").to_owned();
    // Flights are published, not fetched and not pushed, and nobody outside is told of lineage: what counts these shows
    // itself with the first of them.
    let unused = ["ingestion_fetch", "ingestion_pushes", "ingestion_refused_objects", "monitoring_lineage_posts"];
    let shows = |metric: &&names::Metric| {
        let rest = metric.name.trim_start_matches("tidemill_");
        !unused.iter().any(|unused| rest.starts_with(unused))
    };
    let listed: BTreeSet<String> = names::ALL.iter().filter(shows).map(stem).collect();
    assert_eq!(shown.keys().cloned().collect::<BTreeSet<_>>(), listed);
    for metric in names::ALL.iter().filter(shows) {
        let family = shown[&stem(metric)];
        assert_eq!(text(family, "kind"), format!("{:?}", metric.kind).to_lowercase(), "{}", metric.name);
        // The encoder ends the statement.
        assert_eq!(text(family, "help").trim_end_matches('.'), metric.help);
        let mut labels = metric.labels.to_vec();
        labels.sort_unstable();
        assert!(family["samples"].as_u64() > Some(0), "{} has no sample after two months", metric.name);
        assert_eq!(family["labels"], serde_json::json!(labels), "{}: {family}", metric.name);
    }
}
