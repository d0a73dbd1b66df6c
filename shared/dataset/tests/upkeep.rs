//! Compaction, vacuum, retention, time travel, tags and content hashes, beside writers and readers that go on.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;
use common::{APP, append, ids, open, rows, storage};
use std::collections::{BTreeMap, BTreeSet};
use tidemill_dataset::diff::{Compared, Origin, Side, diff};
use tidemill_dataset::{CommitError, Effort, Error, Expired, Expiry, Keep, Table, Tag, TagDropped, TaggedTable, Tags};
use tidemill_types::Millis;

const TARGET: u64 = 1 << 20;

#[tokio::test]
async fn a_commit_prepared_before_a_compaction_goes_through_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(&folder);
    let (writer, janitor) = (open(&storage).await, open(&storage).await);
    for i in 0..6 {
        append(&writer, i * 10, i * 10 + 10).await;
    }
    // Another process compacts between the writer's snapshot and its commit, once unseen and once seen by the writer.
    for (round, seen) in [(6, false), (7, true)] {
        let prepared_on = writer.load().await.unwrap();
        assert!(janitor.compact(TARGET, Effort::Everything).await.unwrap().version.is_some());
        if seen {
            writer.load().await.unwrap();
        }
        let to = round * 10 + 10;
        let made = writer.commit(prepared_on, &[rows(round * 10, to)], APP, to, BTreeMap::new()).await.unwrap();
        assert_eq!(writer.load().await.unwrap().version(), made.version);
        assert_eq!(writer.load().await.unwrap().done(APP).await.unwrap(), Some(to));
    }
    for table in [writer, janitor, open(&storage).await] {
        assert_eq!(ids(&table).await, (0..80).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn another_append_is_a_conflict_even_with_a_compaction_in_between() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(&folder);
    let (first, second) = (open(&storage).await, open(&storage).await);
    append(&first, 0, 10).await;
    append(&first, 10, 20).await;
    let prepared_on = second.load().await.unwrap();
    first.compact(TARGET, Effort::Everything).await.unwrap();
    append(&first, 20, 30).await;
    let late = second.commit(prepared_on, &[rows(20, 30)], APP, 30, BTreeMap::new()).await;
    assert!(matches!(late, Err(tidemill_dataset::CommitError::Conflict { .. })), "{late:?}");
    assert_eq!(ids(&second).await, (0..30).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_beside_a_running_writer_loses_and_doubles_nothing_and_followers_see_each_row_once() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(&folder);
    let writer = open(&storage).await;
    let task = tokio::spawn(async move {
        for i in 0..120 {
            append(&writer, i * 5, i * 5 + 5).await;
        }
    });
    let (one, two, follower) = (open(&storage).await, open(&storage).await, open(&storage).await);
    let (mut seen, mut rows_seen, mut joined) = (0, Vec::new(), 0);
    while seen == 0 || rows_seen.len() < 600 {
        // Two who compact, and one who reads on, all at once.
        let (a, b) = tokio::join!(one.compact(TARGET, Effort::Everything), two.compact(TARGET, Effort::Worthwhile));
        joined += a.unwrap().removed + b.unwrap().removed;
        let latest = follower.load().await.unwrap().version();
        for version in follower.added_between(seen, latest).await.unwrap() {
            let batches = follower.read_files(&version.files, Some(&["id"])).await.unwrap();
            rows_seen.extend(batches.iter().flat_map(|b| b["id"].as_primitive::<Int64Type>().values().to_vec()));
        }
        seen = latest;
    }
    task.await.unwrap();
    assert_eq!(rows_seen, (0..600).collect::<Vec<_>>());
    assert_eq!(ids(&open(&storage).await).await, (0..600).collect::<Vec<_>>());
    assert!(joined > 50, "only {joined} files were joined");
}

#[tokio::test]
async fn the_content_hash_is_that_of_the_rows_whatever_files_they_lie_in() {
    let folder = tempfile::tempdir().unwrap();
    let (storage, other) = (storage(&folder), tempfile::tempdir().unwrap());
    let table = open(&storage).await;
    for i in 0..10 {
        append(&table, i * 30, i * 30 + 30).await;
    }
    let small = table.load().await.unwrap();
    let expected = table.content_hash(&small, None).await.unwrap();
    assert_eq!(expected.rows, 300);
    table.compact(TARGET, Effort::Everything).await.unwrap();
    let joined = table.load().await.unwrap();
    assert_eq!(joined.files().count(), 1);
    assert_eq!(table.content_hash(&joined, None).await.unwrap(), expected);
    // Built anew elsewhere, in commits of other sizes.
    let storage = common::storage(&other);
    let anew = open(&storage).await;
    append(&anew, 0, 7).await;
    append(&anew, 7, 300).await;
    assert_eq!(anew.content_hash(&anew.load().await.unwrap(), None).await.unwrap(), expected);
    append(&anew, 300, 301).await;
    assert_ne!(anew.content_hash(&anew.load().await.unwrap(), None).await.unwrap(), expected);
}

#[tokio::test]
async fn vacuum_keeps_what_was_current_lately_what_is_named_and_what_a_follower_needs() {
    let folder = tempfile::tempdir().unwrap();
    let table = open(&storage(&folder)).await;
    for i in 0..4 {
        append(&table, i * 10, i * 10 + 10).await;
    }
    table.compact(TARGET, Effort::Everything).await.unwrap();
    let all = |named: &[u64], after| Keep { since: Millis::MAX, after, named: named.iter().copied().collect() };
    // Version 2 holds the first two small files.
    let plan = table.plan_vacuum(&all(&[2], None)).await.unwrap();
    assert_eq!((plan.unneeded.len(), plan.protected.len(), plan.kept), (2, 2, 1));
    // A follower at version 3 still has to read the file of version 4, and time travel to 3 the files before.
    assert!(table.plan_vacuum(&all(&[], Some(3))).await.unwrap().unneeded.is_empty());
    // Everything was current a moment ago.
    let lately = Keep { since: Millis(0), after: None, named: BTreeSet::new() };
    assert!(table.plan_vacuum(&lately).await.unwrap().unneeded.is_empty());
    assert!(matches!(table.plan_vacuum(&all(&[99], None)).await, Err(Error::Absent { version: Some(99), .. })));
    assert_eq!(table.vacuum(&plan, async || Ok::<_, Error>(BTreeSet::from([2]))).await.unwrap().objects, 2);
    assert_eq!(ids(&table).await, (0..40).collect::<Vec<_>>());
    let named = table.load_version(2).await.unwrap();
    assert_eq!(table.content_hash(&named, None).await.unwrap().rows, 20);
    let gone = table.load_version(4).await.unwrap();
    assert!(table.content_hash(&gone, None).await.is_err());
}

/// The instant of a row.
fn at(id: i64) -> Millis {
    Millis(1_357_000_000_000 + id * 1_000)
}

/// What goes when rows are kept for so many seconds, back from the newest one.
async fn expiry(table: &Table, seconds: i64) -> Expiry {
    let newest = table.newest("at", Millis::MAX).await.unwrap().unwrap();
    Expiry::of_age("at", newest, seconds * 1_000)
}

#[tokio::test]
async fn retention_drops_old_rows_and_a_commit_prepared_before_goes_through_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let table = open(&storage(&folder)).await;
    for i in 0..4 {
        append(&table, i * 10, i * 10 + 10).await;
    }
    // Two files as a whole, and half the rows of one that holds younger ones too.
    let prepared_on = table.load().await.unwrap();
    let expiry = expiry(&table, 14).await;
    let rows_of = |found: Vec<Expired>| found.iter().map(|expired| expired.rows).collect::<Vec<_>>();
    assert_eq!(rows_of(table.expired(&expiry).await.unwrap()), [10, 10, 5]);
    assert_eq!(table.expire(&expiry, "older than promised").await.unwrap(), 25);
    assert_eq!(ids(&table).await, (25..40).collect::<Vec<_>>());
    assert_eq!(table.expire(&expiry, "again").await.unwrap(), 0, "they are gone");
    table.commit(prepared_on, &[rows(40, 50)], APP, 50, BTreeMap::new()).await.unwrap();
    assert_eq!(ids(&open(&storage(&folder)).await).await, (25..50).collect::<Vec<_>>());
    assert_eq!(table.load_version(4).await.unwrap().num_rows(), 40, "earlier versions keep them");
    let none = Expiry::of_age("none", Millis::MAX, 1);
    assert!(matches!(table.expired(&none).await, Err(Error::Column(_))));
}

#[tokio::test]
async fn retention_reaches_rows_that_were_joined_with_younger_ones_and_followers_read_none_twice() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(&folder);
    let (table, follower) = (open(&storage).await, open(&storage).await);
    for i in 0..10 {
        append(&table, i * 10, i * 10 + 10).await;
    }
    table.compact(TARGET, Effort::Everything).await.unwrap();
    let seen = follower.load().await.unwrap();
    let before = table.content_hash(&seen, None).await.unwrap();
    // One file, and a tenth of its rows too old: with less it is left as it is.
    assert!(table.expired(&expiry(&table, 90).await).await.unwrap().is_empty());
    assert_eq!(table.expire(&expiry(&table, 89).await, "age").await.unwrap(), 10);
    assert_eq!(ids(&table).await, (10..100).collect::<Vec<_>>());
    append(&table, 100, 110).await;
    let newest = follower.load().await.unwrap();
    assert_eq!((newest.num_rows(), newest.done(APP).await.unwrap()), (100, Some(110)));
    let news = follower.added_between(seen.version(), newest.version()).await.unwrap();
    assert_eq!(news.iter().map(|version| version.rows()).collect::<Vec<_>>(), [0, 10], "only what was appended");
    // The joined file is still there for the version that had it, and goes with that.
    assert_eq!(table.content_hash(&seen, None).await.unwrap(), before);
    let none = Keep { since: Millis::MAX, after: None, named: BTreeSet::from([seen.version()]) };
    assert_eq!(table.plan_vacuum(&none).await.unwrap().protected.len(), 1);
}

#[tokio::test]
async fn a_single_row_goes_when_it_is_a_tenth_older_than_promised() {
    let folder = tempfile::tempdir().unwrap();
    let table = open(&storage(&folder)).await;
    append(&table, 0, 1).await;
    append(&table, 200, 300).await;
    table.compact(TARGET, Effort::Everything).await.unwrap();
    assert!(table.expired(&expiry(&table, 290).await).await.unwrap().is_empty());
    assert_eq!(table.expire(&expiry(&table, 270).await, "age").await.unwrap(), 1);
    assert_eq!(ids(&table).await, (200..300).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_row_of_the_future_does_not_make_the_others_old() {
    let folder = tempfile::tempdir().unwrap();
    let table = open(&storage(&folder)).await;
    append(&table, 0, 10).await;
    append(&table, 10, 20).await;
    append(&table, 1_000_000, 1_000_001).await;
    let now = at(500);
    assert_eq!(table.newest("at", now).await.unwrap(), Some(at(19)));
    // Nor when it lies in the file of the newest.
    table.compact(TARGET, Effort::Everything).await.unwrap();
    assert_eq!(table.newest("at", now).await.unwrap(), Some(at(19)));
    assert_eq!(table.newest("at", Millis::MAX).await.unwrap(), Some(at(1_000_000)));
    assert_eq!(table.newest("at", Millis(0)).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_beside_a_writer_and_a_compaction_loses_no_young_row_and_doubles_none() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(&folder);
    let writer = open(&storage).await;
    let task = tokio::spawn(async move {
        for i in 0..60 {
            append(&writer, i * 5, i * 5 + 5).await;
        }
    });
    let (one, two) = (open(&storage).await, open(&storage).await);
    let mut gone = 0;
    while !task.is_finished() {
        let (joined, dropped) = tokio::join!(one.compact(TARGET, Effort::Everything), async {
            match two.newest("at", Millis::MAX).await.unwrap() {
                Some(newest) => two.expire(&Expiry::of_age("at", newest, 49_000), "age").await,
                None => Ok(0),
            }
        });
        joined.unwrap();
        match dropped {
            Ok(rows) => gone += rows,
            Err(error) => assert!(matches!(error, CommitError::Conflict { .. }), "{error}"),
        }
    }
    task.await.unwrap();
    two.expire(&expiry(&two, 49).await, "age").await.unwrap();
    let left = ids(&open(&storage).await).await;
    assert!(left.len() <= 55 && left.ends_with(&(250..300).collect::<Vec<_>>()), "{left:?}");
    assert!(left.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{left:?}");
    assert!(gone > 0 || left.len() == 50);
}

#[tokio::test]
async fn what_somebody_came_to_rely_on_after_the_plan_is_not_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let table = open(&storage(&folder)).await;
    for i in 0..4 {
        append(&table, i * 10, i * 10 + 10).await;
    }
    table.compact(TARGET, Effort::Everything).await.unwrap();
    let keep = Keep { since: Millis::MAX, after: None, named: BTreeSet::new() };
    let plan = table.plan_vacuum(&keep).await.unwrap();
    assert_eq!(plan.unneeded.len(), 4);
    let tagged = async || Ok::<_, Error>(BTreeSet::from([3]));
    assert_eq!(table.vacuum(&plan, tagged).await.unwrap().objects, 1);
    let version = table.load_version(3).await.unwrap();
    assert_eq!(table.content_hash(&version, None).await.unwrap().rows, 30);
    // When nobody knows, nothing is deleted.
    let unknown = async || Err::<BTreeSet<u64>, _>(Error::NoTag("unreadable".to_owned()));
    assert!(table.vacuum(&table.plan_vacuum(&keep).await.unwrap(), unknown).await.is_err());
    assert_eq!(table.content_hash(&version, None).await.unwrap().rows, 30);
}

#[tokio::test]
async fn an_instant_finds_the_version_that_was_current_and_the_one_that_was_complete() {
    let folder = tempfile::tempdir().unwrap();
    let table = open(&storage(&folder)).await;
    for i in 1..=5_i64 {
        let snapshot = table.load().await.unwrap();
        let said = BTreeMap::from([("tidemill.watermark".to_owned(), (i * 100).to_string())]);
        table.commit(snapshot, &[rows(i, i + 1)], APP, i, said).await.unwrap();
    }
    for version in 0..=5 {
        let at = table.version_adds(version).await.unwrap().committed_at;
        let found = table.version_at(at).await.unwrap().unwrap();
        // Commits of the same millisecond are told apart by nobody: the newest of them was current after it.
        assert!(found >= version && table.version_adds(found).await.unwrap().committed_at == at);
    }
    assert_eq!(table.version_at(Millis(0)).await.unwrap(), None);
    assert_eq!(table.version_at(Millis::MAX).await.unwrap(), Some(5));
    for (instant, version) in [(1, Some(1)), (100, Some(1)), (101, Some(2)), (500, Some(5)), (501, None)] {
        assert_eq!(table.complete_at(Millis(instant)).await.unwrap(), version, "{instant}");
    }
}

#[tokio::test]
async fn a_later_version_is_compared_by_the_rows_it_added() {
    let folder = tempfile::tempdir().unwrap();
    let table = open(&storage(&folder)).await;
    append(&table, 0, 2_000).await;
    let old = table.load().await.unwrap();
    append(&table, 2_000, 4_000).await;
    table.compact(TARGET, Effort::Everything).await.unwrap();
    let new = table.load().await.unwrap();
    let side = |snapshot| Side { table: &table, snapshot };
    let found = diff(side(&old), side(&new)).await.unwrap();
    assert_eq!((found.compared, found.origin), (Compared::AddedRows, Origin::Rows));
    assert_eq!((found.left_rows, found.right_rows, found.rows_more), (2_000, 2_000, 2_000));
    assert!(found.schema.is_empty());
    let differing: Vec<&str> = found.differing().map(|column| column.name.as_str()).collect();
    assert_eq!(differing, ["id", "at", "x"], "numbers grow; names are all different on both sides");
    // Backwards there is nothing added, so all rows are compared with all.
    let back = diff(side(&new), side(&old)).await.unwrap();
    assert_eq!((back.compared, back.rows_more), (Compared::WholeTables, -2_000));
    assert_eq!(diff(side(&new), side(&new)).await.unwrap().differing().count(), 0);
}

#[tokio::test]
async fn a_tag_is_given_once_and_its_name_never_again() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(&folder);
    let tags = Tags::new(&storage, &"demo".parse().unwrap());
    let tag = |version| Tag {
        processing: None,
        name: "release-1".to_owned(),
        project: "demo".parse().unwrap(),
        at: Millis(5),
        by: "ann".to_owned(),
        note: "first".to_owned(),
        tables: vec![TaggedTable {
            table: "clean/demo/flights".to_owned(),
            version,
            committed_at: Millis(4),
            rows: 10,
            content_hash: tidemill_types::Digest::of(b"rows"),
            quality: None,
        }],
    };
    let (one, other) = (tag(1), tag(2));
    let (a, b) = tokio::join!(tags.give(&one), tags.give(&other));
    assert_eq!(usize::from(a.is_ok()) + usize::from(b.is_ok()), 1, "one wins");
    let won = tags.read("release-1").await.unwrap().unwrap();
    tags.give(&won).await.unwrap();
    let other = if won == tag(1) { tag(2) } else { tag(1) };
    assert!(matches!(tags.give(&other).await, Err(Error::TagTaken(_))));
    let dropped = TagDropped { at: Millis(9), by: "ann".to_owned(), reason: "done".to_owned() };
    tags.drop("release-1", &dropped).await.unwrap();
    assert!(matches!(tags.give(&won).await, Err(Error::TagTaken(_))), "a name is never given again");
    assert_eq!(tags.all().await.unwrap(), [(won, Some(dropped.clone()))]);
    assert!(matches!(tags.drop("none", &dropped).await, Err(Error::NoTag(_))));
    assert!(matches!(tags.give(&Tag { name: "../keys".to_owned(), ..tag(1) }).await, Err(Error::TagName(_))));
}
