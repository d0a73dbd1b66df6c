//! The chance of a chi-square statistic among random tables, for counts too small for its limit distribution.

use super::Table;
use crate::random::Random;

/// Random tables at most.
const MOST: u64 = 1_999;
/// So many tables at least as far from independence end the search: the chance is then known well enough.
const ENOUGH: u64 = 100;
/// Statistics that differ by less are equal, in spite of rounding.
const SLACK: f64 = 1e-9;

/// Result of [`Table::random_tables`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomTables {
    /// The chance of a statistic at least as large among tables with the same sums of rows and columns.
    pub p: f64,
    /// Random tables drawn.
    pub tables: u64,
}

impl Table {
    /// The chi-square test by random tables with the margins of this one, as R's `chisq.test(simulate.p.value = TRUE)`:
    /// p = (1 + tables at least as far) / (1 + tables). What is clearly not significant ends early (Besag & Clifford
    /// 1991): p is then the share of tables at least as far. Deterministic for a seed; the work grows with the cells and
    /// not with the counts.
    #[must_use]
    pub fn random_tables(&self, seed: u64) -> RandomTables {
        let (rows, columns) = self.sums();
        let n: u64 = rows.iter().sum();
        let expected: Vec<f64> =
            rows.iter().flat_map(|r| columns.iter().map(move |c| *r as f64 * *c as f64 / n as f64)).collect();
        let distance = |counts: &[u64]| -> f64 {
            counts.iter().zip(&expected).map(|(count, expected)| (*count as f64 - expected).powi(2) / expected).sum()
        };
        let seen = distance(self.counts()) * (1.0 - SLACK);
        let ln_factorial = ln_factorials(n);
        let (mut random, mut drawn) = (Random::new(seed), vec![0; expected.len()]);
        let mut as_far = 0;
        for tables in 1..=MOST {
            draw(&mut drawn, (&rows, &columns), &ln_factorial, &mut random);
            as_far += u64::from(distance(&drawn) >= seen);
            if as_far == ENOUGH {
                return RandomTables { p: as_far as f64 / tables as f64, tables };
            }
        }
        RandomTables { p: (1 + as_far) as f64 / (1 + MOST) as f64, tables: MOST }
    }
}

/// ln k! for all k up to `most`.
fn ln_factorials(most: u64) -> Vec<f64> {
    let mut sum = 0.0;
    let next = |k: u64| {
        sum += (k.max(1) as f64).ln();
        sum
    };
    (0..=most).map(next).collect()
}

/// One table with these sums: cell by cell, each from its distribution given all cells before (as Patefield 1981).
fn draw(cells: &mut [u64], (rows, columns): (&[u64], &[u64]), ln_factorial: &[f64], random: &mut Random) {
    let mut left = columns.to_vec();
    for (row, sum) in cells.chunks_exact_mut(columns.len()).zip(rows) {
        // Of `open` places that this row shares with those below it, `to_place` are its own.
        let (mut to_place, mut open) = (*sum, left.iter().sum::<u64>());
        for (cell, left) in row.iter_mut().zip(&mut left) {
            *cell = hypergeometric(*left, open, to_place, ln_factorial, random);
            (to_place, open) = (to_place - *cell, open - *left);
            *left -= *cell;
        }
    }
}

/// How many of `drawn` out of `all` things are among the `marked` ones: the distribution is searched from its mode on.
fn hypergeometric(marked: u64, all: u64, drawn: u64, ln_factorial: &[f64], random: &mut Random) -> u64 {
    let low = (marked + drawn).saturating_sub(all);
    let high = marked.min(drawn);
    if low == high {
        return low;
    }
    let ln = |k: u64| ln_factorial[k as usize];
    let ln_choose = |n: u64, k: u64| ln(n) - ln(k) - ln(n - k);
    let mode = (((marked + 1) as f64 * (drawn + 1) as f64 / (all + 2) as f64) as u64).clamp(low, high);
    let at_mode = (ln_choose(marked, mode) + ln_choose(all - marked, drawn - mode) - ln_choose(all, drawn)).exp();
    let up = |k: u64, p: f64| {
        p * (marked - k) as f64 * (drawn - k) as f64 / ((k + 1) as f64 * ((all + k + 1) - marked - drawn) as f64)
    };
    let down = |k: u64, p: f64| {
        p * k as f64 * (all + k - marked - drawn) as f64 / ((marked - k + 1) as f64 * (drawn - k + 1) as f64)
    };
    let mut rest = random.unit() - at_mode;
    let (mut above, mut p_above) = (mode, at_mode);
    let (mut below, mut p_below) = (mode, at_mode);
    while rest >= 0.0 && (above < high || below > low) {
        if above < high {
            p_above = up(above, p_above);
            above += 1;
            rest -= p_above;
            if rest < 0.0 {
                return above;
            }
        }
        if below > low {
            p_below = down(below, p_below);
            below -= 1;
            rest -= p_below;
            if rest < 0.0 {
                return below;
            }
        }
    }
    mode
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_tables_keep_their_sums_and_cells_have_their_mean_and_variance() {
        let (rows, columns) = (vec![7, 12, 3], vec![9, 1, 8, 4]);
        let ln_factorial = ln_factorials(22);
        let (mut random, mut cells) = (Random::new(1), vec![0; 12]);
        let (mut sum, mut squares) = (0.0, 0.0);
        let draws = 20_000;
        for _ in 0..draws {
            draw(&mut cells, (&rows, &columns), &ln_factorial, &mut random);
            for (row, total) in cells.chunks_exact(4).zip(&rows) {
                assert_eq!(row.iter().sum::<u64>(), *total);
            }
            for (column, total) in columns.iter().enumerate() {
                assert_eq!(cells.iter().skip(column).step_by(4).sum::<u64>(), *total);
            }
            // The cell of the second row and the third column.
            sum += cells[6] as f64;
            squares += (cells[6] * cells[6]) as f64;
        }
        let (mean, n) = (sum / f64::from(draws), 22.0);
        let variance = squares / f64::from(draws) - mean * mean;
        let expected = 12.0 * (8.0 / n) * (14.0 / n) * (10.0 / 21.0);
        assert!((mean - 12.0 * 8.0 / n).abs() < 0.03, "{mean}");
        assert!((variance - expected).abs() < 0.05, "{variance} against {expected}");
    }
}
