//! Earlier states brought back as new versions and as tables of their own.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{APP, append, ids, open, rows, storage};
use std::collections::BTreeMap;
use tidemill_dataset::{CommitError, Effort, Error, Keep, Table};
use tidemill_types::Millis;

fn why() -> BTreeMap<String, String> {
    BTreeMap::from([("tidemill.reason".to_owned(), "a test".to_owned())])
}

#[tokio::test]
async fn an_earlier_state_comes_back_as_a_new_version_and_history_stays() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(&folder);
    let table = open(&storage).await;
    for i in 0..4 {
        append(&table, i * 10, i * 10 + 10).await;
    }
    let then = table.load_version(2).await.unwrap();
    let hash = table.content_hash(&then, None).await.unwrap();
    table.compact(1 << 20, Effort::Everything).await.unwrap();
    let joined = table.load().await.unwrap();
    let objects = storage.list(table.path()).await.unwrap().len();

    let made = table.restore(&then, why()).await.unwrap();
    assert_eq!((made.version, made.rows, made.added, made.removed), (joined.version() + 1, 20, 2, 1));
    // One log entry more, and no file written anew.
    assert_eq!(storage.list(table.path()).await.unwrap().len(), objects + 1);
    for table in [table.clone(), open(&storage).await] {
        let today = table.load().await.unwrap();
        assert_eq!((today.version(), ids(&table).await), (made.version, (0..20).collect::<Vec<_>>()));
        assert_eq!(table.content_hash(&today, None).await.unwrap(), hash);
        assert_eq!(table.load_version(joined.version()).await.unwrap().num_rows(), 40, "history stays");
    }
    let said = table.version_adds(made.version).await.unwrap();
    assert_eq!((said.operation.as_str(), said.metadata["tidemill.reason"].as_str()), ("RESTORE", "a test"));
    // Nothing is left to do, and back again.
    assert_eq!(table.restore(&then, why()).await.unwrap().version, made.version);
    assert_eq!(table.restore(&joined, why()).await.unwrap().rows, 40);
    assert_eq!(ids(&table).await.len(), 40);
}

#[tokio::test]
async fn nobody_goes_on_behind_a_restored_state_as_if_nothing_had_happened() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(&folder);
    let (table, writer) = (open(&storage).await, open(&storage).await);
    for i in 0..3 {
        append(&table, i * 10, i * 10 + 10).await;
    }
    // Fewer rows only, which looks like retention but is not.
    let prepared_on = writer.load().await.unwrap();
    let then = table.load_version(1).await.unwrap();
    let made = table.restore(&then, why()).await.unwrap();
    let late = writer.commit(prepared_on, &[rows(30, 40)], APP, 40, BTreeMap::new()).await;
    assert!(matches!(late, Err(CommitError::Conflict { .. })), "{late:?}");
    let followed = table.added_between(1, made.version).await;
    assert!(matches!(followed, Err(Error::Rewritten { version, .. }) if version == made.version), "{followed:?}");
    // And the other way round: what was committed meanwhile is not undone unseen.
    let seen = open(&storage).await;
    seen.load().await.unwrap();
    append(&table, 50, 60).await;
    let back = seen.restore(&then, why()).await.unwrap();
    assert_eq!(seen.load_version(back.version - 1).await.unwrap().num_rows(), 20, "it is there, in history");
}

#[tokio::test]
async fn a_state_whose_files_were_vacuumed_is_refused_and_a_plan_spares_what_was_brought_back() {
    let folder = tempfile::tempdir().unwrap();
    let table = open(&storage(&folder)).await;
    for i in 0..3 {
        append(&table, i * 10, i * 10 + 10).await;
    }
    let then = table.load_version(2).await.unwrap();
    table.compact(1 << 20, Effort::Everything).await.unwrap();
    let keep = Keep { since: Millis::MAX, after: None, named: std::collections::BTreeSet::new() };
    let plan = table.plan_vacuum(&keep).await.unwrap();
    assert_eq!(plan.unneeded.len(), 3);
    // Brought back between plan and deletion.
    table.restore(&then, why()).await.unwrap();
    let nobody = async || Ok::<_, Error>(std::collections::BTreeSet::new());
    assert_eq!(table.vacuum(&plan, nobody).await.unwrap().objects, 1);
    assert_eq!(ids(&table).await, (0..20).collect::<Vec<_>>());

    let before = table.load().await.unwrap().version();
    let gone = table.load_version(3).await.unwrap();
    let refused = table.restore(&gone, why()).await;
    assert!(matches!(refused, Err(CommitError::Other(Error::Vacuumed { version: 3, .. }))), "{refused:?}");
    assert!(matches!(table.branch(&gone, "restored/a/raw/flights", why()).await, Err(Error::Vacuumed { .. })));
    assert_eq!(table.load().await.unwrap().version(), before, "nothing was committed");
}

#[tokio::test]
async fn a_branch_is_a_table_of_its_own_that_lives_on_without_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(&folder);
    let table = open(&storage).await;
    for i in 0..3 {
        append(&table, i * 10, i * 10 + 10).await;
    }
    let then = table.load_version(2).await.unwrap();
    let hash = table.content_hash(&then, None).await.unwrap();
    let path = "restored/june/raw/flights";
    let made = table.branch(&then, path, why()).await.unwrap();
    assert_eq!((made.version, made.rows, made.files), (0, 20, 2));
    assert!(matches!(table.branch(&then, path, why()).await, Err(Error::Taken(_))));
    append(&table, 30, 40).await;
    std::fs::remove_dir_all(folder.path().join("raw")).unwrap();
    let beside = Table::open(&storage, path).await.unwrap();
    let today = beside.load().await.unwrap();
    assert_eq!(beside.content_hash(&today, None).await.unwrap(), hash);
    assert_eq!(today.done(APP).await.unwrap(), None, "nobody has his place there");
    // It is written, joined and brought back like any other.
    append(&beside, 70, 80).await;
    beside.compact(1 << 20, Effort::Everything).await.unwrap();
    assert_eq!(ids(&beside).await.len(), 30);
    beside.restore(&today, why()).await.unwrap();
    assert_eq!(ids(&beside).await, (0..20).collect::<Vec<_>>());
}
