//! Independence of two columns of categories.

use super::{at_least, contingency::upper_tail};
use crate::{Error, Result};
use statrs::function::factorial::ln_factorial;

/// Counts of the pairs of two columns of categories, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    counts: Vec<u64>,
    rows: usize,
    columns: usize,
}

/// Result of [`Table::chi_square`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Independence {
    /// Σ (observed − expected)² / expected, without continuity correction.
    pub statistic: f64,
    /// Degrees of freedom: (rows − 1)(columns − 1).
    pub dof: u64,
    /// The chance of a statistic at least as large.
    pub p: f64,
    /// The smallest expected count.
    pub least_expected: f64,
    /// Share of the cells expected less than five times.
    pub sparse_share: f64,
    /// Cramér's V.
    pub cramers_v: f64,
    /// Cramér's V without the bias of few rows, Bergsma (2013).
    pub cramers_v_corrected: f64,
    /// Mutual information in nats, the plug-in estimate over the counts; its bias is about dof / 2n.
    pub mutual_information: f64,
}

impl Table {
    /// A table of `rows` × `columns` counts; rows and columns without any count are left out.
    ///
    /// # Errors
    /// A number of counts that does not fit, or no count at all.
    pub fn new(counts: &[u64], rows: usize, columns: usize) -> Result<Self> {
        if counts.len() != rows * columns {
            let (left, right) = (counts.len().to_string(), (rows * columns).to_string());
            return Err(Error::Mismatch { what: "numbers of cells", left, right });
        }
        let seen_row = |r: &usize| (0..columns).any(|c| counts[r * columns + c] > 0);
        let seen_column = |c: &usize| (0..rows).any(|r| counts[r * columns + c] > 0);
        let kept: Vec<usize> = (0..columns).filter(seen_column).collect();
        let kept_rows: Vec<usize> = (0..rows).filter(seen_row).collect();
        at_least("table of counts", 1, kept_rows.len())?;
        let cells = kept_rows.iter().flat_map(|r| kept.iter().map(move |c| counts[r * columns + c]));
        Ok(Self { counts: cells.collect(), rows: kept_rows.len(), columns: kept.len() })
    }

    /// Rows that have a count.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns that have a count.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Counts row by row.
    pub(super) fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Sums of the rows and of the columns.
    pub(super) fn sums(&self) -> (Vec<u64>, Vec<u64>) {
        let (mut rows, mut columns) = (vec![0; self.rows], vec![0; self.columns]);
        for (at, count) in self.counts.iter().enumerate() {
            rows[at / self.columns] += *count;
            columns[at % self.columns] += *count;
        }
        (rows, columns)
    }

    fn margins(&self) -> (Vec<f64>, Vec<f64>, f64) {
        let (mut rows, mut columns) = (vec![0.0; self.rows], vec![0.0; self.columns]);
        for (at, count) in self.counts.iter().enumerate() {
            rows[at / self.columns] += *count as f64;
            columns[at % self.columns] += *count as f64;
        }
        let n = rows.iter().sum();
        (rows, columns, n)
    }

    /// Pearson's chi-square test with the measures that go with it; scipy's `chi2_contingency(correction=False)`.
    ///
    /// A table with one row or column cannot show dependence: p is one, every measure zero.
    #[must_use]
    pub fn chi_square(&self) -> Independence {
        let (rows, columns, n) = self.margins();
        let (mut statistic, mut information) = (0.0, 0.0);
        let (mut least, mut sparse) = (f64::INFINITY, 0_usize);
        for (at, count) in self.counts.iter().enumerate() {
            let observed = *count as f64;
            let expected = rows[at / self.columns] * columns[at % self.columns] / n;
            statistic += (observed - expected).powi(2) / expected;
            if observed > 0.0 {
                information += observed / n * (observed / expected).ln();
            }
            least = least.min(expected);
            sparse += usize::from(expected < 5.0);
        }
        let dof = ((self.rows - 1) * (self.columns - 1)) as u64;
        let (cramers_v, cramers_v_corrected) = self.cramers(statistic, n);
        Independence {
            statistic,
            dof,
            p: upper_tail(statistic, dof),
            least_expected: least,
            sparse_share: sparse as f64 / self.counts.len() as f64,
            cramers_v,
            cramers_v_corrected,
            mutual_information: information.max(0.0),
        }
    }

    fn cramers(&self, statistic: f64, n: f64) -> (f64, f64) {
        let (r, c) = (self.rows as f64, self.columns as f64);
        if r.min(c) < 2.0 {
            return (0.0, 0.0);
        }
        let phi2 = statistic / n;
        let plain = (phi2 / (r.min(c) - 1.0)).sqrt();
        if n <= 1.0 {
            return (plain, 0.0);
        }
        let unbiased = (phi2 - (r - 1.0) * (c - 1.0) / (n - 1.0)).max(0.0);
        let (r, c) = (r - (r - 1.0).powi(2) / (n - 1.0), c - (c - 1.0).powi(2) / (n - 1.0));
        let room = r.min(c) - 1.0;
        (plain, if room > 0.0 { (unbiased / room).sqrt().min(1.0) } else { 0.0 })
    }

    /// Fisher's exact test of a 2×2 table, two-sided: the chance of all tables with the same margins that are no more
    /// likely; scipy's `fisher_exact`. `None` for any other shape.
    #[must_use]
    pub fn fisher(&self) -> Option<f64> {
        let [a, b, c, d] = <[u64; 4]>::try_from(self.counts.as_slice()).ok().filter(|_| self.rows == 2)?;
        let (first, second, column) = (a + b, c + d, a + c);
        let whole = ln_choose(first + second, column);
        let chance = |x: u64| (ln_choose(first, x) + ln_choose(second, column - x) - whole).exp();
        let seen = chance(a);
        let (low, high) = (column.saturating_sub(second), first.min(column));
        // The slack is scipy's, so that equal chances count as equal in spite of rounding.
        let limit = seen * (1.0 + 1e-7);
        Some((low..=high).map(chance).filter(|p| *p <= limit).sum::<f64>().min(1.0))
    }
}

fn ln_choose(n: u64, k: u64) -> f64 {
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}
