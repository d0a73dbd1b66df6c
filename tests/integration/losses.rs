//! What the double entry finds: a store, a bus or a message that lost something.

use anyhow::{Context as _, Result, ensure};
use std::path::Path;
use std::time::{Duration, Instant};
use tidemill_ingestion::IngestionError;
use tidemill_testkit::eventually;
use tidemill_tests::audit::Findings;
use tidemill_tests::halts::{halted, others_go_on, two_sources};
use tidemill_tests::messages::{Form, Messages};
use tidemill_tests::rig::make_streams;
use tidemill_tests::{Published, Rig};
use tidemill_types::Classified as _;

const SOON: Duration = Duration::from_secs(30);

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_messages_are_counted_tombstones_wherever_they_stood() -> Result<()> {
    let rig = Rig::start().await?;
    let messages = Messages::new()?;
    let mut published = Published::default();
    let all: Vec<_> = (0..100).map(|n| Ok((messages.readings(Form::Object, n..n + 1)?, 1))).collect::<Result<_>>()?;
    let last = published.publish(&rig.bus, &all).await?;
    // In the middle, several together, and the very last one.
    for sequence in [10, 50, 51, 52, 100] {
        rig.bus.delete_message(&rig.stream()?, sequence).await?;
        published.rows.remove(&i64::try_from(sequence)?);
    }
    let node = rig.ingestion().await?;
    rig.caught_up(last).await?;
    node.stop().await?;
    let audit = rig.audit().await?;
    assert_eq!(audit.against(&published), Findings::default());
    assert_eq!((audit.counts.rows, audit.counts.tombstones), (95, 5));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_that_the_store_lost_are_replayed_from_the_bus() -> Result<()> {
    let rig = Rig::start().await?;
    let messages = Messages::new()?;
    let mut published = Published::default();
    let node = rig.ingestion().await?;
    for round in 0..5 {
        let batch = messages.readings(Form::Arrow, round * 100..round * 100 + 100)?;
        let last = published.publish(&rig.bus, &[(batch, 100)]).await?;
        rig.caught_up(last).await?;
    }
    node.stop().await?;
    let before = rig.audit().await?;
    assert_eq!(before.rows(), 500);
    for version in before.versions - 1..=before.versions {
        rig.store.storage().delete(&format!("{}/_delta_log/{version:020}.json", rig.raw()?)).await?;
    }
    assert_eq!(rig.audit().await?.rows(), 300);
    let node = rig.ingestion().await?;
    rig.caught_up(published.last()).await?;
    node.stop().await?;
    let audit = rig.audit().await?;
    assert_eq!(audit.against(&published), Findings::default());
    assert!(audit.has_exactly(0..500));
    Ok(())
}

/// Puts an older copy of the bus's store in its place, as a restored backup would.
async fn with_a_bus_that_lost_its_tail(rig: &mut Rig) -> Result<i64> {
    let messages = Messages::new()?;
    let mut published = Published::default();
    published.publish(&rig.bus, &[(messages.readings(Form::Array, 0..5)?, 5)]).await?;
    rig.nats.server().stop().await?;
    let (store, copied) = (rig.nats.dir().join("jetstream"), rig.nats.dir().join("copied"));
    copy(&store, &copied)?;
    rig.nats.server().restart().await?;
    let mut last = 0;
    for n in 5..9 {
        // The connection comes back by itself.
        let message = messages.readings(Form::Array, n..n + 1)?.with_id(&format!("m{n}"))?;
        let is_back = eventually(SOON, || async { rig.bus.ping().await.is_ok() });
        ensure!(is_back.await, "the bus did not come back");
        last = published.publish(&rig.bus, &[(message, 1)]).await?;
    }
    rig.caught_up(last).await?;
    rig.nats.server().stop().await?;
    std::fs::remove_dir_all(&store)?;
    std::fs::rename(&copied, &store)?;
    rig.nats.server().restart().await?;
    Ok(last)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_that_lost_its_tail_halts_a_running_source_with_an_alarm() -> Result<()> {
    let mut rig = Rig::start().await?;
    let node = rig.ingestion().await?;
    with_a_bus_that_lost_its_tail(&mut rig).await?;
    let back = Instant::now();
    let text = halted(&rig, "").await.context("ingestion went on over lost messages")?;
    println!("alarm {:.1} s after the bus was back without its tail", back.elapsed().as_secs_f64());
    assert!(text.starts_with("TM0401") || text.starts_with("TM0610"), "{text}");
    assert!(node.metrics.render().contains("tidemill_ingestion_halted_sources{source=\"readings\"} 1"));
    node.abort().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halted_source_holds_up_no_other_and_goes_on_once_it_is_mended() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.spec = two_sources()?;
    make_streams(&rig.bus, &rig.spec).await?;
    let node = rig.ingestion().await?;
    with_a_bus_that_lost_its_tail(&mut rig).await?;
    halted(&rig, "").await?;

    others_go_on(&rig, 0..7).await?;

    // The remedy of the manual, without a restart: the stream is made anew and what is missing published again.
    rig.bus.delete_stream(&rig.stream()?).await?;
    make_streams(&rig.bus, &rig.spec).await?;
    tidemill_intake::accept_stream(&rig.bus, &rig.stream()?).await?;
    let again = Messages::new()?.readings(Form::Array, 9..12)?;
    rig.caught_up(Published::default().publish(&rig.bus, &[(again, 3)]).await?).await?;
    node.stop().await?;
    let numbers = rig.audit().await?.numbers;
    assert!(numbers.keys().copied().eq(0..12) && numbers.values().all(|times| *times == 1), "{numbers:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_that_lost_its_tail_is_noticed_at_the_start() -> Result<()> {
    let mut rig = Rig::start().await?;
    let node = rig.ingestion().await?;
    let last = with_a_bus_that_lost_its_tail(&mut rig).await?;
    // Whatever became of the first process, the next one says what is wrong.
    node.abort().await;
    let node = rig.ingestion().await?;
    let stands = format!("{} already holds {last}", rig.raw()?);
    halted(&rig, &stands).await.context("ingestion started over lost messages")?;
    let error = node.stop().await.err().context("it ended well")?;
    assert_eq!(error.downcast::<IngestionError>()?.code().to_string(), "TM0401");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_that_lost_its_tail_and_was_written_on_is_noticed_although_it_is_as_long_as_before() -> Result<()> {
    let mut rig = Rig::start().await?;
    let node = rig.ingestion().await?;
    let last = with_a_bus_that_lost_its_tail(&mut rig).await?;
    node.abort().await;
    let messages = Messages::new()?;
    let anew: Vec<_> = (9..20).map(|n| Ok((messages.readings(Form::Array, n..n + 1)?, 1))).collect::<Result<_>>()?;
    let is_back = eventually(SOON, || async { rig.bus.ping().await.is_ok() });
    ensure!(is_back.await, "the bus did not come back");
    let reached = Published::default().publish(&rig.bus, &anew).await?;
    assert!(reached > last, "the stream is longer than what the table holds: {reached} and {last}");
    let node = rig.ingestion().await?;
    let is_said =
        eventually(SOON, || async { node.metrics.render().contains("_halted_sources{source=\"readings\"} 1") });
    ensure!(is_said.await, "new events were taken for old ones");
    let error = node.stop().await.err().context("it ended well")?.downcast::<IngestionError>()?;
    assert_eq!(error.code().to_string(), "TM0615", "{error}");
    assert!(!error.is_transient());
    assert_eq!(rig.audit().await?.rows(), 9, "nothing was added");
    Ok(())
}
