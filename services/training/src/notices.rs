//! What training tells the others, and where its dead letters go.

use crate::error::TrainingError;
use bytes::Bytes;
use futures::FutureExt as _;
use prost::Message as _;
use std::sync::Arc;
use tidemill_bus::{Bus, DeadJob, DeadLetterFn, Headers, trace};
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
    let subject: Arc<str> = subjects::dead(project, &origin).into();
    let bus = bus.clone();
    Ok(Arc::new(move |job: DeadJob| {
        let (bus, subject) = (bus.clone(), Arc::clone(&subject));
        async move { store(&bus, &subject, job).await.map_err(|e| e.to_string()) }.boxed()
    }))
}

async fn store(bus: &Bus, subject: &str, job: DeadJob) -> Result<(), tidemill_bus::Error> {
    let reason = job.reason.replace(['\r', '\n'], " ");
    let sent = Headers::new()
        .with(headers::NATS_MSG_ID, &format!("{}:{}", job.stream, job.sequence))?
        .with(headers::DEAD_REASON, &reason)?
        .with(headers::DEAD_STREAM, &job.stream)?
        .with(headers::DEAD_SEQ, &job.sequence.to_string())?;
    bus.publish(subject, &sent, Bytes::clone(&job.payload)).await?;
    Ok(())
}
