//! Lineage as services tell it; and told to a server outside: every event, in order, and nothing waits for it.

use anyhow::Result;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::Value;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tidemill_bus::{Bus, OrderedReader, StreamSpec};
use tidemill_contracts::subjects;
use tidemill_dataset::Table;
use tidemill_lineage::{Graph, Step, record};
use tidemill_monitoring::{MonitoringError, openlineage};
use tidemill_runtime::tell_lineage;
use tidemill_telemetry::{Metrics, names};
use tidemill_testkit::{Nats, eventually};
use tidemill_tests::messages::{self, Form, Messages};
use tidemill_tests::{Published, Rig};
use tidemill_types::{Millis, ProjectName};
use tidemill_validation::quarantine_table_path;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);

/// What the server has been asked: the number of the run, and the status of its answer.
#[derive(Clone, Default)]
struct Asked {
    answers: Arc<Mutex<VecDeque<u16>>>,
    seen: Arc<Mutex<Vec<(i64, u16)>>>,
}

impl Asked {
    fn with(answers: &[u16]) -> Self {
        Self { answers: Arc::new(Mutex::new(answers.iter().copied().collect())), ..Self::default() }
    }

    fn seen(&self) -> Vec<(i64, u16)> {
        self.seen.lock().map(|seen| seen.clone()).unwrap_or_default()
    }

    /// Runs that were taken, in the order in which they were.
    fn taken(&self) -> Vec<i64> {
        self.seen().into_iter().filter(|(_, status)| *status == 201).map(|(number, _)| number).collect()
    }
}

/// Answers as it is told, then takes everything.
async fn answer(State(asked): State<Asked>, Json(event): Json<Value>) -> StatusCode {
    let status = asked.answers.lock().ok().and_then(|mut answers| answers.pop_front()).unwrap_or(201);
    let number = event["eventTime"].as_str().and_then(Millis::parse).map_or(-1, |at| at.0);
    if let Ok(mut seen) = asked.seen.lock() {
        seen.push((number, status));
    }
    StatusCode::from_u16(status).unwrap_or_default()
}

/// A server on a port, until dropped.
struct Server(JoinHandle<()>);

impl Server {
    async fn start(at: SocketAddr, asked: &Asked) -> Result<(Self, SocketAddr)> {
        let listener = TcpListener::bind(at).await?;
        let at = listener.local_addr()?;
        let routes = Router::new().route("/api/v1/lineage", post(answer)).with_state(asked.clone());
        Ok((Self(tokio::spawn(async move { drop(axum::serve(listener, routes).await) })), at))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Sender {
    stop: CancellationToken,
    task: JoinHandle<Result<(), MonitoringError>>,
    metrics: Metrics,
}

impl Sender {
    async fn start(nats: &Nats, url: &str) -> Result<Self> {
        let (stop, metrics) = (CancellationToken::new(), Metrics::new());
        let run = openlineage::run(nats.bus().await?, project()?, url.to_owned(), metrics.clone(), stop.clone());
        Ok(Self { task: tokio::spawn(run), stop, metrics })
    }

    fn counted(&self, outcome: &str) -> u64 {
        self.metrics.counter(names::MONITORING_LINEAGE_POSTS).with(&[("outcome", outcome)]).get()
    }

    async fn stop(self) -> Result<()> {
        self.stop.cancel();
        Ok(self.task.await??)
    }
}

fn project() -> Result<ProjectName> {
    "meters".parse().map_err(|e| anyhow::anyhow!("{e:?}"))
}

/// Tells of runs whose instants are their numbers.
async fn tell(bus: &Bus, numbers: std::ops::Range<i64>) -> Result<()> {
    let project = project()?;
    for number in numbers {
        let step = Step::new(&project, "ingestion.readings", &number.to_string());
        tell_lineage(bus, &project, &[step.complete(Millis(number))]).await;
    }
    Ok(())
}

async fn stream(bus: &Bus) -> Result<()> {
    bus.ensure_stream(&StreamSpec::new(subjects::LINEAGE_STREAM, ["tm.lineage.>"])).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_reach_a_server_in_order_though_it_fails_and_goes_away() -> Result<()> {
    let nats = Nats::start().await?;
    let bus = nats.bus().await?;
    stream(&bus).await?;
    let any: SocketAddr = "127.0.0.1:0".parse()?;
    // Two failures, an access that is mended, too many at once, and one that is refused for good.
    let asked = Asked::with(&[503, 500, 401, 429, 201, 201, 422]);
    let (server, at) = Server::start(any, &asked).await?;
    tell(&bus, 0..10).await?;
    let sender = Sender::start(&nats, &format!("http://{at}/")).await?;
    assert!(eventually(PATIENCE, || async { asked.taken().len() == 9 }).await, "{:?}", asked.seen());
    assert_eq!(asked.taken(), [0, 1, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(asked.seen()[..5].iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0; 5]);
    assert!(eventually(PATIENCE, || async { sender.counted("taken") == 9 }).await);
    assert_eq!((sender.counted("refused"), sender.counted("failed")), (1, 4));

    // The server is away: telling goes on, and so does nothing that was told get lost.
    drop(server);
    tell(&bus, 10..20).await?;
    assert!(eventually(PATIENCE, || async { sender.counted("failed") > 4 }).await);
    sender.stop().await?;
    tell(&bus, 20..30).await?;
    let asked = Asked::default();
    let sender = Sender::start(&nats, &format!("http://{at}")).await?;
    assert!(eventually(PATIENCE, || async { sender.counted("failed") > 0 }).await);
    let (_server, _) = Server::start(at, &asked).await?;
    assert!(eventually(PATIENCE, || async { asked.taken().len() >= 20 }).await, "{:?}", asked.seen());
    assert_eq!(asked.taken(), (10..30).collect::<Vec<_>>(), "behind what was taken before, each once");
    sender.stop().await?;
    assert_eq!(bus.stream_state(subjects::LINEAGE_STREAM).await?.messages, 30, "the table reads the same events");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_none_is_an_error_with_its_setting() -> Result<()> {
    let nats = Nats::start().await?;
    for url in ["marquez:5000", "file:///tmp", "not an address"] {
        let sender = Sender::start(&nats, url).await?;
        let error = sender.task.await?.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("lineage.url"), "{url}: {error}");
    }
    Ok(())
}

/// The graph of everything that was told on a bus.
async fn graph(bus: &Bus) -> Result<Graph> {
    let count = usize::try_from(bus.stream_state(subjects::LINEAGE_STREAM).await?.messages)?;
    let mut reader = OrderedReader::open(bus, subjects::LINEAGE_STREAM, 1).await?;
    let mut told = Vec::new();
    while told.len() < count {
        let entries = reader.next_batch(count - told.len(), usize::MAX, PATIENCE).await?;
        anyhow::ensure!(!entries.is_empty(), "only {} of {count} events came", told.len());
        told.extend(entries.iter().filter_map(|entry| entry.message().cloned()));
    }
    let events: Vec<(i64, &[u8])> = (1..).zip(told.iter().map(|message| message.payload.as_ref())).collect();
    let (rows, refused) = record::Recorder::default().rows(&events)?;
    anyhow::ensure!(refused == 0, "{refused} events cannot be read");
    let mut graph = Graph::default();
    record::add_runs(&mut graph, &[rows]);
    Ok(graph)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_version_of_the_quarantine_leads_up_to_the_rows_that_were_set_aside_in_it() -> Result<()> {
    let rig = Rig::start().await?;
    stream(&rig.bus).await?;
    let (messages, mut published) = (Messages::new()?, Published::default());
    let (ingestion, validation) = (rig.ingestion().await?, rig.validation().await?);
    let path = quarantine_table_path(&rig.spec.project, &messages::source()?);
    let version = async || match Table::open(rig.store.storage(), &path).await {
        Ok(table) => table.known().await.version(),
        Err(_) => 0,
    };
    for round in 0..3 {
        let before = version().await;
        let body = messages::body(Form::Arrow, round * 400..round * 400 + 400)?;
        let event = messages.event(messages::content_type(Form::Arrow), &round.to_string(), body)?;
        rig.caught_up(published.publish(&rig.bus, &[(event, 400)]).await?).await?;
        assert!(eventually(PATIENCE, || async { version().await > before }).await, "nothing was set aside");
    }
    validation.stop().await?;
    ingestion.stop().await?;
    let graph = graph(&rig.bus).await?;
    let mut before = 0;
    for version in 1..=version().await {
        let up = graph.up(&path, Some(version));
        let raw = up.first().map(|hop| (hop.node.name.clone(), hop.node.version.unwrap_or(0)));
        let (name, read) = raw.ok_or_else(|| anyhow::anyhow!("version {version} comes from nowhere"))?;
        assert!(name == rig.raw()? && read > before, "version {version} comes from {name}@{read}");
        before = read;
    }
    assert!(graph.up(&path, Some(0)).is_empty());
    Ok(())
}
