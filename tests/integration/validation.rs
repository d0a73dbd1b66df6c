//! From the raw table into clean and quarantine: every raw row in exactly one of them.

use anyhow::{Context as _, Result, ensure};
use arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::DataType;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tidemill_bus::Outgoing;
use tidemill_contracts::paths::raw_table;
use tidemill_dataset::Table;
use tidemill_quality::QualityReport;
use tidemill_spec::Spec;
use tidemill_testkit::eventually;
use tidemill_tests::messages::{self, Form, Messages};
use tidemill_tests::{Audit, Published, Rig};
use tidemill_types::{Millis, SourceName};
use tidemill_validation::{clean_table_path, profile_path, quarantine_table_path};

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
    let mut competitor = rig.validation().await?;
    for round in 0..12 {
        let validation = rig.validation().await?;
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
            competitor = rig.validation().await?;
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
        let validation = rig.validation().await?;
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
    let validation = rig.validation().await?;
    let tables = validated(&rig).await?;
    validation.stop().await?;
    tables.check()?;
    assert_eq!(tables.raw.rows(), 2_000);
    Ok(())
}

/// Removes the newest commits of a table, as a store does that confirmed them and then lost power.
async fn lose_tail(rig: &Rig, table: &str, commits: u64) -> Result<()> {
    let newest = Table::open(rig.store.storage(), table).await?.load().await?.version();
    for version in newest + 1 - commits..=newest {
        rig.store.storage().delete(&format!("{table}/_delta_log/{version:020}.json")).await?;
    }
    Ok(())
}

/// Publishes readings some of which break a rule, one message and one raw commit a round.
async fn rounds(rig: &Rig, published: &mut Published, rounds: std::ops::Range<i64>, wait: bool) -> Result<()> {
    let messages = Messages::new()?;
    for round in rounds {
        let new = [readings(&messages, &format!("{round}"), round * 300..round * 300 + 300)?];
        let last = published.publish(&rig.bus, &new).await?;
        if wait {
            rig.caught_up(last).await?;
            validated(rig).await?;
        }
    }
    Ok(())
}

/// Every table may lose its newest commits, with others or alone, whether validation runs meanwhile or not; the raw
/// table then comes back in other pieces.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_table_the_store_cuts_short_no_row_is_lost_or_doubled() -> Result<()> {
    for (raw, clean, quarantine, runs) in
        [(3, 0, 0, false), (3, 0, 0, true), (0, 3, 0, false), (0, 0, 2, false), (2, 3, 1, false), (4, 1, 2, true)]
    {
        let rig = Rig::start().await?;
        let (project, source) = (&rig.spec.project, messages::source()?);
        let mut published = Published::default();
        let (ingestion, validation) = (rig.ingestion().await?, rig.validation().await?);
        rounds(&rig, &mut published, 0..6, true).await?;
        ingestion.stop().await?;
        let running = if runs { Some(validation) } else { validation.stop().await.map(|()| None)? };
        lose_tail(&rig, &rig.raw()?, raw).await?;
        lose_tail(&rig, &clean_table_path(project, &source), clean).await?;
        lose_tail(&rig, &quarantine_table_path(project, &source), quarantine).await?;
        // What comes back goes into the same commit as what is new.
        rounds(&rig, &mut published, 6..8, false).await?;
        let ingestion = rig.ingestion().await?;
        rig.caught_up(published.last()).await?;
        let validation = match running {
            Some(validation) => validation,
            None => rig.validation().await?,
        };
        let is_done = eventually(Duration::from_secs(60), || async {
            Tables::of(&rig).await.is_ok_and(|tables| tables.check().is_ok() && tables.raw.rows() == 2_400)
        });
        let is_done = is_done.await;
        let tables = Tables::of(&rig).await?;
        tables.check().with_context(|| format!("lost: raw {raw}, clean {clean}, quarantine {quarantine}, {runs}"))?;
        ensure!(is_done, "{} raw rows", tables.raw.rows());
        let good = (0..2_400).filter(|n| is_good(*n));
        assert!(tables.clean.numbers.keys().copied().eq(good), "the clean table has other readings");
        // What follows is validated as ever.
        rounds(&rig, &mut published, 8..9, true).await?;
        validated(&rig).await?.check()?;
        ingestion.stop().await?;
        validation.stop().await?;
    }
    Ok(())
}

/// A table as ingestion would have filled it, written directly: one commit a call.
struct Raw {
    table: Table,
    path: String,
    seq: i64,
}

impl Raw {
    async fn of(rig: &Rig, source: &SourceName) -> Result<Self> {
        let declared = rig.spec.sources.get(source).context("a declared source")?;
        let path = raw_table(&rig.spec.project, source);
        let table = Table::open_or_create(rig.store.storage(), &path, &declared.table_schema()).await?;
        Ok(Self { table, path, seq: 0 })
    }

    /// Readings with these numbers and meters, in this order, as one raw commit.
    async fn add(&mut self, readings: &[(i64, &str)]) -> Result<()> {
        let (at, known): (Vec<i64>, Vec<i64>) =
            readings.iter().map(|(n, _)| (messages::BEGIN.0 + n * 1_000, messages::BEGIN.0 + n * 1_000)).unzip();
        let count = readings.len();
        let from = self.seq;
        self.seq += i64::try_from(count)?;
        let stamps = |values: Vec<i64>| -> ArrayRef {
            Arc::new(TimestampMillisecondArray::from(values).with_timezone_opt(zone()))
        };
        let columns: Vec<ArrayRef> = vec![
            stamps(at),
            Arc::new(StringArray::from_iter_values(readings.iter().map(|(_, meter)| *meter))),
            Arc::new(Int64Array::from_iter_values(readings.iter().map(|(n, _)| *n))),
            Arc::new(Float64Array::from_iter_values(readings.iter().map(|(n, _)| *n as f64 % 7.0))),
            Arc::new(Int64Array::from_iter_values(from + 1..=self.seq)),
            Arc::new(Int32Array::from_iter_values(readings.iter().map(|_| 0))),
            Arc::new(StringArray::from_iter_values((from..self.seq).map(|seq| format!("{}-{seq}", self.path)))),
            stamps(known),
        ];
        let rows = RecordBatch::try_new(self.table.schema(), columns)?;
        let snapshot = self.table.load().await?;
        self.table.commit(snapshot, &[rows], "test", self.seq, BTreeMap::new()).await?;
        Ok(())
    }
}

/// The zone of instants in tables.
fn zone() -> Option<Arc<str>> {
    match Millis::arrow_type() {
        DataType::Timestamp(_, zone) => zone,
        _ => None,
    }
}

/// The meters project with a second source of the same columns, and rules that remember.
fn remembering() -> Result<(Spec, SourceName)> {
    let mut spec = messages::spec()?;
    let (readings, known): (SourceName, SourceName) = (messages::source()?, "known".parse()?);
    let declared = spec.sources.get(&readings).context("readings")?.clone();
    spec.sources.insert(known.clone(), declared);
    let rules = "
- {id: order, increasing: {column: n, by: [meter]}, on_fail: quarantine}
- {id: known-meter, refers: {column: meter, to: known.meter}, on_fail: quarantine}
- {id: usual-size, row_count_near: {low: 0.5, high: 2}, on_fail: quarantine}
- {id: no-flood, row_count: {max: 500}, on_fail: block}
- {id: small, range: {column: value, max: 6}, mostly: 0.5, on_fail: quarantine}";
    spec.quality.insert(readings, tidemill_spec::read_yaml(rules)?);
    Ok((spec, known))
}

/// Numbers in the clean table of a source.
async fn clean_numbers(rig: &Rig, source: &SourceName) -> Result<Vec<i64>> {
    let audit = Audit::of(rig.store.storage(), &clean_table_path(&rig.spec.project, source)).await?;
    Ok(audit.numbers.into_keys().collect())
}

/// The newest raw version that validation has finished with.
async fn finished(rig: &Rig, source: &SourceName) -> Result<i64> {
    let path = clean_table_path(&rig.spec.project, source);
    let snapshot = Table::open(rig.store.storage(), &path).await?.load().await?;
    Ok(snapshot.done(&format!("raw/{}/{source}", rig.spec.project)).await?.unwrap_or(0))
}

async fn finishes(rig: &Rig, raw: &Raw, source: &SourceName) -> Result<()> {
    let newest = i64::try_from(raw.table.load().await?.version())?;
    let is_done = eventually(Duration::from_secs(60), || async {
        finished(rig, source).await.is_ok_and(|version| version >= newest)
    });
    ensure!(is_done.await, "validation of {source} has not come to version {newest}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_remember_judge_alike_after_a_crash_and_no_row_is_in_both_tables() -> Result<()> {
    let mut rig = Rig::start().await?;
    let (spec, known) = remembering()?;
    rig.spec = Arc::new(spec);
    let readings = messages::source()?;
    let (mut raw, mut meters) = (Raw::of(&rig, &readings).await?, Raw::of(&rig, &known).await?);
    meters.add(&[(1, "a"), (2, "b")]).await?;
    let validation = rig.validation().await?;
    finishes(&rig, &meters, &known).await?;
    // Each commit is judged by itself, for all of them are remembered. One row falls, one meter is not known.
    for round in 0..6 {
        let n = round * 10;
        raw.add(&[(n, "a"), (n + 1, "b"), (n + 2, "a"), (n + 3, "b"), (n, "b"), (n + 4, "c")]).await?;
        finishes(&rig, &raw, &readings).await?;
    }
    validation.abort().await;
    let good = |rounds: i64| (0..rounds).flat_map(|round| (0..4).map(move |k| round * 10 + k)).collect::<Vec<_>>();
    assert_eq!(clean_numbers(&rig, &readings).await?, good(6));

    // As if the process had died between quarantine and clean; meanwhile the meter became known.
    let clean = clean_table_path(&rig.spec.project, &readings);
    let newest = Table::open(rig.store.storage(), &clean).await?.load().await?.version();
    rig.store.storage().delete(&format!("{clean}/_delta_log/{newest:020}.json")).await?;
    meters.add(&[(3, "c")]).await?;
    let validation = rig.validation().await?;
    finishes(&rig, &meters, &known).await?;
    finishes(&rig, &raw, &readings).await?;
    Tables::of(&rig).await?.check()?;
    assert_eq!(clean_numbers(&rig, &readings).await?, good(6), "what was set aside stays there");

    // Read again from the tables: order of each meter, sizes of commits, and the other source.
    raw.add(&[(59, "a"), (51, "a"), (60, "c"), (61, "b")]).await?;
    finishes(&rig, &raw, &readings).await?;
    let mut wanted = good(6);
    wanted.extend([59, 60, 61]);
    assert_eq!(clean_numbers(&rig, &readings).await?, wanted);
    // Three times the usual size; then a flood, which is blocked; then too many large values.
    let many = |from: i64, count: i64| (from..from + count).map(|n| (n, "a")).collect::<Vec<_>>();
    raw.add(&many(100, 13)).await?;
    finishes(&rig, &raw, &readings).await?;
    raw.add(&many(1_000, 501)).await?;
    finishes(&rig, &raw, &readings).await?;
    assert_eq!(clean_numbers(&rig, &readings).await?, wanted);
    validation.stop().await?;
    let tables = Tables::of(&rig).await?;
    tables.check()?;
    assert_eq!(tables.raw.rows(), 36 + 4 + 13 + 501);
    let version = raw.table.load().await?.version();
    let report = rig.store.storage().get(&profile_path(&rig.spec.project, &readings, i64::try_from(version)?)).await?;
    let report = QualityReport::from_json(&report)?;
    assert_eq!(report.blocked.as_deref(), Some("no-flood"));
    // A commit that was held is scored by all of its rows, and by the rule that held it.
    assert_eq!((report.tally.rows, report.profile.rows), (501, 0));
    assert!(report.score.completeness.is_some_and(|score| score <= 75.0), "{}", report.score.formula);
    let by_id = |id: &str| report.rules.iter().find(|rule| rule.id == id).context(id.to_owned());
    assert_eq!(by_id("no-flood")?.observed.as_deref(), Some("501, above 500"));
    assert!(by_id("usual-size")?.commit_failed && !by_id("small")?.commit_failed);
    Ok(())
}
