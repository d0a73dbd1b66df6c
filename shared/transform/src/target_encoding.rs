//! Categories replaced by the smoothed rate of positive labels.
//!
//! `(positives + smoothing · prior) / (rows + smoothing)`. A training row is encoded with tables made from the
//! other folds, because its own label would otherwise leak into its feature (Micci-Barreca 2001; cross-fitting
//! as in scikit-learn's `TargetEncoder`).

use crate::split::mix;
use arrow::array::{Array, StringArray};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// Rates by category, for rows that were not trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TargetTable {
    /// For categories that were not seen.
    prior: f64,
    rates: Lookup,
}

/// Category to number; printed in sorted order so that equal tables give equal bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, f64>", into = "BTreeMap<String, f64>")]
pub(crate) struct Lookup(pub(crate) HashMap<String, f64>);

impl Lookup {
    /// Gives the categories other names.
    pub(crate) fn rename(&mut self, name: impl Fn(&str) -> String) {
        self.0 = std::mem::take(&mut self.0).into_iter().map(|(category, value)| (name(&category), value)).collect();
    }
}

impl From<BTreeMap<String, f64>> for Lookup {
    fn from(sorted: BTreeMap<String, f64>) -> Self {
        Self(sorted.into_iter().collect())
    }
}

impl From<Lookup> for BTreeMap<String, f64> {
    fn from(lookup: Lookup) -> Self {
        lookup.0.into_iter().collect()
    }
}

#[derive(Clone, Copy, Default)]
struct Tally {
    rows: f64,
    positives: f64,
}

impl Tally {
    fn add(&mut self, label: bool) {
        self.rows += 1.0;
        self.positives += f64::from(u8::from(label));
    }

    fn without(self, other: Self) -> Self {
        Self { rows: self.rows - other.rows, positives: self.positives - other.positives }
    }

    /// Rate shrunk to the prior; the prior itself when nothing was counted.
    fn rate(self, prior: f64, smoothing: f64) -> f64 {
        let weight = self.rows + smoothing;
        if weight > 0.0 { (self.positives + smoothing * prior) / weight } else { prior }
    }
}

impl TargetTable {
    /// Fits the table and encodes the training rows out of fold. Counts are whole numbers, so subtracting a
    /// fold from the total is exact.
    pub(crate) fn fit(
        column: &StringArray,
        labels: &[bool],
        row_keys: &[u64],
        smoothing: f64,
        folds: usize,
    ) -> (Self, Vec<Option<f64>>) {
        let fold_of: Vec<usize> = row_keys.iter().map(|&key| (mix(key) % folds as u64) as usize).collect();
        let mut overall = vec![Tally::default(); folds];
        let mut ids: HashMap<&str, usize> = HashMap::new();
        let mut tallies: Vec<Tally> = Vec::new();
        let mut codes = Vec::with_capacity(column.len());
        for (row, value) in column.iter().enumerate() {
            overall[fold_of[row]].add(labels[row]);
            let Some(value) = value else {
                codes.push(None);
                continue;
            };
            let next = ids.len();
            let id = *ids.entry(value).or_insert(next);
            if id == next {
                tallies.resize(tallies.len() + folds, Tally::default());
            }
            tallies[id * folds + fold_of[row]].add(labels[row]);
            codes.push(Some(id));
        }

        let total = sum(&overall);
        let prior = total.rate(0.0, 0.0);
        let fold_priors: Vec<f64> = overall.iter().map(|&fold| total.without(fold).rate(prior, 0.0)).collect();
        let category_totals: Vec<Tally> = tallies.chunks_exact(folds).map(sum).collect();
        let encode = |(row, code): (usize, &Option<usize>)| {
            let id = (*code)?;
            let fold = fold_of[row];
            Some(category_totals[id].without(tallies[id * folds + fold]).rate(fold_priors[fold], smoothing))
        };
        let encoded = codes.iter().enumerate().map(encode).collect();
        let rates = ids.into_iter().map(|(name, id)| (name.to_owned(), category_totals[id].rate(prior, smoothing)));
        (Self { prior, rates: Lookup(rates.collect()) }, encoded)
    }

    /// The rates themselves.
    pub(crate) fn lookup_mut(&mut self) -> &mut Lookup {
        &mut self.rates
    }

    /// Value for a row that was not trained on; the prior for a category that was not seen.
    pub(crate) fn get(&self, category: &str) -> f64 {
        self.rates.0.get(category).copied().unwrap_or(self.prior)
    }
}

fn sum(tallies: &[Tally]) -> Tally {
    tallies.iter().fold(Tally::default(), |a, b| Tally { rows: a.rows + b.rows, positives: a.positives + b.positives })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn served_rates_are_smoothed_over_all_training_rows() {
        let column = StringArray::from(vec![Some("a"), Some("a"), Some("b"), None]);
        let labels = [true, true, false, false];
        let (table, _) = TargetTable::fit(&column, &labels, &[0, 1, 2, 3], 20.0, 5);
        assert!((table.get("a") - (2.0 + 20.0 * 0.5) / 22.0).abs() < 1e-15);
        assert!((table.get("b") - (20.0 * 0.5) / 21.0).abs() < 1e-15);
        assert!((table.get("never seen") - 0.5).abs() < 1e-15);
    }

    #[test]
    fn a_row_is_never_encoded_with_its_own_label() {
        // A category of a single row knows nothing out of fold: it must get the prior of the other folds.
        let names: Vec<String> = (0..50).map(|i| format!("only{i}")).collect();
        let column = StringArray::from_iter_values(&names);
        let labels: Vec<bool> = (0..50).map(|i| i % 3 == 0).collect();
        let keys: Vec<u64> = (0..50).collect();
        let (_, encoded) = TargetTable::fit(&column, &labels, &keys, 20.0, 5);
        let mut flipped = labels.clone();
        for row in 0..50 {
            flipped[row] = !flipped[row];
            let (_, again) = TargetTable::fit(&column, &flipped, &keys, 20.0, 5);
            assert_eq!(again[row], encoded[row]);
            flipped[row] = !flipped[row];
        }
    }
}
