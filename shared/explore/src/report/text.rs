//! Values as people read them.

use crate::warnings::{number, span};
use tidemill_stats::Kind;
use tidemill_types::Millis;

/// A value of a column.
#[must_use]
pub fn written(kind: Kind, value: f64) -> String {
    match kind {
        Kind::Instant => instant(value as i64),
        _ => number(value),
    }
}

/// A distance between values of a column.
pub(super) fn spread(kind: Kind, value: f64) -> String {
    match kind {
        Kind::Instant => span(value as i64),
        _ => number(value),
    }
}

/// An instant to the minute.
pub(super) fn instant(millis: i64) -> String {
    let text = Millis(millis).to_string();
    match text.get(..16) {
        Some(minute) if text.ends_with('Z') => minute.replace('T', " "),
        _ => text,
    }
}

/// The beginning of a text that may be long.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// A p-value.
pub(super) fn chance(p: f64) -> String {
    match p {
        p if p < 1e-4 => "< 0.0001".to_owned(),
        p => format!("{p:.4}"),
    }
}

/// Text as a part of an address.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
