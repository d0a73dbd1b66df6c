//! A range of event time, or a segment, of a table of an instance: what validation stored of it, merged. No row is read.

use super::{ProfileArgs, stored};
use crate::cli::output::say;
use crate::error::{Error, Result};
use futures::stream::{self, StreamExt as _};
use tidemill_contracts::groups::{GroupsName, living};
use tidemill_contracts::paths;
use tidemill_explore::report::Context;
use tidemill_explore::{Exploration, Range, Ranged, explore_profile};
use tidemill_spec::Source;
use tidemill_stats::{ColumnProfile, Groups};
use tidemill_storage::Storage;
use tidemill_types::{ProjectName, SourceName};

/// Stored objects read at the same time.
const AT_A_TIME: usize = 16;
/// Times that what was listed may be gone, joined with others, before that is an error.
const TRIES: usize = 8;

/// Merges what is stored of the range.
pub(super) async fn merged(
    storage: &Storage,
    (project, source): (&ProjectName, &SourceName),
    args: &ProfileArgs,
    declared: Option<&Source>,
) -> Result<(Exploration, Context)> {
    let range = args.range();
    let of = Stored { storage, project, source };
    let (merged, untold) = of.merged(&range).await?;
    if let Some((by, _)) = &range.segment {
        let is_declared = declared.is_some_and(|source| source.masks().covers(by));
        if is_declared || merged.profile.column(by).is_some_and(ColumnProfile::is_withheld) {
            return Err(Error::Usage(format!("{by} is personal: rows are not told apart by it")));
        }
        if merged.profile.rows == 0 && !merged.segments().is_empty() {
            let known = merged.segments().join(", ");
            return Err(Error::Usage(format!("no row of this range has this {by}; there are: {known}")));
        }
        if merged.profile.rows == 0 && declared.is_some_and(|source| !source.segments.contains(by)) {
            let mend = format!("name it under sources.{source}.segments, and rows from then on are");
            return Err(Error::Usage(format!("rows are not told apart by {by}: {mend}")));
        }
    }
    if merged.profile.rows == 0 {
        let what = "profile in this range of";
        return Err(Error::NotFound { what, name: args.what.clone(), list: "tidemill dataset ls" });
    }
    merged.caveats().iter().for_each(|told| say(told));
    if untold > 0 {
        say(&format!("{untold} commits are left out: they are from before profiles were kept by event time"));
    }
    let mut options = args.options();
    options.check(&merged.profile)?;
    options.time = options.time.or_else(|| declared.map(|source| source.event_time.clone()));
    options.declared = stored::personal(&merged.profile, declared);
    let mut found = explore_profile(&args.what, &merged.profile, None, &options);
    if let Some(over_time) = merged.over_time() {
        found.over_time = Some(over_time);
    }
    let context = Context {
        origin: merged.origin(),
        made_at: chrono::Utc::now().format("%Y-%m-%d %H:%M UTC").to_string(),
        ..Context::default()
    };
    Ok((found, context))
}

/// What is stored of one source.
struct Stored<'a> {
    storage: &'a Storage,
    project: &'a ProjectName,
    source: &'a SourceName,
}

impl Stored<'_> {
    /// What is stored of a range, merged, and the number of commits of which nothing is.
    async fn merged(&self, range: &Range) -> Result<(Ranged, usize)> {
        let mut tries = 1;
        loop {
            match self.once(range).await {
                Err(Error::Storage(tidemill_storage::Error::NotFound(_))) if tries < TRIES => tries += 1,
                done => return done,
            }
        }
    }

    async fn once(&self, range: &Range) -> Result<(Ranged, usize)> {
        let there = self.storage.list(&paths::groups(self.project, self.source)).await?;
        let (live, _) = living(there.iter().filter_map(|one| Some((GroupsName::parse(&one.path)?, one.modified))));
        let wanted: Vec<GroupsName> = live.iter().copied().filter(|name| range.meets(name.extent)).collect();
        let mut read = stream::iter(wanted).map(|name| self.one(name)).buffered(AT_A_TIME);
        let mut merged = Ranged::of(range.clone());
        while let Some(one) = read.next().await {
            let (name, groups) = one?;
            merged.add(&groups, name.commits);
        }
        Ok((merged, self.untold(&live).await?))
    }

    async fn one(&self, name: GroupsName) -> Result<(GroupsName, Groups)> {
        let path = name.path(self.project, self.source);
        let bytes = self.storage.get(&path).await?;
        // Sketches are many numbers in text.
        let read = tokio::task::spawn_blocking(move || Groups::from_bytes(&bytes)).await;
        let damaged = |reason: String| Error::Dataset(tidemill_dataset::Error::Corrupt { path: path.clone(), reason });
        Ok((name, read.map_err(|e| damaged(e.to_string()))?.map_err(|e| damaged(e.to_string()))?))
    }

    /// Commits with a report that no object covers.
    async fn untold(&self, live: &[GroupsName]) -> Result<usize> {
        let reports = self.storage.list(&paths::profiles(self.project, self.source)).await?;
        let versions = reports.iter().filter_map(|one| stored::version(&one.path));
        let is_covered = |version: i64| {
            let next = live.partition_point(|name| name.versions.1 < version);
            live.get(next).is_some_and(|name| name.versions.0 <= version)
        };
        Ok(versions.filter(|version| !is_covered(*version)).count())
    }
}
