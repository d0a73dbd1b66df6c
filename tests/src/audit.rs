//! Counting a table row by row: what is lost, doubled or missing in between.

use crate::books::Published;
use anyhow::{Context as _, Result, ensure};
use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use std::collections::{BTreeMap, BTreeSet};
use tidemill_dataset::Table;
use tidemill_intake::Counts;
use tidemill_storage::Storage;
use tidemill_types::columns;

/// Every row of a table by its position in the stream and by its number.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// Times that each position `(tm_seq, tm_row)` occurs.
    pub positions: BTreeMap<(i64, i32), u32>,
    /// Times that each reading `n` occurs.
    pub numbers: BTreeMap<i64, u32>,
    /// Versions of the table.
    pub versions: u64,
    /// Sum of the books that stand in the commits.
    pub counts: Counts,
}

/// What comparing a table with what was published says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Published rows that are not in the table.
    pub lost: usize,
    /// Rows that are in the table more than once.
    pub doubled: usize,
    /// Rows in the table that nobody published.
    pub foreign: usize,
}

impl Audit {
    /// Reads a whole table.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn of(storage: &Storage, path: &str) -> Result<Self> {
        let table = Table::open(storage, path).await?;
        let snapshot = table.load().await?;
        let mut audit = Self { versions: snapshot.version(), ..Self::default() };
        let mut scan = table.scan(&snapshot, Some(&[columns::SEQ, columns::ROW, "n"]), None);
        while let Some(batch) = scan.next().await? {
            audit.add(&batch)?;
        }
        for version in table.added_between(0, snapshot.version()).await? {
            audit.counts += Counts::of(&version);
        }
        Ok(audit)
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let sequences = batch.column(0).as_primitive_opt::<Int64Type>().context(columns::SEQ)?;
        let rows = batch.column(1).as_primitive_opt::<Int32Type>().context(columns::ROW)?;
        let numbers = batch.column(2).as_primitive_opt::<Int64Type>().context("n")?;
        ensure!(sequences.null_count() + rows.null_count() + numbers.null_count() == 0, "nulls in positions");
        for at in 0..batch.num_rows() {
            *self.positions.entry((sequences.value(at), rows.value(at))).or_default() += 1;
            *self.numbers.entry(numbers.value(at)).or_default() += 1;
        }
        Ok(())
    }

    /// Adds what another table holds.
    pub fn merge(&mut self, other: Self) {
        for (position, times) in other.positions {
            *self.positions.entry(position).or_default() += times;
        }
        for (number, times) in other.numbers {
            *self.numbers.entry(number).or_default() += times;
        }
        self.versions += other.versions;
        self.counts += other.counts;
    }

    /// Rows of the table.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.positions.values().map(|times| *times as usize).sum()
    }

    /// Compares positions with those published; a gap is a lost row.
    #[must_use]
    pub fn against(&self, published: &Published) -> Findings {
        let expected = published
            .rows
            .iter()
            .flat_map(|(sequence, rows)| (0..*rows).filter_map(|row| Some((*sequence, i32::try_from(row).ok()?))));
        let expected: BTreeSet<(i64, i32)> = expected.collect();
        Findings {
            lost: expected.iter().filter(|position| !self.positions.contains_key(position)).count(),
            doubled: self.doubled(),
            foreign: self.positions.keys().filter(|position| !expected.contains(position)).count(),
        }
    }

    /// Positions and numbers that occur more than once.
    #[must_use]
    pub fn doubled(&self) -> usize {
        let positions = self.positions.values().filter(|times| **times > 1).count();
        positions + self.numbers.values().filter(|times| **times > 1).count()
    }

    /// Whether the table holds exactly the readings of this range, each once.
    #[must_use]
    pub fn has_exactly(&self, numbers: std::ops::Range<i64>) -> bool {
        self.numbers.keys().copied().eq(numbers) && self.doubled() == 0
    }
}
