//! What can be seen of a trace in memory: spans, summaries, pages.

use opentelemetry::Value;
use opentelemetry::trace::{SpanId, SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// One finished span.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RecentSpan {
    /// Trace it belongs to, 32 hexadecimal characters.
    pub trace_id: String,
    /// Its own id, 16 hexadecimal characters.
    pub span_id: String,
    /// The span it is a child of; `None` for the root of a trace.
    pub parent_id: Option<String>,
    /// Whether the parent lives in another process or task, on the other side of a message or call.
    pub parent_remote: bool,
    /// Name: a template, never an id.
    pub name: String,
    /// Role it belongs to, for example `tidemill-serving`.
    pub service: String,
    /// `internal`, `server`, `client`, `producer` or `consumer`.
    pub kind: &'static str,
    /// Start in microseconds since 1970.
    pub start_micros: i64,
    /// Duration in microseconds.
    pub duration_micros: u64,
    /// Whether it failed.
    pub error: bool,
    /// What was said about the failure.
    pub message: Option<String>,
    /// Attributes, values as text.
    pub attributes: BTreeMap<String, String>,
    /// Spans of other traces it takes up.
    pub links: Vec<RecentLink>,
    /// Attributes and links beyond the bounds, and those the SDK dropped.
    pub dropped: u32,
}

/// A reference to a span of another trace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RecentLink {
    /// Trace, 32 hexadecimal characters.
    pub trace_id: String,
    /// Span, 16 hexadecimal characters.
    pub span_id: String,
}

/// One line of a list of traces.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RecentSummary {
    /// Trace, 32 hexadecimal characters.
    pub trace_id: String,
    /// Name of the root: the span without a parent, or else the first one seen here.
    pub root: String,
    /// Role of the root.
    pub service: String,
    /// Start of the earliest span in microseconds since 1970.
    pub start_micros: i64,
    /// From the earliest start to the latest end, in microseconds.
    pub duration_micros: u64,
    /// Spans kept.
    pub spans: usize,
    /// Spans beyond the bound.
    pub dropped_spans: u64,
    /// Whether a span of it failed.
    pub error: bool,
    /// Roles it has passed through, sorted.
    pub services: Vec<String>,
}

/// A trace with its spans in the order of their start.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RecentTrace {
    /// Its line in the list.
    #[serde(flatten)]
    pub summary: RecentSummary,
    /// Its spans.
    pub tree: Vec<RecentSpan>,
}

/// Which traces are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentQuery {
    /// Text that the name of the root contains, small and capital letters alike.
    pub root: Option<String>,
    /// Shortest duration in microseconds.
    pub min_duration_micros: u64,
    /// Only those with a span that failed.
    pub errors_only: bool,
    /// How many of the newest to skip.
    pub skip: usize,
    /// How many to return at most.
    pub limit: usize,
}

impl Default for RecentQuery {
    fn default() -> Self {
        Self { root: None, min_duration_micros: 0, errors_only: false, skip: 0, limit: 50 }
    }
}

/// A part of the list, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RecentPage {
    /// Lines of this page.
    pub traces: Vec<RecentSummary>,
    /// How many traces the query finds, this page and others.
    pub found: usize,
    /// How many traces are kept in all.
    pub kept: usize,
    /// Names of roots that are kept, with their number: choices for a filter.
    pub roots: BTreeMap<String, usize>,
    /// What was not kept, since the process started.
    pub dropped: RecentDropped,
}

/// What the bounds have cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RecentDropped {
    /// Whole traces that made room for newer ones.
    pub traces: u64,
    /// Spans of traces that were full.
    pub spans: u64,
    /// Attributes and links of spans that were full, and values that were cut.
    pub parts: u64,
}

/// Most attributes of a span that are kept.
pub const MAX_ATTRIBUTES: usize = 24;
/// Most characters of a value that are kept.
pub const MAX_VALUE_CHARS: usize = 256;

impl RecentSpan {
    /// The kept part of what the SDK hands on.
    pub(crate) fn of(data: &SpanData, service: String) -> Self {
        let ids = &data.span_context;
        let mut dropped = data.dropped_attributes_count.saturating_add(data.links.dropped_count);
        let mut attributes = BTreeMap::new();
        for pair in &data.attributes {
            if attributes.len() == MAX_ATTRIBUTES {
                dropped = dropped.saturating_add(1);
                continue;
            }
            let (value, cut) = shortened(&pair.value);
            dropped = dropped.saturating_add(u32::from(cut));
            attributes.insert(pair.key.as_str().to_owned(), value);
        }
        let beyond = data.links.len().saturating_sub(crate::MAX_LINKS);
        dropped = dropped.saturating_add(u32::try_from(beyond).unwrap_or(u32::MAX));
        let link = |link: &opentelemetry::trace::Link| RecentLink {
            trace_id: link.span_context.trace_id().to_string(),
            span_id: link.span_context.span_id().to_string(),
        };
        let (error, message) = match &data.status {
            Status::Error { description } => (true, (!description.is_empty()).then(|| cut(description).0)),
            Status::Ok | Status::Unset => (false, None),
        };
        let duration = data.end_time.duration_since(data.start_time).unwrap_or_default();
        Self {
            trace_id: ids.trace_id().to_string(),
            span_id: ids.span_id().to_string(),
            parent_id: (data.parent_span_id != SpanId::INVALID).then(|| data.parent_span_id.to_string()),
            parent_remote: data.parent_span_is_remote,
            name: data.name.to_string(),
            service,
            kind: kind(&data.span_kind),
            start_micros: micros(data.start_time),
            duration_micros: u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
            error,
            message,
            attributes,
            links: data.links.iter().take(crate::MAX_LINKS).map(link).collect(),
            dropped,
        }
    }

    /// End in microseconds since 1970.
    #[must_use]
    pub fn end_micros(&self) -> i64 {
        self.start_micros.saturating_add_unsigned(self.duration_micros)
    }
}

fn shortened(value: &Value) -> (String, bool) {
    cut(&value.as_str())
}

fn cut(text: &str) -> (String, bool) {
    match text.char_indices().nth(MAX_VALUE_CHARS) {
        None => (text.to_owned(), false),
        Some((at, _)) => (format!("{}…", text.get(..at).unwrap_or_default()), true),
    }
}

fn kind(kind: &SpanKind) -> &'static str {
    match kind {
        SpanKind::Client => "client",
        SpanKind::Server => "server",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
        SpanKind::Internal => "internal",
    }
}

fn micros(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
