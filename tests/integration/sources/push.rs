//! Events over HTTP, by clients that were written by others.

use super::{PATIENCE, holds, messages};
use anyhow::Result;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tidemill_ingestion::Options;
use tidemill_telemetry::Metrics;
use tidemill_testkit::eventually;
use tidemill_tests::{Rig, python};
use tokio_util::sync::CancellationToken;

/// Ingestion with its HTTP interface, in this process.
struct Open {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), tidemill_ingestion::IngestionError>>,
    url: String,
    metrics: Metrics,
}

impl Open {
    async fn start(rig: &Rig, token: Option<&str>) -> Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (stop, metrics) = (CancellationToken::new(), Metrics::new());
        let push_token = token.map(|token| tidemill_types::Digest::of(token.as_bytes()));
        let deps = tidemill_ingestion::Deps {
            bus: rig.nats.bus().await?,
            storage: rig.store.storage().clone(),
            spec: Arc::clone(&rig.spec),
            options: Options { commit_age: Duration::from_millis(50), push_token, ..Options::default() },
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
    let open = Open::start(&rig, None).await?;
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
    let open = Open::start(&rig, None).await?;
    rig.caught_up(last.trim().parse()?).await?;
    assert_eq!(rig.audit().await?.numbers[&1_000], 1);
    open.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_problems_and_leave_nothing_behind() -> Result<()> {
    let rig = Rig::start().await?;
    let open = Open::start(&rig, Some("t0ken")).await?;
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
