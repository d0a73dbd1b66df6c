//! CloudEvents 1.0: values of attributes as they stand in headers, and whole events in JSON.
//!
//! The bus and the interface over HTTP read events here, so both take and refuse the same ones.

mod json;

use crate::reject::{BAD_ATTRIBUTE, Reject, shortened};
use std::borrow::Cow;
use tidemill_types::Millis;

/// One event in JSON, attributes and data together.
pub const STRUCTURED: &str = "application/cloudevents+json";
/// A JSON array of events.
pub const BATCHED: &str = "application/cloudevents-batch+json";
/// How the media types of all forms of whole events begin.
const WHOLE: &str = "application/cloudevents";
/// The version that is spoken.
pub const VERSION: &str = "1.0";

/// An event: what its attributes say, and its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudEvent<'a> {
    /// Unique within the source; never empty.
    pub id: String,
    /// Who produced it; never empty.
    pub source: String,
    /// Kind of event; never empty.
    pub kind: String,
    /// Further attributes and extensions, by name.
    pub others: Vec<(String, String)>,
    /// Media type of the data.
    pub content_type: String,
    /// The data, byte for byte as they came where they came as JSON; `None` when there are none.
    pub data: Option<Cow<'a, [u8]>>,
}

impl<'a> CloudEvent<'a> {
    /// An event from its attributes, which are checked.
    ///
    /// # Errors
    /// `TM0321` for an attribute that is absent, has no sound name or no sound value.
    pub fn new(
        attributes: Vec<(String, String)>,
        content_type: String,
        data: Option<Cow<'a, [u8]>>,
    ) -> Result<Self, Reject> {
        let (id, source, kind, others) = (String::new(), String::new(), String::new(), Vec::new());
        let mut event = Self { id, source, kind, others, content_type, data };
        let mut version = None;
        for (name, value) in attributes {
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
                let what = format!("\"{}\" is no name of an attribute: a to z and 0 to 9 only", shortened(&name));
                return Err(Reject::whole(BAD_ATTRIBUTE, what, ""));
            }
            match name.as_str() {
                "specversion" => version = Some(value),
                "id" => event.id = value,
                "source" => event.source = value,
                "type" => event.kind = value,
                // The content type says it already.
                "datacontenttype" => {}
                _ => {
                    if name == "time" {
                        check_time(&value)?;
                    }
                    event.others.push((name, value));
                }
            }
        }
        check_version(version.as_deref().unwrap_or_default())?;
        for (name, value) in [("id", &event.id), ("source", &event.source), ("type", &event.kind)] {
            check_name(name, value)?;
        }
        Ok(event)
    }

    /// The attributes as headers of the bus, encoded, beside the media type of the data.
    #[must_use]
    pub fn headers(&self) -> Vec<(String, String)> {
        let fixed = [("specversion", VERSION), ("id", &self.id), ("source", &self.source), ("type", &self.kind)];
        let mut all: Vec<_> = fixed.iter().map(|(name, value)| (format!("ce-{name}"), encoded(value))).collect();
        all.push(("content-type".to_owned(), self.content_type.clone()));
        for (name, value) in &self.others {
            // A trace context is a header of its own on the bus.
            let name = if name == "traceparent" { name.clone() } else { format!("ce-{name}") };
            all.push((name, encoded(value)));
        }
        all
    }
}

/// Whether a body of this media type is one whole event, attributes and all.
///
/// # Errors
/// `TM0302` for whole events in a form that is not read: batches on the bus, and other formats than JSON.
pub fn is_whole(content_type: &str) -> Result<bool, Reject> {
    let begins = content_type.get(..WHOLE.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(WHOLE));
    if !begins {
        return Ok(false);
    }
    let media = content_type.split(';').next().unwrap_or_default().trim();
    if media.eq_ignore_ascii_case(STRUCTURED) {
        return Ok(true);
    }
    let refused = |what| Err(Reject::whole(crate::reject::UNSUPPORTED_CONTENT_TYPE, what, "content-type"));
    if media.eq_ignore_ascii_case(BATCHED) {
        return refused("a message holds one event: send the events of a batch one by one, or over HTTP".to_owned());
    }
    refused(format!("events of the type \"{}\" are not read, only {STRUCTURED}", shortened(media)))
}

/// Checks `specversion`.
///
/// # Errors
/// `TM0321` for any but 1.0.
pub fn check_version(value: &str) -> Result<(), Reject> {
    if value == VERSION {
        return Ok(());
    }
    Err(attribute("specversion", &format!("must be {VERSION} and is \"{}\"", shortened(value))))
}

/// Checks `time`.
///
/// # Errors
/// `TM0321` when it is no RFC 3339 instant.
pub fn check_time(value: &str) -> Result<(), Reject> {
    match Millis::parse(value) {
        Some(_) => Ok(()),
        None => Err(attribute("time", &format!("is no RFC 3339 instant: \"{}\"", shortened(value)))),
    }
}

/// Checks `id`, `source` or `type`.
///
/// # Errors
/// `TM0321` when it is empty or has a control character.
pub fn check_name(name: &str, value: &str) -> Result<(), Reject> {
    if value.is_empty() {
        return Err(attribute(name, "is absent or empty"));
    }
    if value.chars().any(char::is_control) {
        return Err(attribute(name, "has a control character"));
    }
    Ok(())
}

/// What is wrong with an attribute.
fn attribute(name: &str, what: &str) -> Reject {
    Reject::whole(BAD_ATTRIBUTE, format!("the attribute {name} {what}"), name)
}

/// Percent-encoding of a value for a header: space, quote, percent and whatever is not printable ASCII.
#[must_use]
pub fn encoded(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The value of an attribute as it stands in the header `name`; nothing is copied where nothing is encoded.
///
/// # Errors
/// `TM0321` for what is no UTF-8 when decoded, and for a quoted string that ends in mid-air.
pub fn attribute_value<'v>(name: &str, value: &'v str) -> Result<Cow<'v, str>, Reject> {
    decoded(value).map_err(|what| attribute(name, what))
}

/// The value of a header: quoted strings without their quotes, percent-encoding undone.
///
/// # Errors
/// What is wrong with it: no UTF-8 when decoded (overlong forms are none), or a quoted string that ends in mid-air.
pub fn decoded(value: &str) -> Result<Cow<'_, str>, &'static str> {
    if value.bytes().all(is_plain) {
        return Ok(Cow::Borrowed(value));
    }
    let value = value.trim();
    let mut bytes = Vec::with_capacity(value.len());
    let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let mut rest = inner.unwrap_or(value).as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'\\' && inner.is_some() {
            let (escaped, tail) = tail.split_first().ok_or("ends in a backslash")?;
            bytes.push(*escaped);
            rest = tail;
            continue;
        }
        match tail {
            [high, low, after @ ..] if byte == b'%' => {
                if let (Some(high), Some(low)) = (digit(*high), digit(*low)) {
                    bytes.push(high << 4 | low);
                    rest = after;
                } else {
                    // Clients that do not encode send a percent sign as it is.
                    bytes.push(byte);
                }
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| "is no UTF-8 when decoded")
}

/// Whether a byte stands for itself in a header.
fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e) && byte != b'"' && byte != b'%'
}

/// A hexadecimal digit and nothing else: number parsers take a sign as well.
fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests;
