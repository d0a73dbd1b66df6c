//! Prediction requests beside an empty service that speaks the same messages.

use crate::flights::{Flights, Labelled};
use anyhow::{Context as _, Result, ensure};
use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{DataType, Float64Type};
use arrow::ipc::writer::StreamWriter;
use prost::Message as _;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidemill_contracts::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use tidemill_contracts::inference::grpc_inference_service_server::{GrpcInferenceService, GrpcInferenceServiceServer};
use tidemill_contracts::inference::model_infer_request::InferInputTensor;
use tidemill_contracts::inference::*;
use tidemill_learn::{Params, TrainData, learner};
use tidemill_registry::{
    BundleBytes, BundleWriter, Input, InputKind, ManifestDraft, MoveRequest, NewVersion, Registry, SigningKey,
    TrustedKeys, file, store,
};
use tidemill_runtime::Readiness;
use tidemill_serving::{Config, Deps};
use tidemill_spec::Spec;
use tidemill_telemetry::Metrics;
use tidemill_testkit::{Nats, Store};
use tidemill_transform::Split;
use tidemill_types::{Digest, Millis};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};

/// 2013-01-15T00:00:00Z: two weeks of flights make a model and its requests.
const UNTIL: Millis = Millis(1_358_208_000_000);
const MEASURED: Duration = Duration::from_secs(5);
const CONNECTIONS: [usize; 2] = [1, 16];
/// Requests that alternate.
const REQUESTS: usize = 64;
/// No entity is asked for, so nobody answers there.
const NOWHERE: &str = "http://127.0.0.1:1";

/// Answers every request with the same message.
struct Echo(ModelInferResponse);

#[tonic::async_trait]
impl GrpcInferenceService for Echo {
    async fn server_live(&self, _: Request<ServerLiveRequest>) -> Result<Response<ServerLiveResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn server_ready(&self, _: Request<ServerReadyRequest>) -> Result<Response<ServerReadyResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn model_ready(&self, _: Request<ModelReadyRequest>) -> Result<Response<ModelReadyResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn model_metadata(
        &self,
        _: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn model_infer(&self, _: Request<ModelInferRequest>) -> Result<Response<ModelInferResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }
}

/// A boosted model of the flights, signed.
fn bundle(spec: &Spec, data: &Labelled, key: &SigningKey) -> Result<BundleBytes> {
    let split = Split::all_training(data.labels.len())?;
    let rows = TrainData { batch: &data.features, labels: &data.labels, rows: split.train(), valid: None };
    let params = Params::from([("rounds".to_owned(), 200.into())]);
    let model = learner("boosted")?.fit(&rows, &params, 7)?.model;
    let examples = data.features.slice(0, 50);
    let expected = model.predict(&examples)?;
    let kind = |kind: &DataType| if kind == &DataType::Utf8 { InputKind::Category } else { InputKind::Number };
    let schema = data.features.schema();
    let inputs = schema.fields().iter().map(|f| Input { name: f.name().clone(), kind: kind(f.data_type()) });
    let draft = ManifestDraft {
        project: spec.project.clone(),
        run: "run-1".parse().map_err(|e| anyhow::anyhow!("{e:?}"))?,
        created_at: Millis(0),
        task: "binary".to_owned(),
        learner: "boosted".to_owned(),
        inputs: inputs.collect(),
        target: spec.features.label.name.clone(),
        params: serde_json::json!({}),
        seeds: Default::default(),
        metrics: Default::default(),
        threshold: Some(0.5),
        budget: Some(0.1),
        quality: BTreeMap::new(),
        spec_digest: Digest::of(b"spec"),
        code: "load".to_owned(),
        data_digest: Digest::of(b"data"),
        lineage: Vec::new(),
    };
    let writer = BundleWriter::new(draft).model(model.save()?)?;
    let mut stream = StreamWriter::try_new(Vec::new(), &examples.schema())?;
    stream.write(&examples)?;
    let writer = writer.file(file::EXAMPLES, stream.into_inner()?)?;
    Ok(writer.file(file::EXPECTED, serde_json::to_vec(&expected)?)?.sign(key)?)
}

/// One row as a request with all its features; what is missing is NaN or an empty text.
fn request(model: &str, rows: &RecordBatch, row: usize) -> ModelInferRequest {
    let tensor = |(field, column): (&Arc<arrow::datatypes::Field>, &arrow::array::ArrayRef)| {
        let mut contents = InferTensorContents::default();
        let datatype = if let Some(texts) = column.as_string_opt::<i32>() {
            let text = if texts.is_null(row) { "" } else { texts.value(row) };
            contents.bytes_contents = vec![text.as_bytes().to_vec().into()];
            "BYTES"
        } else {
            let numbers = column.as_primitive::<Float64Type>();
            contents.fp64_contents = vec![if numbers.is_null(row) { f64::NAN } else { numbers.value(row) }];
            "FP64"
        };
        InferInputTensor {
            name: field.name().clone(),
            datatype: datatype.to_owned(),
            shape: vec![1],
            contents: Some(contents),
            ..InferInputTensor::default()
        }
    };
    let schema = rows.schema();
    let inputs = schema.fields().iter().zip(rows.columns()).map(tensor).collect();
    ModelInferRequest { model_name: model.to_owned(), inputs, ..ModelInferRequest::default() }
}

/// What a run of requests took.
struct Figures {
    p50: Duration,
    p99: Duration,
    per_second: f64,
}

async fn measure(address: SocketAddr, requests: &Arc<Vec<ModelInferRequest>>, connections: usize) -> Result<Figures> {
    let mut tasks = Vec::new();
    for first in 0..connections {
        let mut client: GrpcInferenceServiceClient<Channel> =
            GrpcInferenceServiceClient::connect(format!("http://{address}")).await?;
        let requests = Arc::clone(requests);
        tasks.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            let until = Instant::now() + MEASURED;
            for request in requests.iter().cycle().skip(first) {
                let request = request.clone();
                let begin = Instant::now();
                client.model_infer(request).await?;
                latencies.push(begin.elapsed());
                if Instant::now() >= until {
                    break;
                }
            }
            anyhow::Ok(latencies)
        }));
    }
    let begin = Instant::now();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    let per_second = latencies.len() as f64 / begin.elapsed().as_secs_f64();
    latencies.sort();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    Ok(Figures { p50: at(0.50), p99: at(0.99), per_second })
}

/// The role, with a champion that it has loaded, until `shutdown`.
async fn serve(
    nats: &Nats,
    objects: &Store,
    spec: Arc<Spec>,
    data: &Labelled,
    spool: &Path,
    shutdown: CancellationToken,
) -> Result<(SocketAddr, tokio::task::JoinHandle<Result<(), tidemill_serving::Error>>)> {
    let bus = nats.bus().await?;
    let key = SigningKey::generate()?;
    let bundle = tokio::task::block_in_place(|| bundle(&spec, data, &key))?;
    store(objects.storage(), &bundle).await?;
    let registry = Registry::open(&bus).await?;
    let run = "run-1".parse().map_err(|e| anyhow::anyhow!("{e:?}"))?;
    let new = NewVersion { digest: bundle.digest.clone(), run, cycle: None, created: Millis(0) };
    registry.register(&spec.project, &new).await?;
    let by = MoveRequest { by: "load".to_owned(), reason: "load".to_owned(), at: Millis(0), traceparent: None };
    registry.set_alias(&spec.project, "champion", &bundle.digest, None, by).await?;
    let grpc = TcpListener::bind("127.0.0.1:0").await?;
    let address = grpc.local_addr()?;
    let readiness = Readiness::new();
    let deps = Deps {
        bus,
        storage: objects.storage().clone(),
        trusted: TrustedKeys::default().with(&key.id())?,
        specs: vec![spec],
        feature_endpoint: NOWHERE.to_owned(),
        grpc,
        http: TcpListener::bind("127.0.0.1:0").await?,
        metrics: Metrics::new(),
        readiness: readiness.clone(),
        shutdown,
        spool_dir: spool.to_owned(),
        config: Config::default(),
    };
    let task = tokio::spawn(tidemill_serving::run(deps));
    let ready = tokio::time::timeout(Duration::from_secs(30), readiness.ready()).await;
    ready.with_context(|| format!("no model was loaded: {:?}", readiness.unmet()))?;
    Ok((address, task))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "benchmark"]
async fn serving_of_full_rows() -> Result<()> {
    let flights = Flights::load(UNTIL).await?;
    let data = tokio::task::block_in_place(|| flights.labelled())?;
    let (nats, objects, shutdown) = (Nats::start().await?, Store::local()?, CancellationToken::new());
    let spec = Arc::clone(&flights.spec);
    let spool = objects.dir().join("spool");
    let (address, role) = serve(&nats, &objects, spec, &data, &spool, shutdown.clone()).await?;
    let model = flights.spec.serve.deployment.as_str();
    let step = data.labels.len() / REQUESTS;
    let requests: Vec<_> = (0..REQUESTS).map(|n| request(model, &data.features, n * step)).collect();
    let mut client = GrpcInferenceServiceClient::connect(format!("http://{address}")).await?;
    let answer = client.model_infer(requests[0].clone()).await?.into_inner();
    ensure!(answer.outputs.len() == 4, "{answer:?}");
    let sizes = (requests[0].encoded_len(), answer.encoded_len());

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let echo_address = listener.local_addr()?;
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let echo = Server::builder().add_service(GrpcInferenceServiceServer::new(Echo(answer)));
    let echo = tokio::spawn(echo.serve_with_incoming_shutdown(incoming, shutdown.clone().cancelled_owned()));

    let requests = Arc::new(requests);
    for connections in CONNECTIONS {
        let empty = measure(echo_address, &requests, connections).await?;
        let served = measure(address, &requests, connections).await?;
        println!(
            "serving of one full row ({} bytes in, {} out), {connections} connections: p50 {:?}, p99 {:?}, \
             {:.0} requests/s; empty echo: p50 {:?}, p99 {:?}, {:.0} requests/s; ratio {:.2}",
            sizes.0,
            sizes.1,
            served.p50,
            served.p99,
            served.per_second,
            empty.p50,
            empty.p99,
            empty.per_second,
            served.per_second / empty.per_second,
        );
    }
    shutdown.cancel();
    role.await??;
    Ok(echo.await??)
}
