//! What evaluation tells the others, and where its dead letters go.

use crate::error::EvaluationError;
use prost::Message as _;
use tidemill_bus::{Bus, DeadLetterFn, Headers, trace};
use tidemill_contracts::events::{Notice, notice::Fact};
use tidemill_contracts::{headers, subjects};
use tidemill_registry::AliasMove;
use tidemill_types::ProjectName;
use tracing::{Instrument as _, info_span};

/// Publishes a notice under an id, so that a repeated one is stored once.
pub(crate) async fn tell(
    bus: &Bus,
    project: &ProjectName,
    cycle: &str,
    (noun, participle): (&str, &str),
    fact: Fact,
) -> Result<(), EvaluationError> {
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

/// Appends a move of an alias to the audit log.
pub(crate) async fn audit(bus: &Bus, made: &AliasMove) -> Result<(), EvaluationError> {
    let body = serde_json::to_vec(made).map_err(|e| EvaluationError::Request(e.to_string()))?;
    let id = format!("{}-{}-{}-{}", made.project, made.alias, made.to, made.at.0);
    async {
        let mut sent = Headers::new();
        sent.set(headers::NATS_MSG_ID, &id)?;
        sent.set(headers::CONTENT_TYPE, headers::JSON)?;
        trace::inject(&mut sent, tidemill_telemetry::current_traceparent().as_deref())?;
        bus.publish(&subjects::audit(&made.project), &sent, body).await?;
        Ok(())
    }
    .instrument(info_span!("tm.audit.{project} publish", otel.kind = "producer"))
    .await
}

/// Stores notices that are given up.
pub(crate) fn dead_letters(bus: &Bus, project: &ProjectName) -> Result<DeadLetterFn, EvaluationError> {
    let origin = "evaluation".parse().map_err(|e| EvaluationError::Request(format!("{e}")))?;
    Ok(bus.dead_letters(subjects::dead(project, &origin)))
}
