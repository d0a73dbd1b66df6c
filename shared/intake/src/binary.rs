//! A whole event as a message in binary mode.

use crate::event::{NAMES, heads};
use tidemill_bus::{Headers, Message};
use tidemill_conform::Reject;
use tidemill_conform::cloud::{self, CloudEvent};
use tidemill_contracts::headers;

/// The same message in binary mode, names of headers as they are written in the contract: for those who look at
/// headers and bodies, or hide parts of them. What is no sound event is left as it is.
#[must_use]
pub fn binary(message: Message) -> Message {
    match in_binary(&message) {
        Ok(Some((headers, payload))) => Message { headers, payload: payload.into(), ..message },
        Ok(None) | Err(_) => message,
    }
}

/// Headers and body.
type Parts = (Headers, Vec<u8>);

fn in_binary(message: &Message) -> Result<Option<Parts>, Box<dyn std::error::Error>> {
    let refused = |reject: Reject| reject.reason;
    let heads = heads(&message.headers).map_err(refused)?;
    let [.., data_type, _, content_type, _, _] = heads;
    let is_whole = cloud::is_whole(content_type.unwrap_or_default()).map_err(refused)?;
    let spelled = |name: &str| NAMES.contains(&name) || !NAMES.iter().any(|known| known.eq_ignore_ascii_case(name));
    if !is_whole && data_type.is_none() && message.headers.iter().all(|(name, _)| spelled(name)) {
        return Ok(None);
    }
    let mut all = Headers::new();
    for (name, value) in message.headers.iter() {
        let small = name.to_ascii_lowercase();
        let of_event = small.starts_with("ce-") || small == headers::CONTENT_TYPE;
        let known = of_event || NAMES.contains(&small.as_str());
        if !(is_whole && of_event) && small != headers::CE_DATACONTENTTYPE {
            all.set(if known { &small } else { name }, value)?;
        }
    }
    if !is_whole {
        if let Some(of_data) = data_type {
            all.set(headers::CONTENT_TYPE, &cloud::decoded(of_data)?)?;
        }
        return Ok(Some((all, message.payload.to_vec())));
    }
    let event = CloudEvent::structured(&message.payload).map_err(refused)?;
    for (name, value) in event.headers() {
        all.set(&name, &value)?;
    }
    Ok(Some((all, event.data.unwrap_or_default().into_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Event;
    use crate::event::tests::message;

    const WHOLE: &str =
        r#"{"specversion":"1.0","id":"a b","source":"/ü","type":"t","traceparent":"00-1-2-01","data":{"n":1}}"#;

    #[test]
    fn a_whole_event_in_binary_mode_is_the_same_event() {
        let whole = message(&[("Content-Type", cloud::STRUCTURED), ("tm-dead-seq", "3")], WHOLE);
        let flat = binary(whole.clone());
        let head = |name: &str| flat.headers.get(name);
        assert_eq!((head("ce-id"), head("ce-source")), (Some("a%20b"), Some("/%C3%BC")));
        assert_eq!((head("content-type"), head("tm-dead-seq")), (Some("application/json"), Some("3")));
        assert_eq!((head("traceparent"), &flat.payload[..]), (Some("00-1-2-01"), &br#"{"n":1}"#[..]));
        assert_eq!(Event::of(&flat).identity, Event::of(&whole).identity);
        let spelled = binary(message(&[("CE-ID", "1"), ("ce-datacontenttype", headers::NDJSON), ("X-a", "b")], "{}"));
        let head = |name: &str| spelled.headers.get(name);
        assert_eq!((head("ce-id"), head("content-type")), (Some("1"), Some(headers::NDJSON)));
        assert_eq!((head("X-a"), head("ce-datacontenttype")), (Some("b"), None));
        let damaged = message(&[("content-type", cloud::STRUCTURED)], "{");
        assert_eq!(binary(damaged.clone()).payload, damaged.payload);
    }
}
