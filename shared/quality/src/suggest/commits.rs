//! A history cut into commits of the size that live ones have, and what sampling alone scatters in them.

use crate::commit::quantile;
use crate::error::QualityError;
use arrow::array::RecordBatch;
use std::ops::Range;

/// Commits a history needs at least.
const LEAST: usize = 4;
/// How often sampling alone may take a commit over a proposed bound.
pub(super) const RARE: f64 = 1e-5;

/// Rows in the order in which they came, with the bounds of commits: from the first row to the last, rising.
#[derive(Clone, Debug)]
pub(super) struct History {
    pub(super) rows: RecordBatch,
    edges: Vec<usize>,
}

impl History {
    /// Cuts rows into commits. `sizes` are those of the newest, the oldest first; rows from before are cut by the
    /// median.
    ///
    /// # Errors
    /// Rows for fewer than four commits.
    pub(super) fn cut(rows: RecordBatch, sizes: &[usize]) -> Result<Self, QualityError> {
        let sizes: Vec<usize> = sizes.iter().copied().filter(|size| *size > 0).collect();
        let usual = quantile(&mut sizes.iter().map(|size| *size as f64).collect::<Vec<_>>(), 0.5);
        let usual = usual.map_or(rows.num_rows(), |median| median as usize).max(1);
        let mut edges = vec![rows.num_rows()];
        let mut first = rows.num_rows();
        for size in sizes.iter().rev() {
            if first == 0 {
                break;
            }
            first = first.saturating_sub(*size);
            edges.push(first);
        }
        while first > 0 {
            // What would be left over joins the oldest commit.
            first = if first < 2 * usual { 0 } else { first - usual };
            edges.push(first);
        }
        edges.reverse();
        let history = Self { rows, edges };
        if history.commits() < LEAST {
            return Err(QualityError::Batch(format!(
                "{} rows make {} commits of {usual}: {LEAST} are needed to try rules on",
                history.rows.num_rows(),
                history.commits()
            )));
        }
        Ok(history)
    }

    /// Number of commits.
    pub(super) fn commits(&self) -> usize {
        self.edges.len() - 1
    }

    /// Rows of a commit, by its place.
    pub(super) fn commit(&self, place: usize) -> Range<usize> {
        self.edges[place]..self.edges[place + 1]
    }

    /// Rows of each commit.
    pub(super) fn each(&self) -> impl Iterator<Item = Range<usize>> {
        self.edges.windows(2).map(|pair| pair[0]..pair[1])
    }

    /// Rows of a commit of the middle.
    pub(super) fn usual(&self) -> f64 {
        quantile(&mut self.each().map(|rows| rows.len() as f64).collect::<Vec<_>>(), 0.5).unwrap_or(1.0)
    }

    /// The first commit that begins at a row or later.
    pub(super) fn place_of(&self, row: usize) -> usize {
        self.edges.partition_point(|edge| *edge < row).min(self.commits())
    }

    /// What came before a commit.
    pub(super) fn before(&self, place: usize) -> Self {
        Self { rows: self.rows.slice(0, self.edges[place]), edges: self.edges[..=place].to_vec() }
    }

    /// The share that the share of something with this probability exceeds in a commit with a chance of [`RARE`] at most,
    /// by Chernoff's bound: of n rows, exp(−n·KL). None where even a commit full of it is no rarity.
    pub(super) fn share_exceeded_rarely(&self, probability: f64) -> Option<f64> {
        let (p, commits) = (probability.clamp(f64::MIN_POSITIVE, 1.0), self.commits() as f64);
        let chance = |share: f64| {
            let absent = if share < 1.0 { (1.0 - share) * ((1.0 - share) / (1.0 - p)).ln() } else { 0.0 };
            let divergence = share * (share / p).ln() + absent;
            self.each().map(|rows| (-(rows.len() as f64) * divergence).exp()).sum::<f64>() / commits
        };
        if p >= 1.0 || chance(1.0) > RARE {
            return None;
        }
        let (mut low, mut high) = (p, 1.0);
        for _ in 0..40 {
            let middle = 0.5 * (low + high);
            if chance(middle) > RARE { low = middle } else { high = middle }
        }
        Some(high)
    }
}
