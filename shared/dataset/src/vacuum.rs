//! Which objects of a table no kept version needs, and deleting them.
//!
//! A version is kept while it was current after a given instant, or when somebody names it: a tag, a model, a hold.
//! Planning and deleting are two steps, so that a person sees what will go.

use crate::error::Error;
use crate::table::Table;
use std::collections::BTreeSet;
use tidemill_storage::ObjectInfo;
use tidemill_types::Millis;

/// Objects deleted between two looks at who relies on what.
const AT_ONCE: usize = 100;

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

/// What a vacuum deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vacuumed {
    /// Number of objects.
    pub objects: usize,
    /// Their bytes.
    pub bytes: u64,
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
        let also = self.files_of(&keep.named).await?;
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

    /// Deletes what a plan names, but for what is needed by now: an earlier state may have been brought back since, and
    /// `named` says anew, before every few objects, which versions somebody relies on.
    ///
    /// # Errors
    /// When the store fails, or nobody knows what is relied on; objects deleted so far stay deleted, and planning again
    /// finds the others.
    pub async fn vacuum<E: From<Error>>(
        &self,
        plan: &VacuumPlan,
        named: impl AsyncFn() -> Result<BTreeSet<u64>, E>,
    ) -> Result<Vacuumed, E> {
        let mut gone = Vacuumed::default();
        for objects in plan.unneeded.chunks(AT_ONCE) {
            let mut needed = self.files_of(&named().await?).await?;
            needed.extend(self.load().await?.files().map(|file| self.object(&file.path)));
            for object in objects.iter().filter(|object| !needed.contains(&object.path)) {
                self.storage.delete(&object.path).await.map_err(Error::from)?;
                gone.objects += 1;
                gone.bytes += object.size;
            }
        }
        Ok(gone)
    }

    /// Objects of some versions.
    async fn files_of(&self, versions: &BTreeSet<u64>) -> Result<BTreeSet<String>, Error> {
        let mut found = BTreeSet::new();
        for version in versions {
            let snapshot = self.load_version(*version).await?;
            found.extend(snapshot.files().map(|file| self.object(&file.path)));
        }
        Ok(found)
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
}
