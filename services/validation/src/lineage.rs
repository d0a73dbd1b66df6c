//! What a clean commit was made of, for those who ask later.

use crate::Deps;
use crate::store::{clean_table_path, quarantine_table_path, raw_table_path};
use std::collections::BTreeMap;
use tidemill_dataset::Committed;
use tidemill_lineage::{ColumnMetrics, Place, Step, columns, names};
use tidemill_quality::Verdict;
use tidemill_stats::{ColumnProfile, TableProfile};
use tidemill_types::SourceName;

/// What was checked, and where it went.
pub(crate) struct Checked<'a> {
    /// Newest raw version that was read.
    pub(crate) raw_version: u64,
    /// Version of the clean table that was made.
    pub(crate) clean_version: u64,
    /// What became of the rows.
    pub(crate) verdict: &'a Verdict,
}

/// A commit as a run: raw rows into clean and quarantined ones.
pub(crate) fn step(deps: &Deps, source: &SourceName, done: &Checked<'_>, profile: &TableProfile) -> Step {
    let project = &deps.spec.project;
    let (accepted, quarantined) = (done.verdict.accepted.num_rows() as u64, done.verdict.quarantined.num_rows() as u64);
    let raw = Place::new(raw_table_path(project, source))
        .at(done.raw_version)
        .with_rows(accepted + quarantined)
        .with_metrics(metrics(profile));
    let place = |path: String, rows| {
        let uri = format!("{}/{path}", deps.storage.url());
        Place::new(path).with_rows(rows).lying_at(uri).with_columns(columns::cleaned(&deps.spec, source))
    };
    let clean = clean_table_path(project, source);
    let mut clean_place = place(clean.clone(), accepted).at(done.clean_version);
    if let Some(declared) = deps.spec.sources.get(source) {
        clean_place = clean_place.with_schema(declared.table_schema());
    }
    let step = Step::new(project, names::validation(source), &format!("{clean}@{}", done.clean_version));
    let step = step.reads(raw).writes(clean_place);
    if quarantined == 0 {
        return step;
    }
    step.writes(place(quarantine_table_path(project, source), quarantined))
}

/// All clean rows made anew, as a run.
pub(crate) fn replayed(deps: &Deps, source: &SourceName, raw_version: u64, made: &Committed) -> Step {
    let (project, clean) = (&deps.spec.project, clean_table_path(&deps.spec.project, source));
    let uri = format!("{}/{clean}", deps.storage.url());
    let what = format!("{clean}@{}", made.version);
    let place = Place::new(clean).with_rows(made.rows).lying_at(uri).at(made.version);
    let place = place.with_columns(columns::cleaned(&deps.spec, source));
    Step::new(project, names::validation(source), &what)
        .reads(Place::new(raw_table_path(project, source)).at(raw_version))
        .writes(place)
}

fn metrics(profile: &TableProfile) -> BTreeMap<String, ColumnMetrics> {
    let of = |column: &ColumnProfile| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate of a count")]
        let distinct = column.distinct.estimate().round() as u64;
        #[expect(clippy::cast_precision_loss, reason = "the schema wants a number")]
        let count = (column.count - column.nulls) as f64;
        let metrics = ColumnMetrics {
            null_count: Some(column.nulls),
            distinct_count: Some(distinct),
            count: Some(count),
            min: column.moments.min,
            max: column.moments.max,
        };
        (column.name.clone(), metrics)
    };
    profile.columns.iter().map(of).collect()
}
