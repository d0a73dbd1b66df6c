//! The linear algebra of the logistic solver: sparse rows, weighted Gram matrix, Cholesky solve.
//!
//! Everything runs on one thread in row order, so a sum has one value.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// Rows per block of the dense Gram product: a block of 100 columns stays in the second-level cache.
const BLOCK: usize = 512;

/// How many times faster one multiplication is in the blocked dense product than in the scattered sparse one.
const DENSE_ADVANTAGE: f64 = 8.0;

/// Rows of which only the values other than 0 are kept; one-hot columns are nearly all zeros.
pub(crate) struct SparseRows {
    columns: usize,
    starts: Vec<usize>,
    at: Vec<u32>,
    values: Vec<f64>,
}

impl SparseRows {
    pub(crate) fn new(columns: usize) -> Self {
        Self { columns, starts: vec![0], at: Vec::new(), values: Vec::new() }
    }

    /// Adds a row of values in column order.
    pub(crate) fn push(&mut self, row: impl Iterator<Item = f64>) {
        for (column, value) in (0_u32..).zip(row) {
            if value != 0.0 {
                self.at.push(column);
                self.values.push(value);
            }
        }
        self.starts.push(self.at.len());
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    fn len(&self) -> usize {
        self.starts.len() - 1
    }

    fn entries(&self, row: usize) -> (&[u32], &[f64]) {
        let range = self.starts[row]..self.starts[row + 1];
        (&self.at[range.clone()], &self.values[range])
    }

    /// Product of one row with a vector.
    pub(crate) fn dot(&self, row: usize, vector: &[f64]) -> f64 {
        let (at, values) = self.entries(row);
        at.iter().zip(values).map(|(&at, value)| value * vector[at as usize]).sum()
    }

    /// Adds a multiple of one row to a vector.
    pub(crate) fn add_to(&self, row: usize, factor: f64, vector: &mut [f64]) {
        let (at, values) = self.entries(row);
        at.iter().zip(values).for_each(|(&at, value)| vector[at as usize] += factor * value);
    }

    /// The lower triangle of `Xᵀ diag(w) X`, row-major; what lies above the diagonal is undefined.
    pub(crate) fn weighted_gram(&self, weights: &[f64]) -> Vec<f64> {
        let per_row = self.values.len() as f64 / self.len().max(1) as f64;
        let dense = per_row * per_row / 2.0 > (self.columns * self.columns) as f64 / DENSE_ADVANTAGE;
        if dense { self.dense_gram(weights) } else { self.sparse_gram(weights) }
    }

    fn sparse_gram(&self, weights: &[f64]) -> Vec<f64> {
        let d = self.columns;
        let mut gram = vec![0.0; d * d];
        for (row, weight) in weights.iter().enumerate() {
            let (at, values) = self.entries(row);
            for (i, (&column, value)) in at.iter().zip(values).enumerate() {
                let line = &mut gram[column as usize * d..][..d];
                let scaled = weight * value;
                at[..=i].iter().zip(values).for_each(|(&left, value)| line[left as usize] += scaled * value);
            }
        }
        gram
    }

    fn dense_gram(&self, weights: &[f64]) -> Vec<f64> {
        let d = self.columns;
        let mut gram = vec![0.0; d * d];
        let (mut plain, mut scaled) = (vec![0.0; BLOCK * d], vec![0.0; BLOCK * d]);
        for (block, weights) in weights.chunks(BLOCK).enumerate() {
            plain.fill(0.0);
            scaled.fill(0.0);
            for (line, weight) in weights.iter().enumerate() {
                self.add_to(block * BLOCK + line, 1.0, &mut plain[line * d..][..d]);
                self.add_to(block * BLOCK + line, *weight, &mut scaled[line * d..][..d]);
            }
            let rows = weights.len();
            let left = MatRef::from_row_major_slice(&scaled[..rows * d], rows, d);
            let right = MatRef::from_row_major_slice(&plain[..rows * d], rows, d);
            let total = MatMut::from_row_major_slice_mut(&mut gram, d, d);
            matmul(total, Accum::Add, left.transpose(), right, 1.0, Par::Seq);
        }
        gram
    }
}

/// Solves `A x = b` for a symmetric positive definite row-major `A`, of which the lower triangle is read; `None`
/// when it is not positive definite.
pub(crate) fn solve_spd(a: &[f64], b: &[f64]) -> Option<Vec<f64>> {
    let d = b.len();
    let mut l = vec![0.0; d * d];
    for i in 0..d {
        for j in 0..=i {
            let rest = a[i * d + j] - dot(&l[i * d..i * d + j], &l[j * d..j * d + j]);
            if i != j {
                l[i * d + j] = rest / l[j * d + j];
            } else if rest > 0.0 && rest.is_finite() {
                l[i * d + i] = rest.sqrt();
            } else {
                return None;
            }
        }
    }
    let mut x = b.to_vec();
    for i in 0..d {
        x[i] = (x[i] - dot(&l[i * d..i * d + i], &x[..i])) / l[i * d + i];
    }
    for i in (0..d).rev() {
        let below: f64 = (i + 1..d).map(|k| l[k * d + i] * x[k]).sum();
        x[i] = (x[i] - below) / l[i * d + i];
    }
    Some(x)
}

pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_gram_products_are_the_sum_of_weighted_products() {
        let (n, d) = (1200, 7);
        let value = |row: usize, column: usize| ((row * d + column) * 37 % 11) as f64 / 5.0 - 1.0;
        let mut rows = SparseRows::new(d);
        (0..n).for_each(|row| rows.push((0..d).map(|column| value(row, column))));
        let weights: Vec<f64> = (0..n).map(|i| 0.5 + (i % 3) as f64).collect();
        for gram in [rows.sparse_gram(&weights), rows.dense_gram(&weights)] {
            for i in 0..d {
                for j in 0..=i {
                    let direct: f64 = (0..n).map(|row| weights[row] * value(row, i) * value(row, j)).sum();
                    assert!((gram[i * d + j] - direct).abs() < 1e-9);
                }
            }
        }
    }

    #[test]
    fn the_solution_reproduces_the_right_side() {
        let a = [4.0, 0.0, 0.0, 1.0, 3.0, 0.0, -1.0, 0.5, 5.0];
        let b = [1.0, -2.0, 0.5];
        let x = solve_spd(&a, &b).unwrap();
        let full = [[4.0, 1.0, -1.0], [1.0, 3.0, 0.5], [-1.0, 0.5, 5.0]];
        for (line, b) in full.iter().zip(b) {
            assert!((dot(line, &x) - b).abs() < 1e-12);
        }
        assert!(solve_spd(&[1.0, 0.0, 2.0, 1.0], &[1.0, 1.0]).is_none());
    }
}
