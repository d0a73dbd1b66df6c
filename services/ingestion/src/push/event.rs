//! A request into events: bodies of rows, and CloudEvents in every mode of their HTTP binding.

use super::refusal::PushError;
use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use std::borrow::Cow;
use tidemill_bus::{Headers, Outgoing};
use tidemill_conform::Reject;
use tidemill_conform::cloud::{self, BATCHED, CloudEvent, STRUCTURED};
use tidemill_contracts::headers as names;
use tidemill_types::{Digest, ProjectName, SourceName};

/// Who produced events whose sender does not say.
const SENDER: &str = "/tidemill/http";

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// What its attributes say; its data stand in the body.
    pub(super) head: CloudEvent<'static>,
    pub(super) body: Bytes,
}

impl Event {
    /// An event that was read in a request with this body, which it shares where it can.
    fn of(event: CloudEvent<'_>, whole: &Bytes) -> Result<Self, PushError> {
        let body = match event.data {
            Some(Cow::Borrowed(part)) => whole.slice_ref(part),
            Some(Cow::Owned(data)) => data.into(),
            None => return Err(PushError::Event("an event without data holds no row".to_owned())),
        };
        let CloudEvent { id, source, kind, others, content_type, .. } = event;
        Ok(Self { head: CloudEvent { id, source, kind, others, content_type, data: None }, body })
    }

    /// The message on the bus.
    pub(super) fn message(&self, subject: &str, traceparent: Option<&str>) -> Result<Outgoing, PushError> {
        let mut head = Headers::new();
        for (name, value) in self.head.headers() {
            head.set(&name, &value)?;
        }
        if let (None, Some(parent)) = (head.get(names::TRACEPARENT), traceparent) {
            head.set(names::TRACEPARENT, parent)?;
        }
        // The id lets the publisher ask again when an answer is lost.
        let identity = Digest::of(format!("{subject} {} {}", self.head.source, self.head.id).as_bytes());
        Ok(Outgoing::new(subject, self.body.clone()).with_headers(head).with_id(identity.as_str())?)
    }
}

fn refused(reject: Reject) -> PushError {
    PushError::Event(reject.reason)
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
        STRUCTURED => vec![Event::of(CloudEvent::structured(&body).map_err(refused)?, &body)?],
        BATCHED => {
            let events = CloudEvent::batched(&body).map_err(refused)?;
            events.into_iter().map(|event| Event::of(event, &body)).collect::<Result<_, _>>()?
        }
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
    let head = CloudEvent {
        id: key.unwrap_or_else(|| uuid::Uuid::now_v7().to_string()),
        source: SENDER.to_owned(),
        kind: format!("{project}.{source}"),
        others: trace.into_iter().collect(),
        content_type,
        data: None,
    };
    Ok(Event { head, body })
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
        let value = cloud::attribute_value(name.as_str(), value).map_err(refused)?;
        attributes.push((attribute.to_owned(), value.into_owned()));
    }
    if let Some(trace) = text(headers, names::TRACEPARENT)? {
        attributes.retain(|(name, _)| name != names::TRACEPARENT);
        attributes.push((names::TRACEPARENT.to_owned(), trace));
    }
    let event = CloudEvent::new(attributes, content_type, Some(Cow::Borrowed(&body))).map_err(refused)?;
    Event::of(event, &body)
}

fn text(headers: &HeaderMap, name: &str) -> Result<Option<String>, PushError> {
    let value = headers.get(name).map(|value| value.to_str().map(str::to_owned));
    value.transpose().map_err(|_| PushError::Event(format!("the header {name} is not ASCII")))
}

/// What the bus reserves, or could not hold.
fn check(Event { head, .. }: &Event) -> Result<(), PushError> {
    let refused = |reason: String| Err(PushError::Event(reason));
    for (name, value) in [("id", &head.id), ("source", &head.source), ("type", &head.kind)] {
        if value.is_empty() || value.len() > 512 || value.chars().any(char::is_control) {
            return refused(format!("the attribute {name} must have 1 to 512 characters, none a control character"));
        }
    }
    if head.kind == names::TYPE_WATERMARK {
        return refused(format!("the type {} is reserved for messages without rows", names::TYPE_WATERMARK));
    }
    // The bus would take the data for an event of their own.
    if cloud::is_whole(&head.content_type) != Ok(false) {
        return refused("the data of an event cannot be an event again".to_owned());
    }
    if head.others.len() > 32 || head.others.iter().any(|(_, value)| value.len() > 1_024) {
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
        assert_eq!((events[0].head.id.as_str(), events[0].head.source.as_str()), ("k 1", SENDER));
        let message = events[0].message("tm.events.meters.readings", None).unwrap();
        assert_eq!(message.headers.get(names::CE_ID), Some("k%201"));
        assert_ne!(ask(&[], "{}").unwrap()[0].head.id, ask(&[], "{}").unwrap()[0].head.id);
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
        assert_eq!((event.head.id.as_str(), event.head.source.as_str()), ("a b", "/s/ü"));
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
        let whole = r#"{"specversion":"1.0","id":"1","source":"s","type":"t""#;
        let structured = |rest: &str| refused(&[("content-type", STRUCTURED)], &format!("{whole}{rest}}}"));
        assert!(structured("").contains("without data"));
        assert!(structured(r#","data":{},"time":"noon""#).contains("time"));
        let again = format!(r#","data":{{}},"datacontenttype":"{STRUCTURED}""#);
        assert!(structured(&again).contains("an event again"));
        assert!(refused(&[("content-type", BATCHED)], "[]").contains("no event"));
    }
}
