//! Rules on rows with memory.
//!
//! Three remember rows of the same source and are kept in a [`Memory`]: `unique`, `determines` and `increasing`. They
//! depend on the order of accepted rows alone, so every consumer of the same stream comes to the same verdicts. `refers`
//! looks at another source and is kept in the [`crate::CommitMemory`].

mod bytes;
mod keyed;
mod keys;

pub use keyed::Position;
pub(crate) use keyed::{Keyed, Undo};
pub use keys::positions;
pub(crate) use keys::{Entry, entries, key_hashes};

use crate::error::QualityError;
use crate::rule::{CompiledRule, Judge, Rules, Typing};
use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use tidemill_spec::Check;
use tidemill_types::Digest;

/// A test of rows that remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MemoryCheck {
    /// No two rows with equal values.
    Unique(Vec<String>),
    /// Equal keys, equal value.
    Determines { key: Vec<String>, value: String },
    /// No falling value among rows of a key.
    Increasing { by: Vec<String>, column: String, strictly: bool },
    /// The value stands in another source.
    Refers { column: String, source: String, to: String },
}

/// Makes the test of a rule with memory; none for the other kinds.
pub(crate) fn compile(typing: &Typing<'_>, check: &Check) -> Result<Option<MemoryCheck>, QualityError> {
    let every = |columns: &[String]| columns.iter().try_for_each(|column| typing.any(column));
    Ok(Some(match check {
        Check::Unique(columns) if columns.is_empty() => return Err(typing.bad("unique needs at least one column")),
        Check::Unique(columns) => {
            every(columns)?;
            MemoryCheck::Unique(columns.clone())
        }
        Check::Determines(rule) if rule.key.is_empty() => return Err(typing.bad("determines needs a key")),
        Check::Determines(rule) => {
            every(&rule.key)?;
            typing.any(&rule.value)?;
            MemoryCheck::Determines { key: rule.key.clone(), value: rule.value.clone() }
        }
        Check::Increasing(rule) => {
            every(&rule.by)?;
            let found = typing.type_of(&rule.column)?;
            if !(found.is_numeric() || matches!(found, DataType::Timestamp(_, _))) {
                return Err(typing.bad(format!("column {} is neither number nor instant", rule.column)));
            }
            MemoryCheck::Increasing { by: rule.by.clone(), column: rule.column.clone(), strictly: rule.strictly }
        }
        Check::Refers(rule) => {
            typing.any(&rule.column)?;
            let Some((source, to)) = rule.to.split_once('.') else {
                return Err(typing.bad("to is written source.column"));
            };
            MemoryCheck::Refers { column: rule.column.clone(), source: source.to_owned(), to: to.to_owned() }
        }
        _ => return Ok(None),
    }))
}

/// What the rules of a source remember of its accepted rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Memory {
    /// Digest of the rules that are kept here.
    rules: Digest,
    capacity: usize,
    /// One for each rule, in their order.
    pub(crate) kept: Vec<Keyed>,
}

impl Memory {
    /// Keys remembered per rule unless said otherwise; about 130 bytes each.
    pub const CAPACITY: usize = 4_000_000;

    /// Nothing seen yet, with room for `capacity` keys per rule (at least one).
    #[must_use]
    pub fn new(rules: &Rules, capacity: usize) -> Self {
        let kept = own(rules).map(|(_, _, check)| Keyed::of(check)).collect();
        Self { rules: digest(rules), capacity: capacity.max(1), kept }
    }

    /// Number of keys remembered, over all rules.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.iter().map(Keyed::len).sum()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Remembers rows that were accepted elsewhere, such as those of the clean table at a start.
    ///
    /// # Errors
    /// A batch without the columns of the rules or the system columns.
    pub fn remember(&mut self, rules: &Rules, accepted: &RecordBatch) -> Result<(), QualityError> {
        self.belongs_to(rules)?;
        if self.kept.is_empty() {
            return Ok(());
        }
        let at = positions(accepted)?;
        let entries =
            own(rules).map(|(_, rule, check)| entries(accepted, rule, check)).collect::<Result<Vec<_>, _>>()?;
        for (row, owner) in at.into_iter().enumerate() {
            for (rule, entries) in entries.iter().enumerate() {
                let _ = self.take(rule, entries[row], owner);
            }
        }
        Ok(())
    }

    pub(crate) fn belongs_to(&self, rules: &Rules) -> Result<(), QualityError> {
        if self.rules == digest(rules) { Ok(()) } else { Err(QualityError::OtherRules) }
    }

    /// Remembers a row under a rule; returns how to undo it when something changed.
    pub(crate) fn take(&mut self, rule: usize, entry: Option<Entry>, owner: Position) -> Option<Undo> {
        self.kept.get_mut(rule)?.take(entry?, owner, self.capacity)
    }

    /// Undoes what was remembered, the newest first.
    pub(crate) fn undo(&mut self, taken: Vec<(usize, Undo)>) {
        for (rule, undo) in taken.into_iter().rev() {
            if let Some(kept) = self.kept.get_mut(rule) {
                kept.undo(undo);
            }
        }
    }
}

impl Rules {
    /// Columns that [`Memory::remember`] reads; none when no rule remembers rows of its own source.
    #[must_use]
    pub fn remembered_columns(&self) -> Vec<&str> {
        let mut names: Vec<&str> = own(self).flat_map(|(_, rule, check)| needed(rule, check)).collect();
        if !names.is_empty() {
            names.extend([tidemill_types::columns::SEQ, tidemill_types::columns::ROW]);
        }
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn needed<'a>(rule: &'a CompiledRule, check: &'a MemoryCheck) -> Vec<&'a str> {
    let (key, value): (&[String], Option<&String>) = match check {
        MemoryCheck::Unique(columns) => (columns, None),
        MemoryCheck::Determines { key, value } => (key, Some(value)),
        MemoryCheck::Increasing { by, column, .. } => (by, Some(column)),
        MemoryCheck::Refers { .. } => (&[], None),
    };
    let conditions = rule.when.iter().flat_map(|condition| condition.expr.columns());
    key.iter().chain(value).chain(conditions).map(String::as_str).collect()
}

/// The rules kept in a [`Memory`], with their place among all.
pub(crate) fn own(rules: &Rules) -> impl Iterator<Item = (usize, &CompiledRule, &MemoryCheck)> {
    rules.rules.iter().enumerate().filter_map(|(place, rule)| match &rule.judge {
        Judge::Memory(MemoryCheck::Refers { .. }) => None,
        Judge::Memory(check) => Some((place, rule, check)),
        _ => None,
    })
}

/// What the keys mean. That of `unique` rules alone is as it has always been, so that saved keys stay readable.
fn digest(rules: &Rules) -> Digest {
    let about = |(_, rule, check): (usize, &CompiledRule, &MemoryCheck)| {
        let mut words = match check {
            MemoryCheck::Unique(columns) => columns.clone(),
            other => vec![format!("{other:?}")],
        };
        words.extend(rule.when.iter().map(|condition| format!(" when {}", condition.expr.text())));
        words
    };
    Digest::of(format!("{:?}", own(rules).map(about).collect::<Vec<_>>()).as_bytes())
}
