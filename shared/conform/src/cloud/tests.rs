//! Events and values that producers send, and what is refused.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::reject::BAD_ENVELOPE;

fn one(text: &str) -> Result<CloudEvent<'_>, Reject> {
    CloudEvent::structured(text.as_bytes())
}

#[test]
fn values_survive_their_encoding() {
    for value in ["a", "a b", "100%", "\"quoted\"", "ü€😀", "a+b%+1"] {
        assert_eq!(decoded(&encoded(value)).unwrap(), value);
    }
    assert_eq!(decoded(r#""a \"b\" \\""#).unwrap(), r#"a "b" \"#);
    assert_eq!(decoded("%e2%82%AC").unwrap(), "€");
    assert_eq!(decoded("%c3%bc").unwrap(), decoded("%C3%BC").unwrap());
    assert_eq!(decoded("100%").unwrap(), "100%");
    assert_eq!(decoded("\"").unwrap(), "\"");
}

#[test]
fn only_two_hexadecimal_digits_are_an_encoding() {
    for value in ["%+1", "%-1", "% 1", "%zz", "%4", "%"] {
        assert_eq!(decoded(value).unwrap(), value, "a sign is no digit");
    }
    assert_eq!(decoded("%41%+1").unwrap(), "A%+1");
}

#[test]
fn what_is_no_utf8_is_refused_overlong_forms_too() {
    for value in ["%e2%82", "%C0%A0", "%c0%af", "%E0%80%AF", "%ff", "%ED%A0%80", "%F4%90%80%80"] {
        let reject = attribute_value("ce-id", value).unwrap_err();
        assert_eq!((reject.code, reject.position.as_str()), (BAD_ATTRIBUTE, "ce-id"), "{value}");
        assert!(reject.reason.contains("UTF-8"), "{}", reject.reason);
    }
    assert!(decoded("\"a\\\"").unwrap_err().contains("backslash"));
}

#[test]
fn a_plain_value_is_not_copied() {
    assert!(matches!(decoded("/meters/a+b#1?x=y"), Ok(Cow::Borrowed(_))));
}

#[test]
fn data_stand_as_json_text_or_base64() {
    let base = r#""specversion":"1.0","id":"1","source":"s","type":"t""#;
    let text = format!(r#"{{{base},"data": {{"n":1.50, "n":2}} ,"time":"2024-01-01T00:00:00Z","count":7}}"#);
    let json = one(&text).unwrap();
    // Byte for byte: what the reader of rows refuses is not mended by the envelope.
    assert_eq!(json.data.as_deref(), Some(&br#"{"n":1.50, "n":2}"#[..]));
    assert!(matches!(json.data, Some(Cow::Borrowed(_))));
    assert_eq!((json.content_type.as_str(), json.others.len()), (crate::JSON, 2));
    let text = format!(r#"{{{base},"datacontenttype":"application/x-ndjson","data":"{{}}\n{{}}"}}"#);
    assert_eq!(one(&text).unwrap().data.as_deref(), Some(&b"{}\n{}"[..]));
    let text = format!(r#"{{{base},"data_base64":"e30=","count":null}}"#);
    let bytes = one(&text).unwrap();
    assert_eq!((bytes.data.as_deref(), bytes.others.len()), (Some(&b"{}"[..]), 0));
    assert_eq!(one(&format!("{{{base}}}")).unwrap().data, None);
}

#[test]
fn what_is_no_event_is_named() {
    let base = r#""specversion":"1.0","id":"1","source":"s","type":"t""#;
    for (rest, code, told) in [
        (r#","data":1,"data_base64":"e30=""#, BAD_ENVELOPE, "not both"),
        (r#","data":{},"Bad":"x""#, BAD_ATTRIBUTE, "no name of an attribute"),
        (r#","data":{},"list":[]"#, BAD_ATTRIBUTE, "no text, number or boolean"),
        (r#","data":{},"number":1.5"#, BAD_ATTRIBUTE, "no text, number or boolean"),
        (r#","data":{},"time":"yesterday""#, BAD_ATTRIBUTE, "RFC 3339"),
        (r#","data_base64":"?""#, BAD_ENVELOPE, "data_base64"),
        (r#","data_base64":7"#, BAD_ATTRIBUTE, "data_base64 is no text"),
        (r#","id":"2""#, BAD_ENVELOPE, "stands twice"),
        ("}", BAD_ENVELOPE, "trailing"),
    ] {
        let reject = one(&format!("{{{base}{rest}}}")).unwrap_err();
        assert_eq!(reject.code, code, "{rest}");
        assert!(reject.reason.contains(told), "{}", reject.reason);
    }
    for (text, told) in [
        (r#"{"id":"1","source":"s","type":"t"}"#, "specversion must be 1.0"),
        (r#"{"specversion":"0.3","id":"1","source":"s","type":"t"}"#, "specversion must be 1.0"),
        (r#"{"specversion":"1.0","id":"","source":"s","type":"t"}"#, "id is absent or empty"),
        (r#"{"specversion":"1.0","id":"1","type":"t"}"#, "source is absent or empty"),
        (r#"{"specversion":"1.0","id":"1","source":"s","type":"\u0007"}"#, "control character"),
        ("[]", "one JSON object"),
        ("{", "one JSON object"),
    ] {
        assert!(one(text).unwrap_err().reason.contains(told), "{text}");
    }
    let told = [one("\"anna@example.org\"").unwrap_err(), CloudEvent::batched(b"\"anna@example.org\"").unwrap_err()];
    assert!(told.iter().all(|reject| !reject.reason.contains("anna")), "a reason quotes no content: {told:?}");
    assert!(CloudEvent::batched(br#"[{"data":{}}]"#).unwrap_err().reason.starts_with("event 0: "));
    assert!(CloudEvent::batched(b"{}").unwrap_err().reason.contains("array of events"));
}

#[test]
fn an_envelope_is_bounded_in_members_and_depth() {
    let many: Vec<String> = (0..100_000).map(|n| format!(r#""a{n}":1"#)).collect();
    assert!(one(&format!("{{{}}}", many.join(","))).unwrap_err().reason.contains("more than 64 members"));
    let deep = format!(r#"{{"specversion":"1.0","id":"1","source":"s","type":"t","data":{}}}"#, "[".repeat(4_000_000));
    assert_eq!(one(&deep).unwrap_err().code, BAD_ENVELOPE);
}

#[test]
fn whole_events_are_told_by_their_media_type() {
    for structured in [STRUCTURED, "Application/CloudEvents+JSON", "application/cloudevents+json ; charset=UTF-8"] {
        assert_eq!(is_whole(structured), Ok(true), "{structured}");
    }
    for other in ["", "application/json", "text/ü", "application/cloud"] {
        assert_eq!(is_whole(other), Ok(false), "{other}");
    }
    for refused in [BATCHED, "application/cloudevents+avro", "application/cloudevents"] {
        assert_eq!(is_whole(refused).unwrap_err().code, crate::reject::UNSUPPORTED_CONTENT_TYPE, "{refused}");
    }
}

#[test]
fn an_event_becomes_headers_and_is_the_same_again() {
    let text =
        r#"{"specversion":"1.0","id":"a b","source":"/ü","type":"t","region":"north","traceparent":"00-1-2-01"}"#;
    let headers = one(text).unwrap().headers();
    let value = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!((value("ce-id"), value("ce-source")), (Some("a%20b"), Some("/%C3%BC")));
    assert_eq!((value("ce-region"), value("traceparent")), (Some("north"), Some("00-1-2-01")));
    assert_eq!((value("ce-specversion"), value("content-type")), (Some("1.0"), Some("application/json")));
}
