//! What a commit was made of, for those who ask later.

use crate::{Deps, raw_table_path};
use std::sync::Arc;
use tidemill_intake::Committed;
use tidemill_lineage::{Change, Place, Step, columns, names};
use tidemill_types::SourceName;

/// A commit as a run: the events after `before` into a version of the raw table.
pub(crate) fn step(deps: &Deps, source: &SourceName, committed: &Committed, before: i64) -> Step {
    let project = &deps.spec.project;
    let path = raw_table_path(project, source);
    let events = Place::new(names::events(project, source))
        .between(Some(before.saturating_add(1)), Some(committed.last_seq))
        .with_rows(committed.counts.rows);
    let mut table = Place::new(path.as_str())
        .at(committed.version)
        .with_rows(committed.counts.rows)
        .lying_at(format!("{}/{path}", deps.storage.url()))
        .with_columns(columns::raw(&deps.spec, source));
    let mut events = events;
    if let Some(declared) = deps.spec.sources.get(source) {
        events = events.with_schema(Arc::new(declared.declared_schema()));
        table = table.with_schema(declared.table_schema());
    }
    if committed.version == 1 {
        table = table.changed(Change::Create);
    }
    Step::new(project, names::ingestion(source), &format!("{path}@{}", committed.version))
        .owned_by(&deps.spec.problem.owners)
        .reads(events)
        .writes(table)
}
