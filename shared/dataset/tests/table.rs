//! The promises of a table, on a local folder.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, TimestampMillisecondType};
use common::{APP, append, ids, open, rows, schema, storage};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidemill_dataset::{
    Between, CommitError, Effort, Error, Keep, LocalParquet, Sample, SampleOptions, Table, read_parquet, write_parquet,
};
use tidemill_types::Millis;

#[tokio::test]
async fn of_two_writers_on_one_snapshot_one_commits_and_the_other_learns_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(&folder);
    // Two processes: each has its own view of the table.
    let (first, second) = (open(&storage).await, open(&storage).await);
    append(&first, 0, 10).await;
    let (one, two) = (first.load().await.unwrap(), second.load().await.unwrap());
    assert_eq!(two.done(APP).await.unwrap(), Some(10));
    let batch = [rows(10, 20)];
    let (a, b) = tokio::join!(
        first.commit(one, &batch, APP, 20, BTreeMap::new()),
        second.commit(two, &batch, APP, 20, BTreeMap::new())
    );
    let conflicts = [&a, &b].iter().filter(|r| matches!(r, Err(CommitError::Conflict { version: 2, .. }))).count();
    assert_eq!((conflicts, usize::from(a.is_ok()) + usize::from(b.is_ok())), (1, 1));
    assert_eq!(ids(&second).await, (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_snapshot_that_was_overtaken_cannot_be_committed_on() {
    let folder = tempfile::tempdir().unwrap();
    let table = open(&storage(&folder)).await;
    let old = table.load().await.unwrap();
    append(&table, 0, 5).await;
    let late = table.commit(old, &[rows(0, 5)], APP, 5, BTreeMap::new()).await;
    assert!(matches!(late, Err(CommitError::Conflict { .. })));
    assert_eq!(ids(&table).await.len(), 5);
}

#[tokio::test]
async fn what_is_done_survives_reopening_and_is_kept_per_application() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(&folder);
    let table = open(&storage).await;
    append(&table, 0, 10).await;
    let snapshot = table.load().await.unwrap();
    table.commit(snapshot, &[], "other@2", 7, BTreeMap::new()).await.unwrap();
    for table in [table, open(&storage).await] {
        let snapshot = table.load().await.unwrap();
        assert_eq!(snapshot.version(), 2);
        assert_eq!(snapshot.done(APP).await.unwrap(), Some(10));
        assert_eq!(snapshot.done("other@2").await.unwrap(), Some(7));
        assert_eq!(snapshot.done("nobody").await.unwrap(), None);
        assert_eq!(snapshot.num_rows(), 10);
    }
}

#[tokio::test]
async fn nothing_is_committed_behind_versions_that_the_store_lost() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(&folder);
    let (writer, reader) = (open(&storage).await, open(&storage).await);
    for n in 0..4 {
        append(&writer, n * 10, n * 10 + 10).await;
    }
    let (on, seen) = (writer.load().await.unwrap(), reader.load().await.unwrap());
    for version in 3..=4 {
        std::fs::remove_file(folder.path().join(format!("raw/flights/_delta_log/{version:020}.json"))).unwrap();
    }
    let late = writer.commit(on, &[rows(40, 50)], APP, 50, BTreeMap::new()).await;
    assert!(matches!(late, Err(CommitError::Conflict { version: 4, .. })), "{late:?}");
    let anew = writer.load().await.unwrap();
    assert_eq!((anew.version(), anew.done(APP).await.unwrap(), anew.rewinds()), (2, Some(20), 1));
    // Filled again in other pieces, to as many versions as before.
    for (from, to) in [(20, 25), (25, 50)] {
        append(&writer, from, to).await;
    }
    let again = reader.load().await.unwrap();
    assert_eq!((seen.version(), again.version(), again.done(APP).await.unwrap()), (4, 4, Some(50)));
    assert!(seen.unbroken_since(0).is_ok());
    assert!(matches!(again.unbroken_since(0), Err(Error::Rewritten { version: 4, .. })));
    assert_eq!(ids(&reader).await, (0..50).collect::<Vec<_>>());
    assert_eq!(ids(&open(&storage).await).await.len(), 50);
}

#[tokio::test]
async fn after_an_unknown_outcome_the_table_says_what_happened() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(&folder);
    let table = open(&storage).await;
    append(&table, 0, 10).await;
    let snapshot = table.load().await.unwrap();
    // The log cannot be written nor read: the outcome of the commit is unknown to the writer.
    let log = folder.path().join("raw/flights/_delta_log");
    let aside = folder.path().join("aside");
    std::fs::rename(&log, &aside).unwrap();
    std::fs::write(&log, "in the way").unwrap();
    let lost = table.commit(snapshot, &[rows(10, 20)], APP, 20, BTreeMap::new()).await;
    assert!(matches!(lost, Err(CommitError::Unknown { version: 2, .. })), "{lost:?}");
    std::fs::remove_file(&log).unwrap();
    std::fs::rename(&aside, &log).unwrap();
    let snapshot = table.load().await.unwrap();
    assert_eq!(snapshot.done(APP).await.unwrap(), Some(10));
    table.commit(snapshot, &[rows(10, 20)], APP, 20, BTreeMap::new()).await.unwrap();
    assert_eq!(ids(&table).await, (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_follower_sees_each_version_once_and_compaction_adds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(&folder);
    let (writer, follower) = (open(&storage).await, open(&storage).await);
    let mut seen = 0;
    let mut rows_seen = Vec::new();
    for round in 0..4 {
        append(&writer, round * 20, round * 20 + 10).await;
        append(&writer, round * 20 + 10, round * 20 + 20).await;
        if round == 2 {
            assert_eq!(writer.compact(1 << 20, Effort::Everything).await.unwrap().removed, 6);
        }
        let latest = follower.load().await.unwrap().version();
        for version in follower.added_between(seen, latest).await.unwrap() {
            assert_eq!(version.version, seen + 1);
            seen = version.version;
            let batches = follower.read_files(&version.files, Some(&["id"])).await.unwrap();
            rows_seen.extend(batches.iter().flat_map(|b| b["id"].as_primitive::<Int64Type>().values().to_vec()));
            assert_eq!(version.txns.contains_key(APP), !version.files.is_empty());
        }
    }
    assert_eq!(rows_seen, (0..80).collect::<Vec<_>>());
    assert!(matches!(follower.added_between(seen, seen + 1).await, Err(Error::Absent { .. })));
}

#[tokio::test]
async fn compaction_leaves_rows_order_and_progress_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(&folder);
    let table = open(&storage).await;
    for i in 0..12 {
        append(&table, i * 10, i * 10 + 10).await;
    }
    let before = table.load().await.unwrap();
    let compacted = table.compact(1 << 20, Effort::Everything).await.unwrap();
    assert_eq!((compacted.version, compacted.removed, compacted.added), (Some(13), 12, 1));
    for table in [table.clone(), open(&storage).await] {
        let after = table.load().await.unwrap();
        assert_eq!((after.num_rows(), after.files().count()), (120, 1));
        assert_eq!(after.done(APP).await.unwrap(), Some(120));
        assert_eq!(ids(&table).await, (0..120).collect::<Vec<_>>());
    }
    // Time travel still works, until the old files are vacuumed.
    let old = table.load_version(12).await.unwrap();
    assert_eq!((old.num_rows(), old.files().count()), (before.num_rows(), 12));
    let keep = Keep { since: Millis::MAX, after: None, named: BTreeSet::new() };
    let plan = table.plan_vacuum(&keep).await.unwrap();
    assert_eq!((plan.unneeded.len(), plan.kept, plan.oldest_kept), (12, 1, 13));
    assert_eq!(table.vacuum(&plan, async || Ok::<_, Error>(BTreeSet::new())).await.unwrap().objects, 12);
    assert_eq!(ids(&table).await.len(), 120);
    assert_eq!(table.compact(1 << 20, Effort::Everything).await.unwrap().version, None);
}

#[tokio::test]
async fn rows_come_back_as_they_were_sorted_by_time_and_filtered_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let table = open(&storage(&folder)).await;
    append(&table, 0, 10).await;
    append(&table, 10, 20).await;
    let snapshot = table.load().await.unwrap();
    let all = table.scan(&snapshot, None, None).collect().await.unwrap();
    let all = arrow::compute::concat_batches(&table.schema(), &all).unwrap();
    let sent = [rows(0, 10), rows(10, 20)].map(|b| {
        let order = arrow::compute::sort_to_indices(&b["at"], None, None).unwrap();
        arrow::compute::take_record_batch(&b, &order).unwrap()
    });
    assert_eq!(all, arrow::compute::concat_batches(&schema(), &sent).unwrap());
    let at = |i: i64| Millis(1_357_000_000_000 + i * 1_000);
    let between = |from, to| Some(Between { column: "at".to_owned(), from: at(from), to: at(to) });
    let some = table.scan(&snapshot, Some(&["name", "id"]), between(8, 12)).collect().await.unwrap();
    let ids: Vec<i64> = some.iter().flat_map(|b| b["id"].as_primitive::<Int64Type>().values().to_vec()).collect();
    assert_eq!(ids, [8, 9, 10, 11]);
    assert_eq!(some[0].schema().fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>(), ["name", "id"]);
    assert!(table.scan(&snapshot, None, between(20, 30)).collect().await.unwrap().is_empty());
    let first = snapshot.files().next().unwrap();
    assert_eq!(first.instants("at"), Some((at(0), Millis(at(9).0 + 1))));
    assert!(matches!(table.scan(&snapshot, Some(&["none"]), None).next().await, Err(Error::Column(_))));
}

#[tokio::test]
async fn another_schema_is_refused_with_both_sides_named() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(&folder);
    open(&storage).await;
    let other = Arc::new(Schema::new(vec![Field::new("id", DataType::Int32, false)]));
    let refused = Table::open_or_create(&storage, "raw/flights", &other).await.err().unwrap().to_string();
    assert!(refused.contains("id Int64") && refused.contains("id Int32"), "{refused}");
    let unsigned = Arc::new(Schema::new(vec![Field::new("id", DataType::UInt32, false)]));
    assert!(matches!(Table::open_or_create(&storage, "t", &unsigned).await, Err(Error::Type { .. })));
    assert!(matches!(Table::open(&storage, "nowhere").await, Err(Error::Absent { version: None, .. })));
    let table = open(&storage).await;
    assert!(matches!(table.load_version(9).await, Err(Error::Absent { version: Some(9), .. })));
}

#[tokio::test]
async fn a_hundred_commits_leave_a_checkpoint_from_which_all_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(&folder);
    let table = open(&storage).await;
    let started = std::time::Instant::now();
    for i in 0..100 {
        append(&table, i * 10, i * 10 + 10).await;
    }
    let each = started.elapsed() / 100;
    assert!(storage.exists("raw/flights/_delta_log/00000000000000000100.checkpoint.parquet").await.unwrap());
    // Without the log before the checkpoint nothing but the checkpoint can tell.
    for version in 0..100 {
        storage.delete(&format!("raw/flights/_delta_log/{version:020}.json")).await.unwrap();
    }
    storage.put("raw/flights/_delta_log/00000000000000000000.json", "").await.unwrap();
    let started = std::time::Instant::now();
    let reopened = open(&storage).await;
    let snapshot = reopened.load().await.unwrap();
    assert_eq!((snapshot.version(), snapshot.num_rows()), (100, 1_000));
    assert_eq!(snapshot.done(APP).await.unwrap(), Some(1_000));
    println!("{each:?} per commit, {:?} to open", started.elapsed());
    assert_eq!(append(&reopened, 1_000, 1_010).await, 101);
    assert_eq!(reopened.history(5).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_plain_parquet_file_gives_back_its_rows_and_damage_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(&folder);
    let digest = write_parquet(&storage, "samples/a.parquet", &[rows(0, 10), rows(10, 12)]).await.unwrap();
    assert_eq!(digest, write_parquet(&storage, "samples/b.parquet", &[rows(0, 10), rows(10, 12)]).await.unwrap());
    let back = read_parquet(&storage, "samples/a.parquet", None).await.unwrap();
    assert_eq!(arrow::compute::concat_batches(&schema(), &back).unwrap().num_rows(), 12);
    let instants = read_parquet(&storage, "samples/a.parquet", Some(&["at"])).await.unwrap();
    assert_eq!(instants[0]["at"].as_primitive::<TimestampMillisecondType>().value(9), 1_357_000_000_000);
    assert_eq!(instants[0]["at"].null_count(), 0);
    let whole = storage.get("samples/a.parquet").await.unwrap();
    for cut in [0, 3, whole.len() / 2, whole.len() - 1] {
        storage.put("samples/cut.parquet", whole.slice(..cut)).await.unwrap();
        assert!(matches!(read_parquet(&storage, "samples/cut.parquet", None).await, Err(Error::Corrupt { .. })));
    }
}

/// Batches of a sample as ids.
fn drawn(sample: &Sample) -> Vec<i64> {
    sample.batches.iter().flat_map(|batch| batch["id"].as_primitive::<Int64Type>().values().to_vec()).collect()
}

#[tokio::test]
async fn a_sample_is_bounded_spread_over_the_versions_and_the_same_for_a_seed() {
    let folder = tempfile::tempdir().unwrap();
    let table = open(&storage(&folder)).await;
    for version in 0..40 {
        append(&table, version * 5_000, (version + 1) * 5_000).await;
    }
    let snapshot = table.load().await.unwrap();
    let options = SampleOptions { places: 64, ..SampleOptions::new(8_000, 3) };
    let sample = table.sample(&snapshot, Some(&["id", "x"]), &options).await.unwrap();
    let ids = drawn(&sample);
    assert_eq!((sample.whole, sample.files_read, sample.batches[0].num_columns()), (false, 40, 2));
    assert!(ids.len() as u64 == sample.rows && ids.len().abs_diff(8_000) < 400, "{} rows", ids.len());
    let distinct: BTreeSet<&i64> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "no row is drawn twice");
    for version in 0..40 {
        let of_it = ids.iter().filter(|id| **id / 5_000 == version).count();
        assert!((50..=450).contains(&of_it), "{of_it} rows of version {version}");
    }
    let mean = ids.iter().sum::<i64>() as f64 / ids.len() as f64;
    assert!((mean - 100_000.0).abs() < 4_000.0, "{mean}");
    assert_eq!(ids, drawn(&table.sample(&snapshot, Some(&["id", "x"]), &options).await.unwrap()));
    let other = SampleOptions { seed: 4, ..options };
    assert_ne!(ids, drawn(&table.sample(&snapshot, Some(&["id", "x"]), &other).await.unwrap()));

    // Fewer places read fewer files; a table that is small enough is its own sample.
    let few = SampleOptions { places: 8, ..options };
    let sample = table.sample(&snapshot, None, &few).await.unwrap();
    assert_eq!((sample.files_read, sample.batches[0].num_columns()), (8, 4));
    let all = table.sample(&snapshot, None, &SampleOptions::new(200_000, 3)).await.unwrap();
    assert!(all.whole && all.rows == 200_000);
    let first = table.load_version(1).await.unwrap();
    let sample = table.sample(&first, None, &SampleOptions::new(8_000, 3)).await.unwrap();
    assert!(sample.whole && sample.rows == 5_000, "an older version has its own rows");
    assert!(table.sample(&snapshot, Some(&["nothing"]), &few).await.is_err());
}

#[tokio::test]
async fn of_a_large_file_only_the_row_groups_around_the_places_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(&folder);
    let table = open(&storage).await;
    append(&table, 0, 1_000_000).await;
    let snapshot = table.load().await.unwrap();
    let file = snapshot.files().next().unwrap().clone();
    assert_eq!(snapshot.files().count(), 1);
    // The second and the third row group are made unreadable.
    let path = folder.path().join("raw/flights").join(&file.path);
    let mut bytes = std::fs::read(&path).unwrap();
    let parquet = LocalParquet::open(&path).unwrap();
    assert_eq!(parquet.row_groups().len(), 8);
    let share = bytes.len() / 8;
    bytes[share + share / 2..3 * share].fill(0xff);
    std::fs::write(&path, &bytes).unwrap();
    let whole = table.sample(&snapshot, None, &SampleOptions::new(2_000_000, 0)).await;
    assert!(whole.is_err(), "the hole is noticed where it is read");
    let options = SampleOptions { places: 2, ..SampleOptions::new(1_000, 0) };
    let sample = table.sample(&snapshot, None, &options).await.unwrap();
    let ids = drawn(&sample);
    assert!(ids.len().abs_diff(1_000) < 150 && sample.files_read == 1, "{} rows", ids.len());
    let held = |group: i64| move |id: &&i64| **id / (128 * 1_024) == group;
    // Places are at the begin and in the middle.
    let of = [0, 3].map(|group| ids.iter().filter(held(group)).count());
    assert!(of[0] > 350 && of[1] > 350 && of[0] + of[1] == ids.len(), "{of:?}");
}
