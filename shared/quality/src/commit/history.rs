//! What earlier commits were like.

use super::eras::Eras;
use crate::error::QualityError;
use crate::memory::{MemoryCheck, key_hashes};
use crate::rule::{CompiledRule, Judge, Rules};
use arrow::array::RecordBatch;
use std::collections::{BTreeMap, HashSet, VecDeque};

/// Commits whose sizes are kept.
const COMMITS: usize = 1_000;
/// Values of another source kept per rule; with more, a value that is not found counts as not judged.
const VALUES: usize = 4_000_000;

/// What rules on commits, and rules that look at other sources, remember.
///
/// It holds nothing that could not be read again: sizes of commits from the log of the clean table, periods from its
/// rows, values of other sources from theirs.
#[derive(Clone, Debug, Default)]
pub struct CommitMemory {
    /// Accepted rows of earlier commits, the newest first.
    sizes: VecDeque<u64>,
    eras: BTreeMap<usize, Eras>,
    others: BTreeMap<usize, Others>,
}

/// Values of a column of another source.
#[derive(Clone, Debug, Default)]
struct Others {
    known: HashSet<u128>,
    /// Whether there were more than are kept.
    is_full: bool,
}

impl CommitMemory {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(rules: &Rules) -> Self {
        let mut memory = Self::default();
        for (place, rule) in rules.rules.iter().enumerate() {
            match &rule.judge {
                Judge::Commit(check) if check.seasonal().is_some() => {
                    memory.eras.insert(place, Eras::default());
                }
                Judge::Memory(MemoryCheck::Refers { .. }) => {
                    memory.others.insert(place, Others::default());
                }
                _ => {}
            }
        }
        memory
    }

    /// Nothing seen yet, and nothing known of other sources: rules that look at them judge nothing.
    #[must_use]
    pub fn without_others(rules: &Rules) -> Self {
        let mut memory = Self::new(rules);
        for others in memory.others.values_mut() {
            others.is_full = true;
        }
        memory
    }

    /// Remembers the number of rows that a commit added, the oldest first.
    pub fn count(&mut self, rows: u64) {
        self.sizes.push_front(rows);
        self.sizes.truncate(COMMITS);
    }

    /// Remembers accepted rows in their periods.
    ///
    /// # Errors
    /// A batch without the columns of the rules.
    pub fn remember(&mut self, rules: &Rules, accepted: &RecordBatch) -> Result<(), QualityError> {
        for (place, eras) in &mut self.eras {
            let rule = &rules.rules[*place];
            if let Judge::Commit(check) = &rule.judge
                && let Some(seasonal) = check.seasonal()
            {
                seasonal.remember(eras, &rule.looked_at(accepted)?)?;
            }
        }
        Ok(())
    }

    /// Remembers rows of another source, under the columns that [`Rules::references`] names.
    ///
    /// # Errors
    /// A batch without the column.
    pub fn refer(&mut self, rules: &Rules, source: &str, rows: &RecordBatch) -> Result<(), QualityError> {
        for (place, others) in &mut self.others {
            if let Judge::Memory(MemoryCheck::Refers { source: of, to, .. }) = &rules.rules[*place].judge
                && of == source
            {
                for key in key_hashes(rows, std::slice::from_ref(to))?.into_iter().flatten() {
                    if others.known.len() < VALUES {
                        others.known.insert(key);
                    } else {
                        others.is_full |= !others.known.contains(&key);
                    }
                }
            }
        }
        Ok(())
    }

    /// Sizes of earlier commits, the newest first.
    pub(crate) fn counts(&self) -> impl Iterator<Item = u64> {
        self.sizes.iter().copied()
    }

    pub(super) fn eras(&self, place: usize) -> Option<&Eras> {
        self.eras.get(&place)
    }

    /// Whether a value of the rule at `place` stands in the other source; none when that is not known.
    pub(crate) fn is_known(&self, place: usize, key: u128) -> Option<bool> {
        let others = self.others.get(&place)?;
        let found = others.known.contains(&key);
        (found || !others.is_full).then_some(found)
    }
}

impl Rules {
    /// Other sources that rules look at, with the column of each.
    #[must_use]
    pub fn references(&self) -> Vec<(&str, &str)> {
        let each = self.rules.iter().filter_map(|rule| match &rule.judge {
            Judge::Memory(MemoryCheck::Refers { source, to, .. }) => Some((source.as_str(), to.as_str())),
            _ => None,
        });
        let mut found: Vec<_> = each.collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// How many earlier commits rules look at.
    #[must_use]
    pub fn trailing_commits(&self) -> usize {
        let wanted = |rule: &CompiledRule| match &rule.judge {
            Judge::Commit(check) => check.trailing(),
            _ => 0,
        };
        self.rules.iter().map(wanted).max().unwrap_or(0)
    }

    /// Columns that [`CommitMemory::remember`] reads; none when no rule keeps periods.
    #[must_use]
    pub fn seasonal_columns(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for rule in &self.rules {
            if let Judge::Commit(check) = &rule.judge
                && let Some(seasonal) = check.seasonal()
            {
                names.extend(seasonal.columns());
                names.extend(rule.when.iter().flat_map(|c| c.expr.columns()).map(String::as_str));
            }
        }
        names.sort_unstable();
        names.dedup();
        names
    }
}
