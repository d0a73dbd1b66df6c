//! A source with columns that look personal waits for its classification, and loses nothing by waiting.

use anyhow::{Context as _, Result, ensure};
use prost::Message as _;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tidemill_bus::{Entry, OrderedReader, Outgoing};
use tidemill_contracts::events::{AlertRaised, Notice, notice};
use tidemill_contracts::subjects;
use tidemill_spec::{Check, RangeRule, Rule};
use tidemill_testkit::eventually;
use tidemill_tests::messages::{self, BEGIN, Form, Messages};
use tidemill_tests::{Audit, Published, Rig};
use tidemill_types::Millis;
use tidemill_validation::{clean_table_path, profile_path, quarantine_table_path};

const PATIENCE: Duration = Duration::from_secs(60);

/// Readings whose `meter` is the address of a person; every hundredth breaks a rule.
fn readings(messages: &Messages, numbers: std::ops::Range<i64>) -> Result<(Outgoing, i64)> {
    let count = numbers.end - numbers.start;
    let id = format!("people-{}", numbers.start);
    let row = |n: i64| {
        let value = if n % 100 == 0 { 5_000.0 } else { 1.5 };
        serde_json::json!({"n": n, "at": Millis(BEGIN.0 + n * 1_000).to_string(), "meter": format!("anna{n}@example.org"), "value": value})
    };
    let body = serde_json::to_vec(&numbers.map(row).collect::<Vec<_>>())?;
    Ok((messages.event(messages::content_type(Form::Array), &id, body)?, count))
}

/// Alerts about unclassified columns, oldest first.
async fn alerts(rig: &Rig) -> Result<Vec<AlertRaised>> {
    let state = rig.bus.stream_state(subjects::NOTICES_STREAM).await?;
    let mut found = Vec::new();
    let mut at = state.first_seq.max(1);
    if at > state.last_seq {
        return Ok(found);
    }
    let mut reader = OrderedReader::open(&rig.bus, subjects::NOTICES_STREAM, at).await?;
    while at <= state.last_seq {
        for entry in reader.next_ready(1_000, 64 << 20, Duration::from_secs(5)).await? {
            at = entry.seq() + 1;
            let Entry::Message(message) = entry else { continue };
            if let Some(notice::Fact::AlertRaised(alert)) = Notice::decode(message.payload.as_ref())?.fact {
                found.push(alert);
            }
        }
    }
    found.retain(|alert| alert.rule == "unclassified_personal_data");
    Ok(found)
}

async fn rows(rig: &Rig, path: &str) -> u64 {
    Audit::of(rig.store.storage(), path).await.map_or(0, |audit| audit.rows() as u64)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_with_unclassified_persons_waits_across_crashes_and_loses_nothing() -> Result<()> {
    let rig = Rig::start().await?;
    let (project, source) = (rig.spec.project.clone(), messages::source()?);
    let (clean, quarantine) = (clean_table_path(&project, &source), quarantine_table_path(&project, &source));
    let messages = Messages::new()?;
    let ingestion = rig.ingestion().await?;
    let mut published = Published::default();
    let first = readings(&messages, 1..201)?;
    rig.caught_up(published.publish(&rig.bus, &[first]).await?).await?;

    let validation = rig.validation().await?;
    let told = eventually(PATIENCE, || async { alerts(&rig).await.is_ok_and(|found| found.len() == 1) });
    ensure!(told.await, "nobody was told");
    let alert = alerts(&rig).await?.pop().context("no alert")?;
    println!("{}", alert.text);
    let says = |part: &str| alert.text.contains(part);
    assert!(
        says("TM1801") && says("\"meter\" looks like email (confidence 0.") && says("a***@***.org"),
        "{}",
        alert.text
    );
    assert!(says("meter: {type: string, pii: email}") && !says("@example.org"), "{}", alert.text);
    assert_eq!(alert.severity, "page");

    // Killed, and started again with more rows waiting: it decides again, alike, and says nothing twice.
    validation.abort().await;
    let second = readings(&messages, 201..401)?;
    rig.caught_up(published.publish(&rig.bus, &[second]).await?).await?;
    let validation = rig.validation().await?;
    let third = readings(&messages, 401..501)?;
    rig.caught_up(published.publish(&rig.bus, &[third]).await?).await?;
    validation.stop().await?;
    assert_eq!((rows(&rig, &clean).await, rows(&rig, &quarantine).await), (0, 0));
    assert_eq!(alerts(&rig).await?.len(), 1);

    // Once the project says what the column is, every row goes on, from the first.
    let mut mended = (*rig.spec).clone();
    let declared = mended.sources.get_mut(&source).and_then(|source| source.columns.get_mut("meter"));
    declared.context("no column")?.pii = Some("email".parse().map_err(anyhow::Error::msg)?);
    let place = mended.sources.get_mut(&source).and_then(|source| source.columns.get_mut("value"));
    place.context("no column")?.pii = Some("location".parse().map_err(anyhow::Error::msg)?);
    let bounds = RangeRule { column: "value".to_owned(), min: None, max: Some(0.0) };
    mended.quality.entry(source.clone()).or_default().push(Rule::new("middle", Check::Median(bounds)));
    let validation = rig.validation_of(&Arc::new(mended), rig.store.storage()).await?;
    let all = eventually(PATIENCE, || async { rows(&rig, &clean).await + rows(&rig, &quarantine).await == 500 });
    ensure!(all.await, "validation has not gone on");
    validation.stop().await?;
    ingestion.stop().await?;
    assert_eq!((rows(&rig, &clean).await, rows(&rig, &quarantine).await), (495, 5));

    // What failed is shown, but not whose it is.
    let reports =
        rig.store.storage().list(profile_path(&project, &source, 0).rsplit_once('/').context("path")?.0).await?;
    ensure!(!reports.is_empty(), "no report was written");
    for object in reports {
        let report: Value = serde_json::from_slice(&rig.store.storage().get(&object.path).await?)?;
        assert!(!report.to_string().contains("@example.org"), "{}", object.path);
        let rules = report["rules"].as_array().context("no rules")?;
        let middle = rules.iter().find(|rule| rule["id"] == "middle").context("no rule")?;
        assert_eq!(middle["observed"], "***", "what a rule has seen of a personal column is not kept");
        let value = report["profile"]["columns"].as_array().and_then(|all| all.iter().find(|c| c["name"] == "value"));
        let value = value.context("no profile")?;
        assert!(value["count"].as_u64() > Some(0) && value["moments"]["max"].is_null(), "{value}");
        assert_eq!(value["moments"]["mean"], 0.0, "nor the mean, which is the value where there is one row");
        for sample in rules.iter().filter_map(|rule| rule["samples"].as_array()).flatten() {
            let sample = sample.as_str().unwrap_or_default();
            assert!(sample.contains("a***@***.org") && !sample.contains("@example.org"), "{sample}");
        }
    }
    Ok(())
}
