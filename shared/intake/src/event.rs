//! A message as an event: its headers read once, an event that is whole in its body unwrapped.

use crate::writer::signed;
use std::borrow::Cow;
use tidemill_bus::{Headers, Message};
use tidemill_conform::cloud::{self, CloudEvent};
use tidemill_conform::{MessageIn, Reject, reject};
use tidemill_contracts::headers;
use tidemill_types::Millis;

/// Headers that say something of an event. Their names are known in any case of letters.
pub(crate) const NAMES: [&str; 10] = [
    headers::CE_ID,
    headers::CE_SOURCE,
    headers::CE_TYPE,
    headers::CE_SPECVERSION,
    headers::CE_TIME,
    headers::CE_DATACONTENTTYPE,
    headers::CE_TRACEPARENT,
    headers::CONTENT_TYPE,
    headers::TRACEPARENT,
    headers::WATERMARK,
];

/// Longest identity: it stands in every row of the message.
const IDENTITY_BYTES: usize = 4_096;

/// A message with what its headers say, read once: looking a header up costs more than reading them all.
///
/// The same event is the same here whether its attributes are headers (binary mode) or stand in the body with its data
/// (structured mode), and however its values are encoded.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// The message.
    pub message: &'a Message,
    /// What tells it from every other: CloudEvents say that source and id together are unique.
    pub identity: String,
    /// Media type of the body; empty means JSON.
    pub content_type: Cow<'a, str>,
    /// The data.
    pub body: Cow<'a, [u8]>,
    /// Instant up to which its source is complete, if its producer says so.
    pub watermark: Option<Millis>,
    /// W3C trace context.
    pub traceparent: Option<Cow<'a, str>>,
    /// False for a message that carries only a watermark.
    pub has_rows: bool,
    /// Why it is no CloudEvent; then nothing else of it counts.
    pub fault: Option<Box<Reject>>,
}

/// Attributes as they matter here.
struct Attributes<'a> {
    source: Option<Cow<'a, str>>,
    id: Option<Cow<'a, str>>,
    kind: Option<Cow<'a, str>>,
    content_type: Cow<'a, str>,
    traceparent: Option<Cow<'a, str>>,
    body: Cow<'a, [u8]>,
}

impl<'a> Event<'a> {
    /// Reads the headers of a message, and the envelope where the body has one.
    #[must_use]
    pub fn of(message: &'a Message) -> Self {
        Self::read(message).unwrap_or_else(|reject| Self {
            message,
            identity: String::new(),
            content_type: Cow::Borrowed(""),
            body: Cow::Borrowed(&message.payload),
            watermark: None,
            traceparent: None,
            has_rows: true,
            fault: Some(Box::new(reject)),
        })
    }

    fn read(message: &'a Message) -> Result<Self, Reject> {
        let heads = heads(&message.headers)?;
        let [id, source, kind, version, time, data_type, ce_trace, content_type, trace, watermark] = heads;
        let attributes = if cloud::is_whole(content_type.unwrap_or_default())? {
            whole(message)?
        } else {
            if let Some(version) = version {
                cloud::check_version(version)?;
            }
            if let Some(time) = time {
                cloud::check_time(&cloud::attribute_value(headers::CE_TIME, time)?)?;
            }
            let decoded =
                |name: &str, value: Option<&'a str>| value.map(|value| cloud::attribute_value(name, value)).transpose();
            Attributes {
                source: decoded(headers::CE_SOURCE, source)?,
                id: decoded(headers::CE_ID, id)?,
                kind: decoded(headers::CE_TYPE, kind)?,
                content_type: match decoded(headers::CE_DATACONTENTTYPE, data_type)? {
                    Some(of_data) => of_data,
                    None => Cow::Borrowed(content_type.unwrap_or_default()),
                },
                traceparent: decoded(headers::CE_TRACEPARENT, ce_trace)?,
                body: Cow::Borrowed(&message.payload),
            }
        };
        for (name, value) in [("id", &attributes.id), ("source", &attributes.source)] {
            if let Some(value) = value {
                cloud::check_name(name, value)?;
            }
        }
        let lengths = [&attributes.source, &attributes.id].map(|value| value.as_ref().map_or(0, |value| value.len()));
        if lengths.iter().sum::<usize>() > IDENTITY_BYTES {
            let what = format!("source and id are longer than {IDENTITY_BYTES} bytes together");
            return Err(Reject::whole(reject::BAD_ATTRIBUTE, what, "id"));
        }
        let identity = match (&attributes.source, &attributes.id) {
            (Some(source), Some(id)) => [source, "#", id].concat(),
            (None, Some(id)) => id.clone().into_owned(),
            // Without an id nobody can say that two events are the same one.
            _ => format!("@{}", message.seq),
        };
        Ok(Self {
            message,
            identity,
            content_type: attributes.content_type,
            body: attributes.body,
            watermark: watermark.and_then(|text| text.parse().ok()).map(Millis),
            traceparent: trace.map(Cow::Borrowed).or(attributes.traceparent),
            has_rows: attributes.kind.as_deref() != Some(headers::TYPE_WATERMARK),
            fault: None,
        })
    }

    /// Its sequence in the stream.
    #[must_use]
    pub fn seq(&self) -> i64 {
        signed(self.message.seq)
    }

    /// As conforming wants it.
    #[must_use]
    pub fn input(&self) -> MessageIn<'_> {
        MessageIn {
            seq: self.seq(),
            content_type: &self.content_type,
            event_id: &self.identity,
            arrived_at: self.message.published_at,
            body: &self.body,
        }
    }
}

/// The values of [`NAMES`]; one that stands twice with two values is refused, as headers have no order.
pub(crate) fn heads(all: &Headers) -> Result<[Option<&str>; NAMES.len()], Reject> {
    let mut heads = [None; NAMES.len()];
    for (name, value) in all.iter() {
        let known = NAMES.iter().zip(&mut heads).find(|(known, _)| known.eq_ignore_ascii_case(name));
        let Some((known, head)) = known else { continue };
        if head.replace(value).is_some_and(|before| before != value) {
            let what = format!("the header {known} stands there twice, with two values");
            return Err(Reject::whole(reject::BAD_ATTRIBUTE, what, *known));
        }
    }
    Ok(heads)
}

/// What the envelope in the body of a message says.
fn whole(message: &Message) -> Result<Attributes<'_>, Reject> {
    let event = CloudEvent::structured(&message.payload)?;
    let body = match event.data {
        Some(data) => data,
        None if event.kind == headers::TYPE_WATERMARK => Cow::Borrowed(&[][..]),
        None => return Err(Reject::whole(reject::EMPTY, "an event without data holds no row", "")),
    };
    let trace = event.others.into_iter().find(|(name, _)| name == headers::TRACEPARENT);
    Ok(Attributes {
        source: Some(Cow::Owned(event.source)),
        id: Some(Cow::Owned(event.id)),
        kind: Some(Cow::Owned(event.kind)),
        content_type: Cow::Owned(event.content_type),
        traceparent: trace.map(|(_, value)| Cow::Owned(value)),
        body,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use bytes::Bytes;

    pub(crate) fn message(given: &[(&str, &str)], body: &str) -> Message {
        Message {
            seq: 7,
            subject: "tm.events.meters.readings".to_owned(),
            headers: Headers::from_pairs(given.iter().copied()).unwrap(),
            payload: Bytes::from(body.to_owned()),
            published_at: Millis(0),
        }
    }

    /// What became of an event: identity, media type and data, or the code of its refusal.
    fn read(given: &[(&str, &str)], body: &str) -> Result<(String, String, String), u16> {
        let message = message(given, body);
        let event = Event::of(&message);
        match event.fault {
            Some(reject) => Err(reject.code.0),
            None => {
                let body = String::from_utf8(event.body.into_owned()).unwrap();
                Ok((event.identity, event.content_type.into_owned(), body))
            }
        }
    }

    const WHOLE: &str = r#"{"specversion":"1.0","id":"a b","source":"/ü","type":"t","datacontenttype":"application/json",
        "time":"2024-01-01T00:00:00Z","traceparent":"00-1-2-01","data":{"n":1}}"#;

    #[test]
    fn an_event_is_the_same_in_every_mode_and_encoding() {
        let wanted = Ok(("/ü#a b".to_owned(), "application/json".to_owned(), r#"{"n":1}"#.to_owned()));
        let json = r#"{"n":1}"#;
        for given in [
            &[("ce-id", "a%20b"), ("ce-source", "/%C3%BC"), ("content-type", "application/json")][..],
            &[("CE-Id", "a%20b"), ("Ce-Source", "/%c3%bc"), ("Content-Type", "application/json")],
            &[("ce-id", "\"a b\""), ("ce-source", "/%c3%BC"), ("ce-datacontenttype", "application/json")],
            &[
                ("ce-id", "a b"),
                ("ce-source", "/%C3%BC"),
                ("ce-specversion", "1.0"),
                ("ce-datacontenttype", "application/json"),
                ("content-type", "application/octet-stream"),
            ],
        ] {
            assert_eq!(read(given, json), wanted, "{given:?}");
        }
        for media in [cloud::STRUCTURED, "Application/CloudEvents+JSON; charset=utf-8"] {
            assert_eq!(read(&[("CONTENT-TYPE", media)], WHOLE), wanted, "{media}");
        }
    }

    #[test]
    fn what_is_no_event_is_refused_with_a_code() {
        let whole = ("content-type", cloud::STRUCTURED);
        for (given, body, code) in [
            (&[("ce-specversion", "0.3")][..], "{}", 321),
            (&[("ce-time", "yesterday")], "{}", 321),
            (&[("ce-id", "%c0%af")], "{}", 321),
            (&[("ce-id", "%E2%82")], "{}", 321),
            (&[("ce-id", "")], "{}", 321),
            (&[("ce-source", "%00")], "{}", 321),
            (&[("ce-id", "1"), ("CE-ID", "2")], "{}", 321),
            (&[whole], "{", 322),
            (&[whole], r#"{"specversion":"1.0","id":"1","source":"s","type":"t"}"#, 307),
            (&[whole], r#"{"specversion":"1.1","id":"1","source":"s","type":"t","data":{}}"#, 321),
            (&[("content-type", cloud::BATCHED)], "[]", 302),
            (&[("content-type", "application/cloudevents+avro")], "", 302),
        ] {
            assert_eq!(read(given, body), Err(code), "{given:?} {body}");
        }
        let mut same = message(&[("ce-id", "1"), ("CE-ID", "1")], "{}");
        assert_eq!(Event::of(&same).identity, "1");
        same.headers = Headers::new();
        assert_eq!(Event::of(&same).identity, "@7");
    }

    #[test]
    fn a_watermark_and_a_trace_context_are_read_in_both_modes() {
        let watermark = message(&[("Ce-Type", headers::TYPE_WATERMARK), ("TM-Watermark", "5")], "");
        let event = Event::of(&watermark);
        assert_eq!((event.has_rows, event.watermark), (false, Some(Millis(5))));
        let told = r#"{"specversion":"1.0","id":"1","source":"s","type":"tidemill.watermark"}"#;
        let watermark = message(&[("content-type", cloud::STRUCTURED), ("tm-watermark", "6")], told);
        let event = Event::of(&watermark);
        assert_eq!((event.has_rows, event.watermark), (false, Some(Millis(6))));
        // What is refused says nothing, or its watermark would run ahead of the mended event.
        let refused = message(&[("ce-specversion", "2"), ("tm-watermark", "7")], "");
        assert_eq!((Event::of(&refused).has_rows, Event::of(&refused).watermark), (true, None));
        for (given, body) in [
            (&[("content-type", cloud::STRUCTURED)][..], WHOLE),
            (&[("ce-traceparent", "00-1-2-01")], "{}"),
            (&[("traceparent", "00-1-2-01"), ("ce-traceparent", "00-3-4-01")], "{}"),
        ] {
            assert_eq!(Event::of(&message(given, body)).traceparent.as_deref(), Some("00-1-2-01"), "{given:?}");
        }
    }

    #[test]
    fn data_are_not_copied_out_of_their_envelope() {
        let whole = message(&[("content-type", cloud::STRUCTURED)], WHOLE);
        assert!(matches!(Event::of(&whole).body, Cow::Borrowed(_)));
    }
}
