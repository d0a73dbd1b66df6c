//! Joins stored groups of neighbouring commits, so that a range of event time is a merge of few objects however many
//! commits brought its rows.
//!
//! Nothing is lost: windows stay as short as they are. An object is written before those that it takes the place of are
//! deleted, and readers pass over what a wider one covers, so a crash in between neither loses nor doubles a row. What is
//! joined depends on the objects alone, so two processes write the same, and what was read before the history was made
//! anew is of an older generation, which does not count.

use crate::error::ValidationError;
use crate::store::groups_path;
use bytes::Bytes;
use std::collections::HashSet;
use std::time::Duration;
use tidemill_contracts::groups::{GroupsName, living};
use tidemill_stats::Groups;
use tidemill_storage::Storage;
use tidemill_types::{Millis, ProjectName, SourceName};
use tracing::{debug, warn};

/// Objects of like size that are joined.
const FAN: usize = 32;
/// The newest objects, which validation may write again.
const UNTOUCHED: usize = 16;

/// The groups of one source.
pub(crate) struct RollUp {
    storage: Storage,
    project: ProjectName,
    source: SourceName,
    /// Objects that took no more in when this was last tried.
    full: HashSet<GroupsName>,
}

impl RollUp {
    pub(crate) fn new(storage: &Storage, project: &ProjectName, source: &SourceName) -> Self {
        Self { storage: storage.clone(), project: project.clone(), source: source.clone(), full: HashSet::new() }
    }

    /// Joins now and then, for ever; zero: never.
    pub(crate) async fn stay_joined(mut self, every: Duration) {
        if every.is_zero() {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(every).await;
            match self.join_all().await {
                Ok(0) => {}
                Ok(joined) => debug!(source = %self.source, joined, "profiles by event time were joined"),
                Err(error) => warn!(source = %self.source, %error, "profiles could not be joined; trying again later"),
            }
        }
    }

    /// Joins until nothing is left to join. Gives the number of objects that are gone.
    pub(crate) async fn join_all(&mut self) -> Result<usize, ValidationError> {
        let mut gone = 0;
        loop {
            let there = self.there().await?;
            let (live, superseded) = living(there);
            for name in superseded {
                self.storage.delete(&name.path(&self.project, &self.source)).await?;
                gone += 1;
            }
            let Some(run) = next_run(&live, &self.full) else { return Ok(gone) };
            gone += self.join(run).await?;
        }
    }

    async fn there(&self) -> Result<Vec<(GroupsName, Millis)>, ValidationError> {
        let objects = self.storage.list(&groups_path(&self.project, &self.source)).await?;
        Ok(objects.iter().filter_map(|one| Some((GroupsName::parse(&one.path)?, one.modified))).collect())
    }

    /// Puts one object in the place of as many as fit.
    async fn join(&mut self, run: &[GroupsName]) -> Result<usize, ValidationError> {
        let Some(first) = run.first().copied() else { return Ok(0) };
        let mut bodies = Vec::with_capacity(run.len());
        for name in run {
            bodies.push(self.storage.get(&name.path(&self.project, &self.source)).await?);
        }
        // Reading and merging sketches keeps a thread busy.
        let work = tokio::task::spawn_blocking(move || joined(&bodies));
        let Joined { count, extent, bytes } = work.await.map_err(|e| ValidationError::Task(e.to_string()))??;
        let joined = &run[..count];
        if joined.len() < 2 {
            self.full.insert(first);
            return Ok(0);
        }
        let commits = joined.iter().map(|name| name.commits).sum();
        let last = joined.last().map_or(first.versions.1, |name| name.versions.1);
        let whole = GroupsName { versions: (first.versions.0, last), commits, extent, ..first };
        let path = whole.path(&self.project, &self.source);
        self.storage.put(&path, bytes).await?;
        for name in joined {
            self.storage.delete(&name.path(&self.project, &self.source)).await?;
        }
        if joined.len() < run.len() {
            self.full.insert(whole);
        }
        Ok(joined.len())
    }
}

/// Groups of neighbouring commits, as one object.
struct Joined {
    /// How many of the objects are in it.
    count: usize,
    extent: (i64, i64),
    bytes: Vec<u8>,
}

/// As many groups from the first on as stay within the bounds of one commit.
fn joined(bodies: &[Bytes]) -> Result<Joined, ValidationError> {
    let (mut all, mut count) = (Groups::default(), 0);
    for body in bodies {
        let next = Groups::from_bytes(body)?;
        if count == 0 {
            all = next;
        } else if !all.join(&next) {
            break;
        }
        count += 1;
    }
    let extent = all.extent().map_or((0, 0), |window| (window.from, window.to));
    Ok(Joined { count, extent, bytes: all.to_bytes()? })
}

/// Neighbours of like size that are to be joined next; none: all is joined.
fn next_run<'a>(live: &'a [GroupsName], full: &HashSet<GroupsName>) -> Option<&'a [GroupsName]> {
    let old = &live[..live.len().saturating_sub(UNTOUCHED)];
    let level = |name: &GroupsName| name.commits.max(1).ilog(FAN as u64);
    let mut runs = old.chunk_by(|a, b| level(a) == level(b) && !full.contains(a) && !full.contains(b));
    runs.find(|run| run.len() >= FAN).map(|run| &run[..FAN])
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampMillisecondArray};
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use tidemill_storage::S3Options;

    const DAY: i64 = 86_400_000;

    struct Place {
        storage: Storage,
        project: ProjectName,
        source: SourceName,
        _folder: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let storage = Storage::open(&format!("file://{}", folder.path().display()), &S3Options::default()).unwrap();
            let (project, source) = ("p".parse().unwrap(), "s".parse().unwrap());
            Self { storage, project, source, _folder: folder }
        }

        /// Commit `version` has a row of each of two days, of which the next commit has one too.
        async fn put(&self, generation: u64, version: i64) -> GroupsName {
            let days = [version / 8, version / 8 + 1];
            let at: ArrayRef =
                Arc::new(TimestampMillisecondArray::from_iter_values(days.map(|day| day * DAY + version)));
            let number: ArrayRef = Arc::new(Int64Array::from_iter_values([version, version]));
            let batch = RecordBatch::try_from_iter([("at", at), ("number", number)]).unwrap();
            let groups = Groups::of(&batch, "at", &[]).unwrap().1;
            let extent = groups.extent().map(|window| (window.from, window.to)).unwrap();
            let name = GroupsName { generation, versions: (version, version), commits: 1, extent };
            self.storage.put(&name.path(&self.project, &self.source), groups.to_bytes().unwrap()).await.unwrap();
            name
        }

        fn roll_up(&self) -> RollUp {
            RollUp::new(&self.storage, &self.project, &self.source)
        }

        /// What readers make of it: rows by window, and the objects that they read.
        async fn told(&self) -> (BTreeMap<i64, u64>, usize) {
            let (live, _) = living(self.roll_up().there().await.unwrap());
            let mut rows = BTreeMap::new();
            for name in &live {
                let bytes = self.storage.get(&name.path(&self.project, &self.source)).await.unwrap();
                for group in &Groups::from_bytes(&bytes).unwrap().cuts[0].groups {
                    assert!(name.extent.0 <= group.window.from && group.window.to <= name.extent.1);
                    *rows.entry(group.window.from).or_default() += group.profile.rows;
                }
            }
            (rows, live.len())
        }
    }

    #[tokio::test]
    async fn many_commits_become_few_objects_that_tell_the_same() {
        let place = Place::new();
        for version in 1..=1_200 {
            place.put(0, version).await;
        }
        let (before, objects) = place.told().await;
        assert_eq!((objects, before.values().sum::<u64>()), (1_200, 2_400));
        assert!(place.roll_up().join_all().await.unwrap() > 1_000);
        let (after, objects) = place.told().await;
        assert_eq!(after, before);
        assert!(objects < UNTOUCHED + 2 * FAN, "{objects} objects");
        let there = place.roll_up().there().await.unwrap();
        assert_eq!(there.len(), objects, "what was joined is gone");
        assert_eq!(place.roll_up().join_all().await.unwrap(), 0, "joining again changes nothing");
        for (name, _) in there {
            let groups =
                Groups::from_bytes(&place.storage.get(&name.path(&place.project, &place.source)).await.unwrap());
            assert!(groups.unwrap().cuts[0].groups.iter().all(|group| group.window.to - group.window.from == DAY));
        }
    }

    #[tokio::test]
    async fn who_stops_half_way_neither_loses_nor_doubles_a_row() {
        let place = Place::new();
        let mut names = Vec::new();
        for version in 1..=60 {
            names.push(place.put(0, version).await);
        }
        let (before, _) = place.told().await;
        place.roll_up().join_all().await.unwrap();
        // Two of those that were joined are there again, as if they had not been deleted yet.
        for version in [1, 32] {
            place.put(0, version).await;
        }
        assert_eq!(place.told().await.0, before);
        assert_eq!(place.roll_up().join_all().await.unwrap(), 2);
        assert_eq!(place.told().await.0, before);
        // What a slow process joined before the history was made anew does not count.
        place.put(70, 60).await;
        let (anew, objects) = place.told().await;
        assert_eq!((anew.values().sum::<u64>(), objects), (2, 1));
        place.roll_up().join_all().await.unwrap();
        assert_eq!(place.roll_up().there().await.unwrap().len(), 1);
    }
}
