//! From rules and rows to verdicts.
//!
//! Rules on single rows come first, then those that look at other sources, then those that remember rows of their own
//! source, which see only rows that would go on: a mended row may follow one that was set aside. Rules on the commit as
//! a whole come last.

use crate::commit::{CommitMemory, Finding};
use crate::error::QualityError;
use crate::marks::{Marks, chosen};
use crate::memory::{Memory, MemoryCheck, Undo, entries, key_hashes, own, positions};
use crate::rule::{CompiledRule, Judge, Rules};
use crate::verdict::{Outcome, Verdict};
use arrow::array::{BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;

impl Rules {
    /// Applies the rules that need no more than the stream itself: those on rows, and those that remember rows of their
    /// own source. `mostly` and rules on commits are counted or left out, for a message is no commit.
    ///
    /// Keys are remembered for accepted rows only; of a blocked batch nothing is remembered.
    ///
    /// # Errors
    /// A batch without the columns that the rules read, or a memory of other rules.
    pub fn check(&self, memory: &mut Memory, batch: &RecordBatch) -> Result<Verdict, QualityError> {
        self.judge(memory, None, batch)
    }

    /// Applies all rules to the rows of one commit.
    ///
    /// When the commit is held, nothing of it is remembered in `memory`. `commits` is not changed: its owner remembers
    /// a commit when it was stored.
    ///
    /// # Errors
    /// As [`Rules::check`].
    pub fn check_commit(
        &self,
        memory: &mut Memory,
        commits: &CommitMemory,
        batch: &RecordBatch,
    ) -> Result<Verdict, QualityError> {
        self.judge(memory, Some(commits), batch)
    }

    /// Applies rules on single rows only; results of the others say that nothing was checked.
    ///
    /// # Errors
    /// A batch without the columns that the rules read.
    pub fn check_rows(&self, batch: &RecordBatch) -> Result<Verdict, QualityError> {
        let marks = self.row_marks(batch)?;
        let failing = self.failing(&marks, batch.num_rows());
        Outcome { rules: self, batch, marks: &marks, failing: &failing, findings: &self.no_findings() }.verdict()
    }

    fn judge(
        &self,
        memory: &mut Memory,
        commits: Option<&CommitMemory>,
        batch: &RecordBatch,
    ) -> Result<Verdict, QualityError> {
        memory.belongs_to(self)?;
        let mut marks = self.row_marks(batch)?;
        if let Some(commits) = commits {
            self.reference_marks(commits, batch, &mut marks)?;
        }
        let mut failing = self.failing(&marks, batch.num_rows());
        let taken = self.memory_marks(memory, batch, &mut marks, &mut failing)?;
        let verdict = self.findings(commits, batch, &marks, &failing).and_then(|findings| {
            Outcome { rules: self, batch, marks: &marks, failing: &failing, findings: &findings }.verdict()
        });
        if verdict.as_ref().map_or(true, |verdict| verdict.held.is_some()) {
            memory.undo(taken);
        }
        verdict
    }

    fn no_findings(&self) -> Vec<Option<Finding>> {
        self.rules.iter().map(|_| None).collect()
    }

    fn row_marks(&self, batch: &RecordBatch) -> Result<Vec<Marks>, QualityError> {
        let mark = |rule: &CompiledRule| {
            let Judge::Row(kernel) = &rule.judge else {
                return Ok(Marks::none(batch.num_rows()));
            };
            let when = chosen(rule.when.as_ref(), batch)?;
            Ok(Marks::of(&kernel.passes(batch)?, when.as_ref()))
        };
        self.rules.iter().map(mark).collect()
    }

    /// Rows that do not go on.
    fn failing(&self, marks: &[Marks], rows: usize) -> BooleanBuffer {
        let stopped = self.rules.iter().zip(marks).filter(|(rule, marks)| rule.stops_rows() && marks.failures > 0);
        stopped.fold(BooleanBuffer::new_unset(rows), |all, (_, marks)| &all | &marks.failed)
    }

    /// Marks rows whose value does not stand in the other source.
    fn reference_marks(
        &self,
        commits: &CommitMemory,
        batch: &RecordBatch,
        marks: &mut [Marks],
    ) -> Result<(), QualityError> {
        for (place, rule) in self.rules.iter().enumerate() {
            if let Judge::Memory(MemoryCheck::Refers { column, .. }) = &rule.judge {
                let keys = key_hashes(batch, std::slice::from_ref(column))?;
                let known = keys.into_iter().map(|key| commits.is_known(place, key?));
                let passes: BooleanArray = known.collect();
                marks[place] = Marks::of(&passes, chosen(rule.when.as_ref(), batch)?.as_ref());
            }
        }
        Ok(())
    }

    /// Marks rows that contradict earlier ones, row by row, and returns how to undo what was remembered.
    fn memory_marks(
        &self,
        memory: &mut Memory,
        batch: &RecordBatch,
        marks: &mut [Marks],
        failing: &mut BooleanBuffer,
    ) -> Result<Vec<(usize, Undo)>, QualityError> {
        let rules: Vec<_> = own(self).collect();
        let mut undo = Vec::new();
        if rules.is_empty() {
            return Ok(undo);
        }
        let at = positions(batch)?;
        let said = rules.iter().map(|(_, rule, check)| entries(batch, rule, check)).collect::<Result<Vec<_>, _>>()?;
        let mut stopped: Vec<bool> = failing.iter().collect();
        let mut passes: Vec<Vec<Option<bool>>> = vec![vec![None; batch.num_rows()]; rules.len()];
        for (row, owner) in at.into_iter().enumerate() {
            if stopped[row] {
                continue;
            }
            for (nth, (_, rule, _)) in rules.iter().enumerate() {
                let Some(entry) = said[nth][row] else { continue };
                let contradicts = memory.kept[nth].contradicts(entry, owner);
                passes[nth][row] = Some(!contradicts);
                stopped[row] |= contradicts && rule.stops_rows();
            }
            if !stopped[row] {
                let taken = (0..rules.len()).map(|nth| (nth, memory.take(nth, said[nth][row], owner)));
                undo.extend(taken.filter_map(|(nth, taken)| taken.map(|taken| (nth, taken))));
            }
        }
        for ((place, _, _), passes) in rules.iter().zip(passes) {
            marks[*place] = Marks::of(&BooleanArray::from(passes), None);
        }
        *failing = BooleanBuffer::from(stopped);
        Ok(undo)
    }

    /// What rules say about the commit as a whole; nothing when there is no commit.
    fn findings(
        &self,
        commits: Option<&CommitMemory>,
        batch: &RecordBatch,
        marks: &[Marks],
        failing: &BooleanBuffer,
    ) -> Result<Vec<Option<Finding>>, QualityError> {
        let Some(commits) = commits else {
            return Ok(self.no_findings());
        };
        let mut going: Option<RecordBatch> = None;
        let mut findings = Vec::with_capacity(self.rules.len());
        for (place, rule) in self.rules.iter().enumerate() {
            findings.push(match (&rule.judge, rule.mostly) {
                (Judge::Commit(check), _) => {
                    if going.is_none() {
                        going = Some(going_on(batch, failing)?);
                    }
                    let rows = rule.looked_at(going.as_ref().unwrap_or(batch))?;
                    check.judge(&rows, commits, place)?
                }
                (_, Some(wanted)) => marks[place].share_passed().map(|passed| Finding {
                    holds: passed >= wanted,
                    observed: format!("{:.4} % of rows pass, {} % are needed", 100.0 * passed, 100.0 * wanted),
                }),
                _ => None,
            });
        }
        Ok(findings)
    }
}

impl CompiledRule {
    /// The rows that the rule looks at.
    pub(crate) fn looked_at(&self, batch: &RecordBatch) -> Result<RecordBatch, QualityError> {
        match chosen(self.when.as_ref(), batch)? {
            None => Ok(batch.clone()),
            Some(when) => Ok(filter_record_batch(batch, &BooleanArray::new(when, None))?),
        }
    }
}

/// The rows that are not failing; without a copy when that is all of them.
pub(crate) fn going_on(batch: &RecordBatch, failing: &BooleanBuffer) -> Result<RecordBatch, QualityError> {
    if failing.count_set_bits() == 0 {
        return Ok(batch.clone());
    }
    Ok(filter_record_batch(batch, &BooleanArray::new(!failing, None))?)
}
