//! From the raw table into clean and quarantine: every raw row in exactly one of them.

use anyhow::{Result, ensure};
use std::time::Duration;
use tidemill_bus::Outgoing;
use tidemill_telemetry::Metrics;
use tidemill_testkit::eventually;
use tidemill_tests::messages::{self, Form, Messages};
use tidemill_tests::{Audit, Published, Rig};
use tidemill_validation::{ValidationError, clean_table_path, quarantine_table_path};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

struct Validation {
    stop: CancellationToken,
    task: JoinHandle<Result<(), ValidationError>>,
}

impl Validation {
    async fn start(rig: &Rig) -> Result<Self> {
        let stop = CancellationToken::new();
        let deps = tidemill_validation::Deps {
            bus: rig.nats.bus().await?,
            storage: rig.store.storage().clone(),
            spec: rig.spec.clone(),
            metrics: Metrics::new(),
        };
        Ok(Self { task: tokio::spawn(tidemill_validation::run(deps, stop.clone())), stop })
    }

    async fn stop(self) -> Result<()> {
        self.stop.cancel();
        Ok(self.task.await??)
    }

    async fn abort(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// The three tables.
struct Tables {
    raw: Audit,
    clean: Audit,
    quarantine: Audit,
}

impl Tables {
    async fn of(rig: &Rig) -> Result<Self> {
        let (project, source) = (&rig.spec.project, messages::source()?);
        let storage = rig.store.storage();
        Ok(Self {
            raw: rig.audit().await?,
            clean: Audit::of(storage, &clean_table_path(project, &source)).await?,
            quarantine: Audit::of(storage, &quarantine_table_path(project, &source)).await?,
        })
    }

    /// Every raw row stands in exactly one of the two others, once.
    fn check(&self) -> Result<()> {
        let both = self.clean.positions.keys().filter(|row| self.quarantine.positions.contains_key(row)).count();
        let doubled = |audit: &Audit| audit.positions.values().filter(|times| **times > 1).count();
        let mut together: Vec<_> = self.clean.positions.keys().chain(self.quarantine.positions.keys()).collect();
        together.sort_unstable();
        ensure!(both == 0, "{both} rows are in both tables");
        ensure!(doubled(&self.clean) + doubled(&self.quarantine) == 0, "rows are doubled");
        ensure!(together.into_iter().eq(self.raw.positions.keys()), "rows are lost");
        Ok(())
    }
}

async fn validated(rig: &Rig) -> Result<Tables> {
    let is_done = eventually(Duration::from_secs(60), || async {
        Tables::of(rig).await.is_ok_and(|tables| tables.clean.rows() + tables.quarantine.rows() >= tables.raw.rows())
    });
    ensure!(is_done.await, "validation has not caught up");
    Tables::of(rig).await
}

/// Whether the rules let a reading pass.
fn is_good(n: i64) -> bool {
    messages::value(n).is_none_or(|value| value <= 1_000.0)
}

fn readings(messages: &Messages, id: &str, numbers: std::ops::Range<i64>) -> Result<(Outgoing, i64)> {
    let body = messages::body(Form::Arrow, numbers.clone())?;
    let count = numbers.end - numbers.start;
    Ok((messages.event(messages::content_type(Form::Arrow), id, body)?, count))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_raw_row_is_in_exactly_one_of_clean_and_quarantine_across_crashes_and_competitors() -> Result<()> {
    let rig = Rig::start().await?;
    let messages = Messages::new()?;
    let ingestion = rig.ingestion().await?;
    let mut published = Published::default();
    let mut competitor = Validation::start(&rig).await?;
    for round in 0..12 {
        let validation = Validation::start(&rig).await?;
        let numbers = round * 500..round * 500 + 500;
        let new = readings(&messages, &format!("first-{round}"), numbers.clone())?;
        // The same readings under another event id are rows again, but not unique ones.
        let again = readings(&messages, &format!("second-{round}"), numbers.start..numbers.start + 40)?;
        rig.caught_up(published.publish(&rig.bus, &[new, again]).await?).await?;
        // In mid-air, at an instant that differs from round to round.
        tokio::time::sleep(Duration::from_millis(u64::try_from(round)? * 7)).await;
        validation.abort().await;
        if round % 4 == 3 {
            competitor.abort().await;
            competitor = Validation::start(&rig).await?;
        }
    }
    ingestion.stop().await?;
    let tables = validated(&rig).await?;
    competitor.stop().await?;
    tables.check()?;
    let good = (0..6_000).filter(|n| is_good(*n));
    assert!(tables.clean.numbers.keys().copied().eq(good), "the clean table has other readings");
    assert!(tables.clean.numbers.values().all(|times| *times == 1), "unique readings are doubled");
    assert_eq!(tables.raw.rows(), 12 * 540);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_quarantine_and_clean_sets_no_row_aside_twice() -> Result<()> {
    let rig = Rig::start().await?;
    let messages = Messages::new()?;
    let ingestion = rig.ingestion().await?;
    let mut published = Published::default();
    for round in 0..2 {
        let validation = Validation::start(&rig).await?;
        let new = readings(&messages, &format!("{round}"), round * 400..round * 400 + 400)?;
        rig.caught_up(published.publish(&rig.bus, &[new]).await?).await?;
        validated(&rig).await?.check()?;
        validation.stop().await?;
    }
    // As if the process had died after the one commit and before the other.
    let clean = clean_table_path(&rig.spec.project, &messages::source()?);
    let newest = Tables::of(&rig).await?.clean.versions;
    rig.store.storage().delete(&format!("{clean}/_delta_log/{newest:020}.json")).await?;
    let interrupted = Tables::of(&rig).await?;
    assert!(interrupted.check().is_err() && interrupted.quarantine.rows() > 0);
    // More raw versions come before validation starts again.
    for round in 2..5 {
        let new = readings(&messages, &format!("{round}"), round * 400..round * 400 + 400)?;
        rig.caught_up(published.publish(&rig.bus, &[new]).await?).await?;
    }
    ingestion.stop().await?;
    let validation = Validation::start(&rig).await?;
    let tables = validated(&rig).await?;
    validation.stop().await?;
    tables.check()?;
    assert_eq!(tables.raw.rows(), 2_000);
    Ok(())
}
