//! Counts in bins that were fixed beforehand, so that windows compare without their rows.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Counts in bins `[eᵢ, eᵢ₊₁)`, the last one closed; what falls outside or is missing is counted apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    edges: Vec<f64>,
    counts: Vec<u64>,
    /// Values below the first edge, −∞ included.
    pub underflow: u64,
    /// Values above the last edge, +∞ included.
    pub overflow: u64,
    /// Nulls.
    pub nulls: u64,
    /// NaN values.
    pub nans: u64,
}

impl Histogram {
    /// An empty histogram with these edges.
    ///
    /// # Errors
    /// Fewer than two edges, an edge that is not finite, edges that do not rise.
    pub fn new(edges: Vec<f64>) -> Result<Self> {
        if edges.len() < 2 {
            return Err(Error::TooFew { what: "histogram edges", need: 2, got: edges.len() });
        }
        if let Some(bad) = edges.iter().find(|e| !e.is_finite()) {
            return Err(Error::Value { what: "histogram edge", value: *bad });
        }
        if let Some(pair) = edges.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(Error::Value { what: "histogram edge that does not rise", value: pair[1] });
        }
        let counts = vec![0; edges.len() - 1];
        Ok(Self { edges, counts, underflow: 0, overflow: 0, nulls: 0, nans: 0 })
    }

    /// The edges, one more than bins.
    #[must_use]
    pub fn edges(&self) -> &[f64] {
        &self.edges
    }

    /// Count per bin.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Everything counted, missing values included.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.underflow + self.overflow + self.nulls + self.nans
    }

    /// Adds one value; `None` is a null.
    pub fn update(&mut self, value: Option<f64>) {
        let Some(value) = value else {
            self.nulls += 1;
            return;
        };
        if value.is_nan() {
            self.nans += 1;
            return;
        }
        let last = self.edges.len() - 1;
        match self.edges.partition_point(|edge| *edge <= value) {
            0 => self.underflow += 1,
            above if above <= last => self.counts[above - 1] += 1,
            _ if value == self.edges[last] => self.counts[last - 1] += 1,
            _ => self.overflow += 1,
        }
    }

    /// Adds all values behind `other`.
    ///
    /// # Errors
    /// Different edges.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.edges != other.edges {
            let text = |edges: &[f64]| format!("{edges:?}");
            return Err(Error::Mismatch { what: "edges", left: text(&self.edges), right: text(&other.edges) });
        }
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.underflow += other.underflow;
        self.overflow += other.overflow;
        self.nulls += other.nulls;
        self.nans += other.nans;
        Ok(())
    }
}
