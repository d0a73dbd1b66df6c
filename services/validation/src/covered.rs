//! How far a table that is made of the raw table covers it.
//!
//! With every commit the clean and the quarantine table note of each stream the last sequence that they cover. That is
//! the truth. The clean table also notes the raw version in which it lay, which only says where to read on: a store may
//! lose the newest commits of the raw table, and then the same sequences come back from the bus under other numbers.

use crate::error::ValidationError;
use arrow::array::{AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int64Type;
use std::collections::BTreeMap;
use tidemill_dataset::{Error as TableError, Snapshot, Table, VersionAdds};
use tidemill_types::columns;

/// Last sequence of each stream, by the name under which the raw table notes it.
pub(crate) type Sequences = BTreeMap<String, i64>;

/// The stream of a raw version and its last sequence; `None` for a version that only moved rows.
pub(crate) fn noted(version: &VersionAdds) -> Option<(&str, i64)> {
    // Names with "#" are notes beside the cursor.
    let mut streams = version.txns.iter().filter(|(name, _)| !name.contains('#'));
    streams.next().map(|(name, last)| (name.as_str(), *last))
}

/// Last sequence of a stream that a table covers; 0 when none.
pub(crate) async fn covered(table: &Snapshot, stream: &str) -> Result<i64, ValidationError> {
    Ok(table.done(stream).await?.unwrap_or(0))
}

/// The raw version after which `table`, whose hint is `hint`, has to be filled on.
pub(crate) async fn read_on_after(
    raw: &Table,
    newest: u64,
    table: &Snapshot,
    hint: u64,
) -> Result<u64, ValidationError> {
    if hint <= newest && stands(raw, table, hint).await? {
        return Ok(hint);
    }
    for version in (1..=newest).rev() {
        let adds = raw.version_adds(version).await?;
        if let Some((stream, last)) = noted(&adds)
            && table.done(stream).await?.is_some_and(|done| last <= done)
        {
            return Ok(version);
        }
    }
    Ok(0)
}

/// Whether the raw table still ends at the hint where the table that was filled up to it says.
async fn stands(raw: &Table, table: &Snapshot, hint: u64) -> Result<bool, ValidationError> {
    for version in (1..=hint).rev() {
        let adds = match raw.version_adds(version).await {
            // Cleaned away behind a checkpoint: far from the tail that a store loses.
            Err(TableError::Absent { .. }) => return Ok(true),
            adds => adds?,
        };
        if let Some((stream, last)) = noted(&adds) {
            return Ok(table.done(stream).await?.is_none_or(|done| done == last));
        }
    }
    Ok(true)
}

/// Rows whose sequence is greater than `after` and at most `until`.
pub(crate) fn between(rows: RecordBatch, after: i64, until: i64) -> Result<RecordBatch, ValidationError> {
    let missing = || TableError::Column(columns::SEQ.to_owned());
    let column = rows.column_by_name(columns::SEQ).ok_or_else(missing)?;
    let sequences = column.as_primitive_opt::<Int64Type>().ok_or_else(missing)?.values();
    let is_inside = |sequence: &i64| after < *sequence && *sequence <= until;
    if sequences.iter().all(is_inside) {
        return Ok(rows);
    }
    let mask = BooleanArray::from(sequences.iter().map(is_inside).collect::<Vec<_>>());
    Ok(filter_record_batch(&rows, &mask)?)
}
