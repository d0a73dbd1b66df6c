//! Cleaning decisions replayed on history: when the project file says other decisions than those under which the clean
//! table was made, its rows are made anew from the raw table, in one commit.
//!
//! Which rows are clean was decided when they came, and stays. Only their values are made anew, so nothing has to be
//! remembered and no row moves; quarantined rows stay as they were judged.

use crate::error::ValidationError;
use arrow::array::{AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int32Type;
use std::collections::{BTreeMap, HashSet};
use tidemill_dataset::{Committed, Error as TableError, Snapshot, Table};
use tidemill_quality::clean::{CLEANED_KEY, DECISIONS_KEY, digest, told};
use tidemill_quality::{Cleaned, Cleaner, merge_cleaned};
use tidemill_spec::Decision;
use tidemill_types::columns;

/// Rows of a file that is made anew.
const ROWS: usize = 1 << 20;

/// What is known of the decisions behind a clean table.
pub(crate) struct Decided {
    /// Digest of the decisions of the project file; empty when there are none.
    wanted: String,
    /// Digest of those under which the rows of the table were made.
    noted: String,
    /// What those did.
    cleaned: Vec<Cleaned>,
}

impl Decided {
    /// Reads what the newest commit of the clean table says. `app_id` is the name under which validation notes its work.
    pub(crate) async fn read(clean: &Table, app_id: &str, decisions: &[Decision]) -> Result<Self, ValidationError> {
        let wanted = digest(decisions);
        let mut decided = Self { noted: wanted.clone(), wanted, cleaned: Vec::new() };
        for version in (1..=clean.load().await?.version()).rev() {
            let adds = match clean.version_adds(version).await {
                Err(TableError::Absent { .. }) => break,
                adds => adds?,
            };
            let told = told(&adds.metadata);
            if told.is_some() || adds.txns.contains_key(app_id) {
                let told = told.unwrap_or_default();
                (decided.noted, decided.cleaned) = (told.decisions, told.cleaned);
                break;
            }
        }
        Ok(decided)
    }

    /// Whether the rows of the table were made under other decisions.
    pub(crate) fn are_others(&self) -> bool {
        self.noted != self.wanted
    }

    /// Takes up what the decisions did to the rows of one more commit.
    pub(crate) fn add(&mut self, cleaned: &[Cleaned]) {
        merge_cleaned(&mut self.cleaned, cleaned);
    }

    /// What a commit notes. As long as older rows are not made anew it does not claim to be made under the new ones.
    pub(crate) fn note(&self, metadata: &mut BTreeMap<String, String>) {
        if !self.noted.is_empty() {
            metadata.insert(DECISIONS_KEY.to_owned(), self.noted.clone());
        }
        if !self.cleaned.is_empty() {
            metadata.insert(CLEANED_KEY.to_owned(), serde_json::to_string(&self.cleaned).unwrap_or_default());
        }
    }
}

/// Tables of a source at versions that cover the same events.
pub(crate) struct History<'a> {
    pub(crate) raw: (&'a Table, &'a Snapshot),
    pub(crate) clean: (&'a Table, Snapshot),
    pub(crate) quarantine: (&'a Table, &'a Snapshot),
}

/// Makes the rows of the clean table anew; they are those of the raw table that are not in quarantine.
pub(crate) async fn replay(
    history: History<'_>,
    cleaner: &Cleaner,
    decided: &mut Decided,
) -> Result<Committed, ValidationError> {
    let History { raw: (raw, raw_now), clean: (clean, clean_now), quarantine: (quarantine, quarantine_now) } = history;
    let mut aside = HashSet::new();
    let mut scan = quarantine.scan(quarantine_now, Some(&[columns::EVENT_ID, columns::ROW]), None);
    while let Some(batch) = scan.next().await? {
        aside.extend(places(&batch)?.map(|(event, row)| (event.to_owned(), row)));
    }
    let mut writing = clean.rewriting(clean_now);
    let (mut waiting, mut rows, mut cleaned) = (Vec::new(), 0, Vec::new());
    let mut scan = raw.scan(raw_now, None, None);
    while let Some(batch) = scan.next().await? {
        let stays: Vec<bool> = places(&batch)?.map(|(event, row)| !aside.contains(&(event.to_owned(), row))).collect();
        let batch = filter_record_batch(&batch, &BooleanArray::from(stays))?;
        let (batch, done) = cleaner.apply(&batch)?;
        merge_cleaned(&mut cleaned, &done);
        rows += batch.num_rows();
        waiting.push(batch);
        if rows >= ROWS {
            writing.add(&std::mem::take(&mut waiting)).await?;
            rows = 0;
        }
    }
    writing.add(&waiting).await?;
    decided.noted.clone_from(&decided.wanted);
    decided.cleaned = cleaned;
    let mut metadata = BTreeMap::from([(DECISIONS_KEY.to_owned(), decided.wanted.clone())]);
    decided.note(&mut metadata);
    writing.commit(metadata).await.map_err(|e| ValidationError::of_commit(e, clean.path()))
}

/// Event and row of each row.
fn places(batch: &RecordBatch) -> Result<impl Iterator<Item = (&str, i32)>, ValidationError> {
    let missing = |name: &str| TableError::Column(name.to_owned());
    let event = batch.column_by_name(columns::EVENT_ID).and_then(|column| column.as_string_opt::<i32>());
    let event = event.ok_or_else(|| missing(columns::EVENT_ID))?;
    let row = batch.column_by_name(columns::ROW).and_then(|column| column.as_primitive_opt::<Int32Type>());
    let row = row.ok_or_else(|| missing(columns::ROW))?;
    Ok((0..batch.num_rows()).map(|at| (event.value(at), row.value(at))))
}
