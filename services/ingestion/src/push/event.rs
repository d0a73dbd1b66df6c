//! A request into events: bodies of rows, and CloudEvents in every mode of their HTTP binding.

use super::cloud;
use super::refusal::PushError;
use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use tidemill_bus::{Headers, Outgoing};
use tidemill_contracts::headers as names;
use tidemill_types::{Digest, ProjectName, SourceName};

/// CloudEvents, one event in JSON.
const STRUCTURED: &str = "application/cloudevents+json";
/// CloudEvents, a JSON array of events.
const BATCHED: &str = "application/cloudevents-batch+json";
/// Who produced events whose sender does not say.
const SENDER: &str = "/tidemill/http";

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) source: String,
    pub(super) kind: String,
    /// Further attributes and extensions.
    pub(super) others: Vec<(String, String)>,
    pub(super) content_type: String,
    pub(super) body: Bytes,
}

impl Event {
    /// The message on the bus.
    pub(super) fn message(&self, subject: &str, traceparent: Option<&str>) -> Result<Outgoing, PushError> {
        let mut head = Headers::new();
        head.set(names::CE_SPECVERSION, "1.0")?;
        head.set(names::CE_ID, &cloud::encoded(&self.id))?;
        head.set(names::CE_SOURCE, &cloud::encoded(&self.source))?;
        head.set(names::CE_TYPE, &cloud::encoded(&self.kind))?;
        head.set(names::CONTENT_TYPE, &self.content_type)?;
        for (name, value) in &self.others {
            // A trace context is a header of its own on the bus.
            let name = if name == names::TRACEPARENT { name.clone() } else { format!("ce-{name}") };
            head.set(&name, &cloud::encoded(value))?;
        }
        if let (None, Some(parent)) = (head.get(names::TRACEPARENT), traceparent) {
            head.set(names::TRACEPARENT, parent)?;
        }
        // The id lets the publisher ask again when an answer is lost.
        let identity = Digest::of(format!("{subject} {} {}", self.source, self.id).as_bytes());
        Ok(Outgoing::new(subject, self.body.clone()).with_headers(head).with_id(identity.as_str())?)
    }
}

/// The events of a request.
pub(super) fn of(
    headers: &HeaderMap,
    body: Bytes,
    project: &ProjectName,
    source: &SourceName,
) -> Result<Vec<Event>, PushError> {
    let content_type = text(headers, header::CONTENT_TYPE.as_str())?.unwrap_or_default();
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let mut events = match media.as_str() {
        STRUCTURED => vec![cloud::structured(&body)?],
        BATCHED => cloud::batched(&body)?,
        _ if headers.contains_key(names::CE_SPECVERSION) => vec![binary(headers, content_type, body)?],
        "" | names::JSON | names::NDJSON | names::ARROW_STREAM => {
            vec![rows(headers, content_type, body, project, source)?]
        }
        other => {
            let taken = [names::JSON, names::NDJSON, names::ARROW_STREAM, STRUCTURED, BATCHED].join(", ");
            return Err(PushError::Media(format!("the content type {other} is not taken; these are: {taken}")));
        }
    };
    if events.is_empty() {
        return Err(PushError::Event("the batch holds no event".to_owned()));
    }
    for event in &mut events {
        check(event)?;
    }
    Ok(events)
}

/// Rows without an envelope: the key of the request is the id, and without one an id is made that nobody can repeat.
fn rows(
    headers: &HeaderMap,
    content_type: String,
    body: Bytes,
    project: &ProjectName,
    source: &SourceName,
) -> Result<Event, PushError> {
    let key = text(headers, "idempotency-key")?.map(|key| unquoted(&key).to_owned());
    let trace = text(headers, names::TRACEPARENT)?.map(|value| (names::TRACEPARENT.to_owned(), value));
    Ok(Event {
        id: key.unwrap_or_else(|| uuid::Uuid::now_v7().to_string()),
        source: SENDER.to_owned(),
        kind: format!("{project}.{source}"),
        others: trace.into_iter().collect(),
        content_type,
        body,
    })
}

/// Idempotency keys are structured fields, so mostly in quotes.
fn unquoted(key: &str) -> &str {
    key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key)
}

/// An event whose attributes are headers.
fn binary(headers: &HeaderMap, content_type: String, body: Bytes) -> Result<Event, PushError> {
    let mut attributes = Vec::new();
    for (name, value) in headers {
        let Some(attribute) = name.as_str().strip_prefix("ce-") else { continue };
        let value = value.to_str().map_err(|_| PushError::Event(format!("{name} is not ASCII: percent-encode it")))?;
        attributes
            .push((attribute.to_owned(), cloud::decoded(value).map_err(|e| PushError::Event(format!("{name} {e}")))?));
    }
    if let Some(trace) = text(headers, names::TRACEPARENT)? {
        attributes.retain(|(name, _)| name != names::TRACEPARENT);
        attributes.push((names::TRACEPARENT.to_owned(), trace));
    }
    cloud::event(attributes, content_type, body)
}

fn text(headers: &HeaderMap, name: &str) -> Result<Option<String>, PushError> {
    let value = headers.get(name).map(|value| value.to_str().map(str::to_owned));
    value.transpose().map_err(|_| PushError::Event(format!("the header {name} is not ASCII")))
}

/// What the bus reserves, or could not hold.
fn check(event: &Event) -> Result<(), PushError> {
    let refused = |reason: String| Err(PushError::Event(reason));
    for (name, value) in [("id", &event.id), ("source", &event.source), ("type", &event.kind)] {
        if value.is_empty() || value.len() > 512 || value.chars().any(char::is_control) {
            return refused(format!("the attribute {name} must have 1 to 512 characters, none a control character"));
        }
    }
    if event.kind == names::TYPE_WATERMARK {
        return refused(format!("the type {} is reserved for messages without rows", names::TYPE_WATERMARK));
    }
    if event.others.len() > 32 || event.others.iter().any(|(_, value)| value.len() > 1_024) {
        return refused("more than 32 further attributes, or one of more than 1,024 bytes".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn ask(headers: &[(&str, &str)], body: &str) -> Result<Vec<Event>, PushError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(name.parse::<axum::http::HeaderName>().unwrap(), value.parse().unwrap());
        }
        of(&map, Bytes::from(body.to_owned()), &"meters".parse().unwrap(), &"readings".parse().unwrap())
    }

    #[test]
    fn rows_are_known_by_the_key_of_the_request() {
        let events = ask(&[("idempotency-key", "\"k 1\""), ("content-type", "application/json")], "{}").unwrap();
        assert_eq!((events[0].id.as_str(), events[0].source.as_str()), ("k 1", SENDER));
        let message = events[0].message("tm.events.meters.readings", None).unwrap();
        assert_eq!(message.headers.get(names::CE_ID), Some("k%201"));
        assert_ne!(ask(&[], "{}").unwrap()[0].id, ask(&[], "{}").unwrap()[0].id);
    }

    #[test]
    fn attributes_in_headers_are_decoded_and_encoded_again() {
        let given = [
            ("ce-specversion", "1.0"),
            ("ce-id", "\"a%20b\""),
            ("ce-source", "/s/%c3%bc"),
            ("ce-type", "t"),
            ("ce-region", "north"),
            ("content-type", "application/x-ndjson"),
        ];
        let event = ask(&given, "{}\n{}").unwrap().remove(0);
        assert_eq!((event.id.as_str(), event.source.as_str()), ("a b", "/s/ü"));
        let message = event.message("s", Some("00-1-2-01")).unwrap();
        assert_eq!(message.headers.get(names::CE_SOURCE), Some("/s/%C3%BC"));
        assert_eq!(message.headers.get("ce-region"), Some("north"));
        assert_eq!(message.headers.get(names::TRACEPARENT), Some("00-1-2-01"));
        assert_eq!(message.headers.get(names::CONTENT_TYPE), Some(names::NDJSON));
    }

    #[test]
    fn what_is_no_event_is_refused_with_the_reason() {
        let refused = |headers: &[(&str, &str)], body: &str| ask(headers, body).unwrap_err().to_string();
        assert!(refused(&[("content-type", "text/html")], "").contains("text/html"));
        let base = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "s"), ("ce-type", "t")];
        let but = |name: &'static str, value: &'static str| {
            let given: Vec<_> = base.iter().map(|(n, v)| if *n == name { (*n, value) } else { (*n, *v) }).collect();
            refused(&given, "{}")
        };
        assert!(but("ce-specversion", "0.3").contains("specversion"));
        assert!(but("ce-id", "%ff").contains("UTF-8"));
        assert!(but("ce-id", "%c0%af").contains("UTF-8"));
        assert!(but("ce-type", names::TYPE_WATERMARK).contains("reserved"));
        assert!(refused(&base[..3], "{}").contains("type"));
        assert!(refused(&[("content-type", BATCHED)], "[]").contains("no event"));
    }
}
