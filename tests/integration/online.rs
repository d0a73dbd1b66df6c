//! Online features beside validation: whatever it decides on commits as a whole, in the end the vectors are those of a
//! replay of the clean tables, bit for bit.

use anyhow::{Context as _, Result, ensure};
use arrow::array::{Array as _, ArrayRef, Int64Array, RecordBatch, TimestampMillisecondArray};
use arrow::compute::{concat_batches, sort_to_indices, take_record_batch};
use arrow::datatypes::FieldRef;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tidemill_bus::Headers;
use tidemill_conform::{Limits, decode_stream, encode_stream};
use tidemill_contracts::feature::feature_service_client::FeatureServiceClient;
use tidemill_contracts::feature::{DescribeRequest, ReadOnlineRequest};
use tidemill_contracts::{headers, paths, subjects};
use tidemill_dataset::Table;
use tidemill_features::{Feed, Plan, replay};
use tidemill_spec::Spec;
use tidemill_testkit::{Nats, eventually};
use tidemill_tests::rig::caught_up;
use tidemill_tests::{Features, Node, Rig, Validation};
use tidemill_types::{Millis, SourceName, columns};

const PATIENCE: Duration = Duration::from_secs(60);
/// 2024-01-01T00:00:00Z; one reading a minute follows.
const BEGIN: i64 = 1_704_067_200_000;
const PUMPS: i64 = 3;
/// The instant of every question, behind all readings.
const ASKED: i64 = BEGIN + 12 * 3_600_000;

/// What a message of readings says.
#[derive(Clone, Copy, Debug)]
enum Readings {
    Plausible,
    /// Their mean is above what the blocking rule allows.
    TooHigh,
    /// Most of them are missing.
    Missing,
    /// They say who saw them, by mail address.
    OfPersons,
}

impl Readings {
    fn row(self, n: i64) -> serde_json::Value {
        let usual = (n.wrapping_mul(2_654_435_761) % 10_000) as f64 / 200.0;
        let value = match self {
            Self::TooHigh => Some(usual + 1_000.0),
            Self::Missing if n % 5 != 0 => None,
            _ => Some(usual),
        };
        let seen = matches!(self, Self::OfPersons).then(|| format!("anna{n}@example.org"));
        let at = Millis(BEGIN + n * 60_000).to_string();
        serde_json::json!({"n": n, "at": at, "pump": n % PUMPS, "value": value, "seen": seen})
    }
}

/// The services that stay up, and the project.
struct Plant {
    rig: Rig,
    ingestion: Node,
}

impl Plant {
    async fn start() -> Result<Self> {
        let spec = Spec::parse(include_str!("../data/pumps.yaml")).context("tests/data/pumps.yaml")?;
        let rig = Rig::of(Nats::start().await?, spec).await?;
        let ingestion = rig.ingestion().await?;
        let plant = Self { rig, ingestion };
        let pump = |pump| serde_json::json!({"pump": pump, "at": Millis(BEGIN).to_string()});
        plant.publish("pumps", "all", (0..PUMPS).map(pump).collect()).await?;
        Ok(plant)
    }

    /// Publishes rows as one message, and waits until they stand in the raw table.
    async fn publish(&self, source: &str, id: &str, rows: Vec<serde_json::Value>) -> Result<()> {
        let source = named(source)?;
        let given = [
            (headers::CE_SPECVERSION, "1.0"),
            (headers::CE_ID, id),
            (headers::CE_SOURCE, "/plant"),
            (headers::CONTENT_TYPE, headers::JSON),
        ];
        let body = serde_json::to_vec(&rows)?;
        let subject = subjects::events(&self.rig.spec.project, &source);
        self.rig.bus.publish(&subject, &Headers::from_pairs(given)?, body).await?;
        self.covered(&source, &paths::raw_table(&self.rig.spec.project, &source)).await
    }

    async fn read(&self, what: Readings, numbers: Range<i64>) -> Result<()> {
        let id = format!("{what:?} {numbers:?}");
        self.publish("readings", &id, numbers.map(|n| what.row(n)).collect()).await
    }

    /// Waits until a table covers everything that was published.
    async fn covered(&self, source: &SourceName, path: &str) -> Result<()> {
        let stream = subjects::events_stream(&self.rig.spec.project, source);
        let last = i64::try_from(self.rig.bus.stream_state(&stream).await?.last_seq)?;
        caught_up(&self.rig.bus, self.rig.store.storage(), path, &stream, last).await
    }

    /// Waits until validation has decided on everything.
    async fn decided(&self) -> Result<()> {
        for source in self.rig.spec.sources.keys() {
            self.covered(source, &paths::clean_table(&self.rig.spec.project, source)).await?;
        }
        Ok(())
    }

    /// Rows of a clean table, by knowledge time.
    async fn clean(&self, source: &SourceName) -> Result<RecordBatch> {
        let path = paths::clean_table(&self.rig.spec.project, source);
        let table = Table::open(self.rig.store.storage(), &path).await?;
        let rows = table.scan(&table.load().await?, None, None).collect().await?;
        let rows = concat_batches(&table.schema(), &rows)?;
        let known = rows.column_by_name(columns::KNOWN_AT).context("no knowledge time")?;
        Ok(take_record_batch(&rows, &sort_to_indices(known, None, None)?)?)
    }

    /// Vectors of all pumps from a replay of the clean tables.
    async fn replayed(&self) -> Result<RecordBatch> {
        let plan = Arc::new(Plan::compile(&self.rig.spec)?);
        let mut feeds: Vec<(SourceName, Feed<'_>)> = Vec::new();
        for source in plan.sources() {
            let rows = self.clean(source).await?;
            feeds.push((source.clone(), Box::new(std::iter::once(Ok(rows)))));
        }
        let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(0..PUMPS));
        let as_of = vec![Millis(ASKED); usize::try_from(PUMPS)?];
        Ok(replay(plan, feeds, &keys, &as_of)?.batch)
    }
}

fn named(source: &str) -> Result<SourceName> {
    source.parse().map_err(|e| anyhow::anyhow!("{e:?}"))
}

/// The feature service that is asked.
struct Online {
    service: Features,
    address: String,
}

impl Online {
    async fn start(plant: &Plant, spec: &Arc<Spec>) -> Result<Self> {
        let (service, address) = plant.rig.features_of(spec).await?;
        Ok(Self { service, address })
    }

    /// Vectors of all pumps as they are served.
    async fn served(&self, plant: &Plant) -> Result<RecordBatch> {
        let as_of = TimestampMillisecondArray::from_iter_values((0..PUMPS).map(|_| ASKED)).with_timezone("UTC");
        let keys: Vec<(&str, ArrayRef)> =
            vec![("pump", Arc::new(Int64Array::from_iter_values(0..PUMPS))), ("as_of", Arc::new(as_of))];
        let keys = encode_stream(&[RecordBatch::try_from_iter(keys)?])?.into();
        let project = plant.rig.spec.project.to_string();
        let mut client = FeatureServiceClient::connect(self.address.clone()).await?;
        let answer = client.read_online(ReadOnlineRequest { project, keys, deadline_ms: 50 }).await?.into_inner();
        let rows = decode_stream(&answer.rows, &Limits::default()).map_err(|e| anyhow::anyhow!("{}", e.reason))?;
        let rows = rows.into_iter().next().context("no rows")?;
        let plan = Plan::compile(&plant.rig.spec)?;
        let at = |field: &FieldRef| rows.schema().index_of(field.name());
        let features: Vec<usize> = plan.schema().fields().iter().map(at).collect::<Result<_, _>>()?;
        Ok(rows.project(&features)?)
    }

    async fn agrees(&self, plant: &Plant) -> Result<bool> {
        let (served, replayed) = (self.served(plant).await?, plant.replayed().await?);
        Ok(served.columns().iter().zip(replayed.columns()).all(|(a, b)| a.to_data() == b.to_data()))
    }

    /// Waits until what is served is what a replay gives, or is not.
    async fn becomes(&self, plant: &Plant, same: bool) -> Result<()> {
        let as_wanted = eventually(PATIENCE, || async { self.agrees(plant).await.is_ok_and(|agrees| agrees == same) });
        ensure!(as_wanted.await, "wanted same: {same}\n{:?}\n{:?}", self.served(plant).await, plant.replayed().await);
        Ok(())
    }

    async fn rows_applied(&self, plant: &Plant) -> Result<u64> {
        let project = plant.rig.spec.project.to_string();
        let mut client = FeatureServiceClient::connect(self.address.clone()).await?;
        Ok(client.describe(DescribeRequest { project }).await?.into_inner().rows_applied)
    }

    fn counted(&self, line: &str) -> bool {
        self.service.metrics.render().lines().any(|shown| shown == line)
    }
}

/// The readings that each vector counts.
async fn counts(online: &Online, plant: &Plant) -> Result<ArrayRef> {
    online.served(plant).await?.column_by_name("readings").cloned().context("no readings")
}

/// A plant whose first sixty readings stand in the clean table and in the vectors alike.
async fn settled() -> Result<(Plant, Validation, Online)> {
    let plant = Plant::start().await?;
    let validation = plant.rig.validation().await?;
    let online = Online::start(&plant, &plant.rig.spec).await?;
    plant.read(Readings::Plausible, 0..60).await?;
    plant.decided().await?;
    online.becomes(&plant, true).await?;
    Ok((plant, validation, online))
}

async fn set_aside_later(what: Readings) -> Result<()> {
    let (plant, validation, online) = settled().await?;
    let spec = Arc::clone(&plant.rig.spec);
    assert_eq!(counts(&online, &plant).await?.null_count(), 0);

    // Without validation the rows are taken in, by the next process too, whose checkpoint had them.
    validation.stop().await?;
    plant.read(what, 60..70).await?;
    online.becomes(&plant, false).await?;
    online.service.stop().await?;
    let online = Online::start(&plant, &spec).await?;
    online.becomes(&plant, false).await?;

    let validation = plant.rig.validation().await?;
    plant.decided().await?;
    assert_eq!(plant.clean(&named("readings")?).await?.num_rows(), 60, "the commit was not set aside");
    online.becomes(&plant, true).await?;
    assert!(
        online.counted("tidemill_feature_retracted_rows_total{source=\"readings\"} 10"),
        "{}",
        online.service.metrics.render()
    );
    assert!(online.counted("tidemill_feature_set_backs_total{source=\"readings\",cause=\"rows\"} 1"));

    // Numbers that were taken only by what was set aside are free again.
    let before = counts(&online, &plant).await?;
    plant.read(Readings::Plausible, 60..75).await?;
    plant.decided().await?;
    assert_eq!(plant.clean(&named("readings")?).await?.num_rows(), 75);
    online.becomes(&plant, true).await?;
    assert_ne!(counts(&online, &plant).await?.to_data(), before.to_data());
    online.service.stop().await?;
    let online = Online::start(&plant, &spec).await?;
    online.becomes(&plant, true).await?;
    online.service.stop().await?;
    validation.stop().await?;
    plant.ingestion.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_commit_is_taken_back_from_online_features() -> Result<()> {
    set_aside_later(Readings::TooHigh).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_with_too_many_failing_rows_is_taken_back_from_online_features() -> Result<()> {
    set_aside_later(Readings::Missing).await
}

/// The project as it says what the last column is.
fn classified(plant: &Plant) -> Result<Arc<Spec>> {
    let mut spec = (*plant.rig.spec).clone();
    let column = spec.sources.get_mut(&named("readings")?).and_then(|source| source.columns.get_mut("seen"));
    column.context("no column")?.pii = Some("email".parse().map_err(anyhow::Error::msg)?);
    Ok(Arc::new(spec))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_held_for_its_classification_is_taken_back_from_online_features_until_it_goes_on() -> Result<()>
{
    let (plant, validation, online) = settled().await?;
    let spec = Arc::clone(&plant.rig.spec);
    validation.stop().await?;
    plant.read(Readings::OfPersons, 60..260).await?;
    online.becomes(&plant, false).await?;
    let before = plant.replayed().await?;

    let validation = plant.rig.validation().await?;
    online.becomes(&plant, true).await?;
    assert_eq!(plant.replayed().await?, before, "the source is held");
    assert!(online.counted("tidemill_feature_retracted_rows_total{source=\"readings\"} 200"));
    assert!(online.counted("tidemill_feature_set_backs_total{source=\"readings\",cause=\"held\"} 1"));

    // Nothing of it comes back, neither from the checkpoint nor with what follows.
    online.service.stop().await?;
    plant.read(Readings::Plausible, 260..300).await?;
    let online = Online::start(&plant, &spec).await?;
    online.becomes(&plant, true).await?;
    assert_eq!(online.rows_applied(&plant).await?, 63);
    online.service.stop().await?;
    validation.stop().await?;

    // Its project file says what the column is: the hold ends, and everything is there.
    let spec = classified(&plant)?;
    let validation = plant.rig.validation_of(&spec, plant.rig.store.storage()).await?;
    let online = Online::start(&plant, &spec).await?;
    plant.decided().await?;
    online.becomes(&plant, true).await?;
    assert_ne!(plant.replayed().await?, before);
    assert_eq!(online.rows_applied(&plant).await?, 303);
    online.service.stop().await?;
    validation.stop().await?;
    plant.ingestion.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_in_of_a_source_before_validation_has_admitted_it() -> Result<()> {
    let plant = Plant::start().await?;
    let spec = Arc::clone(&plant.rig.spec);
    let online = Online::start(&plant, &spec).await?;
    plant.read(Readings::OfPersons, 0..200).await?;
    let validation = plant.rig.validation().await?;
    let held =
        format!("{}/_delta_log/00000000000000000001.json", paths::clean_table(&spec.project, &named("readings")?));
    let is_held = eventually(PATIENCE, || async { plant.rig.store.storage().exists(&held).await.unwrap_or(false) });
    ensure!(is_held.await, "the source is not held");
    let pumps = eventually(PATIENCE, || async { online.rows_applied(&plant).await.is_ok_and(|rows| rows == 3) });
    ensure!(pumps.await, "{:?} rows", online.rows_applied(&plant).await);
    online.becomes(&plant, true).await?;
    assert!(!online.service.metrics.render().contains("tidemill_feature_applied_events_total{source=\"readings\"}"));
    validation.stop().await?;

    let validation = plant.rig.validation_of(&classified(&plant)?, plant.rig.store.storage()).await?;
    plant.decided().await?;
    online.becomes(&plant, true).await?;
    assert_eq!(online.rows_applied(&plant).await?, 203);
    online.service.stop().await?;
    validation.stop().await?;
    plant.ingestion.stop().await
}
