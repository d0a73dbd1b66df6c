//! Cleaning decisions on rows: values are mended before rules judge them.
//!
//! A cleaner holds no state, so a value becomes the same in a message, a commit and a file. What each decision did is
//! counted, value by value.

mod kernels;
mod suggest;

pub use suggest::{Proposed, suggest};

use crate::error::QualityError;
use crate::row::Condition;
use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::cmp::distinct;
use arrow::compute::kernels::zip::zip;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use kernels::Kernel;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidemill_expr::Compiled;
use tidemill_spec::{Decision, Source};
use tidemill_types::Digest;

/// Key, in the metadata of clean commits, of the decisions under which all rows of the table were made: their digest.
pub const DECISIONS_KEY: &str = "tidemill.decisions";
/// Key, in the same place, of what they did to the rows of the table, all together: a list of [`Cleaned`] as JSON.
pub const CLEANED_KEY: &str = "tidemill.cleaned";
/// Different changes told of a decision.
const EXAMPLES: usize = 8;
/// Letters of a value told.
const LETTERS: usize = 60;

/// The decisions of one source, ready to run.
#[derive(Debug)]
pub struct Cleaner {
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    id: String,
    column: String,
    filter: Option<Condition>,
    kernel: Kernel,
    /// Whether single values may be told.
    tells: bool,
}

/// What a decision did to some rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cleaned {
    /// Name of the decision.
    pub id: String,
    /// Rows that it looked at.
    pub rows: u64,
    /// Values, not null, among them before.
    pub values_before: u64,
    /// The same afterwards.
    pub values_after: u64,
    /// Values that it changed.
    pub changed: u64,
    /// Some changes, from and to, with how often each was made; none of personal data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Example>,
}

/// A change that was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// The value as it came.
    pub from: String,
    /// What it became; `None` for null.
    pub to: Option<String>,
    /// How often.
    pub times: u64,
}

/// What a clean commit tells of the decisions behind the rows of its table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Digest of the decisions under which all rows were made; empty when there were none.
    pub decisions: String,
    /// What they did, all together.
    pub cleaned: Vec<Cleaned>,
}

impl Told {
    /// What one decision did.
    #[must_use]
    pub fn of(&self, id: &str) -> Option<&Cleaned> {
        self.cleaned.iter().find(|cleaned| cleaned.id == id)
    }
}

/// What the metadata of a clean commit tell; `None` for a commit that says nothing of decisions.
#[must_use]
pub fn told(metadata: &BTreeMap<String, String>) -> Option<Told> {
    let (decisions, cleaned) = (metadata.get(DECISIONS_KEY), metadata.get(CLEANED_KEY));
    if decisions.is_none() && cleaned.is_none() {
        return None;
    }
    Some(Told {
        decisions: decisions.cloned().unwrap_or_default(),
        cleaned: cleaned.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default(),
    })
}

/// Digest of decisions; empty when there are none.
#[must_use]
pub fn digest(decisions: &[Decision]) -> String {
    if decisions.is_empty() {
        return String::new();
    }
    // Reasons and names change nothing about the rows.
    let bare = |decision: &Decision| Decision { reason: String::new(), by: String::new(), ..decision.clone() };
    let bare: Vec<Decision> = decisions.iter().map(bare).collect();
    Digest::of(&serde_json::to_vec(&bare).unwrap_or_default()).to_string()
}

impl Cleaner {
    /// Types the decisions of a source, in the order given.
    ///
    /// # Errors
    /// [`QualityError::Decision`] for the first that does not make sense for its column.
    pub fn compile(source: &Source, decisions: &[Decision]) -> Result<Self, QualityError> {
        let schema = source.declared_schema();
        let masks = source.masks();
        let step = |decision: &Decision| {
            let bad = |message: String| QualityError::Decision { decision: decision.id.clone(), message };
            if let Some((message, mend)) = decision.problems(source).into_iter().next() {
                return Err(bad(mend.map_or(message.clone(), |mend| format!("{message}; {mend}"))));
            }
            let condition = |text: &str| {
                let expr = Compiled::new(text, &schema).map_err(|error| bad(error.to_string()))?;
                Ok::<_, QualityError>(Condition { rule: decision.id.clone(), expr })
            };
            Ok(Step {
                id: decision.id.clone(),
                column: decision.column.clone(),
                filter: decision.filter.as_deref().map(condition).transpose()?,
                kernel: Kernel::of(decision, condition)?,
                tells: !masks.covers(&decision.column),
            })
        };
        Ok(Self { steps: decisions.iter().map(step).collect::<Result<_, _>>()? })
    }

    /// Whether there is nothing to mend.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Rows as the decisions make them, in the same schema, and what each did, in the same order.
    ///
    /// # Errors
    /// A batch without the columns that the decisions read.
    pub fn apply(&self, rows: &RecordBatch) -> Result<(RecordBatch, Vec<Cleaned>), QualityError> {
        let mut rows = rows.clone();
        let mut done = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let (mended, cleaned) = step.apply(&rows)?;
            if cleaned.changed > 0 {
                let place = rows.schema().index_of(&step.column)?;
                let mut columns = rows.columns().to_vec();
                columns[place] = mended;
                rows = RecordBatch::try_new(rows.schema(), columns)?;
            }
            done.push(cleaned);
        }
        Ok((rows, done))
    }
}

impl Step {
    fn apply(&self, rows: &RecordBatch) -> Result<(ArrayRef, Cleaned), QualityError> {
        let before = crate::row::column(rows, &self.column)?;
        let chosen = match &self.filter {
            Some(filter) => filter.is_true(rows)?,
            None => BooleanBuffer::new_set(rows.num_rows()),
        };
        let chosen = BooleanArray::new(chosen, None);
        let mended = self.kernel.mend(rows, before)?;
        let after = if self.filter.is_some() { zip(&chosen, &mended, before)? } else { mended };
        let changes = distinct(before, &after)?;
        let values = |array: &ArrayRef| {
            let valid =
                array.nulls().map_or_else(|| BooleanBuffer::new_set(array.len()), |nulls| nulls.inner().clone());
            (&valid & chosen.values()).count_set_bits() as u64
        };
        let cleaned = Cleaned {
            id: self.id.clone(),
            rows: chosen.true_count() as u64,
            values_before: values(before),
            values_after: values(&after),
            changed: changes.true_count() as u64,
            examples: if self.tells { examples(&changes, before, &after)? } else { Vec::new() },
        };
        Ok((after, cleaned))
    }
}

/// The first different changes, each with how often it was made.
fn examples(changes: &BooleanArray, before: &ArrayRef, after: &ArrayRef) -> Result<Vec<Example>, QualityError> {
    let options = FormatOptions::default();
    let (from, to) = (ArrayFormatter::try_new(before, &options)?, ArrayFormatter::try_new(after, &options)?);
    let mut made: BTreeMap<(String, Option<String>), u64> = BTreeMap::new();
    for row in changes.values().set_indices() {
        let told = |text: String| text.chars().take(LETTERS).collect::<String>();
        let key = (told(from.value(row).to_string()), after.is_valid(row).then(|| told(to.value(row).to_string())));
        if made.len() < EXAMPLES || made.contains_key(&key) {
            *made.entry(key).or_default() += 1;
        }
    }
    Ok(made.into_iter().map(|((from, to), times)| Example { from, to, times }).collect())
}

impl Cleaned {
    /// Adds what the same decision did to other rows.
    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.values_before += other.values_before;
        self.values_after += other.values_after;
        self.changed += other.changed;
        for example in &other.examples {
            let same = |known: &&mut Example| (&known.from, &known.to) == (&example.from, &example.to);
            let has_room = self.examples.len() < EXAMPLES;
            match self.examples.iter_mut().find(same) {
                Some(known) => known.times += example.times,
                None if has_room => self.examples.push(example.clone()),
                None => {}
            }
        }
    }
}

/// Adds what decisions did to other rows to what they did before.
pub fn merge_cleaned(into: &mut Vec<Cleaned>, from: &[Cleaned]) {
    for cleaned in from {
        match into.iter_mut().find(|mine| mine.id == cleaned.id) {
            Some(mine) => mine.add(cleaned),
            None => into.push(cleaned.clone()),
        }
    }
}
