//! Events over HTTP, by clients that were written by others.

use super::{PATIENCE, holds, messages};
use anyhow::Result;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tidemill_ingestion::Options;
use tidemill_telemetry::Metrics;
use tidemill_testkit::eventually;
use tidemill_tests::{Rig, messages as readings, python};
use tidemill_types::Digest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// Ingestion with its HTTP interface, in this process.
struct Open {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), tidemill_ingestion::IngestionError>>,
    url: String,
    metrics: Metrics,
}

impl Open {
    async fn start(rig: &Rig, options: Options) -> Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (stop, metrics) = (CancellationToken::new(), Metrics::new());
        let deps = tidemill_ingestion::Deps {
            bus: rig.nats.bus().await?,
            storage: rig.store.storage().clone(),
            spec: Arc::clone(&rig.spec),
            options: Options { commit_age: Duration::from_millis(50), ..options },
            metrics: metrics.clone(),
            http: Some(listener),
        };
        let task = tokio::spawn(tidemill_ingestion::run(deps, stop.clone()));
        Ok(Self { stop, task, url, metrics })
    }

    async fn stop(self) -> Result<()> {
        self.stop.cancel();
        Ok(self.task.await??)
    }
}

fn client(arguments: &[&str]) -> Result<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/sources");
    let interpreter = python::environment("push", &folder.join("requirements.txt"))?;
    let output = std::process::Command::new(interpreter).arg(folder.join("push.py")).args(arguments).output()?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    anyhow::ensure!(output.status.success(), "{out}{err}");
    Ok(out.into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_of_cloudevents_is_understood_in_every_mode_and_nothing_is_doubled() -> Result<()> {
    let rig = Rig::start().await?;
    let open = Open::start(&rig, Options::default()).await?;
    // Readings 0 to 499 in every form, each request twice.
    let url = open.url.clone();
    let told = tokio::task::spawn_blocking(move || client(&[&url, "every"])).await??;
    assert_eq!(told.trim(), "500");
    let audit = holds(&rig, 500).await?;
    let settled = eventually(PATIENCE, || async {
        let last = messages(&rig).await.unwrap_or_default();
        rig.caught_up(i64::try_from(last).unwrap_or_default()).await.is_ok()
    });
    assert!(settled.await);
    assert!(audit.has_exactly(0..500) && rig.audit().await?.has_exactly(0..500));
    // Killed behind the answer: what was answered is on the bus.
    let url = open.url.clone();
    let last = tokio::task::spawn_blocking(move || client(&[&url, "one", "1000"])).await??;
    open.task.abort();
    let open = Open::start(&rig, Options::default()).await?;
    rig.caught_up(last.trim().parse()?).await?;
    assert_eq!(rig.audit().await?.numbers[&1_000], 1);
    open.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_problems_and_leave_nothing_behind() -> Result<()> {
    let rig = Rig::start().await?;
    let open = Open::start(&rig, Options { push_token: Some(Digest::of(b"t0ken")), ..Options::default() }).await?;
    let url = open.url.clone();
    let told = tokio::task::spawn_blocking(move || client(&[&url, "refused"])).await??;
    let expected = "404 TM1750\n401 TM1751\n404 TM1752\n413 TM1753\n415 TM1754\n415 TM1754\n400 TM1755\n400 TM1755\n\
                    422 TM0312\n422 TM0304\n422 TM0315\n";
    assert_eq!(told, expected);
    assert_eq!(messages(&rig).await?, 0);
    let shown = open.metrics.render();
    assert!(shown.contains("code=\"TM1752\",source=\"\"") || shown.contains("source=\"\",code=\"TM1752\""), "{shown}");
    open.stop().await
}

/// A request as it goes over the wire, of which the body may be missing.
async fn begin(open: &Open, headers: &[&str], length: usize) -> Result<TcpStream> {
    let address = open.url.trim_start_matches("http://");
    let mut socket = TcpStream::connect(address).await?;
    let host = if headers.iter().any(|line| line.starts_with("host:")) { "" } else { "host: localhost\r\n" };
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let head = format!(
        "POST /v1/events/readings HTTP/1.1\r\n{host}{lines}connection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await?;
    Ok(socket)
}

/// The whole answer.
async fn end(mut socket: TcpStream, body: &str) -> Result<String> {
    // A refusal may come before the body is taken.
    let _ = socket.write_all(body.as_bytes()).await;
    let mut answer = Vec::new();
    // A server that refuses without the body may reset the connection behind its answer.
    let _ = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await?;
    Ok(String::from_utf8_lossy(&answer).to_lowercase())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_in_a_browser_sends_nothing_unless_it_has_a_token() -> Result<()> {
    let rig = Rig::start().await?;
    let row = readings::object(1);
    let ask = async |open: &Open, headers: &[&str]| end(begin(open, headers, row.len()).await?, &row).await;
    let open = Open::start(&rig, Options::default()).await?;
    // What `fetch` in the mode no-cors sends for a Blob without a type, and a page whose name was led here.
    let page = ask(&open, &["origin: https://evil.example"]).await?;
    assert!(page.starts_with("http/1.1 403") && page.contains("ingestion.http_token_file"), "{page}");
    let rebound = ask(&open, &["host: rebound.example:8010"]).await?;
    assert!(rebound.starts_with("http/1.1 403") && rebound.contains("ingestion.http_names"), "{rebound}");
    assert_eq!(messages(&rig).await?, 0);
    assert!(ask(&open, &["content-type: application/json"]).await?.starts_with("http/1.1 202"));
    open.stop().await?;
    let token = Some(Digest::of(b"t0ken"));
    let open = Open::start(&rig, Options { push_token: token, ..Options::default() }).await?;
    let shown = ["host: events.example", "origin: https://shop.example", "authorization: Bearer t0ken"];
    assert!(ask(&open, &shown).await?.starts_with("http/1.1 202"));
    open.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_senders_take_no_more_places_than_there_are_and_lose_them() -> Result<()> {
    let rig = Rig::start().await?;
    let limits = Options { push_requests: 2, push_body_time: Duration::from_secs(3), ..Options::default() };
    let open = Open::start(&rig, limits).await?;
    let row = readings::object(1);
    let ask = async || end(begin(&open, &[], row.len()).await?, &row).await;
    let slow = [begin(&open, &[], 100).await?, begin(&open, &[], 100).await?];
    let busy =
        || async { ask().await.is_ok_and(|told| told.starts_with("http/1.1 429") && told.contains("retry-after: 1")) };
    assert!(eventually(PATIENCE, busy).await, "places are without number");
    for socket in slow {
        let told = end(socket, "").await?;
        assert!(told.starts_with("http/1.1 408") && told.contains("tm1758"), "{told}");
    }
    let free = || async { ask().await.is_ok_and(|told| told.starts_with("http/1.1 202")) };
    assert!(eventually(PATIENCE, free).await, "a place was lost");
    open.stop().await
}
