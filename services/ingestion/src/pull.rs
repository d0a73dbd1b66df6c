//! One source that is fetched: what its puller tells becomes metrics, alerts and log lines.

use crate::Deps;
use crate::error::IngestionError;
use crate::notices;
use std::sync::Arc;
use tidemill_sources::{Puller, Tell, Told};
use tidemill_spec::Source;
use tidemill_telemetry::names;
use tidemill_types::{Classified as _, Digest, SourceName};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Alerts that wait to be sent; more at once say nothing more.
const WAITING: usize = 256;

/// Fetches until `stop`.
pub(crate) async fn run(
    deps: Arc<Deps>,
    name: SourceName,
    declared: Source,
    stop: CancellationToken,
) -> Result<(), IngestionError> {
    let (alerts, waiting) = mpsc::channel(WAITING);
    let puller = Puller {
        bus: deps.bus.clone(),
        storage: deps.storage.clone(),
        project: deps.spec.project.clone(),
        source: name.clone(),
        declared,
        scratch: deps.options.scratch.clone(),
        tell: teller(&deps, &name, alerts),
    };
    let raising = tokio::spawn(raise(Arc::clone(&deps), waiting));
    let tell = Arc::clone(&puller.tell);
    if let Err(error) = puller.run(stop.clone()).await {
        // One origin that cannot be used keeps no other source from its rows.
        tracing::error!(source = %name, %error, "the source is not fetched until ingestion starts again");
        tell(Told::Failed { code: error.code().to_string(), reason: error.to_string(), is_new: true });
        stop.cancelled().await;
    }
    drop(tell);
    // Nobody holds a sender any more, so what waits is sent and the task ends.
    if raising.await.is_err() {
        tracing::warn!(source = %name, "alerts about the source could not be raised");
    }
    Ok(())
}

fn teller(deps: &Arc<Deps>, name: &SourceName, alerts: mpsc::Sender<(String, String, String)>) -> Tell {
    let (deps, source) = (Arc::clone(deps), name.to_string());
    Arc::new(move |told| {
        let labels = [("source", source.as_str())];
        let metrics = &deps.metrics;
        // A full queue drops an alert, not a letter: what was refused is found among the dead letters.
        let alert = |severity: &str, text: String| {
            let _ = alerts.try_send((format!("source.{source}"), severity.to_owned(), text));
        };
        match told {
            Told::Published { rows, messages } => {
                metrics.counter(names::INGESTION_FETCHED_ROWS).add(&labels, rows);
                metrics.counter(names::INGESTION_FETCHED_MESSAGES).add(&labels, messages);
            }
            Told::Looked { took } => {
                metrics.histogram(names::INGESTION_FETCH_SECONDS).observe(&labels, took.as_secs_f64());
            }
            Told::Refused(refusal) => {
                let labels = [("source", source.as_str()), ("code", refusal.code.as_str())];
                metrics.counter(names::INGESTION_REFUSED_OBJECTS).add(&labels, 1);
                alert("error", format!("{}: {}", refusal.code, refusal.text));
            }
            Told::Failed { code, reason, is_new } => {
                let labels = [("source", source.as_str()), ("code", code.as_str())];
                metrics.counter(names::INGESTION_FETCH_FAILURES).add(&labels, 1);
                // Once per outage.
                if is_new {
                    alert("warn", format!("{code}: {reason}"));
                }
            }
        }
    })
}

/// Tells the others. An alert that cannot be sent is in the log all the same.
async fn raise(deps: Arc<Deps>, mut waiting: mpsc::Receiver<(String, String, String)>) {
    while let Some((rule, severity, text)) = waiting.recv().await {
        // The same refusal after a restart is the same alert.
        let id = Digest::of(format!("{} {rule} {text}", deps.spec.project).as_bytes());
        if let Err(error) = notices::raise(&deps, id.as_str(), &rule, &severity, text).await {
            tracing::warn!(%error, "an alert was not raised");
        }
    }
}
