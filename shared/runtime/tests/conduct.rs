//! Supervision, health pages and drain.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tidemill_runtime::{
    Backoff, CancellationToken, Drained, Error, Readiness, Signals, Supervisor, bind, drain, grpc_server, retry,
    serve_admin,
};
use tidemill_telemetry::Metrics;
use tidemill_types::{Classified, Code, ErrorKind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};

#[derive(Debug, thiserror::Error)]
#[error("{0:?}")]
struct Broken(ErrorKind);

impl Classified for Broken {
    fn kind(&self) -> ErrorKind {
        self.0
    }
    fn code(&self) -> Code {
        Code(999)
    }
}

const LIMIT: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(1);

fn quiet() -> (mpsc::Sender<&'static str>, Signals) {
    let (sender, receiver) = mpsc::channel(4);
    (sender, Signals::from_channel(receiver))
}

fn waits_for_the_end(supervisor: &Supervisor) {
    let token = supervisor.token();
    supervisor.spawn("waits", async move {
        token.cancelled().await;
        Ok::<(), Broken>(())
    });
}

#[tokio::test]
async fn a_failing_task_ends_the_others_and_names_itself() {
    let supervisor = Supervisor::new();
    waits_for_the_end(&supervisor);
    supervisor.spawn("breaks", async { Err(Broken(ErrorKind::Corrupt)) });
    let (_sender, signals) = quiet();
    let Drained(result) = drain(&supervisor, &Readiness::new(), signals, LIMIT).await;
    let Err(Error::Task(failure)) = result else { panic!("{result:?}") };
    assert_eq!((failure.task.as_str(), failure.code), ("breaks", Code(999)));
    assert!(supervisor.running().is_empty());
}

#[tokio::test]
async fn a_panic_is_a_failure_with_its_message() {
    let supervisor = Supervisor::new();
    supervisor.spawn("panics", async { if true { panic!("index {}", 7) } else { Ok::<(), Broken>(()) } });
    supervisor.cancelled().await;
    supervisor.ended().await;
    assert_eq!(supervisor.failure().unwrap().message, "panicked: index 7");
}

#[tokio::test]
async fn passing_errors_restart_a_task_and_others_do_not() {
    let supervisor = Supervisor::new();
    let runs = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&runs);
    supervisor.spawn_restarting("restarts", Backoff::new(SHORT, SHORT), move |_| {
        let run = seen.fetch_add(1, Ordering::SeqCst);
        async move { Err(Broken(if run < 3 { ErrorKind::Unavailable } else { ErrorKind::Invalid })) }
    });
    supervisor.cancelled().await;
    assert_eq!(runs.load(Ordering::SeqCst), 4);
    assert_eq!(supervisor.failure().unwrap().kind, ErrorKind::Invalid);
}

#[tokio::test]
async fn retry_goes_on_until_success_or_cancellation() {
    let token = CancellationToken::new();
    let mut left = 3;
    let answer = retry("bus", &token, Backoff::new(SHORT, SHORT), || {
        left -= 1;
        std::future::ready(if left > 0 { Err(Broken(ErrorKind::Unavailable)) } else { Ok(42) })
    });
    assert_eq!(answer.await.unwrap(), Some(42));
    token.cancel();
    let never = retry("bus", &token, Backoff::default(), std::future::pending::<Result<(), Broken>>);
    assert!(never.await.unwrap().is_none());
}

#[tokio::test]
async fn a_signal_drains_and_a_second_one_cuts_off() {
    let supervisor = Supervisor::new();
    waits_for_the_end(&supervisor);
    let readiness = Readiness::new();
    let (sender, signals) = quiet();
    sender.send("SIGTERM").await.unwrap();
    let drained = drain(&supervisor, &readiness, signals, LIMIT).await;
    assert_eq!(drained.exit_code(), 0);
    assert!(!readiness.is_ready(), "a draining process takes no work");

    let supervisor = Supervisor::new();
    supervisor.spawn("stuck", std::future::pending::<Result<(), Broken>>());
    let (sender, signals) = quiet();
    sender.send("SIGTERM").await.unwrap();
    sender.send("SIGTERM").await.unwrap();
    let drained = drain(&supervisor, &Readiness::new(), signals, LIMIT).await;
    assert_eq!(drained.exit_code(), 130);
    assert!(drained.0.unwrap_err().to_string().contains("stuck"));

    let supervisor = Supervisor::new();
    supervisor.spawn("slow", std::future::pending::<Result<(), Broken>>());
    supervisor.cancel();
    let (_sender, signals) = quiet();
    let drained = drain(&supervisor, &Readiness::new(), signals, SHORT).await;
    assert_eq!(drained.exit_code(), 1);
    assert!(drained.0.unwrap_err().to_string().contains("slow"));
}

async fn http(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn the_admin_pages_tell_what_is_missing() {
    let listener = bind("127.0.0.1:0", "health and metrics", "admin.bind").await.unwrap();
    let address = listener.local_addr().unwrap();
    let taken = bind(&address.to_string(), "health and metrics", "admin.bind").await.unwrap_err().to_string();
    assert!(taken.contains(&address.to_string()) && taken.contains("admin.bind"), "{taken}");

    let (readiness, token) = (Readiness::new(), CancellationToken::new());
    let bus = readiness.condition("bus");
    let server = tokio::spawn(serve_admin(listener, readiness, Metrics::new(), token.clone()));
    assert!(http(address, "/livez").await.starts_with("HTTP/1.1 200"));
    bus.unmet("connection refused");
    let page = http(address, "/readyz").await;
    assert!(page.starts_with("HTTP/1.1 503") && page.contains(r#""bus":"connection refused""#), "{page}");
    bus.met();
    assert!(http(address, "/readyz").await.starts_with("HTTP/1.1 200"));
    let page = http(address, "/metrics").await;
    assert!(
        page.contains("application/openmetrics-text") && page.contains("tidemill_process_uptime_seconds"),
        "{page}"
    );
    token.cancel();
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn grpc_health_follows_readiness() {
    use tonic_health::pb::health_check_response::ServingStatus;
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
    let listener = bind("127.0.0.1:0", "gRPC", "serving.grpc").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (readiness, token) = (Readiness::new(), CancellationToken::new());
    let model = readiness.condition("model");
    let (started, routes) = (oneshot::channel::<()>(), tonic::service::Routes::default());
    let server = {
        let (readiness, token) = (readiness.clone(), token.clone());
        tokio::spawn(async move {
            let _ = started.0.send(());
            grpc_server("test", listener, routes, readiness, token).await
        })
    };
    started.1.await.unwrap();
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut client = HealthClient::new(endpoint.connect().await.unwrap());
    let mut changes = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    let mut wait_for = async |wanted: ServingStatus| {
        while changes.message().await.unwrap().unwrap().status() != wanted {}
    };
    tokio::time::timeout(LIMIT, wait_for(ServingStatus::NotServing)).await.unwrap();
    model.met();
    tokio::time::timeout(LIMIT, wait_for(ServingStatus::Serving)).await.unwrap();
    model.unmet("swapping");
    tokio::time::timeout(LIMIT, wait_for(ServingStatus::NotServing)).await.unwrap();
    // The client still watches: that must not keep the server from ending.
    token.cancel();
    tokio::time::timeout(LIMIT, server).await.unwrap().unwrap().unwrap();
}
