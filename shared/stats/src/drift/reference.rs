//! What is kept of a training feature to compare later windows with.

use crate::values::{self, Kind};
use crate::{Error, Result};
use arrow::array::{Array, ArrayRef, Float64Array};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidemill_types::pseudonym;

/// Bins of a numeric reference.
const DECILES: usize = 10;
/// Values kept for the KS test.
const SAMPLE: usize = 2_000;
/// Categories kept by name; rarer ones are counted together.
const CATEGORIES: usize = 1_000;
const SEED: u64 = 0x7265_6665_7265_6e63;

/// A feature as it was at training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// Feature name.
    pub name: String,
    /// Rows, missing ones included.
    pub rows: u64,
    /// Rows that were null or NaN.
    pub missing: u64,
    /// The distribution of the others.
    pub shape: Shape,
}

/// The distribution of a reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Shape {
    /// Numbers or instants.
    Numeric {
        /// Inner decile edges, rising, repeated ones dropped; bin i is `(edge[i-1], edge[i]]`.
        edges: Vec<f64>,
        /// Rows per bin; one more than edges.
        counts: Vec<u64>,
        /// At most 2,000 values drawn without replacement, ascending; infinite ones as the largest numbers.
        sample: Vec<f64>,
    },
    /// Texts or booleans.
    Categorical {
        /// Rows per category, the most frequent 1,000.
        counts: BTreeMap<String, u64>,
        /// Rows of all other categories.
        rest: u64,
        /// Set where the categories go by pseudonyms, which are made with it: the feature is personal. Absent also in
        /// bundles of versions that knew no pseudonyms.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        salt: Option<String>,
    },
}

impl Reference {
    /// Freezes a feature. Deterministic: the sample is drawn with a fixed seed.
    ///
    /// # Errors
    /// A column that is neither numeric, instant, text nor boolean, or has no value at all.
    pub fn of(name: &str, array: &ArrayRef) -> Result<Self> {
        let rows = array.len() as u64;
        let (present, shape) = match Kind::of(array.data_type()) {
            Kind::Numeric | Kind::Instant => numeric(&values::floats(array)?)?,
            Kind::Text | Kind::Boolean => categorical(array)?,
            Kind::Other => {
                return Err(Error::Type { wanted: "a feature", data_type: array.data_type().to_string() });
            }
        };
        Ok(Self { name: name.to_owned(), rows, missing: rows - present, shape })
    }

    /// The reference with pseudonyms in the place of its categories. It is compared as before, to the last bit; numbers
    /// have none, since they are compared by their order.
    #[must_use]
    pub fn pseudonymous(mut self, with: &str) -> Self {
        if let Shape::Categorical { counts, salt: salt @ None, .. } = &mut self.shape {
            *counts = pseudonyms(with, &self.name, std::mem::take(counts));
            *salt = Some(with.to_owned());
        }
        self
    }

    /// Whether its categories go by pseudonyms.
    #[must_use]
    pub fn is_pseudonymous(&self) -> bool {
        matches!(self.shape, Shape::Categorical { salt: Some(_), .. })
    }

    /// Share of rows that were null or NaN.
    #[must_use]
    pub fn null_share(&self) -> f64 {
        self.missing as f64 / self.rows as f64
    }
}

/// Rows per pseudonym of a category.
pub(crate) fn pseudonyms(salt: &str, name: &str, counts: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    counts.into_iter().map(|(category, count)| (pseudonym(salt, name, &category), count)).collect()
}

/// The values that take part in a comparison, ascending; infinite ones belong to the outer bins.
pub(crate) fn sorted_values(numbers: &Float64Array) -> Vec<f64> {
    let mut values: Vec<f64> = numbers.iter().flatten().filter(|v| !v.is_nan()).collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// Rank tests need the order of the values only, so the largest numbers can stand for the infinities.
pub(crate) fn without_infinities(values: &[f64]) -> Vec<f64> {
    values.iter().map(|v| v.clamp(f64::MIN, f64::MAX)).collect()
}

/// Rows of `sorted` per right-closed bin.
pub(crate) fn bin_counts(edges: &[f64], sorted: &[f64]) -> Vec<u64> {
    let ends = edges.iter().map(|edge| sorted.partition_point(|v| v <= edge)).chain([sorted.len()]);
    ends.scan(0, |start, end| Some((end - std::mem::replace(start, end)) as u64)).collect()
}

fn numeric(numbers: &Float64Array) -> Result<(u64, Shape)> {
    let sorted = sorted_values(numbers);
    let finite: Vec<f64> = sorted.iter().copied().filter(|v| v.is_finite()).collect();
    let Some(largest) = finite.last().copied() else {
        return Err(Error::TooFew { what: "reference of a numeric feature", need: 1, got: 0 });
    };
    let mut edges: Vec<f64> = (1..DECILES)
        .map(|decile| finite[(finite.len() * decile).div_ceil(DECILES).max(1) - 1])
        .filter(|edge| *edge < largest)
        .collect();
    edges.dedup();
    let counts = bin_counts(&edges, &sorted);
    Ok((sorted.len() as u64, Shape::Numeric { counts, sample: drawn(without_infinities(&sorted)), edges }))
}

/// At most [`SAMPLE`] of the values: the head of a seeded Fisher–Yates shuffle, sorted again.
fn drawn(mut values: Vec<f64>) -> Vec<f64> {
    if values.len() <= SAMPLE {
        return values;
    }
    for i in 0..SAMPLE {
        let left = (values.len() - i) as u128;
        let hash = xxhash_rust::xxh3::xxh3_64_with_seed(&(i as u64).to_le_bytes(), SEED);
        // The high word of hash · left is uniform on 0..left, but for a bias of left / 2⁶⁴.
        let step = ((u128::from(hash) * left) >> 64) as usize;
        values.swap(i, i + step);
    }
    values.truncate(SAMPLE);
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// Rows per category and the number of rows that have one.
pub(crate) fn category_counts(array: &ArrayRef) -> Result<(u64, BTreeMap<String, u64>)> {
    let texts = values::texts(array)?;
    let mut counts: std::collections::HashMap<&str, u64> = std::collections::HashMap::new();
    for text in texts.iter().flatten() {
        *counts.entry(text).or_default() += 1;
    }
    let present = counts.values().sum();
    Ok((present, counts.into_iter().map(|(text, count)| (text.to_owned(), count)).collect()))
}

fn categorical(array: &ArrayRef) -> Result<(u64, Shape)> {
    let (present, counts) = category_counts(array)?;
    if present == 0 {
        return Err(Error::TooFew { what: "reference of a categorical feature", need: 1, got: 0 });
    }
    let mut ranked: Vec<(String, u64)> = counts.into_iter().collect();
    ranked.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let rest = ranked.iter().skip(CATEGORIES).map(|(_, count)| count).sum();
    ranked.truncate(CATEGORIES);
    Ok((present, Shape::Categorical { counts: ranked.into_iter().collect(), rest, salt: None }))
}
