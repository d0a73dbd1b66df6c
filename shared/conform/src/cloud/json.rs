//! Whole events in JSON, attributes and data together.

use super::{CloudEvent, attribute};
use crate::reject::{BAD_ENVELOPE, Reject, shortened};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Most members of an envelope.
const MEMBERS: usize = 64;

impl<'a> CloudEvent<'a> {
    /// One event in JSON. Data that are JSON stay the bytes that they were.
    ///
    /// # Errors
    /// `TM0322` for an envelope that cannot be read; else as [`CloudEvent::new`].
    pub fn structured(body: &'a [u8]) -> Result<Self, Reject> {
        let members: Members<'a> = serde_json::from_slice(body).map_err(|error| {
            envelope(format!("a structured event is one JSON object, and this is none: {}", what(&error)))
        })?;
        Self::of(members)
    }

    /// The events of a JSON array.
    ///
    /// # Errors
    /// As [`CloudEvent::structured`]; the reason says which event it is about.
    pub fn batched(body: &'a [u8]) -> Result<Vec<Self>, Reject> {
        let events: Vec<&'a RawValue> = serde_json::from_slice(body).map_err(|error| {
            envelope(format!("a batch is a JSON array of events, and this is none: {}", what(&error)))
        })?;
        let one = |(number, event): (usize, &'a RawValue)| {
            Self::structured(event.get().as_bytes())
                .map_err(|reject| Reject { reason: format!("event {number}: {}", reject.reason), ..reject })
        };
        events.into_iter().enumerate().map(one).collect()
    }

    fn of(Members(members): Members<'a>) -> Result<Self, Reject> {
        let (mut data, mut base64, mut content_type) = (None, None, None);
        let mut attributes = Vec::with_capacity(members.len());
        for (name, value) in members {
            match name.as_str() {
                "data" => data = Some(value.get()),
                "data_base64" => base64 = text("data_base64", value)?,
                "datacontenttype" => content_type = text("datacontenttype", value)?,
                _ => attributes.extend(scalar(&name, value)?.map(|value| (name, value))),
            }
        }
        let content_type = content_type.unwrap_or_else(|| crate::JSON.to_owned());
        let data = match (data, base64) {
            (Some(_), Some(_)) => return Err(envelope("an event has data or data_base64, not both")),
            (None, None) => None,
            (None, Some(text)) => {
                let bytes = STANDARD.decode(text).map_err(|e| envelope(format!("data_base64: {e}")))?;
                Some(Cow::Owned(bytes))
            }
            // Text of another type than JSON stands as a JSON string.
            (Some(raw), None) if raw.starts_with('"') && !is_json(&content_type) => {
                Some(Cow::Owned(serde_json::from_str::<String>(raw).map_err(|e| envelope(what(&e)))?.into_bytes()))
            }
            (Some(raw), None) => Some(Cow::Borrowed(raw.as_bytes())),
        };
        Self::new(attributes, content_type, data)
    }
}

fn envelope(what: impl Into<String>) -> Reject {
    Reject::whole(BAD_ENVELOPE, what, "")
}

/// What is wrong with JSON, without what stands in it: where a value is of another type, serde quotes the value.
fn what(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if text.starts_with("invalid type") || text.starts_with("invalid value") {
        return format!("a value of another type at line {} column {}", error.line(), error.column());
    }
    text
}

fn is_json(content_type: &str) -> bool {
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media == crate::JSON || media.ends_with("+json")
}

/// A member that is a text; null counts as absent.
fn text(name: &str, value: &RawValue) -> Result<Option<String>, Reject> {
    serde_json::from_str(value.get()).map_err(|_| attribute(name, "is no text"))
}

/// The value of an attribute; null counts as absent.
fn scalar(name: &str, value: &RawValue) -> Result<Option<String>, Reject> {
    let refused = || attribute(&shortened(name), "is no text, number or boolean");
    match value.get() {
        "null" => Ok(None),
        truth @ ("true" | "false") => Ok(Some(truth.to_owned())),
        raw if raw.starts_with('"') => serde_json::from_str(raw).map(Some).map_err(|_| refused()),
        raw => raw.parse::<i64>().map(|number| Some(number.to_string())).map_err(|_| refused()),
    }
}

/// Members of an object in their order; a name that stands twice is refused, as nobody knows which one is meant.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> serde::Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members: Vec<(String, &'de RawValue)> = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if members.len() == MEMBERS {
                        return Err(serde::de::Error::custom(format!("more than {MEMBERS} members")));
                    }
                    if members.iter().any(|(known, _)| *known == name) {
                        return Err(serde::de::Error::custom(format!("\"{}\" stands twice", shortened(&name))));
                    }
                    members.push((name, map.next_value()?));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}
