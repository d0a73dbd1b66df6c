//! One window of one feature against its reference.

use super::reference::{Reference, Shape, bin_counts, category_counts, sorted_values, without_infinities};
use crate::distance::{self, PsiBand};
use crate::hypothesis::{self, KsMethod};
use crate::values::{self, Kind};
use crate::{Error, Result};
use arrow::array::{Array, ArrayRef};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Inner edges below which a numeric reference is so tied that its bins are tested instead of its ranks.
const FULL_EDGES: usize = 9;
/// Cochran's rule: categories expected less often than this are pooled.
const LEAST_EXPECTED: f64 = 5.0;
/// Level of the single-feature decision.
const ALPHA: f64 = 0.05;

/// The test behind a p-value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// Two-sample Kolmogorov–Smirnov.
    Ks,
    /// Chi-square of homogeneity.
    Chi2,
}

/// How far a window of a feature is from its reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureDrift {
    /// Feature name.
    pub name: String,
    /// Population stability index over the frozen bins, missing values being a bin.
    pub psi: f64,
    /// The PSI exceeded in 5 % of windows of this size without any drift.
    pub psi_critical: f64,
    /// The conventional band of the PSI.
    pub psi_band: PsiBand,
    /// The chance of such a difference without drift. Where missing values occur, KS is joined by a test of their
    /// share, and this is twice the smaller p-value (Bonferroni).
    pub p_value: f64,
    /// The test.
    pub test: Test,
    /// Its statistic.
    pub statistic: f64,
    /// True when the p-value is at most 0.05. For many features use [`super::family`].
    pub drifted: bool,
    /// Categories the reference never saw, at most 20; empty when it could not name all of its own.
    pub new_categories: Vec<String>,
    /// Share of null or NaN rows in the reference.
    pub reference_null_share: f64,
    /// Share of null or NaN rows now.
    pub null_share: f64,
    /// Rows of the reference.
    pub reference_rows: u64,
    /// Rows now.
    pub rows: u64,
}

/// Counts per bin of both sides, and the test's statistic and p-value.
struct Comparison {
    expected: Vec<u64>,
    actual: Vec<u64>,
    test: Test,
    statistic: f64,
    p_value: f64,
    new_categories: Vec<String>,
}

impl Reference {
    /// Compares a window with this reference.
    ///
    /// # Errors
    /// An empty window, or a column of another kind than the reference.
    pub fn compare(&self, current: &ArrayRef) -> Result<FeatureDrift> {
        hypothesis::at_least("drift window", 1, current.len())?;
        let kind = Kind::of(current.data_type());
        let rows = current.len() as u64;
        let (missing, c) = match &self.shape {
            Shape::Numeric { edges, counts, sample } if kind.is_numeric() => {
                let sorted = sorted_values(&values::floats(current)?);
                let missing = rows - sorted.len() as u64;
                (missing, self.numeric(edges, counts, sample, &sorted, missing)?)
            }
            Shape::Categorical { counts, rest } if matches!(kind, Kind::Text | Kind::Boolean) => {
                let (present, now) = category_counts(current)?;
                (rows - present, self.categorical(counts, *rest, &now, rows - present)?)
            }
            _ => {
                return Err(Error::Type { wanted: "the reference's kind", data_type: current.data_type().to_string() });
            }
        };
        let psi = distance::psi(&c.expected, &c.actual)?;
        let bins = c.expected.iter().zip(&c.actual).filter(|(e, a)| **e + **a > 0).count() as u64;
        Ok(FeatureDrift {
            name: self.name.clone(),
            psi,
            psi_critical: distance::psi_critical(bins, self.rows, rows)?,
            psi_band: PsiBand::of(psi),
            p_value: c.p_value,
            test: c.test,
            statistic: c.statistic,
            drifted: c.p_value <= ALPHA,
            new_categories: c.new_categories,
            reference_null_share: self.null_share(),
            null_share: missing as f64 / rows as f64,
            reference_rows: self.rows,
            rows,
        })
    }

    fn numeric(
        &self,
        edges: &[f64],
        counts: &[u64],
        sample: &[f64],
        sorted: &[f64],
        missing: u64,
    ) -> Result<Comparison> {
        let expected: Vec<u64> = counts.iter().copied().chain([self.missing]).collect();
        let actual: Vec<u64> = bin_counts(edges, sorted).into_iter().chain([missing]).collect();
        let new_categories = Vec::new();
        if edges.len() < FULL_EDGES || sorted.is_empty() {
            let chi = hypothesis::chi_square_test(&expected, &actual)?;
            let (statistic, p_value) = (chi.statistic, chi.p);
            return Ok(Comparison { expected, actual, test: Test::Chi2, statistic, p_value, new_categories });
        }
        let ks = hypothesis::ks_two_sample(sample, &without_infinities(sorted), KsMethod::Auto)?;
        let mut p_value = ks.p;
        if self.missing + missing > 0 {
            let rows = sorted.len() as u64 + missing;
            let share = hypothesis::two_proportion_z(self.missing, self.rows, missing, rows)?;
            p_value = (2.0 * ks.p.min(share.p)).min(1.0);
        }
        Ok(Comparison { expected, actual, test: Test::Ks, statistic: ks.statistic, p_value, new_categories })
    }

    fn categorical(
        &self,
        counts: &BTreeMap<String, u64>,
        rest: u64,
        now: &BTreeMap<String, u64>,
        missing: u64,
    ) -> Result<Comparison> {
        let rows = now.values().sum::<u64>() + missing;
        let unknown = now.iter().filter(|(category, _)| !counts.contains_key(*category));
        let unknown_rows = unknown.clone().map(|(_, count)| count).sum::<u64>();
        // A reference that pooled its own rare categories cannot tell a new one from those.
        let new_categories =
            if rest == 0 { unknown.map(|(category, _)| category.clone()).take(20).collect() } else { Vec::new() };
        let named = counts.iter().map(|(category, count)| (*count, now.get(category).copied().unwrap_or(0)));
        let cells = named.chain([(rest, unknown_rows), (self.missing, missing)]);
        let (expected, actual) = pooled(cells, self.rows, rows);
        let chi = hypothesis::chi_square_test(&expected, &actual)?;
        let (statistic, p_value) = (chi.statistic, chi.p);
        Ok(Comparison { expected, actual, test: Test::Chi2, statistic, p_value, new_categories })
    }
}

/// Joins cells that either side would expect fewer than five times, so that the chi-square approximation holds.
fn pooled(cells: impl Iterator<Item = (u64, u64)>, n: u64, m: u64) -> (Vec<u64>, Vec<u64>) {
    let smaller_share = n.min(m) as f64 / (n + m) as f64;
    let mut rare = (0, 0);
    let mut kept: Vec<(u64, u64)> = Vec::new();
    for (a, b) in cells {
        if (a + b) as f64 * smaller_share >= LEAST_EXPECTED {
            kept.push((a, b));
        } else {
            rare = (rare.0 + a, rare.1 + b);
        }
    }
    if rare != (0, 0) {
        kept.push(rare);
    }
    kept.into_iter().unzip()
}
