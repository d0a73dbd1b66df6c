//! The rows that the online state took in before validation has decided on them. Pure.

use crate::error::FeatureServiceError;
use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::TimestampMillisecondType;
use std::collections::VecDeque;
use tidemill_dataset::Error as TableError;
use tidemill_types::{Millis, columns};

/// Where a row stands in its stream, and when it became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) seq: i64,
    pub(crate) row: i32,
    pub(crate) known: i64,
}

impl Row {
    /// Columns that are needed to tell rows.
    pub(crate) const COLUMNS: [&str; 3] = [columns::SEQ, columns::ROW, columns::KNOWN_AT];

    /// The rows of a batch.
    ///
    /// # Errors
    /// A batch without the system columns.
    pub(crate) fn all(batch: &RecordBatch) -> Result<Vec<Self>, FeatureServiceError> {
        let missing = || TableError::Column(columns::KNOWN_AT.to_owned());
        let known = batch.column_by_name(columns::KNOWN_AT).ok_or_else(missing)?;
        let known = known.as_primitive_opt::<TimestampMillisecondType>().ok_or_else(missing)?.values();
        let places = tidemill_quality::positions(batch)?;
        Ok(places.into_iter().zip(known).map(|((seq, row), known)| Self { seq, row, known: *known }).collect())
    }
}

/// How the clean table differs from what was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Rows that were taken in and do not stand there.
    pub(crate) surplus: u64,
    /// Rows that stand there and were not taken in.
    pub(crate) missing: u64,
}

/// Rows of one source that the clean table does not cover yet, in the order of the stream.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    rows: VecDeque<Row>,
    oldest: Option<i64>,
}

impl Ahead {
    /// Notes rows that were taken in.
    pub(crate) fn add(&mut self, rows: &[Row]) {
        self.rows.extend(rows);
        let oldest = rows.iter().map(|row| row.known).min();
        self.oldest = [self.oldest, oldest].into_iter().flatten().min();
    }

    /// Compares the rows up to a sequence with those of the clean table, in any order. If they are the same they are no
    /// longer ahead; otherwise nothing changes. Gives the newest knowledge time among them.
    pub(crate) fn settle(&mut self, until: i64, mut clean: Vec<Row>) -> Result<Option<Millis>, Difference> {
        let count = self.rows.partition_point(|row| row.seq <= until);
        let mut taken: Vec<Row> = self.rows.range(..count).copied().collect();
        taken.sort_unstable();
        clean.sort_unstable();
        if taken != clean {
            return Err(difference(&taken, &clean));
        }
        self.rows.drain(..count);
        self.oldest = self.rows.iter().map(|row| row.known).min();
        Ok(taken.iter().map(|row| Millis(row.known)).max())
    }

    /// Forgets all of them; gives how many there were.
    pub(crate) fn clear(&mut self) -> u64 {
        let count = self.len();
        *self = Self::default();
        count
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    /// The oldest knowledge time among them.
    pub(crate) fn oldest(&self) -> Option<Millis> {
        self.oldest.map(Millis)
    }
}

/// How two sorted lists differ.
fn difference(taken: &[Row], clean: &[Row]) -> Difference {
    let not_in = |these: &[Row], those: &[Row]| these.iter().filter(|row| those.binary_search(row).is_err()).count();
    Difference { surplus: not_in(taken, clean) as u64, missing: not_in(clean, taken) as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(seq: i64, row: i32) -> Row {
        Row { seq, row, known: 100 - seq }
    }

    fn ahead() -> Ahead {
        let mut ahead = Ahead::default();
        ahead.add(&[row(1, 0), row(1, 1), row(2, 0)]);
        ahead.add(&[row(4, 0)]);
        ahead
    }

    #[test]
    fn rows_that_stand_in_the_clean_table_are_settled_and_the_others_stay() {
        let mut ahead = ahead();
        assert_eq!(ahead.oldest(), Some(Millis(96)));
        assert_eq!(ahead.settle(3, vec![row(2, 0), row(1, 1), row(1, 0)]), Ok(Some(Millis(99))));
        assert_eq!((ahead.len(), ahead.oldest()), (1, Some(Millis(96))));
        assert_eq!(ahead.settle(4, vec![row(4, 0)]), Ok(Some(Millis(96))));
        assert_eq!((ahead.len(), ahead.oldest()), (0, None));
        assert_eq!(ahead.settle(9, Vec::new()), Ok(None), "a stretch without rows");
    }

    #[test]
    fn a_difference_is_told_both_ways_and_settles_nothing() {
        let mut ahead = ahead();
        let blocked = Difference { surplus: 3, missing: 0 };
        assert_eq!(ahead.settle(3, Vec::new()), Err(blocked));
        assert_eq!(ahead.settle(3, vec![row(1, 0), row(2, 0), row(3, 0)]), Err(Difference { surplus: 1, missing: 1 }));
        assert_eq!(ahead.len(), 4);
        assert_eq!((ahead.clear(), ahead.len(), ahead.oldest()), (4, 0, None));
    }
}
