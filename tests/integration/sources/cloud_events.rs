//! CloudEvents straight on the bus, in every mode and spelling.

use anyhow::{Context as _, Result};
use serde_json::Value;
use std::path::Path;
use tidemill_bus::{Headers, Outgoing};
use tidemill_contracts::{headers, subjects};
use tidemill_tests::messages::{object, source};
use tidemill_tests::rig::{header, origin};
use tidemill_tests::{Published, Rig, python};

const STRUCTURED: &str = "application/cloudevents+json";

fn message(rig: &Rig, given: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Result<(Outgoing, i64)> {
    let subject = subjects::events(&rig.spec.project, &source()?);
    Ok((Outgoing::new(subject, body.into()).with_headers(Headers::from_pairs(given.iter().copied())?), 1))
}

/// Headers and body of a message that is refused, and the code.
type Refused<'a> = (&'a [(&'a str, &'a str)], String, &'a str);

fn whole(id: &str, rest: &str) -> String {
    format!(r#"{{"specversion":"1.0","id":"{id}","source":"/ü","type":"meters.reading"{rest}}}"#)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_in_every_mode_and_spelling_is_one_row() -> Result<()> {
    let rig = Rig::start().await?;
    let data = object(1);
    let of_json = whole("a b", &format!(r#","time":"2024-01-01T00:00:00Z","data":{data}"#));
    let of_text = format!(r#","datacontenttype":"application/x-ndjson","data":{}"#, Value::from(data.as_str()));
    let of_text = whole("a b", &of_text);
    let all = [
        message(&rig, &[("ce-id", "a%20b"), ("ce-source", "/%C3%BC"), ("ce-specversion", "1.0")], data.clone())?,
        message(
            &rig,
            &[("ce-id", "a%20b"), ("ce-source", "/%c3%bc"), ("ce-time", "2024-01-01T00:00:00Z")],
            data.clone(),
        )?,
        message(
            &rig,
            &[("CE-ID", "\"a b\""), ("Ce-Source", "/%c3%BC"), ("Content-Type", "Application/JSON")],
            data.clone(),
        )?,
        message(
            &rig,
            &[
                ("ce-id", "a%20b"),
                ("ce-source", "/%C3%BC"),
                ("ce-datacontenttype", "application/x-ndjson;%20charset=utf-8"),
            ],
            format!("{data}\n"),
        )?,
        message(&rig, &[("Content-Type", STRUCTURED)], of_json)?,
        message(&rig, &[("CONTENT-TYPE", "Application/CloudEvents+JSON; charset=utf-8")], of_text)?,
        // A percent sign that encodes nothing stays one: these two are others.
        message(&rig, &[("ce-id", "%+1"), ("ce-source", "/%C3%BC")], object(2))?,
        message(&rig, &[("ce-id", "%01"), ("ce-source", "/%C3%BC")], object(3))?,
    ];
    let node = rig.ingestion().await?;
    let last = Published::default().publish(&rig.bus, &all).await?;
    rig.caught_up(last).await?;
    node.stop().await?;
    let audit = rig.audit().await?;
    assert!(audit.has_exactly(1..3), "{:?}", audit.numbers);
    // The last is no event: its id would be a control character.
    assert_eq!((audit.counts.rows, audit.counts.duplicates, audit.counts.dead), (2, 5, 1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_cloudevents_is_a_dead_letter_with_its_code() -> Result<()> {
    let rig = Rig::start().await?;
    let sent: [Refused<'_>; 12] = [
        (&[("ce-specversion", "0.3")], object(1), "TM0321"),
        (&[("CE-SpecVersion", "1")], object(1), "TM0321"),
        (&[("ce-time", "2024-13-01T00:00:00Z")], object(1), "TM0321"),
        (&[("ce-id", "%C0%AF")], object(1), "TM0321"),
        (&[("ce-source", "%e2%82"), ("ce-id", "1")], object(1), "TM0321"),
        (&[("ce-id", "1"), ("CE-ID", "2")], object(1), "TM0321"),
        (&[("content-type", STRUCTURED)], whole("", &format!(r#","data":{}"#, object(1))), "TM0321"),
        (&[("content-type", STRUCTURED)], "{".to_owned(), "TM0322"),
        (&[("content-type", STRUCTURED)], whole("1", r#","data_base64":"?""#), "TM0322"),
        (&[("content-type", STRUCTURED)], whole("1", ""), "TM0307"),
        (&[("content-type", STRUCTURED)], whole("1", r#","data":{"n":"x"}"#), "TM0312"),
        (&[("content-type", "application/cloudevents-batch+json")], "[]".to_owned(), "TM0302"),
    ];
    let mut all = Vec::new();
    for (given, body, _) in &sent {
        all.push(message(&rig, given, body.clone())?);
    }
    // The id of a refused event is free for its mended form.
    all.push(message(&rig, &[("content-type", STRUCTURED)], whole("1", &format!(r#","data":{}"#, object(1))))?);
    let node = rig.ingestion().await?;
    let last = Published::default().publish(&rig.bus, &all).await?;
    rig.caught_up(last).await?;
    node.stop().await?;
    let audit = rig.audit().await?;
    assert!(audit.has_exactly(1..2));
    assert_eq!((audit.counts.rows, audit.counts.dead), (1, sent.len() as u64));
    let letters = rig.dead_letters().await?;
    assert_eq!(letters.len(), sent.len());
    for (number, (letter, (_, body, code))) in letters.iter().zip(&sent).enumerate() {
        assert_eq!(origin(letter)?, i64::try_from(number)? + 1, "letters stand in the order of the stream");
        assert_eq!(header(letter, headers::DEAD_CODE)?, *code, "{body}");
        assert_eq!(&letter.payload[..], body.as_bytes());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_the_client_of_cloudevents_are_understood_on_the_bus() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/sources");
    let interpreter = python::environment("push", &folder.join("requirements.txt"))?;
    let output = std::process::Command::new(interpreter).arg(folder.join("bus_events.py")).output()?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rig = Rig::start().await?;
    let mut all = Vec::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let made: Value = serde_json::from_str(line)?;
        let given = made["headers"].as_object().context("headers")?;
        let given: Vec<(&str, &str)> =
            given.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect();
        let body = hex::decode(made["body"].as_str().context("body")?)?;
        all.push(message(&rig, &given, body)?);
    }
    assert_eq!(all.len(), 5);
    let node = rig.ingestion().await?;
    let last = Published::default().publish(&rig.bus, &all).await?;
    rig.caught_up(last).await?;
    node.stop().await?;
    let audit = rig.audit().await?;
    // The first event came in both modes.
    assert!(audit.has_exactly(0..6), "{:?}", audit.numbers);
    assert_eq!((audit.counts.duplicates, audit.counts.dead), (1, 0));
    Ok(())
}
