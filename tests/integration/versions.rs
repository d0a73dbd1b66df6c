//! What a table holds follows from the events alone: not from the sizes of commits, nor from the files they left.

use anyhow::{Context as _, Result, ensure};
use std::time::Duration;
use tidemill_dataset::{ContentHash, Effort, Table};
use tidemill_ingestion::Options;
use tidemill_storage::Storage;
use tidemill_testkit::{Store, eventually};
use tidemill_tests::messages::{self, Form, Messages};
use tidemill_tests::rig::caught_up;
use tidemill_tests::{Audit, Published, Rig};
use tidemill_validation::{clean_table_path, quarantine_table_path};

async fn hash(storage: &Storage, path: &str) -> Result<ContentHash> {
    let table = Table::open(storage, path).await?;
    let snapshot = table.load().await?;
    Ok(table.content_hash(&snapshot, None).await?)
}

/// Paths of the three tables.
fn paths(rig: &Rig) -> Result<[String; 3]> {
    let (project, source) = (&rig.spec.project, messages::source()?);
    Ok([rig.raw()?, clean_table_path(project, &source), quarantine_table_path(project, &source)])
}

/// Takes in and validates everything up to a sequence, in commits of this size; gives the hashes of the three tables.
async fn built(rig: &Rig, storage: &Storage, commit_bytes: usize, last: i64) -> Result<[ContentHash; 3]> {
    let options = Options { commit_age: Duration::from_millis(50), commit_bytes, ..Options::default() };
    let ingestion = rig.ingestion_with(storage, options).await?;
    let validation = rig.validation_of(&rig.spec, storage).await?;
    let [raw, clean, quarantine] = paths(rig)?;
    caught_up(&rig.bus, storage, &raw, &rig.stream()?, last).await?;
    ingestion.stop().await?;
    let is_validated = eventually(Duration::from_secs(60), || async {
        let rows = async |path: &str| Audit::of(storage, path).await.map(|audit| audit.rows()).ok();
        let (raw, clean, aside) = (rows(&raw).await, rows(&clean).await, rows(&quarantine).await);
        matches!((raw, clean, aside), (Some(raw), Some(clean), Some(aside)) if clean + aside == raw)
    });
    ensure!(is_validated.await, "validation has not caught up");
    validation.stop().await?;
    Ok([hash(storage, &raw).await?, hash(storage, &clean).await?, hash(storage, &quarantine).await?])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_events_give_the_same_content_whatever_the_commits_and_after_a_rebuild() -> Result<()> {
    let rig = Rig::start().await?;
    let messages = Messages::new()?;
    let mut sent = Vec::new();
    for round in 0..40 {
        let from = round * 25;
        let form = [Form::Arrow, Form::Lines, Form::Array][usize::try_from(round)? % 3];
        sent.push((messages.readings(form, from..from + 25)?, 25));
        // Refused, sent again, and a reading that is not unique.
        sent.push((messages.event("application/json", &format!("bad-{round}"), br#"{"n":"x"}"#.to_vec())?, 0));
        sent.push((messages.event("application/json", &format!("twin-{round}"), messages::object(from).into())?, 1));
    }
    let mut published = Published::default();
    let last = published.publish(&rig.bus, &sent).await?;
    let (large, small) = (rig.store.storage().clone(), Store::local()?);
    let expected = built(&rig, &large, 64 << 20, last).await?;
    assert_eq!((expected[0].rows, expected[1].rows + expected[2].rows), (1_040, 1_040));
    assert!(expected[2].rows > 40, "twins and readings out of range are set aside");
    let anew = built(&rig, small.storage(), 4_000, last).await?;
    assert_eq!(anew, expected);
    let [raw, clean, _] = paths(&rig)?;
    let versions =
        async |storage: &Storage| -> Result<u64> { Ok(Table::open(storage, &raw).await?.load().await?.version()) };
    let (few, many) = (versions(&large).await?, versions(small.storage()).await?);
    assert!(many > few + 5, "{few} and {many} commits do not differ enough to prove anything");

    // Joined files, clean rows in another order.
    let table = Table::open(small.storage(), &raw).await?;
    assert!(table.compact(64 << 20, Effort::Everything).await?.removed > 5);
    // How many files are clean depends on how far validation was behind.
    let table = Table::open(small.storage(), &clean).await?.sorted_by("at")?;
    let files = table.load().await?.files().count();
    assert_eq!(table.compact(64 << 20, Effort::Everything).await?.removed, if files > 1 { files } else { 0 });
    assert_eq!(hash(small.storage(), &raw).await?, expected[0]);
    assert_eq!(hash(small.storage(), &clean).await?, expected[1]);

    // The tables are lost; the events bring them back.
    for path in paths(&rig)? {
        let folder = rig.store.dir().join(&path);
        std::fs::rename(&folder, folder.with_extension("lost")).context("move the table aside")?;
    }
    assert_eq!(built(&rig, &large, 9_000, last).await?, expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ingestion_and_validation_go_on_beside_compaction_and_take_no_joined_file_for_new_rows() -> Result<()> {
    let rig = Rig::start().await?;
    let messages = Messages::new()?;
    let storage = rig.store.storage().clone();
    let [raw, clean, quarantine] = paths(&rig)?;
    let ingestion = rig.ingestion().await?;
    let validation = rig.validation().await?;
    let mut published = Published::default();
    let mut joined = 0;
    for round in 0..30 {
        let message = messages.readings(Form::Lines, round * 20..round * 20 + 20)?;
        let last = published.publish(&rig.bus, &[(message, 20)]).await?;
        rig.caught_up(last).await?;
        let raw_table = Table::open(&storage, &raw).await?;
        joined += raw_table.compact(64 << 20, Effort::Everything).await?.removed;
        if let Ok(table) = Table::open(&storage, &clean).await {
            joined += table.sorted_by("at")?.compact(64 << 20, Effort::Everything).await?.removed;
        }
    }
    let is_validated = eventually(Duration::from_secs(60), || async {
        let rows = async |path: &str| Audit::of(&storage, path).await.map_or(0, |audit| audit.rows());
        rows(&clean).await + rows(&quarantine).await == 600
    });
    assert!(is_validated.await, "validation has not caught up");
    ingestion.stop().await?;
    validation.stop().await?;
    assert!(joined > 30, "only {joined} files were joined");
    let audit = rig.audit().await?;
    assert!(audit.has_exactly(0..600), "rows of the raw table are lost or doubled");
    let clean = Audit::of(&storage, &clean).await?;
    let good = (0..600).filter(|n| messages::value(*n).is_none_or(|value| value <= 1_000.0));
    assert!(clean.numbers.keys().copied().eq(good) && clean.numbers.values().all(|times| *times == 1));
    Ok(())
}
