//! Lineage told to a server outside: every event, in order, and nothing waits for it.

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
use tidemill_bus::{Bus, StreamSpec};
use tidemill_contracts::subjects;
use tidemill_lineage::Step;
use tidemill_monitoring::{MonitoringError, openlineage};
use tidemill_runtime::tell_lineage;
use tidemill_telemetry::{Metrics, names};
use tidemill_testkit::{Nats, eventually};
use tidemill_types::{Millis, ProjectName};
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
