//! Cleaning decisions on the way from the raw into the clean table, and replayed on history when they change.

use anyhow::{Context as _, Result, ensure};
use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::{Float64Type, Int64Type};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tidemill_contracts::groups::{GroupsName, living};
use tidemill_contracts::paths;
use tidemill_dataset::{ContentHash, Snapshot, Table};
use tidemill_quality::QualityReport;
use tidemill_quality::clean::{Told, digest, told};
use tidemill_spec::Spec;
use tidemill_stats::Groups;
use tidemill_testkit::eventually;
use tidemill_tests::messages::{self, Form, Messages};
use tidemill_tests::{Audit, Published, Rig};
use tidemill_validation::{clean_table_path, quarantine_table_path};

const PATIENCE: Duration = Duration::from_secs(60);

/// The project with these decisions about its readings.
fn deciding(decisions: &str) -> Result<Arc<Spec>> {
    let text = include_str!("../data/meters.yaml").replacen("\nquality:", &format!("\n{decisions}\nquality:"), 1);
    Spec::parse(&text).context("decisions").map(Arc::new)
}

const BOTH: &str = "cleaning:
  readings:
    - {id: joined, column: meter, merge: {meter-0: [meter-1, meter-2]}, reason: one house, by: ann}
    - {id: kilo, column: value, unit: {from: kg, to: g}, where: \"value < 2\", reason: scale in kilograms, by: ann}
    - {id: none, column: value, to_null: \"value = 3\", reason: the scale stuck, by: ben}";

/// Number → meter and value.
type Values = BTreeMap<i64, (String, Option<f64>)>;

struct Clean {
    table: Table,
    now: Snapshot,
}

impl Clean {
    async fn of(rig: &Rig) -> Result<Self> {
        let table =
            Table::open(rig.store.storage(), &clean_table_path(&rig.spec.project, &messages::source()?)).await?;
        let now = table.load().await?;
        Ok(Self { table, now })
    }

    async fn values(&self) -> Result<Values> {
        let mut values = Values::new();
        let mut scan = self.table.scan(&self.now, Some(&["n", "meter", "value"]), None);
        while let Some(batch) = scan.next().await? {
            let column = |name: &str| batch.column_by_name(name).context("column");
            let (n, meter, value) = (column("n")?, column("meter")?, column("value")?);
            let (n, value) = (n.as_primitive::<Int64Type>(), value.as_primitive::<Float64Type>());
            for row in 0..batch.num_rows() {
                let value = (!value.is_null(row)).then(|| value.value(row));
                let twice = values.insert(n.value(row), (meter.as_string::<i32>().value(row).to_owned(), value));
                ensure!(twice.is_none(), "{} stands there twice", n.value(row));
            }
        }
        Ok(values)
    }

    async fn told(&self) -> Result<Told> {
        let versions = self.table.history(64).await?;
        Ok(versions.iter().find_map(|version| told(&version.metadata)).unwrap_or_default())
    }

    async fn hash(&self) -> Result<ContentHash> {
        Ok(self.table.content_hash(&self.now, None).await?)
    }
}

/// What the decisions make of the readings that the rules then let pass.
fn wanted(numbers: std::ops::Range<i64>) -> Result<Values> {
    let mut values = Values::new();
    for (n, meter, value) in read(numbers)? {
        let meter = if matches!(meter.as_str(), "meter-1" | "meter-2") { "meter-0".to_owned() } else { meter };
        let value = value.map(|value| if value < 2.0 { value * 1_000.0 } else { value }).filter(|value| *value != 3.0);
        if value.is_none_or(|value| (-100.0..=1_000.0).contains(&value)) {
            values.insert(n, (meter, value));
        }
    }
    Ok(values)
}

fn read(numbers: std::ops::Range<i64>) -> Result<Vec<(i64, String, Option<f64>)>> {
    let batch = messages::batch(numbers)?;
    let column = |name: &str| batch.column_by_name(name).context("column");
    let (n, meter, value) = (column("n")?.as_primitive::<Int64Type>(), column("meter")?, column("value")?);
    let (meter, value) = (meter.as_string::<i32>(), value.as_primitive::<Float64Type>());
    let row = |row: usize| (n.value(row), meter.value(row).to_owned(), (!value.is_null(row)).then(|| value.value(row)));
    Ok((0..batch.num_rows()).map(row).collect())
}

/// Waits until every raw row is judged and the history is made under these decisions.
async fn settled(rig: &Rig, spec: &Spec) -> Result<Clean> {
    let source = messages::source()?;
    let wanted = digest(spec.decisions(&source));
    let is_done = eventually(PATIENCE, || async {
        let all = async {
            let clean = Clean::of(rig).await?;
            let aside = Audit::of(rig.store.storage(), &quarantine_table_path(&rig.spec.project, &source)).await?;
            let rows = clean.now.num_rows() + aside.rows() as u64;
            Ok::<_, anyhow::Error>(rows == rig.audit().await?.rows() as u64 && clean.told().await?.decisions == wanted)
        };
        all.await.unwrap_or(false)
    });
    ensure!(is_done.await, "validation has not come to the end");
    Clean::of(rig).await
}

/// Rows in the stored groups that count, object by object, each with its generation.
async fn rows_by_window(rig: &Rig) -> Result<Vec<(u64, u64)>> {
    let (storage, source) = (rig.store.storage(), messages::source()?);
    let there = storage.list(&paths::groups(&rig.spec.project, &source)).await?;
    let names = there.iter().filter_map(|one| Some((GroupsName::parse(&one.path)?, one.modified)));
    let mut found = Vec::new();
    for name in living(names).0 {
        let groups = Groups::from_bytes(&storage.get(&name.path(&rig.spec.project, &source)).await?)?;
        found.push((groups.whole()?.map_or(0, |whole| whole.rows), name.generation));
    }
    Ok(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_mended_before_rules_judge_them_and_history_follows_the_project_file() -> Result<()> {
    let rig = Rig::start().await?;
    let messages = Messages::new()?;
    let (plain, deciding) = (Arc::clone(&rig.spec), deciding(BOTH)?);
    let mut published = Published::default();
    let ingestion = rig.ingestion().await?;
    let publish = async |published: &mut Published, numbers: std::ops::Range<i64>| {
        let count = numbers.end - numbers.start;
        let last = published.publish(&rig.bus, &[(messages.readings(Form::Arrow, numbers)?, count)]).await?;
        rig.caught_up(last).await
    };

    // Without decisions, then with them, then without again.
    let validation = rig.validation().await?;
    publish(&mut published, 0..500).await?;
    let before = settled(&rig, &plain).await?;
    let (values, hash) = (before.values().await?, before.hash().await?);
    validation.stop().await?;

    let validation = rig.validation_of(&deciding, rig.store.storage()).await?;
    let mended = settled(&rig, &deciding).await?;
    assert_eq!(mended.table.history(1).await?[0].operation, "REPLACE");
    let reports = rig.store.storage().list(&paths::profiles(&rig.spec.project, &messages::source()?)).await?;
    assert_eq!(reports.len(), 1, "reports on values that are no longer there were left");
    let report = QualityReport::from_json(&rig.store.storage().get(&reports[0].path).await?)?;
    let column = report.profile.column("value").context("value")?;
    assert_eq!(rows_by_window(&rig).await?, vec![(mended.now.num_rows(), mended.now.version())]);
    let nulls = mended.values().await?.values().filter(|(_, value)| value.is_none()).count();
    assert_eq!((report.profile.rows, column.nulls), (mended.now.num_rows(), nulls as u64));
    let of_history: Values = wanted(0..500)?.into_iter().filter(|(n, _)| values.contains_key(n)).collect();
    assert_eq!(mended.values().await?.keys().collect::<Vec<_>>(), values.keys().collect::<Vec<_>>(), "rows moved");
    for (n, mended) in &mended.values().await? {
        if let Some(wanted) = of_history.get(n) {
            assert_eq!(mended, wanted, "reading {n}");
        }
    }
    publish(&mut published, 500..900).await?;
    let both = settled(&rig, &deciding).await?;
    let stored = rows_by_window(&rig).await?;
    assert_eq!(stored.iter().map(|(rows, _)| rows).sum::<u64>(), both.now.num_rows());
    assert!(stored.iter().all(|(_, generation)| *generation == mended.now.version()), "{stored:?}");
    let new: Values = both.values().await?.into_iter().filter(|(n, _)| *n >= 500).collect();
    assert_eq!(new, wanted(500..900)?, "new rows are judged by their mended values");
    let did = both.told().await?;
    let joined = did.of("joined").context("joined")?;
    let meters = read(0..900)?.iter().filter(|(_, meter, _)| matches!(meter.as_str(), "meter-1" | "meter-2")).count();
    assert!(joined.changed > 0 && joined.changed <= meters as u64, "{joined:?} of {meters}");
    let none = did.of("none").context("none")?;
    assert_eq!(none.values_before - none.values_after, none.changed, "{none:?}");
    validation.stop().await?;

    // Earlier versions still tell what was known then, and undoing gives the same content as never deciding.
    let then = both.table.load_version(before.now.version()).await?;
    assert_eq!(both.table.content_hash(&then, None).await?, hash);
    let validation = rig.validation().await?;
    let undone = settled(&rig, &plain).await?;
    let back: Values = undone.values().await?.into_iter().filter(|(n, _)| *n < 500).collect();
    assert_eq!(back, values);
    validation.stop().await?;
    ingestion.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_killed_leaves_the_old_rows_or_the_new_ones() -> Result<()> {
    let rig = Rig::start().await?;
    let messages = Messages::new()?;
    let deciding = deciding(BOTH)?;
    let mut published = Published::default();
    let ingestion = rig.ingestion().await?;
    let validation = rig.validation().await?;
    let last = published.publish(&rig.bus, &[(messages.readings(Form::Arrow, 0..3_000)?, 3_000)]).await?;
    rig.caught_up(last).await?;
    let old = settled(&rig, &rig.spec).await?.values().await?;
    validation.stop().await?;
    ingestion.stop().await?;
    let mut seen = Vec::new();
    for round in 0..8_u64 {
        let validation = rig.validation_of(&deciding, rig.store.storage()).await?;
        tokio::time::sleep(Duration::from_millis(round * 15)).await;
        validation.abort().await;
        let clean = Clean::of(&rig).await?;
        let is_new = clean.told().await?.decisions == digest(deciding.decisions(&messages::source()?));
        assert_eq!(clean.values().await? != old, is_new, "round {round}");
        seen.push(is_new);
    }
    assert!(seen.is_sorted(), "what was made anew stays so: {seen:?}");
    let validation = rig.validation_of(&deciding, rig.store.storage()).await?;
    let replaced = settled(&rig, &deciding).await?.table.history(64).await?;
    let replaced = replaced.iter().filter(|version| version.operation == "REPLACE").count();
    assert_eq!(replaced, 1, "it was made anew more than once");
    validation.stop().await?;
    Ok(())
}
