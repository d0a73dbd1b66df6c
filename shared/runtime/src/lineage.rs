//! Telling the bus what was made of what.
//!
//! Lineage follows the data and never holds them up: what cannot be told is said in the log, and the work goes on.

use std::time::{SystemTime, UNIX_EPOCH};
use tidemill_bus::{BatchPublisher, Bus, Error, Headers, Outgoing};
use tidemill_contracts::{headers, subjects};
use tidemill_lineage::{RunEvent, Step};
use tidemill_types::{Millis, ProjectName};

/// Tells of a step that has ended well: its beginning, so long ago, and its end, now.
pub async fn tell_step(bus: &Bus, project: &ProjectName, step: &Step, took: std::time::Duration) {
    let now = now();
    let began = Millis(now.0.saturating_sub(i64::try_from(took.as_millis()).unwrap_or(0)));
    tell_lineage(bus, project, &[step.start(began), step.complete(now)]).await;
}

/// Publishes events of runs; the same event twice is one message for the bus.
pub async fn tell_lineage(bus: &Bus, project: &ProjectName, events: &[RunEvent]) {
    match publish(bus, project, events).await {
        Ok(()) => {}
        // A bus without the stream has nobody who would read it.
        Err(Error::NotFound(_)) => tracing::debug!("nobody keeps lineage on this bus"),
        Err(error) => tracing::warn!(%error, "lineage could not be told; the work it is about is done"),
    }
}

async fn publish(bus: &Bus, project: &ProjectName, events: &[RunEvent]) -> Result<(), Error> {
    let subject = subjects::lineage(project);
    let mut messages = Vec::with_capacity(events.len());
    for event in events {
        let body = serde_json::to_vec(event).map_err(|e| Error::Malformed(e.to_string()))?;
        let sent = Headers::new().with(headers::CONTENT_TYPE, headers::JSON)?;
        let id = format!("{project}-{}-{:?}", event.run.run_id, event.event_type);
        messages.push(Outgoing::new(subject.clone(), body).with_headers(sent).with_id(&id)?);
    }
    BatchPublisher::new(bus).publish(&messages).await?;
    Ok(())
}

/// The instant of an event that is told as it happens.
fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
