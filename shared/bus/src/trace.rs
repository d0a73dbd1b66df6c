//! Carries the W3C trace context; what it means is known to the telemetry crate only.

use crate::error::Result;
use crate::headers::Headers;
use tidemill_contracts::headers::TRACEPARENT;

/// Puts a `traceparent` into the headers; does nothing when there is none.
///
/// # Errors
/// `TM0612` when the text is not allowed in a header.
pub fn inject(headers: &mut Headers, traceparent: Option<&str>) -> Result<()> {
    traceparent.map_or(Ok(()), |value| headers.set(TRACEPARENT, value))
}

/// The `traceparent` of a message.
#[must_use]
pub fn extract(headers: &Headers) -> Option<&str> {
    headers.get(TRACEPARENT)
}
