//! Missing cells: which occur together, and whether they are missing at random.

mod little;
mod places;
mod predict;

pub use little::{Little, little};
pub use places::{Places, Segment};
pub use predict::{Predictability, predictability};

use crate::association::pearson;
use crate::table::Column;
use serde::Serialize;
use std::collections::BTreeMap;

/// Patterns that are told.
const PATTERNS: usize = 20;
/// Columns with missing cells that are looked at.
const COLUMNS: usize = 40;

/// A set of columns that are missing together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pattern {
    /// Columns without a value; empty for complete rows.
    pub missing: Vec<String>,
    /// Rows of exactly this pattern.
    pub rows: u64,
}

/// How alike the gaps of two columns are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Nullity {
    /// One column.
    pub a: String,
    /// The other.
    pub b: String,
    /// Correlation of "is missing": 1 always together, −1 never together.
    pub correlation: f64,
}

/// What is missing in the sampled rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Missing {
    /// Rows looked at.
    pub rows: u64,
    /// Columns with at least one missing cell and at least one value, in the order of the table.
    pub columns: Vec<String>,
    /// Patterns, the most frequent first.
    pub patterns: Vec<Pattern>,
    /// Number of different patterns.
    pub pattern_count: u64,
    /// Correlation of the gaps, pair by pair.
    pub nullity: Vec<Nullity>,
    /// Little's test of "missing completely at random" over the number columns; none when it cannot be made.
    pub little: Option<Little>,
    /// How well other columns tell where a column is missing.
    pub predictability: Vec<Predictability>,
    /// When, and in which rows, cells are missing.
    pub places: Vec<Places>,
}

/// Looks at missing cells; only the columns in `shown` may lend their values as names of segments.
#[must_use]
pub fn missing(columns: &[Column], shown: &[&Column], time: Option<&Column>, seed: u64) -> Missing {
    let rows = columns.first().map_or(0, Column::rows);
    let partly = |column: &&Column| (1..rows).contains(&column.missing_count());
    let gappy: Vec<&Column> = columns.iter().filter(partly).take(COLUMNS).collect();
    let mut counts: BTreeMap<Vec<usize>, u64> = BTreeMap::new();
    for row in 0..rows {
        let pattern = (0..gappy.len()).filter(|at| gappy[*at].missing[row]).collect();
        *counts.entry(pattern).or_default() += 1;
    }
    let pattern_count = counts.len() as u64;
    let named = |set: Vec<usize>| set.into_iter().map(|at| gappy[at].name.clone()).collect();
    let mut patterns: Vec<Pattern> =
        counts.into_iter().map(|(set, rows)| Pattern { missing: named(set), rows }).collect();
    patterns.sort_by_key(|pattern| std::cmp::Reverse(pattern.rows));
    patterns.truncate(PATTERNS);
    Missing {
        rows: rows as u64,
        columns: gappy.iter().map(|column| column.name.clone()).collect(),
        patterns,
        pattern_count,
        nullity: nullity(&gappy),
        little: little(columns),
        predictability: predictability(columns, &gappy, seed),
        places: places::places(&gappy, shown, time),
    }
}

fn nullity(gappy: &[&Column]) -> Vec<Nullity> {
    let flags: Vec<Vec<f64>> =
        gappy.iter().map(|c| c.missing.iter().map(|missing| f64::from(u8::from(*missing))).collect()).collect();
    let mut found = Vec::new();
    for (i, a) in gappy.iter().enumerate() {
        for (j, b) in gappy.iter().enumerate().skip(i + 1) {
            if let Some(correlation) = pearson(&flags[i], &flags[j]) {
                found.push(Nullity { a: a.name.clone(), b: b.name.clone(), correlation });
            }
        }
    }
    found
}
