//! One window of one feature against its reference.

use super::reference::{Reference, Shape, bin_counts, category_counts, pseudonyms, sorted_values, without_infinities};
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
/// Categories that a distribution names.
const SHOWN: usize = 14;
/// Name of the cell of all other categories.
const OTHERS: &str = "other";
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
    /// Both sides bin by bin, as a chart shows them; absent in reports that older versions wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution: Option<Distribution>,
}

impl FeatureDrift {
    /// Shows values as `shown` says, which gets those that stand beside each other: new categories, then the names of
    /// the cells. The cell of all other categories names none.
    pub fn show_values(&mut self, shown: impl Fn(&[String]) -> Vec<String>) {
        self.new_categories = shown(&self.new_categories);
        if let Some(distribution) = &mut self.distribution {
            let others = distribution.cells.pop_if(|last| last == OTHERS);
            distribution.cells = shown(&distribution.cells);
            distribution.cells.extend(others);
        }
    }
}

/// Rows of both sides over the same bins or values; one cell more than names, for missing values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    /// Names of the cells: values, or the upper ends of bins.
    pub cells: Vec<String>,
    /// Rows of the reference.
    pub expected: Vec<u64>,
    /// Rows now.
    pub actual: Vec<u64>,
}

/// Counts per bin of both sides, and the test's statistic and p-value.
struct Comparison {
    expected: Vec<u64>,
    actual: Vec<u64>,
    test: Test,
    statistic: f64,
    p_value: f64,
    new_categories: Vec<String>,
    distribution: Distribution,
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
            Shape::Categorical { counts, rest, salt } if matches!(kind, Kind::Text | Kind::Boolean) => {
                let (present, now) = category_counts(current)?;
                let now = match salt {
                    Some(salt) => pseudonyms(salt, &self.name, now),
                    None => now,
                };
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
            distribution: Some(c.distribution),
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
        let distribution = Distribution::of_bins(edges, &expected, &actual);
        if edges.len() < FULL_EDGES || sorted.is_empty() {
            let chi = hypothesis::chi_square_test(&expected, &actual)?;
            let (statistic, p_value) = (chi.statistic, chi.p);
            return Ok(Comparison {
                expected,
                actual,
                test: Test::Chi2,
                statistic,
                p_value,
                new_categories,
                distribution,
            });
        }
        let ks = hypothesis::ks_two_sample(sample, &without_infinities(sorted), KsMethod::Auto)?;
        let mut p_value = ks.p;
        if self.missing + missing > 0 {
            let rows = sorted.len() as u64 + missing;
            let share = hypothesis::two_proportion_z(self.missing, self.rows, missing, rows)?;
            p_value = (2.0 * ks.p.min(share.p)).min(1.0);
        }
        Ok(Comparison {
            expected,
            actual,
            test: Test::Ks,
            statistic: ks.statistic,
            p_value,
            new_categories,
            distribution,
        })
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
        let distribution = Distribution::of_values(counts, now, [(rest, unknown_rows), (self.missing, missing)]);
        let count_now = |category: &String| now.get(category).copied().unwrap_or(0);
        let mut named: Vec<(u64, u64)> = counts.iter().map(|(category, count)| (*count, count_now(category))).collect();
        // By the counts, not by the names: sums round alike whatever the categories are called.
        named.sort_unstable();
        let cells = named.into_iter().chain([(rest, unknown_rows), (self.missing, missing)]);
        let (expected, actual) = pooled(cells, self.rows, rows);
        let chi = hypothesis::chi_square_test(&expected, &actual)?;
        let (statistic, p_value) = (chi.statistic, chi.p);
        Ok(Comparison { expected, actual, test: Test::Chi2, statistic, p_value, new_categories, distribution })
    }
}

impl Distribution {
    fn of_bins(edges: &[f64], expected: &[u64], actual: &[u64]) -> Self {
        let mut cells: Vec<String> = edges.iter().map(|edge| format!("≤ {}", shown(*edge))).collect();
        cells.push(edges.last().map_or_else(|| "all".to_owned(), |edge| format!("> {}", shown(*edge))));
        Self { cells, expected: expected.to_vec(), actual: actual.to_vec() }
    }

    /// The values that are most frequent on either side; `others` are those of no name and the missing ones.
    fn of_values(counts: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>, others: [(u64, u64); 2]) -> Self {
        let pair = |value: &String, count: u64| (count, now.get(value).copied().unwrap_or(0));
        let mut named: Vec<(&String, (u64, u64))> = counts.iter().map(|(v, c)| (v, pair(v, *c))).collect();
        named.sort_by_key(|(_, (a, b))| std::cmp::Reverse(((*a).max(*b), *a, *b)));
        let rare = named.split_off(named.len().min(SHOWN));
        let rare = rare.iter().fold(others[0], |sum, (_, (a, b))| (sum.0 + a, sum.1 + b));
        let mut cells: Vec<String> = named.iter().map(|(value, _)| (*value).clone()).collect();
        cells.push(OTHERS.to_owned());
        let counted = named.iter().map(|(_, pair)| *pair).chain([rare, others[1]]);
        let (expected, actual) = counted.unzip();
        Self { cells, expected, actual }
    }
}

/// An edge with three digits that count; it only names a bin.
fn shown(edge: f64) -> String {
    let text = match edge.abs() {
        size if size >= 1e6 || (size > 0.0 && size < 1e-3) => return format!("{edge:.1e}"),
        size if size >= 100.0 => format!("{edge:.0}"),
        size if size >= 10.0 => format!("{edge:.1}"),
        size if size >= 1.0 => format!("{edge:.2}"),
        _ => format!("{edge:.3}"),
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
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
