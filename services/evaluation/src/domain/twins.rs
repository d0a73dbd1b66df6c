//! Test rows that the fit has seen: a memory of them would pass for foresight.
//!
//! A twin of a test row is a row fitted on whose features are all equal, missing values included. Where features are few
//! and coarse, twins come about by chance, so their number alone accuses nobody; what they did for the figures is told by
//! the AUC of the other rows. A key on both sides means that the split has cut through an entity.

use crate::error::EvaluationError;
use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::row::{RowConverter, SortField};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use tidemill_metrics::{Estimate, auc_interval};

/// Rows of each class needed for an AUC.
const OF_EACH: usize = 2;

/// Rows that the fit and the test share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Twins {
    /// Rows fitted on.
    pub fitted_rows: u64,
    /// Rows of the test.
    pub test_rows: u64,
    /// Test rows with a twin.
    pub same_features: u64,
    /// Of those, rows with a twin of the same outcome.
    pub same_outcome: u64,
    /// Test rows whose entity was fitted on.
    pub same_key: u64,
    /// ROC AUC over the test rows without a twin; absent without twins, or with too few other rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roc_auc_without: Option<Estimate>,
    /// All of it in one sentence.
    pub verdict: String,
}

/// Which rows of a test were seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Rows fitted on.
    pub(crate) fitted_rows: u64,
    /// Whether each test row has a twin.
    pub(crate) twin: Vec<bool>,
    /// Test rows with a twin of the same outcome.
    pub(crate) same_outcome: u64,
    /// Test rows whose key was fitted on.
    pub(crate) same_key: u64,
}

/// Some labelled rows.
pub(crate) struct Side<'a> {
    /// Features, the same ones in the same order on both sides.
    pub(crate) features: &'a [ArrayRef],
    /// One label per row.
    pub(crate) labels: &'a BooleanArray,
    /// Keys of the entities.
    pub(crate) keys: &'a ArrayRef,
}

/// Looks for the rows of a test among those fitted on, which may come in parts. Memory follows the test.
#[derive(Debug)]
pub(crate) struct Search {
    rows: Table,
    keys: Table,
    labels: Vec<bool>,
    same: Vec<[bool; 2]>,
    same_key: HashSet<usize>,
    fitted_rows: u64,
}

/// Rows of a test by their content.
#[derive(Debug)]
struct Table {
    converter: RowConverter,
    places: HashMap<Box<[u8]>, Vec<usize>>,
}

impl Table {
    fn new(columns: &[ArrayRef]) -> Result<Self, EvaluationError> {
        let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
        let converter = RowConverter::new(fields)?;
        let rows = converter.convert_columns(columns)?;
        let mut places: HashMap<Box<[u8]>, Vec<usize>> = HashMap::new();
        for (place, row) in rows.iter().enumerate() {
            places.entry(row.as_ref().into()).or_default().push(place);
        }
        Ok(Self { converter, places })
    }

    /// Calls `found` with the row of `columns` and the places of the test rows that are equal to it.
    fn look(&self, columns: &[ArrayRef], mut found: impl FnMut(usize, &[usize])) -> Result<(), EvaluationError> {
        for (at, row) in self.converter.convert_columns(columns)?.iter().enumerate() {
            if let Some(places) = self.places.get(row.as_ref()) {
                found(at, places);
            }
        }
        Ok(())
    }
}

impl Search {
    /// Begins with the test rows.
    ///
    /// # Errors
    /// A column of a type that Arrow cannot compare.
    pub(crate) fn new(test: &Side<'_>) -> Result<Self, EvaluationError> {
        let labels: Vec<bool> = test.labels.iter().map(|label| label == Some(true)).collect();
        Ok(Self {
            rows: Table::new(test.features)?,
            keys: Table::new(std::slice::from_ref(test.keys))?,
            same: vec![[false; 2]; labels.len()],
            labels,
            same_key: HashSet::new(),
            fitted_rows: 0,
        })
    }

    /// Looks at some rows fitted on.
    ///
    /// # Errors
    /// Columns of other types than those of the test.
    pub(crate) fn look(&mut self, fitted: &Side<'_>) -> Result<(), EvaluationError> {
        let same = &mut self.same;
        self.rows.look(fitted.features, |at, places| {
            let label = fitted.labels.is_valid(at) && fitted.labels.value(at);
            places.iter().for_each(|place| same[*place][usize::from(label)] = true);
        })?;
        let same_key = &mut self.same_key;
        self.keys.look(std::slice::from_ref(fitted.keys), |_, places| same_key.extend(places))?;
        self.fitted_rows += fitted.labels.len() as u64;
        Ok(())
    }

    /// What was found.
    pub(crate) fn seen(self) -> Seen {
        let agreed = self.same.iter().zip(&self.labels).filter(|(same, label)| same[usize::from(**label)]).count();
        Seen {
            fitted_rows: self.fitted_rows,
            twin: self.same.iter().map(|same| same[0] || same[1]).collect(),
            same_outcome: agreed as u64,
            same_key: self.same_key.len() as u64,
        }
    }
}

impl Twins {
    /// Puts what was seen beside the scores of the test rows.
    ///
    /// # Errors
    /// Scores that are no probabilities.
    pub(crate) fn of(seen: &Seen, scores: &[f64], labels: &[bool], auc: f64) -> Result<Self, EvaluationError> {
        let same_features = seen.twin.iter().filter(|twin| **twin).count();
        let others = seen.twin.iter().zip(scores).zip(labels).filter(|((twin, _), _)| !**twin);
        let (scores, labels): (Vec<f64>, Vec<bool>) = others.map(|((_, score), label)| (*score, *label)).unzip();
        let positives = labels.iter().filter(|label| **label).count();
        let enough = positives >= OF_EACH && labels.len() - positives >= OF_EACH;
        let without = (same_features > 0 && enough).then(|| auc_interval(&scores, &labels)).transpose()?;
        let mut twins = Self {
            fitted_rows: seen.fitted_rows,
            test_rows: seen.twin.len() as u64,
            same_features: same_features as u64,
            same_outcome: seen.same_outcome,
            same_key: seen.same_key,
            roc_auc_without: without,
            verdict: String::new(),
        };
        twins.verdict = twins.sentence(auc);
        Ok(twins)
    }

    fn sentence(&self, auc: f64) -> String {
        let (test, fitted) = (self.test_rows, self.fitted_rows);
        let keys = match self.same_key {
            0 => String::new(),
            keys => format!("; {keys} test rows are about entities that were fitted on: the split cuts through them"),
        };
        if self.same_features == 0 {
            return format!("none of {test} test rows equals one of the {fitted} rows fitted on{keys}");
        }
        let share = 100.0 * self.same_features as f64 / test.max(1) as f64;
        let without = match &self.roc_auc_without {
            Some(without) => format!("AUC {:.4} without them, {auc:.4} with them", without.value),
            None => "too few others for an AUC without them".to_owned(),
        };
        format!(
            "{} of {test} test rows ({share:.2} %) equal one of the {fitted} rows fitted on, {} with its outcome: {without}{keys}",
            self.same_features, self.same_outcome
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use arrow::array::{Float64Array, StringArray};
    use std::sync::Arc;

    fn columns(numbers: &[Option<f64>], texts: &[&str]) -> Vec<ArrayRef> {
        let texts: StringArray = texts.iter().map(|text| Some(*text)).collect();
        vec![Arc::new(numbers.iter().copied().collect::<Float64Array>()), Arc::new(texts)]
    }

    fn key(keys: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from(keys.to_vec()))
    }

    fn seen(keys: [&ArrayRef; 2]) -> Seen {
        let test = columns(&[Some(1.0), Some(2.0), None, Some(4.0)], &["a", "b", "c", "d"]);
        let fitted = columns(&[Some(1.0), Some(2.0), None, Some(4.0), Some(1.0)], &["a", "x", "c", "D", "a"]);
        let labels = BooleanArray::from(vec![true, false, false, true]);
        let of_fitted = BooleanArray::from(vec![false, false, false, true, true]);
        let mut search = Search::new(&Side { features: &test, labels: &labels, keys: keys[0] }).unwrap();
        // In two parts, as a large set comes.
        for (from, length) in [(0, 3), (3, 2)] {
            let part: Vec<ArrayRef> = fitted.iter().map(|column| column.slice(from, length)).collect();
            let (labels, keys) = (of_fitted.slice(from, length), keys[1].slice(from, length));
            search.look(&Side { features: &part, labels: &labels, keys: &keys }).unwrap();
        }
        search.seen()
    }

    #[test]
    fn equal_rows_are_found_with_missing_values_and_with_their_outcome() {
        let seen = seen([&key(&["k1", "k2", "k3", "k4"]), &key(&["a", "b", "c", "d", "e"])]);
        assert_eq!(seen.twin, [true, false, true, false]);
        assert_eq!((seen.fitted_rows, seen.same_outcome, seen.same_key), (5, 2, 0));
    }

    #[test]
    fn a_key_on_both_sides_is_told_whatever_the_features_are() {
        let found = seen([&key(&["k1", "k2", "k3", "k4"]), &key(&["x", "k2", "y", "z", "k2"])]);
        assert_eq!(found.same_key, 1);
        let twins = Twins::of(&found, &[0.9, 0.1, 0.2, 0.8], &[true, false, false, true], 1.0).unwrap();
        assert!(twins.verdict.contains("1 test rows are about entities"), "{}", twins.verdict);
    }

    #[test]
    fn the_auc_of_the_others_shows_what_twins_did() {
        // Twins are told apart perfectly, the others the wrong way round.
        let twin = vec![true, true, true, true, false, false, false, false];
        let labels = [true, true, false, false, true, true, false, false];
        let scores = [0.9, 0.8, 0.1, 0.2, 0.3, 0.4, 0.6, 0.7];
        let seen = Seen { fitted_rows: 50, twin, same_outcome: 4, same_key: 0 };
        let twins = Twins::of(&seen, &scores, &labels, 0.75).unwrap();
        assert!(twins.roc_auc_without.unwrap().value < 1e-12);
        assert!(twins.verdict.starts_with("4 of 8 test rows (50.00 %) equal one of the 50 rows"), "{}", twins.verdict);
        let none = Seen { twin: vec![false; 8], same_outcome: 0, ..seen };
        let twins = Twins::of(&none, &scores, &labels, 0.75).unwrap();
        assert_eq!((twins.roc_auc_without, twins.same_features), (None, 0));
        assert_eq!(twins.verdict, "none of 8 test rows equals one of the 50 rows fitted on");
    }
}
