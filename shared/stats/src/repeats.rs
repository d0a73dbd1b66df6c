//! Exact counts of repeats: of whole rows, of keys, of instants.

use serde::{Deserialize, Serialize};

/// Rows up to which repeats are counted; beyond, a word a row would take too much room.
pub const MOST_ROWS: u64 = 20_000_000;

/// How often values come again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeats {
    /// Values looked at.
    pub values: u64,
    /// Different ones.
    pub distinct: u64,
    /// Values that stand somewhere before, as pandas' `duplicated` counts: values − distinct.
    pub repeated: u64,
    /// Occurrences of the most frequent one.
    pub most: u64,
}

/// Repeats among words that identify values.
#[must_use]
pub fn repeats(mut words: Vec<u64>) -> Repeats {
    words.sort_unstable();
    let mut found = Repeats { values: words.len() as u64, ..Repeats::default() };
    for run in words.chunk_by(|a, b| a == b) {
        found.distinct += 1;
        found.most = found.most.max(run.len() as u64);
    }
    found.repeated = found.values - found.distinct;
    found
}

/// Words of whole rows, made from the words of their columns in any order.
#[derive(Debug, Default)]
pub struct RowWords {
    words: Vec<u64>,
}

impl RowWords {
    /// Adds the words of one column from row `first` on.
    pub fn add(&mut self, first: usize, column: usize, words: &[u64]) {
        let end = first + words.len();
        if self.words.len() < end {
            self.words.resize(end, 0);
        }
        let salt = (column as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for (row, word) in self.words[first..end].iter_mut().zip(words) {
            let mut z = word ^ salt;
            z = (z ^ (z >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
            *row = row.wrapping_add(z ^ (z >> 29));
        }
    }

    /// One word a row.
    #[must_use]
    pub fn into_words(self) -> Vec<u64> {
        self.words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_counted_as_pandas_does() {
        let found = repeats(vec![3, 1, 3, 3, 2, 1]);
        assert_eq!(found, Repeats { values: 6, distinct: 3, repeated: 3, most: 3 });
        let (mut one, mut other) = (RowWords::default(), RowWords::default());
        one.add(0, 0, &[1, 2]);
        one.add(0, 1, &[2, 1]);
        other.add(0, 1, &[2, 1]);
        other.add(0, 0, &[1, 2]);
        assert_eq!(one.words, other.words);
        assert_ne!(one.words[0], one.words[1], "columns that swap their values are another row");
    }
}
