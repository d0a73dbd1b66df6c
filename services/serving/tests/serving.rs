//! Promises of the serving role over its real interfaces.
#![allow(clippy::unwrap_used, reason = "tests")]

mod harness;

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::Float64Type;
use arrow::ipc::reader::StreamReader;
use harness::{Harness, Role, THRESHOLD, eventually, project};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tidemill_bus::{Entry, OrderedReader};
use tidemill_contracts::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use tidemill_contracts::inference::infer_parameter::ParameterChoice;
use tidemill_contracts::inference::model_infer_request::InferInputTensor;
use tidemill_contracts::inference::{
    InferTensorContents, ModelInferRequest, ModelInferResponse, ModelMetadataRequest, ServerReadyRequest,
};
use tidemill_contracts::{prediction_log, subjects};
use tidemill_registry::SigningKey;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::Channel;

const NOWHERE: &str = "http://127.0.0.1:1";

async fn client(role: &Role) -> GrpcInferenceServiceClient<Channel> {
    GrpcInferenceServiceClient::connect(format!("http://{}", role.grpc)).await.unwrap()
}

fn tensor(name: &str, datatype: &str, rows: usize, contents: InferTensorContents) -> InferInputTensor {
    let shape = vec![i64::try_from(rows).unwrap()];
    let (name, datatype) = (name.to_owned(), datatype.to_owned());
    InferInputTensor { name, datatype, shape, parameters: HashMap::new(), contents: Some(contents) }
}

fn rows_request(xs: &[f64]) -> ModelInferRequest {
    let x = InferTensorContents { fp64_contents: xs.to_vec(), ..Default::default() };
    ModelInferRequest {
        model_name: "disruption".to_owned(),
        inputs: vec![tensor("x", "FP64", xs.len(), x)],
        ..Default::default()
    }
}

fn scores(response: &ModelInferResponse) -> Vec<f64> {
    let output = response.outputs.iter().find(|o| o.name == "score").unwrap();
    output.contents.clone().unwrap().fp64_contents
}

fn text(response: &ModelInferResponse, parameter: &str) -> String {
    match response.parameters.get(parameter).and_then(|p| p.parameter_choice.clone()) {
        Some(ParameterChoice::StringParam(text)) => text,
        other => format!("{other:?}"),
    }
}

async fn http(address: SocketAddr, request: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    http(address, &format!("GET {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n")).await
}

async fn post(address: SocketAddr, path: &str, body: &str) -> (u16, String) {
    let length = body.len();
    http(
        address,
        &format!("POST {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"),
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_model_answers_the_same_over_grpc_and_http_and_every_answer_is_logged() {
    let harness = Harness::start().await;
    let role = harness.role(NOWHERE).await;
    let mut grpc = client(&role).await;
    assert!(!grpc.server_ready(ServerReadyRequest {}).await.unwrap().into_inner().ready);
    assert_eq!(grpc.model_infer(rows_request(&[0.1])).await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(get(role.http, "/v2/health/live").await.0, 200);
    assert_eq!(get(role.http, "/v2/health/ready").await.0, 503);

    let digest = harness.promote("champion", &harness.bundle(false, &harness.key, |_| {})).await;
    let first = harness.promote("first", &harness.bundle(true, &harness.key, |_| {})).await;
    tokio::time::timeout(Duration::from_secs(30), role.readiness.ready()).await.unwrap();
    let loaded =
        || async { get(role.http, &format!("/v2/models/disruption/versions/{}/ready", first.short())).await.0 == 200 };
    eventually("the shadow is loaded", loaded).await;

    let answer = grpc.model_infer(rows_request(&[0.0, 1.0])).await.unwrap().into_inner();
    let over_grpc = scores(&answer);
    assert!(over_grpc[0] < THRESHOLD && over_grpc[1] > THRESHOLD, "{over_grpc:?}");
    assert_eq!((text(&answer, "model_digest"), text(&answer, "variant")), (digest.to_string(), "champion".to_owned()));
    assert_eq!(answer.model_version, digest.short());

    let body = r#"{"id":"7","inputs":[{"name":"x","shape":[2],"datatype":"FP64","data":[0.0,1.0]}],
        "outputs":[{"name":"score"},{"name":"alerted"}]}"#;
    let (status, text) = post(role.http, "/v2/models/disruption/infer", body).await;
    assert_eq!(status, 200, "{text}");
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["outputs"][0]["data"], serde_json::json!(over_grpc), "bit for bit");
    assert_eq!(value["outputs"][1]["data"], serde_json::json!([false, true]));
    assert_eq!(value["outputs"].as_array().unwrap().len(), 2);
    assert_eq!(value["id"], "7");

    let metadata = ModelMetadataRequest { name: "disruption".to_owned(), version: String::new() };
    let metadata = grpc.model_metadata(metadata).await.unwrap().into_inner();
    let names: Vec<_> = metadata.inputs.iter().map(|t| (t.name.as_str(), t.datatype.as_str())).collect();
    assert_eq!(names, [("flight_id", "INT32"), ("as_of", "INT64"), ("x", "FP64"), ("carrier", "BYTES")]);

    assert!(role.metrics.render().contains("tidemill_serving_requests_total"));
    role.end().await;
    let stream = subjects::predictions_stream(&project(), &"disruption".parse().unwrap());
    let mut reader = OrderedReader::open(&harness.bus, &stream, 1).await.unwrap();
    let mut rows = 0;
    while rows < 4 {
        let entries = reader.next_ready(10, 1 << 20, Duration::from_secs(10)).await.unwrap();
        assert!(!entries.is_empty(), "{rows} of 4 rows");
        for message in entries.iter().filter_map(Entry::message) {
            for batch in StreamReader::try_new(message.payload.as_ref(), None).unwrap().map(Result::unwrap) {
                rows += batch.num_rows();
                let column = |name: &str| batch.column_by_name(name).unwrap();
                assert_eq!(column(prediction_log::MODEL).as_string::<i32>().value(0), digest.as_str());
                assert_eq!(column(prediction_log::SHADOW_MODEL).as_string::<i32>().value(0), first.as_str());
                let score = column(prediction_log::SCORE).as_primitive::<Float64Type>().value(0);
                let shadow = column(prediction_log::SHADOW_SCORE).as_primitive::<Float64Type>().value(0);
                assert!(over_grpc.contains(&score) && (score > 0.5) != (shadow > 0.5), "{score} {shadow}");
                assert_eq!(column("x").len(), batch.num_rows());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_swap_drops_no_request_and_keeps_the_version_before_it() {
    let harness = Harness::start().await;
    let old = harness.promote("champion", &harness.bundle(false, &harness.key, |_| {})).await;
    let role = harness.role(NOWHERE).await;
    tokio::time::timeout(Duration::from_secs(30), role.readiness.ready()).await.unwrap();
    OLD.set(old.to_string()).unwrap();
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut callers = Vec::new();
    for _ in 0..4 {
        let (mut grpc, stop, answered) = (client(&role).await, Arc::clone(&stop), Arc::clone(&answered));
        callers.push(tokio::spawn(async move {
            while !stop.load(Ordering::Acquire) {
                let answer = grpc.model_infer(rows_request(&[1.0])).await.unwrap().into_inner();
                // Digest and score come from one model, whichever it was.
                let flipped = scores(&answer)[0] < 0.5;
                assert_eq!(flipped, text(&answer, "model_digest") != old_digest(), "a mixed answer");
                answered.fetch_add(1, Ordering::AcqRel);
            }
        }));
    }
    eventually("requests flow", || async { answered.load(Ordering::Acquire) > 20 }).await;
    let new = harness.promote("champion", &harness.bundle(true, &harness.key, |_| {})).await;
    let mut grpc = client(&role).await;
    loop {
        let answer = grpc.model_infer(rows_request(&[1.0])).await.unwrap().into_inner();
        if text(&answer, "model_digest") == new.to_string() {
            break;
        }
    }
    stop.store(true, Ordering::Release);
    for caller in callers {
        caller.await.unwrap();
    }
    let before = ModelInferRequest { model_version: old.short().to_owned(), ..rows_request(&[1.0]) };
    let answer = grpc.model_infer(before).await.unwrap().into_inner();
    assert_eq!((text(&answer, "model_digest"), text(&answer, "variant")), (old.to_string(), "previous".to_owned()));
    role.end().await;
}

static OLD: std::sync::OnceLock<String> = std::sync::OnceLock::new();

fn old_digest() -> String {
    OLD.get().cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_is_not_trusted_or_does_not_replay_never_answers() {
    let harness = Harness::start().await;
    let good = harness.promote("champion", &harness.bundle(false, &harness.key, |_| {})).await;
    let role = harness.role(NOWHERE).await;
    tokio::time::timeout(Duration::from_secs(30), role.readiness.ready()).await.unwrap();
    let stranger = SigningKey::generate().unwrap();
    let one_bit_off = |e: &mut Vec<f64>| e[3] = f64::from_bits(e[3].to_bits() + 1);
    let bad = [harness.bundle(true, &stranger, |_| {}), harness.bundle(true, &harness.key, one_bit_off)];
    for bundle in &bad {
        harness.promote("champion", bundle).await;
    }
    let last = harness.promote("champion", &harness.bundle(true, &harness.key, |_| {})).await;
    let mut grpc = client(&role).await;
    loop {
        let answer = grpc.model_infer(rows_request(&[1.0])).await.unwrap().into_inner();
        let digest = text(&answer, "model_digest");
        assert!(bad.iter().all(|b| b.digest.to_string() != digest), "a refused bundle answered");
        if digest == last.to_string() {
            break;
        }
        assert_eq!(digest, good.to_string());
    }
    role.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_request_says_what_is_wrong_in_the_form_of_the_protocol() {
    let harness = Harness::start().await;
    harness.promote("champion", &harness.bundle(false, &harness.key, |_| {})).await;
    let role = harness.role(NOWHERE).await;
    tokio::time::timeout(Duration::from_secs(30), role.readiness.ready()).await.unwrap();
    let mut grpc = client(&role).await;
    let unknown_model = ModelInferRequest { model_name: "other".to_owned(), ..rows_request(&[1.0]) };
    let unknown_version = ModelInferRequest { model_version: "cafecafe".to_owned(), ..rows_request(&[1.0]) };
    let mut unknown_tensor = rows_request(&[1.0]);
    unknown_tensor.inputs[0].name = "y".to_owned();
    let too_many = rows_request(&vec![1.0; 10_001]);
    let cases = [
        (unknown_model, Code::NotFound, "disruption"),
        (unknown_version, Code::NotFound, "in service"),
        (unknown_tensor, Code::InvalidArgument, "flight_id, as_of, x, carrier"),
        (too_many, Code::InvalidArgument, "10000"),
    ];
    for (request, code, said) in cases {
        let status = grpc.model_infer(request).await.unwrap_err();
        assert_eq!(status.code(), code, "{status:?}");
        assert!(status.message().contains(said), "{}", status.message());
    }
    let ids = InferTensorContents { int64_contents: vec![1], ..Default::default() };
    let entity = ModelInferRequest { inputs: vec![tensor("flight_id", "INT64", 1, ids)], ..rows_request(&[]) };
    let status = grpc.model_infer(entity).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "the feature service is away: {status:?}");

    let (status, text) = post(role.http, "/v2/models/other/infer", r#"{"inputs":[]}"#).await;
    assert!(status == 404 && text.starts_with(r#"{"error":""#), "{status} {text}");
    assert!(text.contains(r#""type":"urn:tidemill:error:TM1200""#), "{text}");
    assert!(text.contains(r#""help":"tidemill explain TM1200""#), "{text}");
    let (status, text) = post(role.http, "/v2/models/disruption/infer", "{").await;
    assert!(status == 400 && text.contains("TM1202"), "{status} {text}");
    role.end().await;
}
