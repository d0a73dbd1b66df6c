//! Tables of an instance: stored profiles of commits, merged, and rows drawn from the table for what needs rows.

use super::super::classify::known;
use super::super::target::Target;
use super::{Bound, ProfileArgs, ranged};
use crate::error::{Error, Result};
use futures::stream::{self, StreamExt as _};
use std::collections::BTreeMap;
use tidemill_contracts::paths;
use tidemill_dataset::{SampleOptions, Table};
use tidemill_explore::report::Context;
use tidemill_explore::{Exploration, Merged, Options, Relations, explore_profile, relations_of};
use tidemill_privacy::{Declaration, PiiClass};
use tidemill_quality::QualityReport;
use tidemill_spec::Source;
use tidemill_stats::{ColumnProfile, TableProfile};
use tidemill_storage::Storage;
use tidemill_types::{Millis, ProjectName, SourceName, columns};

/// Stored profiles read at the same time.
const AT_A_TIME: usize = 16;
/// Folder of validated tables, which are the ones with profiles.
const AREA: &str = "clean/";

/// Whether a name means a table of an instance.
pub(super) fn is_table(name: &str) -> bool {
    ["raw/", AREA, "quarantine/", "predictions/", "monitors/"].iter().any(|area| name.starts_with(area))
}

fn parsed(name: &str) -> Option<(ProjectName, SourceName)> {
    let (project, source) = name.strip_prefix(AREA)?.trim_end_matches('/').split_once('/')?;
    Some((project.parse().ok()?, source.parse().ok()?))
}

/// Merges the profiles of the commits in the range. Without a range, rows of the newest version are drawn too.
pub(super) async fn profile(target: &Target, args: &ProfileArgs) -> Result<(Exploration, Context)> {
    let Some((project, source)) = parsed(&args.what) else {
        let text = format!("{}: profiles are stored for clean tables only, such as clean/flights/weather", args.what);
        return Err(Error::Usage(text));
    };
    let known = known(target, &args.what).await?;
    let (storage, of, declared) = (target.storage()?, (&project, &source), known.source.as_ref());
    match args.is_by_event_time() {
        true => ranged::merged(&storage, of, args, declared).await,
        false => merged(&storage, of, args, declared).await,
    }
}

async fn merged(
    storage: &Storage,
    (project, source): (&ProjectName, &SourceName),
    args: &ProfileArgs,
    declared: Option<&Source>,
) -> Result<(Exploration, Context)> {
    let mut objects = storage.list(&paths::profiles(project, source)).await?;
    objects.sort_by(|a, b| a.path.cmp(&b.path));
    let wanted = objects.into_iter().filter(|object| version(&object.path).is_some_and(|at| within_versions(args, at)));
    let mut reports = stream::iter(wanted).map(|object| read(storage, object.path)).buffered(AT_A_TIME);
    let mut merged = Merged::default();
    while let Some(report) = reports.next().await {
        let report = report?;
        if within_instants(args, report.newest_known_at) {
            merged.add(report);
        }
    }
    if merged.commits == 0 {
        let what =
            if args.since.is_some() || args.until.is_some() { "profile in this range of" } else { "stored profile of" };
        return Err(Error::NotFound { what, name: args.what.clone(), list: "tidemill dataset ls" });
    }
    let mut options = args.options();
    options.check(&merged.profile)?;
    options.time = options.time.or_else(|| declared.map(|source| source.event_time.clone()));
    options.declared = personal(&merged.profile, declared);
    let rows = match (&args.since, &args.until) {
        (None, None) => drawn(storage, &paths::clean_table(project, source), args.sample, &options).await?,
        _ => None,
    };
    let mut found = explore_profile(&args.what, &merged.profile, rows.as_ref().map(|rows| &rows.relations), &options);
    if let Some(over_time) = merged.over_time() {
        found.over_time = Some(over_time);
    }
    let context = Context {
        origin: rows.map_or_else(|| merged.origin(), |rows| format!("{}; {}", merged.origin(), rows.origin)),
        bytes: None,
        made_at: chrono::Utc::now().format("%Y-%m-%d %H:%M UTC").to_string(),
        quality: Some(merged.quality()),
        ..Context::default()
    };
    Ok((found, context))
}

/// The raw version by which a report is named.
pub(super) fn version(path: &str) -> Option<i64> {
    path.rsplit('/').next()?.strip_suffix(".json")?.parse().ok()
}

async fn read(storage: &Storage, path: String) -> Result<QualityReport> {
    let bytes = storage.get(&path).await?;
    let damaged = |e: serde_json::Error| {
        Error::Dataset(tidemill_dataset::Error::Corrupt { path: path.clone(), reason: e.to_string() })
    };
    QualityReport::from_json(&bytes).map_err(damaged)
}

/// What the project says of personal data. Where no project is in force, the profiles tell: of personal columns
/// validation keeps no value.
pub(super) fn personal(profile: &TableProfile, declared: Option<&Source>) -> BTreeMap<String, Declaration> {
    if let Some(source) = declared {
        return source.declarations();
    }
    // Of which class is not known, and does not matter: nothing of them is shown.
    let hidden = |column: &ColumnProfile| (column.name.clone(), Declaration::Class(PiiClass::FreeText));
    profile.columns.iter().filter(|column| column.is_withheld()).map(hidden).collect()
}

/// Drawn rows, as what they tell.
struct Rows {
    relations: Relations,
    origin: String,
}

/// Draws rows of the newest version; none while there is no table.
async fn drawn(storage: &Storage, path: &str, rows: u64, options: &Options) -> Result<Option<Rows>> {
    let table = match Table::open(storage, path).await {
        Ok(table) => table,
        Err(tidemill_dataset::Error::Absent { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let snapshot = table.load().await?;
    let schema = snapshot.schema();
    let names = schema.fields().iter().map(|field| field.name().as_str());
    let senders: Vec<&str> = names.filter(|name| !name.starts_with(columns::PREFIX)).collect();
    let sample = table.sample(&snapshot, Some(&senders), &SampleOptions::new(rows, options.seed)).await?;
    let of =
        if sample.whole { "all rows".to_owned() } else { format!("of {} rows {}", snapshot.num_rows(), sample.rows) };
    let origin = format!("{of} of version {} were looked at (seed {})", snapshot.version(), options.seed);
    let options = options.clone();
    // Sorting and fitting keep a thread busy.
    let work = tokio::task::spawn_blocking(move || relations_of(&sample.batches, sample.whole, &options));
    let relations = work.await.map_err(|e| Error::Story(e.into()))??;
    Ok(Some(Rows { relations, origin }))
}

fn within_versions(args: &ProfileArgs, version: i64) -> bool {
    let since = !matches!(args.since, Some(Bound::Version(first)) if version < first);
    since && !matches!(args.until, Some(Bound::Version(last)) if version > last)
}

/// Commits without any row belong to no instant.
fn within_instants(args: &ProfileArgs, at: Option<Millis>) -> bool {
    let since = !matches!(args.since, Some(Bound::At(first)) if at.is_none_or(|at| at < first));
    since && !matches!(args.until, Some(Bound::At(end)) if at.is_none_or(|at| at >= end))
}

#[cfg(test)]
#[path = "../../../../../shared/explore/tests/commits/mod.rs"]
mod commits;

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use tidemill_storage::S3Options;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ProfileArgs,
    }

    fn args(line: &str) -> ProfileArgs {
        Line::try_parse_from(std::iter::once("profile").chain(line.split(' '))).unwrap().args
    }

    async fn put(storage: &Storage, version: i64) {
        let path = paths::profile(&"p".parse().unwrap(), &"s".parse().unwrap(), version);
        storage.put(&path, serde_json::to_vec(&commits::report(version)).unwrap()).await.unwrap();
    }

    #[tokio::test]
    async fn any_range_of_versions_is_a_merge() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::open(&format!("file://{}", folder.path().display()), &S3Options::default()).unwrap();
        for version in 1..=8 {
            put(&storage, version).await;
        }
        let (project, source) = parsed("clean/p/s").unwrap();
        let found = async |line: &str| merged(&storage, (&project, &source), &args(line), None).await;
        let cases = [
            ("clean/p/s", 80, 10.0, 89.0),
            ("clean/p/s --since 3 --until 4", 20, 30.0, 49.0),
            ("clean/p/s --since 1970-01-06", 40, 50.0, 89.0),
            ("clean/p/s --since 1970-01-03 --until 1970-01-04", 10, 20.0, 29.0),
        ];
        for (line, rows, min, max) in cases {
            let (exploration, context) = found(line).await.unwrap();
            let value = &exploration.columns[0];
            assert_eq!(
                (exploration.rows, value.min, value.max),
                (rows, Some(min), Some(max)),
                "{line}: {}",
                context.origin
            );
            assert_eq!(context.quality.unwrap().scores.len() as u64, rows / 10);
        }
        let (all, _) = found("clean/p/s").await.unwrap();
        let followed = &all.over_time.unwrap().columns[0];
        assert_eq!((followed.column.as_str(), followed.moments.len()), ("value", 8));
        assert!(matches!(found("clean/p/s --since 99").await, Err(Error::NotFound { .. })));
        assert!(parsed("raw/p/s").is_none() && is_table("raw/p/s") && !is_table("rows.csv"));
    }
}
