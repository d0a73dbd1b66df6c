//! What is told to everybody: notices of what has happened, and entries of the audit log. One way to publish both, so that
//! each continues the trace in which it happened.

use prost::Message as _;
use serde::Serialize;
use tidemill_bus::{Bus, Error, Headers, trace};
use tidemill_contracts::events::{AlertRaised, Notice, notice::Fact};
use tidemill_contracts::{headers, subjects};
use tidemill_types::ProjectName;
use tracing::{Instrument as _, info_span};

/// Publishes a notice of a turn of the loop; `cycle` is empty outside of one. The same `id` twice is one message.
///
/// # Errors
/// The bus does not take it.
pub async fn tell_notice(
    bus: &Bus,
    project: &ProjectName,
    (noun, participle): (&str, &str),
    (cycle, id): (&str, Option<&str>),
    fact: Fact,
) -> Result<(), Error> {
    let notice = Notice { project: project.to_string(), cycle_id: cycle.to_owned(), fact: Some(fact) };
    let name = format!("tm.notices.{{project}}.{noun}.{participle} publish");
    let span = info_span!("publish", otel.name = name, otel.kind = "producer");
    let subject = subjects::notice(project, noun, participle);
    publish(bus, &subject, id, Headers::new(), notice.encode_to_vec()).instrument(span).await
}

/// Raises an alert. The same `id` twice is one alert.
///
/// # Errors
/// As [`tell_notice`].
pub async fn raise_alert(bus: &Bus, project: &ProjectName, id: Option<&str>, alert: AlertRaised) -> Result<(), Error> {
    tell_notice(bus, project, ("alert", "raised"), ("", id), Fact::AlertRaised(alert)).await
}

/// Appends an entry to the audit log; it is on disk when this returns. The same `id` twice is one entry.
///
/// # Errors
/// The bus does not take it, or the entry is no JSON.
pub async fn tell_audit(
    bus: &Bus,
    project: &ProjectName,
    id: Option<&str>,
    entry: &impl Serialize,
) -> Result<(), Error> {
    let body = serde_json::to_vec(entry).map_err(|e| Error::Malformed(e.to_string()))?;
    let sent = Headers::new().with(headers::CONTENT_TYPE, headers::JSON)?;
    let span = info_span!("tm.audit.{project} publish", otel.kind = "producer");
    publish(bus, &subjects::audit(project), id, sent, body).instrument(span).await
}

async fn publish(bus: &Bus, subject: &str, id: Option<&str>, mut sent: Headers, body: Vec<u8>) -> Result<(), Error> {
    if let Some(id) = id {
        sent.set(headers::NATS_MSG_ID, id)?;
    }
    trace::inject(&mut sent, tidemill_telemetry::current_traceparent().as_deref())?;
    bus.publish(subject, &sent, body).await?;
    Ok(())
}
