//! Cleaning decisions replayed on history: when the project file says other decisions than those under which the clean
//! table was made, its rows are made anew from the raw table, in one commit.
//!
//! Which rows are clean was decided when they came, and stays. Only their values are made anew, so nothing has to be
//! remembered and no row moves; quarantined rows stay as they were judged.

use crate::error::ValidationError;
use arrow::array::{AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::Int32Type;
use std::collections::{BTreeMap, HashSet};
use tidemill_dataset::{Committed, Error as TableError, Rewriting, Snapshot, Table};
use tidemill_quality::clean::{CLEANED_KEY, DECISIONS_KEY, digest, told};
use tidemill_quality::{Cleaned, Cleaner, RuleResult, Rules, Tally, merge_cleaned};
use tidemill_spec::{Decision, Source};
use tidemill_stats::{Groups, TableProfile};
use tidemill_types::{Millis, columns};

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
    pub(crate) declared: &'a Source,
    pub(crate) raw: (&'a Table, &'a Snapshot),
    pub(crate) clean: (&'a Table, Snapshot),
    pub(crate) quarantine: (&'a Table, &'a Snapshot),
}

/// The rows of a clean table, made anew and not yet in the place of the old ones.
pub(crate) struct Anew<'a> {
    declared: &'a Source,
    clean: &'a Table,
    writing: Rewriting<'a>,
    cleaned: Vec<Cleaned>,
    /// What is known of the rows, file by file.
    pub(crate) parts: Vec<Part>,
}

/// What is known of the rows of one file.
pub(crate) struct Part {
    pub(crate) rows: u64,
    pub(crate) profile: TableProfile,
    /// The same by time and segment.
    pub(crate) groups: Groups,
    /// Results of the rules on single rows; the others judged when the rows came.
    pub(crate) results: Vec<RuleResult>,
    /// What the same rules count for the score.
    pub(crate) tally: Tally,
    pub(crate) newest_known_at: Option<Millis>,
}

impl<'a> Anew<'a> {
    /// Makes the rows anew; they are those of the raw table that are not in quarantine.
    pub(crate) async fn made(history: History<'a>, cleaner: &Cleaner, rules: &Rules) -> Result<Self, ValidationError> {
        let History {
            declared,
            raw: (raw, raw_now),
            clean: (clean, clean_now),
            quarantine: (quarantine, quarantine_now),
        } = history;
        let mut aside = HashSet::new();
        let mut scan = quarantine.scan(quarantine_now, Some(&[columns::EVENT_ID, columns::ROW]), None);
        while let Some(batch) = scan.next().await? {
            aside.extend(places(&batch)?.map(|(event, row)| (event.to_owned(), row)));
        }
        let writing = clean.rewriting(clean_now);
        let mut anew = Self { declared, clean, writing, cleaned: Vec::new(), parts: Vec::new() };
        let (mut waiting, mut rows) = (Vec::new(), 0);
        let mut scan = raw.scan(raw_now, None, None);
        while let Some(batch) = scan.next().await? {
            let stays: Vec<bool> =
                places(&batch)?.map(|(event, row)| !aside.contains(&(event.to_owned(), row))).collect();
            let batch = filter_record_batch(&batch, &BooleanArray::from(stays))?;
            let (batch, done) = cleaner.apply(&batch)?;
            merge_cleaned(&mut anew.cleaned, &done);
            rows += batch.num_rows();
            waiting.push(batch);
            if rows >= ROWS {
                anew.add(std::mem::take(&mut waiting), rules).await?;
                rows = 0;
            }
        }
        if rows > 0 {
            anew.add(waiting, rules).await?;
        }
        Ok(anew)
    }

    async fn add(&mut self, batches: Vec<RecordBatch>, rules: &Rules) -> Result<(), ValidationError> {
        self.writing.add(&batches).await?;
        let rows = concat_batches(&self.clean.schema(), &batches)?;
        let verdict = rules.check_rows(&rows)?;
        let (profile, groups) = Groups::of(&rows, &self.declared.event_time, &self.declared.segments)?;
        self.parts.push(Part {
            rows: rows.num_rows() as u64,
            profile,
            groups,
            results: verdict.results,
            tally: verdict.tally,
            newest_known_at: crate::consumer::newest(&rows),
        });
        Ok(())
    }

    /// Puts the new rows in the place of the old ones, with these notes and metadata.
    pub(crate) async fn commit(
        self,
        decided: &mut Decided,
        notes: &[(&str, i64)],
        mut metadata: BTreeMap<String, String>,
    ) -> Result<Committed, ValidationError> {
        decided.noted.clone_from(&decided.wanted);
        decided.cleaned = self.cleaned;
        decided.note(&mut metadata);
        // Said even where there are none: so the way back is known to be done.
        metadata.insert(DECISIONS_KEY.to_owned(), decided.wanted.clone());
        let committed = self.writing.commit(notes, metadata).await;
        committed.map_err(|e| ValidationError::of_commit(e, self.clean.path()))
    }
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
