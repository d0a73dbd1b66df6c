//! Dead letters: the refused row or message with code, reason and position.

use crate::gather::Refusal;
use bytes::Bytes;
use tidemill_bus::{Headers, Outgoing};
use tidemill_contracts::headers;
use tracing::debug;

/// Room for reason, id and batch headers, which count as payload.
const HEADROOM: usize = 4_096;

/// The letter about a refusal. Its id is the same again after a crash, so the bus keeps one.
pub(crate) fn letter(
    subject: &str,
    max_payload: usize,
    incarnation: &str,
    refusal: &Refusal,
) -> Result<Outgoing, tidemill_bus::Error> {
    let row = refusal.row.map(|row| format!(":{row}")).unwrap_or_default();
    let mut all = Headers::new();
    for (name, value) in refusal.headers.iter() {
        // Headers of the server and the deduplication id of the original must not be sent again.
        if name.to_ascii_lowercase().starts_with("nats-") {
            continue;
        }
        if let Err(error) = all.set(name, value) {
            debug!(seq = refusal.seq, %error, "a header of a dead letter cannot be sent again");
        }
    }
    all.set(headers::DEAD_CODE, &refusal.code)?;
    let mut reason = one_line(&refusal.reason);
    let position = if refusal.position.is_empty() { "whole message" } else { &refusal.position };
    all.set(headers::DEAD_POSITION, &one_line(position))?;
    all.set(headers::DEAD_STREAM, incarnation)?;
    all.set(headers::DEAD_SEQ, &refusal.seq.to_string())?;
    if let Some(row) = refusal.row {
        all.set(headers::DEAD_ROW, &row.to_string())?;
    }
    if refusal.is_cut {
        all.set(headers::DEAD_BODY, headers::DEAD_BODY_ROW)?;
    }
    let mut body = refusal.body.clone();
    let size: usize = all.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    if size + HEADROOM + body.len() > max_payload {
        // The largest message that the bus takes leaves no room for a reason.
        reason = format!("{reason}; its {} bytes are left out here and stand in the stream", body.len());
        body = Bytes::new();
    }
    all.set(headers::DEAD_REASON, &reason)?;
    let letter = Outgoing::new(subject, body).with_headers(all);
    letter.with_id(&format!("{incarnation}:{}{row}", refusal.seq))
}

/// Header values stand on one line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect()
}
