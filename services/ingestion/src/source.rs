//! One source: its consumer and, where it has an origin, its puller; halted while stream and table disagree.

use crate::error::IngestionError;
use crate::{Deps, all, consumer, notices, pull};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tidemill_intake::Life;
use tidemill_telemetry::names;
use tidemill_types::{Classified as _, Digest, SourceName};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Between two looks at whether a halted source was mended.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// A source that has been read for so long is well.
const SETTLED: Duration = Duration::from_secs(5);

/// Runs until `stop`.
///
/// A source whose books do not agree with its stream (messages that the bus lost, a stream that was deleted or made
/// anew, a table with other columns) is halted with an alert and nothing of it is read or fetched until somebody has
/// mended it; the other sources go on.
pub(crate) async fn run(
    deps: Arc<Deps>,
    name: SourceName,
    life: Life,
    stop: CancellationToken,
) -> Result<(), IngestionError> {
    let halted = deps.metrics.gauge(names::INGESTION_HALTED).with(&[("source", name.as_str())]);
    let mut known = String::new();
    loop {
        let mut running = pin!(once(&deps, &name, &life, stop.child_token()));
        let ended = match tokio::time::timeout(SETTLED, &mut running).await {
            Ok(ended) => ended,
            Err(_) => {
                halted.set(0.0);
                known.clear();
                running.await
            }
        };
        let error = match ended {
            Err(error) if error.halts_one_source() && !stop.is_cancelled() => error,
            ended => return ended,
        };
        halted.set(1.0);
        let text = format!("{}: {error}", error.code());
        if text != known {
            tracing::error!(source = %name, "the source is halted, the others go on: {text}");
            raise(&deps, &name, &text).await;
            known = text;
        }
        tokio::select! {
            () = stop.cancelled() => return Err(error),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

async fn once(deps: &Arc<Deps>, name: &SourceName, life: &Life, stop: CancellationToken) -> Result<(), IngestionError> {
    let mut pulling = JoinSet::new();
    if let Some(declared) = deps.spec.sources.get(name).filter(|declared| declared.from.is_some()) {
        pulling.spawn(pull::run(Arc::clone(deps), name.clone(), declared.clone(), stop.clone()));
    }
    let consuming = consumer::run(Arc::clone(deps), name.clone(), life.clone(), stop.clone());
    // An alarm does not wait for what is being fetched: dropping the puller ends it, as a crash would.
    tokio::try_join!(consuming, all(pulling, &stop)).map(|_| ())
}

/// Tells the others; an alert that cannot be sent is in the log all the same.
async fn raise(deps: &Deps, name: &SourceName, text: &str) {
    let id = Digest::of(format!("halted {} {name} {text}", deps.spec.project).as_bytes());
    if let Err(error) = notices::raise(deps, id.as_str(), &format!("halted.{name}"), "page", text.to_owned()).await {
        tracing::warn!(source = %name, %error, "the alert that the source is halted was not raised");
    }
}
