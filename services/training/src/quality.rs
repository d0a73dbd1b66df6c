//! Reads what validation said of the commits behind a training set.

use crate::Context;
use crate::domain::quality::Behind;
use crate::domain::record::SetRef;
use crate::error::TrainingError;
use crate::store::read_json;
use std::collections::BTreeMap;
use tidemill_contracts::paths;
use tidemill_quality::QualityReport;
use tidemill_registry::DataQuality;
use tidemill_spec::Source;
use tidemill_types::{Millis, SourceName};

/// Commits of a source that are scored, newest first: bounds the time that a source of many small commits takes.
const MOST_COMMITS: u64 = 512;

/// Quality of each source that the training set was made from, of what was known by `as_of`.
pub(crate) async fn behind(
    context: &Context,
    set: &SetRef,
    as_of: Millis,
) -> Result<BTreeMap<String, DataQuality>, TrainingError> {
    let mut found = BTreeMap::new();
    for (name, source) in context.spec.sources.iter().filter(|(name, _)| set.table_versions.contains_key(name.as_str()))
    {
        if let Some(quality) = of_source(context, name, source, as_of).await? {
            found.insert(name.to_string(), quality);
        }
    }
    Ok(found)
}

async fn of_source(
    context: &Context,
    name: &SourceName,
    source: &Source,
    as_of: Millis,
) -> Result<Option<DataQuality>, TrainingError> {
    let mut objects = context.storage.list(&paths::profiles(&context.spec.project, name)).await?;
    objects.sort_by(|a, b| b.path.cmp(&a.path));
    let mut behind = Behind::default();
    for object in objects {
        // Validation may have put another in its place meanwhile.
        let Some(report) = read_json::<QualityReport>(&context.storage, &object.path).await? else { continue };
        if report.newest_known_at.is_none_or(|newest| newest > as_of) {
            continue;
        }
        if !behind.add(&report) || behind.commits() == MOST_COMMITS {
            break;
        }
    }
    Ok(behind.scored(source, as_of))
}
