//! What halts a source, and no other one: a stream that is deleted or made anew, a table with other columns.

use anyhow::{Context as _, Result, ensure};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tidemill_bus::StreamSpec;
use tidemill_contracts::{headers, subjects};
use tidemill_spec::Spec;
use tidemill_testkit::eventually;
use tidemill_tests::halts::{halted, others, others_go_on, two_sources, two_sources_text};
use tidemill_tests::messages::{Form, Messages};
use tidemill_tests::rig::make_streams;
use tidemill_tests::{Audit, Published, Rig};
use tidemill_validation::clean_table_path;

/// The promise: an alarm this soon after a stream was deleted.
const ALARM: Duration = Duration::from_secs(5);
const SOON: Duration = Duration::from_secs(30);

async fn rig_of_two() -> Result<Rig> {
    let mut rig = Rig::start().await?;
    rig.spec = two_sources()?;
    make_streams(&rig.bus, &rig.spec).await?;
    Ok(rig)
}

async fn alarm(rig: &Rig, words: &str) -> Result<String> {
    tokio::time::timeout(ALARM, halted(rig, words)).await.with_context(|| format!("no alarm {words} in time"))?
}

/// Whether a table holds these readings once each. Positions come again when a stream is made anew.
fn holds(audit: &Audit, numbers: Range<i64>) -> bool {
    audit.numbers.keys().copied().eq(numbers) && audit.numbers.values().all(|times| *times == 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_stream_halts_its_source_alone_with_an_alarm_within_5_seconds() -> Result<()> {
    let rig = rig_of_two().await?;
    let node = rig.ingestion().await?;
    let messages = Messages::new()?;
    let first = messages.readings(Form::Array, 0..20)?;
    rig.caught_up(Published::default().publish(&rig.bus, &[(first, 20)]).await?).await?;

    assert!(rig.bus.delete_stream(&rig.stream()?).await?);
    let text = alarm(&rig, "TM0405").await?;
    assert!(text.contains(&rig.stream()?) && text.contains(&rig.raw()?), "{text}");
    others_go_on(&rig, 0..7).await?;
    assert!(node.metrics.render().contains("tidemill_ingestion_halted_sources{source=\"readings\"} 1"));

    // The stream that comes in its place is not taken for it, until somebody says that it is meant.
    make_streams(&rig.bus, &rig.spec).await?;
    let anew = [(messages.readings(Form::Array, 20..23)?, 3), (messages.readings(Form::Array, 0..20)?, 20)];
    let last = Published::default().publish(&rig.bus, &anew).await?;
    let text = halted(&rig, "TM0406").await?;
    assert!(text.contains("tidemill source accept-stream"), "{text}");
    assert_eq!(rig.audit().await?.rows(), 20, "nothing was read");
    tidemill_intake::accept_stream(&rig.bus, &rig.stream()?).await?;
    rig.caught_up(last).await?;
    others_go_on(&rig, 7..9).await?;
    node.stop().await?;
    let audit = rig.audit().await?;
    assert!(holds(&audit, 0..23));
    assert_eq!((audit.counts.rows, audit.counts.duplicates), (23, 20), "ids are known beyond the stream");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_made_anew_under_a_running_source_halts_it_alone_until_a_person_accepts_it() -> Result<()> {
    let rig = rig_of_two().await?;
    let messages = Messages::new()?;
    let node = rig.ingestion().await?;
    let old: Vec<_> = (0..20).map(|n| Ok((messages.readings(Form::Array, n..n + 1)?, 1))).collect::<Result<_>>()?;
    rig.caught_up(Published::default().publish(&rig.bus, &old).await?).await?;

    // Sequences begin again, so the table is far ahead of the new stream while ingestion runs on.
    assert!(rig.bus.delete_stream(&rig.stream()?).await?);
    make_streams(&rig.bus, &rig.spec).await?;
    let last = Published::default().publish(&rig.bus, &[(messages.readings(Form::Array, 20..23)?, 3)]).await?;
    alarm(&rig, "TM0406").await?;
    others_go_on(&rig, 0..7).await?;

    // A restart is no consent, and what is accepted outlives one.
    node.abort().await;
    let node = rig.ingestion().await?;
    let is_halted = || async { node.metrics.render().contains("_halted_sources{source=\"readings\"} 1") };
    ensure!(eventually(SOON, is_halted).await, "it went on after the restart");
    tidemill_intake::accept_stream(&rig.bus, &rig.stream()?).await?;
    node.abort().await;
    let node = rig.ingestion().await?;
    rig.caught_up(last).await?;
    node.stop().await?;
    assert!(holds(&rig.audit().await?, 0..23));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_bus_beside_a_filled_store_is_accepted_source_by_source_and_a_new_store_is_filled_at_once() -> Result<()>
{
    let old = rig_of_two().await?;
    let node = old.ingestion().await?;
    let first = Messages::new()?.readings(Form::Array, 0..5)?;
    old.caught_up(Published::default().publish(&old.bus, &[(first, 5)]).await?).await?;
    others_go_on(&old, 0..5).await?;
    node.stop().await?;

    let mut rig = rig_of_two().await?;
    let new_store = std::mem::replace(&mut rig.store, old.store);
    let node = rig.ingestion().await?;
    let halts = |source: &str| format!("tidemill_ingestion_halted_sources{{source=\"{source}\"}} 1");
    for source in ["readings", "others"] {
        let is_halted = || async { node.metrics.render().contains(&halts(source)) };
        ensure!(eventually(SOON, is_halted).await, "{source} took another stream for its own");
    }
    tidemill_intake::accept_stream(&rig.bus, &rig.stream()?).await?;
    let more = Messages::new()?.readings(Form::Array, 5..8)?;
    rig.caught_up(Published::default().publish(&rig.bus, &[(more, 3)]).await?).await?;
    node.abort().await;
    assert!(holds(&rig.audit().await?, 0..8));

    // A store that is new misses nothing that it had.
    rig.store = new_store;
    let node = rig.ingestion().await?;
    rig.caught_up(1).await?;
    node.stop().await?;
    assert!(rig.audit().await?.has_exactly(5..8));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_whose_columns_differ_from_its_table_halts_alone() -> Result<()> {
    let mut rig = rig_of_two().await?;
    let node = rig.ingestion().await?;
    let first = Messages::new()?.readings(Form::Array, 0..5)?;
    rig.caught_up(Published::default().publish(&rig.bus, &[(first, 5)]).await?).await?;
    node.stop().await?;

    let other = two_sources_text().replacen("type: float64", "type: float32", 1);
    rig.spec = Arc::new(Spec::parse(&other).context("another type")?);
    let node = rig.ingestion().await?;
    let validation = rig.validation().await?;
    alarm(&rig, "TM0512").await?;
    others_go_on(&rig, 0..7).await?;
    let clean = clean_table_path(&rig.spec.project, &others()?);
    let storage = rig.store.storage();
    let is_clean = || async { Audit::of(storage, &clean).await.is_ok_and(|audit| audit.rows() == 7) };
    ensure!(eventually(SOON, is_clean).await, "validation of the other source stands still");
    validation.abort().await;
    node.abort().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn full_dead_letters_halt_the_source_that_has_one_to_write_and_none_is_lost() -> Result<()> {
    let rig = rig_of_two().await?;
    let letters = |most| StreamSpec { max_bytes: Some(most), ..StreamSpec::new(subjects::DEAD_STREAM, ["tm.dead.>"]) };
    rig.bus.ensure_stream(&letters(20_000)).await?;
    let node = rig.ingestion().await?;
    let bad = |id: &str| Messages::new()?.event(headers::JSON, id, format!("[{}1]", "1,".repeat(99)).into_bytes());
    let last = Published::default().publish(&rig.bus, &[(bad("1")?, 0), (bad("2")?, 0)]).await?;
    let text = halted(&rig, "TM0407").await?;
    assert!(text.contains("bus.dead_letters"), "{text}");
    others_go_on(&rig, 0..7).await?;
    rig.bus.ensure_stream(&letters(10_000_000)).await?;
    rig.caught_up(last).await?;
    node.stop().await?;
    assert_eq!((rig.dead_letters().await?.len(), rig.audit().await?.counts.dead), (200, 200));
    Ok(())
}
