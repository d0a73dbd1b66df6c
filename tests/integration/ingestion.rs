//! From the bus into the raw table, exactly once.

use anyhow::Result;
use std::time::Duration;
use tidemill_bus::{BatchPublisher, Headers, Outgoing};
use tidemill_dataset::Table;
use tidemill_ingestion::Options;
use tidemill_intake::WATERMARK_KEY;
use tidemill_telemetry::names;
use tidemill_tests::audit::Findings;
use tidemill_tests::messages::{BEGIN, Form, Messages};
use tidemill_tests::{Published, Rig};
use tidemill_types::Millis;

/// Messages of every form for the readings from `first` on; returns the reading after the last.
fn mixed(messages: &Messages, first: i64, rounds: i64) -> Result<(Vec<(Outgoing, i64)>, i64)> {
    let mut all = Vec::new();
    let mut next = first;
    for _ in 0..rounds {
        for (form, rows) in [(Form::Object, 1), (Form::Array, 7), (Form::Lines, 5), (Form::Arrow, 50)] {
            all.push((messages.readings(form, next..next + rows)?, rows));
            next += rows;
        }
    }
    Ok((all, next))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_event_becomes_rows_exactly_once() -> Result<()> {
    let rig = Rig::start().await?;
    let mut published = Published::default();
    let (all, end) = mixed(&Messages::new()?, 0, 40)?;
    let last = published.publish(&rig.bus, &all).await?;
    let node = rig.ingestion().await?;
    rig.caught_up(last).await?;
    node.stop().await?;
    let audit = rig.audit().await?;
    assert_eq!(audit.against(&published), Findings::default());
    assert!(audit.has_exactly(0..end));
    assert_eq!(rig.dead_letters().await?.len(), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_at_the_cursor_of_the_table() -> Result<()> {
    let rig = Rig::start().await?;
    let messages = Messages::new()?;
    let mut published = Published::default();
    let mut next = 0;
    // In good order, in mid-air, and once with nothing new in between.
    for round in 0..4 {
        let node = rig.ingestion().await?;
        if round != 2 {
            let (all, end) = mixed(&messages, next, 10)?;
            next = end;
            published.publish(&rig.bus, &all).await?;
        }
        if round == 1 {
            node.abort().await;
        } else {
            rig.caught_up(published.last()).await?;
            node.stop().await?;
        }
    }
    let audit = rig.audit().await?;
    assert_eq!(audit.against(&published), Findings::default());
    assert!(audit.has_exactly(0..next));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_dead_letters_duplicates_and_tombstones_add_up_to_what_was_published() -> Result<()> {
    let rig = Rig::start().await?;
    let messages = Messages::new()?;
    let mut published = Published::default();
    let mut all = mixed(&messages, 0, 10)?.0;
    let bad_row = br#"[{"n":1000,"at":"2024-01-01T00:00:00Z","meter":"m"},{"n":"x"},{"n":1001}]"#;
    all.push((messages.event("application/json", "two-bad-rows", bad_row.to_vec())?, 3));
    all.push((messages.event("application/json", "bad", b"{".to_vec())?, 1));
    let arrow_twice = messages.readings(Form::Arrow, 2_000..2_050)?;
    all.push((arrow_twice.clone(), 50));
    all.push((messages.readings(Form::Array, 3_000..3_002)?, 2));
    let last = published.publish(&rig.bus, &all).await?;
    rig.bus.delete_message(&rig.stream()?, u64::try_from(last)?).await?;
    let node = rig.ingestion().await?;
    // In the same commit window or in a later one, an id is known.
    let again = [(arrow_twice, 50), (messages.watermark(Millis(BEGIN.0 + 5))?, 0)];
    let last = published.publish(&rig.bus, &again).await?;
    rig.caught_up(last).await?;
    let dead = node.metrics.counter(names::INGESTION_DEAD_LETTERS).with(&[("source", "readings")]);
    // The process counts a commit after it has made it, so the table may be ahead until it has stopped.
    node.stop().await?;
    let counts = rig.audit().await?.counts;
    assert_eq!((counts.rows, counts.dead, counts.duplicates), (10 * 63 + 1 + 50, 3, 50));
    // The tombstone stood for two rows, which nobody can know any more.
    assert_eq!((counts.tombstones, counts.watermarks), (1, 1));
    let total = u64::try_from(published.total())?;
    assert_eq!(counts.rows + counts.dead + counts.duplicates + 2, total);
    assert_eq!(dead.get(), 3, "what the process counted");
    assert_eq!(rig.dead_letters().await?.len(), 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_competing_processes_lose_and_double_nothing() -> Result<()> {
    let rig = Rig::start().await?;
    let messages = Messages::new()?;
    let options = Options { commit_age: Duration::from_millis(15), ..Options::default() };
    let first = rig.ingestion_with(rig.store.storage(), options.clone()).await?;
    let second = rig.ingestion_with(rig.store.storage(), options).await?;
    let mut published = Published::default();
    let mut next = 0;
    for round in 0..60 {
        let (all, end) = mixed(&messages, next, 2)?;
        next = end;
        published.publish(&rig.bus, &all).await?;
        if round % 3 == 0 {
            rig.caught_up(published.last()).await?;
        }
    }
    rig.caught_up(published.last()).await?;
    first.stop().await?;
    second.stop().await?;
    let audit = rig.audit().await?;
    assert_eq!(audit.against(&published), Findings::default());
    assert!(audit.has_exactly(0..next));
    assert_eq!(audit.counts.rows, u64::try_from(next)?, "the books of lost races are not in the table");
    assert!(audit.versions >= 20, "{} commits are too few for a competition", audit.versions);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_sent_again_is_counted_as_a_duplicate_also_after_a_restart() -> Result<()> {
    let rig = Rig::start().await?;
    let messages = Messages::new()?;
    let sent = [
        (messages.readings(Form::Object, 1..2)?, 1),
        (messages.readings(Form::Arrow, 2..102)?, 100),
        (messages.readings(Form::Array, 102..105)?, 3),
    ];
    let mut published = Published::default();
    for round in 0..3 {
        let node = rig.ingestion().await?;
        let last = published.publish(&rig.bus, &sent).await?;
        rig.caught_up(last).await?;
        node.stop().await?;
        let counts = rig.audit().await?.counts;
        assert_eq!((counts.rows, counts.duplicates), (104, 104 * round));
    }
    assert!(rig.audit().await?.has_exactly(1..105));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mended_event_lands_under_the_id_of_the_refused_one() -> Result<()> {
    let rig = Rig::start().await?;
    let messages = Messages::new()?;
    let bad = messages.event("application/json", "event-7", br#"{"n":7}"#.to_vec())?;
    let mended = messages.event("application/json", "event-7", tidemill_tests::messages::object(7).into_bytes())?;
    let mut published = Published::default();
    // Together, as one process reads them: refused, mended, mended again.
    let last = published.publish(&rig.bus, &[(bad, 1), (mended.clone(), 1), (mended, 1)]).await?;
    let node = rig.ingestion().await?;
    rig.caught_up(last).await?;
    node.stop().await?;
    let audit = rig.audit().await?;
    assert!(audit.has_exactly(7..8));
    assert_eq!((audit.counts.rows, audit.counts.dead, audit.counts.duplicates), (1, 1, 1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watermark_alone_reaches_the_table_without_rows() -> Result<()> {
    let rig = Rig::start().await?;
    let messages = Messages::new()?;
    let node = rig.ingestion().await?;
    let mut published = Published::default();
    let last = published.publish(&rig.bus, &[(messages.watermark(Millis(BEGIN.0 + 60_000))?, 0)]).await?;
    rig.caught_up(last).await?;
    node.stop().await?;
    let table = Table::open(rig.store.storage(), &rig.raw()?).await?;
    assert_eq!(table.load().await?.num_rows(), 0);
    let newest = table.history(1).await?;
    let watermark = newest.first().and_then(|version| version.metadata.get(WATERMARK_KEY).cloned());
    assert_eq!(watermark, Some((BEGIN.0 + 60_000).to_string()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_told_by_a_notice_with_the_table_version() -> Result<()> {
    use prost::Message as _;
    use tidemill_contracts::events::{Notice, notice::Fact};
    let rig = Rig::start().await?;
    let subject = "tm.notices.meters.raw.committed".to_owned();
    let mut notices = rig.bus.tail(tidemill_contracts::subjects::NOTICES_STREAM, vec![subject]).await?;
    let node = rig.ingestion().await?;
    let message = Messages::new()?.readings(Form::Arrow, 0..9)?;
    BatchPublisher::new(&rig.bus).publish(&[message]).await?;
    let told = notices.next_within(Duration::from_secs(30)).await?;
    node.stop().await?;
    let notice = Notice::decode(told.map(|message| message.payload).unwrap_or_default())?;
    let Some(Fact::RawCommitted(fact)) = notice.fact else { anyhow::bail!("{notice:?}") };
    assert_eq!((fact.source.as_str(), fact.table_version, fact.last_seq, fact.rows), ("readings", 1, 1, 9));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_malformed_message_still_finds_its_way_to_the_dead_letters() -> Result<()> {
    let rig = Rig::start().await?;
    let messages = Messages::new()?;
    let largest = rig.bus.max_payload() - 400;
    let mut published = Published::default();
    let huge = messages.event("application/json", "huge", vec![b'['; largest])?;
    published.publish(&rig.bus, &[(huge, 1)]).await?;
    let last = published.publish(&rig.bus, &[(messages.readings(Form::Object, 1..2)?, 1)]).await?;
    let node = rig.ingestion().await?;
    rig.caught_up(last).await?;
    node.stop().await?;
    let letters = rig.dead_letters().await?;
    assert_eq!(letters.len(), 1);
    let reason = tidemill_tests::rig::header(&letters[0], tidemill_contracts::headers::DEAD_REASON)?;
    assert!(reason.contains(&format!("{largest} bytes are left out")), "{reason}");
    assert!(rig.audit().await?.has_exactly(1..2));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_known_by_its_source_and_id_together_and_never_without_an_id() -> Result<()> {
    let rig = Rig::start().await?;
    let subject = tidemill_contracts::subjects::events(&rig.spec.project, &tidemill_tests::messages::source()?);
    let mut numbers = 0..;
    let mut event = |given: &[(&str, &str)]| -> Result<(Outgoing, i64)> {
        let body = tidemill_tests::messages::object(numbers.next().unwrap_or_default());
        Ok((Outgoing::new(subject.clone(), body).with_headers(Headers::from_pairs(given.iter().copied())?), 1))
    };
    let all = [
        event(&[])?,
        event(&[])?,
        event(&[("ce-source", "/a"), ("ce-id", "1")])?,
        event(&[("ce-source", "/b"), ("ce-id", "1")])?,
        event(&[("ce-id", "1")])?,
        event(&[("ce-source", "/a")])?,
        event(&[("ce-source", "/a")])?,
        // These two came before.
        event(&[("ce-source", "/b"), ("ce-id", "1")])?,
        event(&[("ce-id", "1")])?,
    ];
    let node = rig.ingestion().await?;
    let last = Published::default().publish(&rig.bus, &all).await?;
    rig.caught_up(last).await?;
    node.stop().await?;
    let audit = rig.audit().await?;
    assert!(audit.has_exactly(0..7));
    assert_eq!((audit.counts.rows, audit.counts.duplicates), (7, 2));
    Ok(())
}
