//! W3C trace context over message headers and calls.
//!
//! A consumer of single messages continues the trace of the message ([`set_parent`]). A consumer of batches starts a
//! trace of its own and links to those of its messages ([`add_links`]), on a child of the root span, because
//! Jaeger shows links of root spans badly. [`follow`] decides between the two.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Most links a span gets; a batch of thousands of messages must not become a span of megabytes.
pub const MAX_LINKS: usize = 16;

/// `traceparent` of the current span (W3C Trace Context, version 00), to be sent with a message or a call; `None`
/// outside a span or without telemetry.
#[must_use]
pub fn current_traceparent() -> Option<String> {
    let context = Span::current().context();
    let ids = context.span().span_context().clone();
    ids.is_valid().then(|| format!("00-{}-{}-{:02x}", ids.trace_id(), ids.span_id(), ids.trace_flags().to_u8() & 1))
}

/// Trace id of the current span as 32 hexadecimal characters, for answers and records.
#[must_use]
pub fn current_trace_id() -> Option<String> {
    let context = Span::current().context();
    let ids = context.span().span_context().clone();
    ids.is_valid().then(|| ids.trace_id().to_string())
}

/// Makes a span a child of the span that wrote `traceparent`. Call it before the span is entered for the first time.
///
/// A malformed `traceparent` starts a new trace, as the W3C recommendation asks. Returns whether the parent was set.
pub fn set_parent(span: &Span, traceparent: &str) -> bool {
    let Some(parent) = parse(traceparent) else { return false };
    span.set_parent(Context::new().with_remote_span_context(parent)).is_ok()
}

/// Links a span to those that wrote each `traceparent`; equal ones once, at most [`MAX_LINKS`]. Returns how many.
pub fn add_links<T: AsRef<str>>(span: &Span, traceparents: &[T]) -> usize {
    let mut linked: Vec<SpanContext> = Vec::new();
    for context in traceparents.iter().filter_map(|text| parse(text.as_ref())) {
        if linked.len() == MAX_LINKS {
            break;
        }
        if linked.contains(&context) {
            continue;
        }
        span.add_link(context.clone());
        linked.push(context);
    }
    linked.len()
}

/// Makes a span follow messages: it becomes the child of the one context they carry, or else gets a child made by
/// `receive` that links to all of them. Call it before the span is entered for the first time.
pub fn follow<T: AsRef<str>>(span: &Span, traceparents: &[T], receive: impl FnOnce() -> Span) {
    let Some((first, others)) = traceparents.split_first() else { return };
    if others.iter().all(|other| other.as_ref() == first.as_ref()) {
        set_parent(span, first.as_ref());
        return;
    }
    span.in_scope(|| add_links(&receive(), traceparents));
}

/// Marks a span as failed. The text is a code or a kind, never what was in a message.
pub fn failed(span: &Span, code: impl ToString) {
    span.set_status(Status::error(code.to_string()));
}

/// Reads `version-traceid-parentid-flags`; versions above 00 may carry more parts, version ff does not exist.
fn parse(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.trim().split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lower_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let well_formed = lower_hex(version, 2) && lower_hex(trace, 32) && lower_hex(span, 16) && lower_hex(flags, 2);
    if !well_formed || version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()? & 1);
    let trace = TraceId::from_hex(trace).ok()?;
    let span = SpanId::from_hex(span).ok()?;
    let context = SpanContext::new(trace, span, flags, true, TraceState::default());
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_recommendation_is_read() {
        let context = parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").expect("valid");
        assert_eq!(context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.span_id().to_string(), "00f067aa0ba902b7");
        assert!(context.is_sampled());
    }

    #[test]
    fn malformed_parents_are_refused() {
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
        assert!(parse("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more").is_some());
    }
}
