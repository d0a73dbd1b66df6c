//! Publishes histories slice by slice, each slice atomically per source and followed by its watermark.

use crate::replay::History;
use anyhow::Result;
use arrow::array::RecordBatch;
use std::collections::BTreeMap;
use tidemill_bus::{BatchPublisher, Bus, Headers, Outgoing, trace};
use tidemill_contracts::{headers, subjects};
use tidemill_types::{Millis, ProjectName, SourceName};
use tracing::{Instrument as _, info_span};

/// Rows of one message.
const ROWS_PER_MESSAGE: usize = 5_000;
/// CloudEvents source of replayed events.
const CE_SOURCE: &str = "/tidemill/replay";

/// Publishes a set of histories together.
pub(crate) struct Publisher {
    bus: Bus,
    project: ProjectName,
    histories: Vec<History>,
    published: BTreeMap<SourceName, u64>,
}

impl Publisher {
    /// A publisher that has published nothing yet.
    pub(crate) fn new(bus: Bus, project: ProjectName, histories: Vec<History>) -> Self {
        let published = histories.iter().map(|h| (h.source.clone(), 0)).collect();
        Self { bus, project, histories, published }
    }

    /// Publishes everything known by `until`, inclusive; durable on the bus when it returns. Gives the rows.
    ///
    /// # Errors
    /// A bus that does not take the messages.
    pub(crate) async fn publish_until(&mut self, until: Millis) -> Result<u64> {
        let mut rows = 0;
        let mut sendings = Vec::new();
        for history in &mut self.histories {
            let (first, slice) = history.take_until(until);
            rows += slice.num_rows() as u64;
            *self.published.entry(history.source.clone()).or_default() += slice.num_rows() as u64;
            let span = info_span!(
                "tm.events.{project}.{source} publish",
                otel.kind = "producer",
                dataset.name = %history.source,
                rows = slice.num_rows()
            );
            let messages = span.in_scope(|| messages(&self.project, history, first, &slice, until))?;
            let publisher = BatchPublisher::new(&self.bus);
            sendings.push(async move { publisher.publish(&messages).await }.instrument(span));
        }
        futures::future::try_join_all(sendings).await?;
        Ok(rows)
    }

    /// Rows published so far, by source.
    pub(crate) fn published(&self) -> &BTreeMap<SourceName, u64> {
        &self.published
    }
}

fn messages(
    project: &ProjectName,
    history: &History,
    first: usize,
    slice: &RecordBatch,
    until: Millis,
) -> Result<Vec<Outgoing>> {
    let subject = subjects::events(project, &history.source);
    let mut messages = Vec::new();
    let mut at = 0;
    while at < slice.num_rows() {
        let rows = slice.slice(at, ROWS_PER_MESSAGE.min(slice.num_rows() - at));
        // First row and length: other slices of the same history never share an id with different rows.
        let id = format!("{}-{}+{}", history.source, first + at, rows.num_rows());
        at += rows.num_rows();
        let headers =
            base_headers(&id, &history.event_type, until)?.with(headers::CONTENT_TYPE, headers::ARROW_STREAM)?;
        let body = tidemill_conform::encode_stream(&[rows])?;
        messages.push(Outgoing::new(subject.clone(), body).with_headers(headers));
    }
    // Only the last message of a slice may claim that nothing earlier follows.
    let mark = until.0.to_string();
    match messages.pop() {
        Some(last) => {
            let marked = last.headers.clone().with(headers::WATERMARK, &mark)?;
            messages.push(last.with_headers(marked));
        }
        None => {
            let id = format!("{}-watermark-{mark}", history.source);
            let headers = base_headers(&id, headers::TYPE_WATERMARK, until)?.with(headers::WATERMARK, &mark)?;
            messages.push(Outgoing::new(subject, Vec::new()).with_headers(headers));
        }
    }
    Ok(messages)
}

fn base_headers(id: &str, event_type: &str, at: Millis) -> Result<Headers, tidemill_bus::Error> {
    let mut base = Headers::from_pairs([
        (headers::CE_SPECVERSION, "1.0"),
        (headers::CE_ID, id),
        (headers::CE_SOURCE, CE_SOURCE),
        (headers::CE_TYPE, event_type),
        (headers::CE_TIME, &at.to_string()),
    ])?;
    trace::inject(&mut base, tidemill_telemetry::current_traceparent().as_deref())?;
    Ok(base)
}
