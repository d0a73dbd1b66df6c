//! CloudEvents 1.0: attributes, their encoding in headers, and events as JSON.

use super::event::Event;
use super::refusal::PushError;
use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use tidemill_contracts::headers as names;

/// One event in JSON.
pub(super) fn structured(body: &[u8]) -> Result<Event, PushError> {
    match parsed(body)? {
        Value::Object(event) => from_json(event),
        _ => Err(PushError::Event("a structured event is one JSON object".to_owned())),
    }
}

/// An array of events in JSON.
pub(super) fn batched(body: &[u8]) -> Result<Vec<Event>, PushError> {
    let Value::Array(events) = parsed(body)? else {
        return Err(PushError::Event("a batch is a JSON array of events".to_owned()));
    };
    let one = |(number, event)| match event {
        Value::Object(event) => from_json(event).map_err(|error| match error {
            PushError::Event(reason) => PushError::Event(format!("event {number}: {reason}")),
            other => other,
        }),
        _ => Err(PushError::Event(format!("event {number} is no JSON object"))),
    };
    events.into_iter().enumerate().map(one).collect()
}

fn parsed(body: &[u8]) -> Result<Value, PushError> {
    serde_json::from_slice(body).map_err(|e| PushError::Event(format!("the envelope is no JSON: {e}")))
}

fn from_json(mut event: Map<String, Value>) -> Result<Event, PushError> {
    let refused = |reason: &str| PushError::Event(reason.to_owned());
    let content_type = match event.remove("datacontenttype") {
        None | Some(Value::Null) => names::JSON.to_owned(),
        Some(Value::String(text)) => text,
        Some(_) => return Err(refused("datacontenttype is no text")),
    };
    let body = match (event.remove("data"), event.remove("data_base64")) {
        (Some(_), Some(_)) => return Err(refused("an event has data or data_base64, not both")),
        (None, None) => return Err(refused("an event without data holds no row")),
        (None, Some(Value::String(text))) => {
            STANDARD.decode(text).map_err(|e| PushError::Event(format!("data_base64: {e}")))?
        }
        (None, Some(_)) => return Err(refused("data_base64 is no text")),
        // Text of another type than JSON stands as a JSON string.
        (Some(Value::String(text)), None) if !is_json(&content_type) => text.into_bytes(),
        (Some(data), None) => data.to_string().into_bytes(),
    };
    let mut attributes = Vec::new();
    for (name, value) in event {
        let value = match value {
            Value::String(text) => text,
            Value::Bool(value) => value.to_string(),
            Value::Number(number) if number.is_i64() => number.to_string(),
            Value::Null => continue,
            _ => return Err(PushError::Event(format!("the attribute {name} is no text, number or boolean"))),
        };
        attributes.push((name, value));
    }
    self::event(attributes, content_type, body.into())
}

fn is_json(content_type: &str) -> bool {
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media == names::JSON || media.ends_with("+json")
}

/// An event from its attributes.
pub(super) fn event(attributes: Vec<(String, String)>, content_type: String, body: Bytes) -> Result<Event, PushError> {
    let mut event =
        Event { id: String::new(), source: String::new(), kind: String::new(), others: Vec::new(), content_type, body };
    let mut version = None;
    for (name, value) in attributes {
        let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if !plain {
            return Err(PushError::Event(format!("\"{name}\" is no name of an attribute: a to z and 0 to 9 only")));
        }
        match name.as_str() {
            "specversion" => version = Some(value),
            "id" => event.id = value,
            "source" => event.source = value,
            "type" => event.kind = value,
            // The content type says it already.
            "datacontenttype" => {}
            _ => event.others.push((name, value)),
        }
    }
    if version.as_deref() != Some("1.0") {
        return Err(PushError::Event("specversion must be 1.0".to_owned()));
    }
    Ok(event)
}

/// Percent-encoding of a value for a header: whatever is not printable ASCII, and space, quote and percent.
pub(super) fn encoded(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if matches!(byte, 0x21..=0x7e) && byte != b'"' && byte != b'%' {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The value of a header: quoted strings without their quotes, percent-encoding undone; what is no UTF-8 is refused.
pub(super) fn decoded(value: &str) -> Result<String, String> {
    let value = value.trim();
    let mut bytes = Vec::with_capacity(value.len());
    let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).filter(|_| value.len() >= 2);
    let mut rest = inner.unwrap_or(value).as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'\\' && inner.is_some() {
            let (escaped, tail) = tail.split_first().ok_or("ends in a backslash")?;
            bytes.push(*escaped);
            rest = tail;
            continue;
        }
        let digits = tail.get(..2).filter(|_| byte == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(value) => {
                bytes.push(value);
                rest = tail.get(2..).unwrap_or_default();
            }
            // Clients that do not encode send a percent sign as it is.
            None => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| "is no UTF-8 when decoded".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn one(text: &str) -> Result<Event, String> {
        structured(text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn values_survive_their_encoding() {
        for value in ["a", "a b", "100%", "\"quoted\"", "ü€😀"] {
            assert_eq!(decoded(&encoded(value)).unwrap(), value);
        }
        assert_eq!(decoded(r#""a \"b\" \\""#).unwrap(), r#"a "b" \"#);
        assert_eq!(decoded("%e2%82%AC").unwrap(), "€");
        assert_eq!(decoded("100%").unwrap(), "100%");
        assert!(decoded("%e2%82").is_err() && decoded("%C0%A0").is_err() && decoded("\"a\\\"").is_err());
    }

    #[test]
    fn data_stand_as_json_text_or_base64() {
        let base = r#""specversion":"1.0","id":"1","source":"s","type":"t""#;
        let json = one(&format!(r#"{{{base},"data":{{"n":1}},"time":"2024-01-01T00:00:00Z","count":7}}"#)).unwrap();
        assert_eq!((&json.body[..], json.content_type.as_str()), (&br#"{"n":1}"#[..], names::JSON));
        assert_eq!(json.others.len(), 2);
        let text = one(&format!(r#"{{{base},"datacontenttype":"application/x-ndjson","data":"{{}}\n{{}}"}}"#)).unwrap();
        assert_eq!(&text.body[..], b"{}\n{}");
        let bytes = one(&format!(r#"{{{base},"data_base64":"e30="}}"#)).unwrap();
        assert_eq!(&bytes.body[..], b"{}");
    }

    #[test]
    fn what_is_no_event_is_named() {
        let base = r#""specversion":"1.0","id":"1","source":"s","type":"t""#;
        for (rest, told) in [
            (r#","data":1,"data_base64":"e30=""#, "not both"),
            ("", "without data"),
            (r#","data":{},"Bad":"x""#, "no name of an attribute"),
            (r#","data":{},"list":[]"#, "no text, number or boolean"),
            (r#","data_base64":"?""#, "data_base64"),
        ] {
            let error = one(&format!("{{{base}{rest}}}")).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
        assert!(one("[]").unwrap_err().contains("one JSON object"));
        assert!(batched(br#"[{"data":{}}]"#).unwrap_err().to_string().starts_with("event 0: "));
    }
}
