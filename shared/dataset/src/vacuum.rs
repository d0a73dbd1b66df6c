//! Which objects of a table no kept version needs, and deleting them.
//!
//! A version is kept while it was current after a given instant, or when somebody names it: a tag, a model, a hold.
//! Planning and deleting are two steps, so that a person sees what will go.

use crate::error::Error;
use crate::file::DataFile;
use crate::table::Table;
use std::collections::BTreeSet;
use tidemill_storage::ObjectInfo;
use tidemill_types::Millis;

/// Which versions of a table stay readable.
#[derive(Clone, Debug)]
pub struct Keep {
    /// Those that were current at this instant or later.
    pub since: Millis,
    /// Those after this version: a follower has read up to here.
    pub after: Option<u64>,
    /// Those that somebody relies on: tags, models.
    pub named: BTreeSet<u64>,
}

/// What a vacuum would delete, and what it keeps.
#[derive(Clone, Debug)]
pub struct VacuumPlan {
    /// Version of the table that the plan was made at.
    pub version: u64,
    /// Oldest version that stays readable because it was current, or a follower has not read on.
    pub oldest_kept: u64,
    /// Objects that no kept version needs.
    pub unneeded: Vec<ObjectInfo>,
    /// Objects that would be unneeded were it not for the named versions.
    pub protected: Vec<ObjectInfo>,
    /// Objects that stay.
    pub kept: usize,
    /// Bytes that stay.
    pub kept_bytes: u64,
}

impl VacuumPlan {
    /// Bytes that would be freed.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.unneeded.iter().map(|object| object.size).sum()
    }
}

impl Table {
    /// Plans to delete the data files that no kept version needs. Objects written at or after `keep.since` stay too:
    /// a writer may be about to commit them.
    ///
    /// # Errors
    /// [`Error::Absent`] for a named version that does not exist; when the store fails.
    pub async fn plan_vacuum(&self, keep: &Keep) -> Result<VacuumPlan, Error> {
        let latest = self.load().await?;
        let current = self.version_at(keep.since).await?.unwrap_or(0);
        let oldest_kept = keep.after.map_or(current, |after| current.min(after));
        let mut needed = self.files_since(oldest_kept, latest.version()).await?;
        needed.extend(latest.files().map(|file| self.object(&file.path)));
        let mut also = BTreeSet::new();
        for version in &keep.named {
            let snapshot = self.load_version(*version).await?;
            also.extend(snapshot.files().map(|file| self.object(&file.path)));
        }
        let log = self.object("_delta_log/");
        let mut plan = VacuumPlan {
            version: latest.version(),
            oldest_kept,
            unneeded: Vec::new(),
            protected: Vec::new(),
            kept: 0,
            kept_bytes: 0,
        };
        for object in self.storage.list(&self.path).await? {
            if !object.path.ends_with(".parquet") || object.path.starts_with(&log) {
                continue;
            }
            if needed.contains(&object.path) || object.modified >= keep.since {
                plan.kept += 1;
                plan.kept_bytes += object.size;
            } else if also.contains(&object.path) {
                plan.protected.push(object);
            } else {
                plan.unneeded.push(object);
            }
        }
        Ok(plan)
    }

    /// Deletes what a plan names and the newest version still does not need: an earlier state may have been brought back
    /// since. Returns how many objects are gone.
    ///
    /// # Errors
    /// When the store fails; objects deleted so far stay deleted, and planning again finds the others.
    pub async fn vacuum(&self, plan: &VacuumPlan) -> Result<usize, Error> {
        let newest = self.load().await?;
        let needed: BTreeSet<String> = newest.files().map(|file| self.object(&file.path)).collect();
        let mut gone = 0;
        for object in plan.unneeded.iter().filter(|object| !needed.contains(&object.path)) {
            self.storage.delete(&object.path).await?;
            gone += 1;
        }
        Ok(gone)
    }

    /// Objects of a version and of all later ones.
    async fn files_since(&self, from: u64, to: u64) -> Result<BTreeSet<String>, Error> {
        let first = self.load_version(from).await?;
        let mut found: BTreeSet<String> = first.files().map(|file| self.object(&file.path)).collect();
        for version in from + 1..=to {
            let lines = self.entry(version).await?.unwrap_or_default();
            found.extend(lines.iter().filter_map(|line| line.add.as_ref()).map(|add| self.object(&add.path)));
        }
        Ok(found)
    }

    /// Files of the newest version whose rows all lie before an instant, by their statistics.
    ///
    /// # Errors
    /// [`Error::Column`] when there is no such column; when the store fails.
    pub async fn files_before(&self, column: &str, before: Millis) -> Result<Vec<DataFile>, Error> {
        let snapshot = self.load().await?;
        snapshot.schema().index_of(column).map_err(|_| Error::Column(column.to_owned()))?;
        let is_old = |file: &&DataFile| file.instants(column).is_some_and(|(_, high)| high < before);
        Ok(snapshot.files().filter(is_old).cloned().collect())
    }
}
