//! Scores of the newest predictions, as a histogram for each model.

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::Float64Type;
use serde::Serialize;
use std::collections::{HashMap, VecDeque};
use tidemill_conform::{Limits, decode_stream};
use tidemill_contracts::prediction_log;

/// Bins between 0 and 1.
pub(crate) const BINS: usize = 20;
/// Messages of the log that are kept.
const MESSAGES: usize = 200;
/// Models that are shown.
const MODELS: usize = 4;

type Histogram = [u64; BINS];

/// Scores by model of the newest messages.
#[derive(Debug, Default)]
pub(super) struct Scores {
    messages: VecDeque<HashMap<String, Histogram>>,
}

/// Scores of one model version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Version {
    /// Digest of the model.
    pub(crate) model: String,
    /// Its number.
    pub(crate) version: Option<u64>,
    /// Predictions among the newest.
    pub(crate) predictions: u64,
    /// Predictions by score, in equal bins from 0 to 1.
    pub(crate) counts: Vec<u64>,
}

impl Scores {
    /// Takes in a message of the log; returns its rows. What cannot be read counts as nothing: the log is monitored
    /// elsewhere.
    pub(super) fn take(&mut self, payload: &[u8]) -> u64 {
        let Ok(batches) = decode_stream(payload, &Limits::default()) else { return 0 };
        let mut found: HashMap<String, Histogram> = HashMap::new();
        let mut rows = 0;
        for batch in &batches {
            rows += batch.num_rows() as u64;
            let models = batch.column_by_name(prediction_log::MODEL).and_then(|column| column.as_string_opt::<i32>());
            let scores = batch.column_by_name(prediction_log::SCORE);
            let scores = scores.and_then(|column| column.as_primitive_opt::<Float64Type>());
            let (Some(models), Some(scores)) = (models, scores) else { continue };
            for row in 0..batch.num_rows() {
                if models.is_null(row) || scores.is_null(row) || !scores.value(row).is_finite() {
                    continue;
                }
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the bins")]
                let bin = ((scores.value(row) * BINS as f64).clamp(0.0, (BINS - 1) as f64)) as usize;
                match found.get_mut(models.value(row)) {
                    Some(histogram) => histogram[bin] += 1,
                    None => {
                        let mut histogram = [0; BINS];
                        histogram[bin] = 1;
                        found.insert(models.value(row).to_owned(), histogram);
                    }
                }
            }
        }
        self.messages.push_back(found);
        if self.messages.len() > MESSAGES {
            self.messages.pop_front();
        }
        rows
    }

    /// Digests of the models that answered.
    pub(super) fn models(&self) -> impl Iterator<Item = &str> {
        self.messages.iter().flat_map(HashMap::keys).map(String::as_str)
    }

    /// Predictions behind the histograms.
    pub(super) fn predictions(&self) -> u64 {
        self.messages.iter().flat_map(HashMap::values).flatten().sum()
    }

    /// One histogram per model, the newest version first.
    pub(super) fn versions(&self, numbers: &HashMap<String, u64>) -> Vec<Version> {
        let mut sums: HashMap<&str, Histogram> = HashMap::new();
        for (model, histogram) in self.messages.iter().flatten() {
            let sum = sums.entry(model).or_insert([0; BINS]);
            sum.iter_mut().zip(histogram).for_each(|(sum, count)| *sum += count);
        }
        let version = |(model, counts): (&str, Histogram)| Version {
            model: model.to_owned(),
            version: numbers.get(model).copied(),
            predictions: counts.iter().sum(),
            counts: counts.to_vec(),
        };
        let mut versions: Vec<Version> = sums.into_iter().map(version).collect();
        versions.sort_by(|a, b| b.version.cmp(&a.version).then_with(|| a.model.cmp(&b.model)));
        versions.truncate(MODELS);
        versions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
    use std::sync::Arc;

    fn message(models: &[&str], scores: &[f64]) -> Vec<u8> {
        let columns: [(&str, ArrayRef); 2] = [
            (prediction_log::MODEL, Arc::new(StringArray::from(models.to_vec()))),
            (prediction_log::SCORE, Arc::new(Float64Array::from(scores.to_vec()))),
        ];
        tidemill_conform::encode_stream(&[RecordBatch::try_from_iter(columns).unwrap()]).unwrap()
    }

    #[test]
    fn scores_are_counted_by_model_and_only_the_newest_are_kept() {
        let mut scores = Scores::default();
        assert_eq!(scores.take(&message(&["a", "b", "a"], &[0.0, 1.0, 0.5])), 3);
        assert_eq!(scores.take(b"noise"), 0);
        let numbers = HashMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]);
        let versions = scores.versions(&numbers);
        assert_eq!((versions[0].version, versions[0].counts[BINS - 1]), (Some(2), 1));
        assert_eq!((versions[1].predictions, versions[1].counts[0], versions[1].counts[BINS / 2]), (2, 1, 1));
        for _ in 0..2 * MESSAGES {
            scores.take(&message(&["a"], &[f64::NAN]));
        }
        assert_eq!((scores.messages.len(), scores.predictions()), (MESSAGES, 0));
    }
}
