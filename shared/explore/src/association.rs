//! How columns go together, pair by pair.
//!
//! Two number columns: Pearson's r and Spearman's rank correlation with average ranks. Two category columns: Cramér's V
//! corrected for bias (Bergsma 2013). One of each: the correlation ratio η. All pairs: mutual information between
//! binned columns. Rows where either value is missing or infinite are left out of the pair.

mod order;

pub use order::clustered;

use crate::table::{Categories, Column, MISSING};
use serde::Serialize;
use tidemill_stats::Moments;
use tidemill_stats::hypothesis::{Table, ranked};

/// Columns that are compared at most; 1,770 pairs.
const COLUMNS: usize = 60;
/// Different values of a category column that is compared.
const CATEGORIES: usize = 100;
/// Bins of a number column for mutual information.
const BINS: usize = 10;
/// Codes of a category column for mutual information; the rest share one.
const CODES: usize = 30;
/// Rows that a pair needs.
const LEAST: usize = 10;

/// What a pair is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Spearman's rank correlation, −1 to 1.
    Spearman,
    /// Cramér's V, corrected for bias, 0 to 1.
    CramersV,
    /// Correlation ratio, 0 to 1.
    Eta,
}

/// Two columns.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair {
    /// One column.
    pub a: String,
    /// The other.
    pub b: String,
    /// Rows where both are there.
    pub rows: u64,
    /// The measure of the pair's sort.
    pub measure: Measure,
    /// Its value; none when a column is constant in these rows.
    pub value: Option<f64>,
    /// Pearson's r, of two number columns.
    pub pearson: Option<f64>,
    /// Distance correlation over at most 1,000 rows, of two number columns.
    pub distance: Option<f64>,
    /// Mutual information in nats: the plug-in estimate over at most ten bins of equal counts for numbers and thirty
    /// codes for categories; its bias is about (bins − 1)² / 2n.
    pub mutual_information: Option<f64>,
}

/// All pairs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Associations {
    /// Rows looked at.
    pub rows: u64,
    /// Columns in an order that puts alike ones side by side.
    pub order: Vec<String>,
    /// Pairs, in the order of the table.
    pub pairs: Vec<Pair>,
    /// Columns left out: constant, of too many values, or beyond the first sixty.
    pub left_out: Vec<String>,
}

impl Associations {
    /// The pair of two columns.
    #[must_use]
    pub fn pair(&self, a: &str, b: &str) -> Option<&Pair> {
        self.pairs.iter().find(|pair| (pair.a == a && pair.b == b) || (pair.a == b && pair.b == a))
    }
}

/// Measures all pairs of columns.
#[must_use]
pub fn associations(columns: &[Column]) -> Associations {
    let fits = |column: &&Column| match column.is_number() {
        true => varies(&column.numbers),
        false => column.groups(CATEGORIES).is_some(),
    };
    let (mut kept, mut left_out) = (Vec::new(), Vec::new());
    for column in columns {
        if kept.len() < COLUMNS && fits(&column) {
            kept.push(Prepared::of(column));
        } else {
            left_out.push(column.name.clone());
        }
    }
    let mut pairs = Vec::new();
    for (at, a) in kept.iter().enumerate() {
        pairs.extend(kept[at + 1..].iter().map(|b| pair(a, b)));
    }
    let names: Vec<String> = kept.iter().map(|one| one.column.name.clone()).collect();
    let strength = |a: usize, b: usize| {
        let (first, second) = (a.min(b), a.max(b));
        // Pairs stand row by row of the upper triangle.
        let at = first * (2 * names.len() - first - 1) / 2 + second - first - 1;
        pairs.get(at).and_then(|pair| pair.value).map_or(0.0, f64::abs)
    };
    let order = clustered(names.len(), strength).into_iter().map(|at| names[at].clone()).collect();
    let rows = columns.first().map_or(0, Column::rows) as u64;
    Associations { rows, order, pairs, left_out }
}

fn varies(numbers: &[f64]) -> bool {
    let mut finite = numbers.iter().filter(|v| v.is_finite());
    finite.next().is_some_and(|first| finite.any(|value| value != first))
}

/// A column with what every one of its pairs needs.
struct Prepared<'a> {
    column: &'a Column,
    /// Ranks over all rows, when nothing is missing.
    ranks: Option<Vec<f64>>,
    bins: Vec<u32>,
    bin_count: usize,
}

impl<'a> Prepared<'a> {
    fn of(column: &'a Column) -> Self {
        let complete = column.is_number() && column.numbers.iter().all(|v| v.is_finite());
        let ranks = complete.then(|| ranked(&column.numbers).0);
        let (bins, bin_count) = match (&column.categories, column.is_number()) {
            (Some(categories), false) => categories.capped(CODES),
            _ => binned(&column.numbers, BINS),
        };
        Self { column, ranks, bins, bin_count }
    }
}

/// Codes of at most `bins` bins of about equal counts; equal values share a bin.
#[must_use]
pub fn binned(numbers: &[f64], bins: usize) -> (Vec<u32>, usize) {
    let mut sorted: Vec<f64> = numbers.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let mut edges: Vec<f64> =
        (1..bins).map(|bin| crate::outliers::quantile(&sorted, bin as f64 / bins as f64)).collect();
    edges.dedup();
    let code = |v: &f64| if v.is_finite() { edges.partition_point(|edge| edge <= v) as u32 } else { MISSING };
    (numbers.iter().map(code).collect(), edges.len() + 1)
}

fn pair(a: &Prepared<'_>, b: &Prepared<'_>) -> Pair {
    let (first, second) = (a.column, b.column);
    let mut found = Pair {
        a: first.name.clone(),
        b: second.name.clone(),
        rows: 0,
        measure: Measure::Spearman,
        value: None,
        pearson: None,
        distance: None,
        mutual_information: None,
    };
    match (first.is_number(), second.is_number()) {
        (true, true) => {
            let (x, y) = both(&first.numbers, &second.numbers);
            found.rows = x.len() as u64;
            found.pearson = pearson(&x, &y);
            found.value = match (&a.ranks, &b.ranks) {
                (Some(x), Some(y)) => pearson(x, y),
                _ => spearman(&x, &y),
            };
        }
        (false, false) => {
            found.measure = Measure::CramersV;
            if let (Some(x), Some(y)) = (&first.categories, &second.categories) {
                let table = table((&x.codes, x.names.len()), (&y.codes, y.names.len()));
                found.rows = table.as_ref().map_or(0, |(_, rows)| *rows);
                found.value = table.map(|(table, _)| table.chi_square().cramers_v_corrected);
            }
        }
        (number, _) => {
            found.measure = Measure::Eta;
            let (numbers, categories) = if number { (first, second) } else { (second, first) };
            if let Some(categories) = &categories.categories {
                (found.value, found.rows) = eta(&numbers.numbers, categories);
            }
        }
    }
    let table = table((&a.bins, a.bin_count), (&b.bins, b.bin_count));
    found.mutual_information = table.map(|(table, _)| table.chi_square().mutual_information);
    if found.rows < LEAST as u64 {
        (found.value, found.pearson, found.mutual_information) = (None, None, None);
    }
    found
}

/// Values of the rows where both are finite.
fn both(x: &[f64], y: &[f64]) -> (Vec<f64>, Vec<f64>) {
    x.iter().zip(y).filter(|(x, y)| x.is_finite() && y.is_finite()).map(|(x, y)| (*x, *y)).unzip()
}

/// Pearson's correlation of finite values; none when one does not vary.
#[must_use]
pub fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    if x.len() != y.len() || x.len() < 2 {
        return None;
    }
    let n = x.len() as f64;
    let (mx, my) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        let (dx, dy) = (x - mx, y - my);
        xx += dx * dx;
        yy += dy * dy;
        xy += dx * dy;
    }
    (xx > 0.0 && yy > 0.0).then(|| (xy / (xx.sqrt() * yy.sqrt())).clamp(-1.0, 1.0))
}

/// Spearman's rank correlation with average ranks; none when one does not vary.
#[must_use]
pub fn spearman(x: &[f64], y: &[f64]) -> Option<f64> {
    pearson(&ranked(x).0, &ranked(y).0)
}

/// The correlation ratio: the root of the share of variance between groups, and the rows it rests on.
#[must_use]
pub fn eta(numbers: &[f64], categories: &Categories) -> (Option<f64>, u64) {
    let mut groups: Vec<Vec<f64>> = vec![Vec::new(); categories.names.len()];
    for (value, code) in numbers.iter().zip(&categories.codes) {
        if value.is_finite() && *code != MISSING {
            groups[*code as usize].push(*value);
        }
    }
    let parts: Vec<Moments> = groups.iter().map(|group| Moments::of(group)).collect();
    let mut whole = Moments::default();
    parts.iter().for_each(|part| whole.merge(part));
    if whole.m2 <= 0.0 {
        return (None, whole.count);
    }
    let between: f64 = parts.iter().map(|part| part.count as f64 * (part.mean - whole.mean).powi(2)).sum();
    (Some((between / whole.m2).clamp(0.0, 1.0).sqrt()), whole.count)
}

/// Counts of the pairs of codes, and the rows they rest on.
#[must_use]
pub fn table(a: (&[u32], usize), b: (&[u32], usize)) -> Option<(Table, u64)> {
    let mut counts = vec![0_u64; a.1 * b.1];
    let mut rows = 0;
    for (x, y) in a.0.iter().zip(b.0) {
        if *x != MISSING && *y != MISSING {
            counts[*x as usize * b.1 + *y as usize] += 1;
            rows += 1;
        }
    }
    Some((Table::new(&counts, a.1, b.1).ok()?, rows))
}
