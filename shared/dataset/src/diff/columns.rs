//! Two profiles side by side, column by column.
//!
//! A difference counts when it is larger than chance and than the error of the sketches explain: PSI above the value
//! that two samples of one distribution exceed in 5 % of cases, and for numbers also the Kolmogorov–Smirnov distance
//! above its own. Whether it is large as well is said by the conventional bands of PSI.

use crate::error::Error;
use serde::{Deserialize, Serialize};
use tidemill_stats::distance::{PsiBand, psi, psi_critical};
use tidemill_stats::{ColumnProfile, Kind, Quantiles, TableProfile};
use tidemill_types::columns::PREFIX;

/// Cells of a numeric comparison: tenths of the left side.
const TENTHS: usize = 10;
/// Values at which two distribution functions are compared.
const PLACES: usize = 200;
/// c of the KS limit c·√((n+m)/(n·m)), for 5 %.
const KS_FACTOR: f64 = 1.358;
/// Values compared by name.
const NAMED: usize = 20;
/// Sketches of so few values hold them all.
const EXACT: u64 = 256;

/// One side of a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnFacts {
    /// Rows.
    pub rows: u64,
    /// Share of rows that are null or NaN.
    pub missing_share: f64,
    /// Different values, estimated.
    pub distinct: f64,
    /// Mean, of numbers.
    pub mean: Option<f64>,
    /// Standard deviation, of numbers.
    pub std_dev: Option<f64>,
    /// Smallest number.
    pub min: Option<f64>,
    /// Median number.
    pub median: Option<f64>,
    /// Largest number.
    pub max: Option<f64>,
}

impl ColumnFacts {
    /// Counts and shares alone.
    pub(super) fn without_values(&self) -> Self {
        Self { mean: None, std_dev: None, min: None, median: None, max: None, ..self.clone() }
    }
}

/// A column on both sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnDiff {
    /// Its name.
    pub name: String,
    /// How its values were read.
    pub kind: Kind,
    /// The left side.
    pub left: ColumnFacts,
    /// The right side.
    pub right: ColumnFacts,
    /// Population stability index; none where a side has no rows or the values have no distribution.
    pub psi: Option<f64>,
    /// What it must exceed to be more than chance and error.
    pub psi_limit: Option<f64>,
    /// What convention says of its size.
    pub band: Option<PsiBand>,
    /// Largest distance of the distribution functions, of numbers.
    pub ks: Option<f64>,
    /// What it must exceed.
    pub ks_limit: Option<f64>,
    /// Whether the distributions differ by more than chance.
    pub differs: bool,
    /// Frequent values on the right that the left never had.
    pub new_values: Vec<String>,
}

/// Compares every column that both profiles have, system columns left out.
///
/// # Errors
/// None in practice; the statistics', should they refuse a count.
pub fn compare(left: &TableProfile, right: &TableProfile) -> Result<Vec<ColumnDiff>, Error> {
    let declared = left.columns.iter().filter(|column| !column.name.starts_with(PREFIX));
    let pairs = declared.filter_map(|column| Some((column, right.column(&column.name)?)));
    pairs.filter(|(a, b)| a.kind == b.kind).map(|(a, b)| column(a, b)).collect()
}

fn facts(column: &ColumnProfile) -> ColumnFacts {
    let moments = &column.moments;
    let numeric = column.kind.is_numeric() && moments.count > 0;
    ColumnFacts {
        rows: column.count,
        missing_share: column.missing_share(),
        distinct: column.distinct.estimate().round(),
        mean: numeric.then_some(moments.mean),
        std_dev: moments.std_dev().filter(|_| numeric),
        min: moments.min.filter(|_| numeric),
        median: column.quantiles.quantile(0.5).ok().flatten().filter(|_| numeric),
        max: moments.max.filter(|_| numeric),
    }
}

fn column(left: &ColumnProfile, right: &ColumnProfile) -> Result<ColumnDiff, Error> {
    let mut made = ColumnDiff {
        name: left.name.clone(),
        kind: left.kind,
        left: facts(left),
        right: facts(right),
        psi: None,
        psi_limit: None,
        band: None,
        ks: None,
        ks_limit: None,
        differs: false,
        new_values: Vec::new(),
    };
    if left.count == 0 || right.count == 0 || left.kind == Kind::Other {
        return Ok(made);
    }
    let numeric = left.kind.is_numeric();
    let (expected, actual) = if numeric { tenths(left, right)? } else { named(left, right) };
    let cells = expected.iter().zip(&actual).filter(|(e, a)| **e + **a > 0).count();
    let found = psi(&expected, &actual)?;
    let limit =
        psi_critical(cells as u64, left.count, right.count)? + if numeric { slack(left, right, cells) } else { 0.0 };
    made.psi = Some(found);
    made.psi_limit = Some(limit);
    made.band = Some(PsiBand::of(found));
    made.differs = found > limit;
    if numeric && left.quantiles.count() > 0 && right.quantiles.count() > 0 {
        let (distance, limit) = kolmogorov_smirnov(&left.quantiles, &right.quantiles)?;
        made.ks = Some(distance);
        made.ks_limit = Some(limit);
        // Missing values have no place in the functions, so their share alone may differ.
        let missing_moved = (left.missing_share() - right.missing_share()).abs() > f64::EPSILON;
        made.differs &= distance > limit || missing_moved;
    }
    if !numeric && left.topk.is_exact() {
        let known: Vec<&str> = left.topk.entries().iter().map(|e| e.value.as_str()).collect();
        let new = right.topk.entries().iter().filter(|e| !known.contains(&e.value.as_str()));
        made.new_values = new.take(NAMED).map(|e| e.value.clone()).collect();
    }
    Ok(made)
}

/// Rows of both sides in the tenths of the left, and the missing ones.
fn tenths(left: &ColumnProfile, right: &ColumnProfile) -> Result<(Vec<u64>, Vec<u64>), Error> {
    let shares: Vec<f64> = (1..TENTHS).map(|tenth| tenth as f64 / TENTHS as f64).collect();
    let mut edges = left.quantiles.quantiles(&shares)?.unwrap_or_default();
    edges.dedup();
    // An edge at the largest value would leave an empty cell behind it.
    edges.retain(|edge| left.moments.max.is_none_or(|max| *edge < max));
    let count = |column: &ColumnProfile| {
        let total = column.quantiles.count();
        let ranks = edges.iter().map(|edge| column.quantiles.rank(*edge).unwrap_or(0.0));
        let mut below: Vec<u64> = ranks.map(|rank| (rank * total as f64).round() as u64).collect();
        below.push(total);
        let mut cells: Vec<u64> = Vec::with_capacity(below.len() + 1);
        let mut before = 0;
        for reached in below {
            cells.push(reached.saturating_sub(before));
            before = reached;
        }
        cells.push(column.count.saturating_sub(total));
        cells
    };
    Ok((count(left), count(right)))
}

/// What the error of the sketches can add to PSI: every cell off by twice the rank error of both sides.
fn slack(left: &ColumnProfile, right: &ColumnProfile, cells: usize) -> f64 {
    let error: f64 = [left, right].iter().map(|column| rank_error(&column.quantiles)).sum();
    (cells as f64 * error).powi(2)
}

/// Error of a rank; small sketches hold every value.
fn rank_error(quantiles: &Quantiles) -> f64 {
    if quantiles.count() <= EXACT { 0.0 } else { Quantiles::rank_error() }
}

/// The largest distance found, and what chance and the sketches can make of it.
fn kolmogorov_smirnov(left: &Quantiles, right: &Quantiles) -> Result<(f64, f64), Error> {
    let shares: Vec<f64> = (0..=PLACES).map(|i| i as f64 / PLACES as f64).collect();
    let places = [left, right].map(|side| side.quantiles(&shares));
    let mut distance = 0.0_f64;
    for place in places.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().flatten() {
        let (a, b) = (left.rank(place).unwrap_or(0.0), right.rank(place).unwrap_or(0.0));
        distance = distance.max((a - b).abs());
    }
    let (n, m) = (left.count() as f64, right.count() as f64);
    Ok((distance, KS_FACTOR * ((n + m) / (n * m)).sqrt() + rank_error(left) + rank_error(right)))
}

/// Rows of both sides by the frequent values of the left, then all others, then the missing ones.
fn named(left: &ColumnProfile, right: &ColumnProfile) -> (Vec<u64>, Vec<u64>) {
    let (mut expected, mut actual) = (Vec::new(), Vec::new());
    for entry in left.topk.entries().iter().take(NAMED) {
        let there = right.topk.entries().iter().find(|e| e.value == entry.value);
        expected.push(entry.count);
        // A value that the right does not list occurred there at most so often.
        actual.push(there.map_or_else(|| right.topk.floor() / 2, |e| e.count));
    }
    let rest = |column: &ColumnProfile, named: &[u64]| {
        let present = column.count - column.nulls;
        present.saturating_sub(named.iter().sum())
    };
    let (others, theirs) = (rest(left, &expected), rest(right, &actual));
    expected.extend([others, left.nulls]);
    actual.extend([theirs, right.nulls]);
    (expected, actual)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
    use std::sync::Arc;

    /// Uniform numbers in 0..1 from SplitMix64.
    fn numbers(seed: u64, count: usize) -> Vec<f64> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        };
        (0..count).map(|_| next()).collect()
    }

    fn profile(values: &[f64]) -> TableProfile {
        let letter = |v: &f64| ["a", "b", "c", "d"][(v * 4.0) as usize % 4];
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(values.iter().map(letter)));
        let numbers: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
        TableProfile::of(&RecordBatch::try_from_iter([("x", numbers), ("t", texts)]).unwrap()).unwrap()
    }

    #[test]
    fn two_samples_of_one_distribution_differ_in_few_cases_whatever_their_size() {
        for size in [100, 1_000, 20_000] {
            let mut alarms = [0, 0];
            for seed in 0..100 {
                let columns = compare(&profile(&numbers(seed, size)), &profile(&numbers(seed + 1_000, size))).unwrap();
                for (count, column) in alarms.iter_mut().zip(&columns) {
                    *count += usize::from(column.differs);
                }
            }
            assert!(alarms.iter().all(|count| *count <= 12), "{alarms:?} of 100 at {size} rows");
        }
    }

    #[test]
    fn a_shift_a_new_value_and_a_loss_of_values_are_each_found() {
        let usual = profile(&numbers(1, 5_000));
        let shifted: Vec<f64> = numbers(2, 5_000).iter().map(|v| (v + 0.2).min(0.999)).collect();
        let found = compare(&usual, &profile(&shifted)).unwrap();
        assert!(found.iter().all(|column| column.differs), "{found:?}");
        assert!((found[0].ks.unwrap() - 0.2).abs() < 0.03 && found[0].band == Some(PsiBand::Act), "{found:?}");

        let texts = |values: Vec<Option<&str>>| {
            let column: ArrayRef = Arc::new(StringArray::from(values));
            TableProfile::of(&RecordBatch::try_from_iter([("t", column)]).unwrap()).unwrap()
        };
        let (old, new) = (texts(vec![Some("a"); 500]), texts([vec![Some("a"); 400], vec![Some("z"); 100]].concat()));
        let found = compare(&old, &new).unwrap();
        assert!(found[0].differs && found[0].new_values == ["z"], "{found:?}");

        let gaps: ArrayRef = Arc::new(Float64Array::from_iter(
            numbers(3, 5_000).iter().enumerate().map(|(i, v)| (i % 3 != 0).then_some(*v)),
        ));
        let gaps = TableProfile::of(&RecordBatch::try_from_iter([("x", gaps)]).unwrap()).unwrap();
        assert!(compare(&usual, &gaps).unwrap()[0].differs);
    }
}
