//! The test of Little (1988): do rows with different gaps have the same means?
//!
//! Means and covariances are the maximum-likelihood ones of a normal distribution, found by the EM algorithm
//! (Dempster, Laird & Rubin 1977) over patterns of gaps. d² = Σ nⱼ (ȳⱼ − μⱼ)ᵀ Σⱼ⁻¹ (ȳⱼ − μⱼ) is χ² with
//! Σ kⱼ − k degrees of freedom when cells are missing completely at random.

use crate::table::Column;
use serde::Serialize;
use std::collections::BTreeMap;
use tidemill_stats::hypothesis::chi_square_sf;

/// Columns that take part at most.
const COLUMNS: usize = 12;
/// Patterns of gaps at most.
const PATTERNS: usize = 300;
/// Rows that a test needs.
const LEAST_ROWS: usize = 30;
const ITERATIONS: usize = 500;
/// EM stands still when no standardised mean or covariance moves by more.
const STILL: f64 = 1e-12;

/// Result of the test.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Little {
    /// d².
    pub statistic: f64,
    /// Degrees of freedom.
    pub dof: u64,
    /// The chance of such differences when cells are missing completely at random.
    pub p: f64,
    /// Patterns of gaps, rows without any value not counted.
    pub patterns: u64,
    /// Columns that took part.
    pub columns: Vec<String>,
}

/// Rows that lack the same columns, as far as the test needs them.
struct Group {
    /// Columns that are there.
    seen: Vec<usize>,
    /// Rows.
    rows: f64,
    /// Sums of their values.
    sums: Vec<f64>,
    /// Sums of the products of their values.
    products: Matrix,
}

impl Group {
    fn new(seen: Vec<usize>) -> Self {
        let k = seen.len();
        Self { seen, rows: 0.0, sums: vec![0.0; k], products: vec![vec![0.0; k]; k] }
    }

    fn add(&mut self, values: &[f64]) {
        self.rows += 1.0;
        for (i, a) in values.iter().enumerate() {
            self.sums[i] += a;
            self.products[i].iter_mut().zip(values).for_each(|(sum, b)| *sum += a * b);
        }
    }
}

/// Makes the test over number columns; none when fewer than two vary, nothing or everything is missing in them, some
/// depend on others exactly, or there are more patterns than can be told apart.
#[must_use]
pub fn little(columns: &[Column]) -> Option<Little> {
    let usable = |column: &&Column| column.kind == tidemill_stats::Kind::Numeric && column.finite().len() >= LEAST_ROWS;
    let varied = columns.iter().filter(usable).filter_map(|column| Some((column, standardised(&column.numbers)?)));
    // Standardised, so that one bound on movement fits all; d² does not change. Columns with gaps come first.
    let mut taken: Vec<(&Column, Vec<f64>)> = varied.collect();
    taken.sort_by_key(|(column, _)| column.missing_count() == 0);
    taken.truncate(COLUMNS);
    let rows = taken.first()?.0.rows();
    let mut groups: BTreeMap<Vec<usize>, Group> = BTreeMap::new();
    for row in 0..rows {
        let seen: Vec<usize> = (0..taken.len()).filter(|at| taken[*at].1[row].is_finite()).collect();
        if !seen.is_empty() {
            let values: Vec<f64> = seen.iter().map(|at| taken[*at].1[row]).collect();
            groups.entry(seen.clone()).or_insert_with(|| Group::new(seen)).add(&values);
        }
    }
    if taken.len() < 2 || !(2..=PATTERNS).contains(&groups.len()) {
        return None;
    }
    let groups: Vec<Group> = groups.into_values().collect();
    let (mean, covariance) = expectation_maximisation(&groups, taken.len())?;
    let (mut statistic, mut known) = (0.0, 0);
    for group in &groups {
        let gap: Vec<f64> = group.seen.iter().zip(&group.sums).map(|(c, sum)| sum / group.rows - mean[*c]).collect();
        let solved = Cholesky::of(&part(&covariance, &group.seen, &group.seen))?.solve(&gap);
        statistic += group.rows * dot(&gap, &solved);
        known += group.seen.len();
    }
    let dof = known.checked_sub(taken.len()).filter(|dof| *dof > 0)? as u64;
    let p = chi_square_sf(statistic, dof);
    let names = taken.iter().map(|(column, _)| column.name.clone()).collect();
    Some(Little { statistic, dof, p, patterns: groups.len() as u64, columns: names })
}

/// Values in standard deviations from the mean, NaN where missing; none for a constant.
fn standardised(values: &[f64]) -> Option<Vec<f64>> {
    let finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let moments = tidemill_stats::Moments::of(&finite);
    let sd = moments.std_dev().filter(|sd| *sd > 0.0)?;
    Some(values.iter().map(|v| if v.is_finite() { (v - moments.mean) / sd } else { f64::NAN }).collect())
}

type Matrix = Vec<Vec<f64>>;

/// Means and covariances of `k` columns. What a pattern lacks is an affine function of what it has, so an iteration
/// needs the sums of each pattern and not its rows.
fn expectation_maximisation(groups: &[Group], k: usize) -> Option<(Vec<f64>, Matrix)> {
    let n: f64 = groups.iter().map(|group| group.rows).sum();
    let mut mean = vec![0.0; k];
    let mut covariance: Matrix = (0..k).map(|i| (0..k).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for _ in 0..ITERATIONS {
        let mut sums = vec![0.0; k];
        let mut squares = vec![vec![0.0; k]; k];
        for group in groups {
            expect(group, &mean, &covariance, &mut sums, &mut squares)?;
        }
        let next: Vec<f64> = sums.iter().map(|sum| sum / n).collect();
        let mut moved = next.iter().zip(&mean).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        for a in 0..k {
            for b in 0..k {
                let value = squares[a][b] / n - next[a] * next[b];
                moved = moved.max((value - covariance[a][b]).abs());
                covariance[a][b] = value;
            }
        }
        mean = next;
        if moved < STILL {
            break;
        }
    }
    Some((mean, covariance))
}

/// Adds the expected sums and products of one pattern.
fn expect(group: &Group, mean: &[f64], covariance: &Matrix, sums: &mut [f64], squares: &mut Matrix) -> Option<()> {
    let (k, seen) = (mean.len(), &group.seen);
    let factor = Cholesky::of(&part(covariance, seen, seen))?;
    // Every column as slopes over what is there plus a constant.
    let (mut slopes, mut constants) = (Vec::with_capacity(k), Vec::with_capacity(k));
    let seen_mean: Vec<f64> = seen.iter().map(|c| mean[*c]).collect();
    for column in 0..k {
        let row: Vec<f64> = match seen.iter().position(|c| *c == column) {
            Some(at) => (0..seen.len()).map(|i| f64::from(u8::from(i == at))).collect(),
            None => factor.solve(&seen.iter().map(|c| covariance[column][*c]).collect::<Vec<_>>()),
        };
        let is_seen = seen.contains(&column);
        constants.push(if is_seen { 0.0 } else { mean[column] - dot(&row, &seen_mean) });
        slopes.push(row);
    }
    let told: Vec<Vec<f64>> =
        slopes.iter().map(|row| group.products.iter().map(|products| dot(row, products)).collect()).collect();
    let reached: Vec<f64> = slopes.iter().map(|row| dot(row, &group.sums)).collect();
    for a in 0..k {
        sums[a] += reached[a] + group.rows * constants[a];
        for b in 0..k {
            squares[a][b] += dot(&told[a], &slopes[b])
                + reached[a] * constants[b]
                + constants[a] * reached[b]
                + group.rows * constants[a] * constants[b];
            if !seen.contains(&a) && !seen.contains(&b) {
                let across: Vec<f64> = seen.iter().map(|c| covariance[b][*c]).collect();
                squares[a][b] += group.rows * (covariance[a][b] - dot(&slopes[a], &across));
            }
        }
    }
    Some(())
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn part(matrix: &Matrix, rows: &[usize], columns: &[usize]) -> Matrix {
    rows.iter().map(|r| columns.iter().map(|c| matrix[*r][*c]).collect()).collect()
}

/// The lower triangular factor of a positive definite matrix.
struct Cholesky {
    lower: Matrix,
}

impl Cholesky {
    /// None when a column depends on the others, give or take rounding.
    fn of(matrix: &Matrix) -> Option<Self> {
        let k = matrix.len();
        let mut lower = vec![vec![0.0; k]; k];
        for i in 0..k {
            for j in 0..=i {
                let done: f64 = (0..j).map(|c| lower[i][c] * lower[j][c]).sum();
                let left = matrix[i][j] - done;
                lower[i][j] = match i == j {
                    true if left <= 1e-10 * matrix[i][i].abs() => return None,
                    true => left.sqrt(),
                    false => left / lower[j][j],
                };
            }
        }
        Some(Self { lower })
    }

    fn solve(&self, right: &[f64]) -> Vec<f64> {
        let k = self.lower.len();
        let mut x = right.to_vec();
        for i in 0..k {
            let done: f64 = (0..i).map(|c| self.lower[i][c] * x[c]).sum();
            x[i] = (x[i] - done) / self.lower[i][i];
        }
        for i in (0..k).rev() {
            let done: f64 = (i + 1..k).map(|c| self.lower[c][i] * x[c]).sum();
            x[i] = (x[i] - done) / self.lower[i][i];
        }
        x
    }
}
