//! What training tells the others, and where its dead letters go.

use crate::error::TrainingError;
use prost::Message as _;
use tidemill_bus::{Bus, DeadLetterFn, Headers, trace};
use tidemill_contracts::events::{Notice, notice::Fact};
use tidemill_contracts::{headers, subjects};
use tidemill_types::ProjectName;
use tracing::{Instrument as _, info_span};

/// Publishes a notice under an id, so that a repeated one is stored once.
pub(crate) async fn tell(
    bus: &Bus,
    project: &ProjectName,
    cycle: &str,
    (noun, participle): (&str, &str),
    fact: Fact,
) -> Result<(), TrainingError> {
    let notice = Notice { project: project.to_string(), cycle_id: cycle.to_owned(), fact: Some(fact) };
    let name = format!("tm.notices.{{project}}.{noun}.{participle} publish");
    let span = info_span!("publish", otel.name = name, otel.kind = "producer");
    async {
        let mut sent = Headers::new();
        sent.set(headers::NATS_MSG_ID, &format!("{project}-{cycle}-{noun}-{participle}"))?;
        trace::inject(&mut sent, tidemill_telemetry::current_traceparent().as_deref())?;
        bus.publish(&subjects::notice(project, noun, participle), &sent, notice.encode_to_vec()).await?;
        Ok(())
    }
    .instrument(span)
    .await
}

/// Stores jobs and notices that are given up.
pub(crate) fn dead_letters(bus: &Bus, project: &ProjectName) -> Result<DeadLetterFn, TrainingError> {
    let origin = "training".parse().map_err(|e| TrainingError::Request(format!("{e}")))?;
    Ok(bus.dead_letters(subjects::dead(project, &origin)))
}
