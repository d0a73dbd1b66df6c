//! Quality by the values of chosen features.

use crate::error::EvaluationError;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidemill_metrics::{Estimate, auc_interval, mean, wilson};
use tidemill_privacy::Masks;
use tidemill_stats::hypothesis::{benjamini_hochberg, welch_t};

/// Stands for a missing value.
const NULL: &str = "∅";

/// One value of one feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// The feature.
    pub feature: String,
    /// Its value, masked where that is personal; `∅` for null.
    pub value: String,
    /// Rows.
    pub rows: u64,
    /// Share of positives.
    pub prevalence: Estimate,
    /// AUC, when the slice holds at least two rows of each class.
    pub roc_auc: Option<Estimate>,
    /// Mean of outcome minus score: above zero the model promises too little.
    pub bias: Estimate,
    /// p-value of "the bias is that of the other rows" (Welch), adjusted over all slices (Benjamini–Hochberg).
    pub q_value: f64,
    /// Whether the adjusted p-value is at most the false-discovery rate.
    pub flagged: bool,
}

/// Slices with at least `min_support` rows, by feature, largest first. Flags hold the false-discovery rate `fdr`
/// over all of them together. Values of masked features are named as masks show them.
///
/// # Errors
/// A feature is missing.
pub(crate) fn slices(
    features: &RecordBatch,
    by: &[String],
    scores: &[f64],
    labels: &[bool],
    (min_support, fdr): (u64, f64),
    masks: &Masks,
) -> Result<Vec<Slice>, EvaluationError> {
    let biases: Vec<f64> = labels.iter().zip(scores).map(|(l, s)| f64::from(u8::from(*l)) - s).collect();
    let mut found = Vec::new();
    for feature in by {
        let column = features.column_by_name(feature);
        let column = column.ok_or_else(|| EvaluationError::Request(format!("slices name no feature \"{feature}\"")))?;
        let texts = cast(column, &DataType::Utf8)?;
        let texts = texts.as_string::<i32>();
        let mut rows_of: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for row in 0..texts.len() {
            let value = if texts.is_null(row) { NULL } else { texts.value(row) };
            rows_of.entry(value).or_default().push(row);
        }
        let mut kept: Vec<_> =
            rows_of.into_iter().filter(|(_, rows)| rows.len() as u64 >= min_support.max(2)).collect();
        kept.sort_by_key(|(value, rows)| (std::cmp::Reverse(rows.len()), *value));
        let shown = names(feature, kept.iter().map(|(value, _)| *value), masks);
        for ((_, rows), value) in kept.into_iter().zip(shown) {
            found.push(slice(feature, value, &rows, scores, labels, &biases)?);
        }
    }
    let p_values: Vec<f64> = found.iter().map(|s: &Slice| s.q_value).collect();
    for (slice, q_value) in found.iter_mut().zip(benjamini_hochberg(&p_values)?) {
        slice.q_value = q_value;
        slice.flagged = q_value <= fdr;
    }
    Ok(found)
}

/// The values of a feature as they may be shown. That there is none is nobody's secret.
fn names<'a>(feature: &str, values: impl Iterator<Item = &'a str> + Clone, masks: &Masks) -> Vec<String> {
    let mut shown = masks.texts(feature, values.clone().filter(|value| *value != NULL)).into_iter();
    let name = |value: &str| if value == NULL { Some(NULL.to_owned()) } else { shown.next() };
    values.filter_map(name).collect()
}

/// One slice; its q-value is still the plain p-value.
fn slice(
    feature: &str,
    value: String,
    rows: &[usize],
    scores: &[f64],
    labels: &[bool],
    biases: &[f64],
) -> Result<Slice, EvaluationError> {
    let pick = |values: &[f64]| -> Vec<f64> { rows.iter().map(|row| values[*row]).collect() };
    let own_labels: Vec<bool> = rows.iter().map(|row| labels[*row]).collect();
    let own = pick(biases);
    let mut inside = vec![false; biases.len()];
    rows.iter().for_each(|row| inside[*row] = true);
    let rest: Vec<f64> = biases.iter().zip(&inside).filter(|(_, inside)| !**inside).map(|(bias, _)| *bias).collect();
    let positives = own_labels.iter().filter(|label| **label).count();
    Ok(Slice {
        feature: feature.to_owned(),
        value,
        rows: rows.len() as u64,
        prevalence: wilson(positives as u64, rows.len() as u64)?,
        // Undefined for a single class.
        roc_auc: auc_interval(&pick(scores), &own_labels).ok(),
        bias: mean(&own)?,
        // Without other rows, or without any variance, there is nothing to tell apart.
        q_value: welch_t(&own, &rest).map_or(1.0, |test| test.p.clamp(0.0, 1.0)),
        flagged: false,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use arrow::array::{ArrayRef, StringArray};
    use std::sync::Arc;

    #[test]
    fn a_slice_the_model_misjudges_is_flagged_and_small_ones_are_left_out() {
        let n = 3_000;
        let noise = |i: u64| ((i * 2_654_435_761) % 1_000) as f64 / 1_000.0;
        let name = |i: u64| match i % 30 {
            0..=9 => Some("A"),
            10..=19 => Some("B"),
            20..=28 => Some("C"),
            _ if i > 2_900 => Some("rare"),
            _ => None,
        };
        let rate = |i: u64| if name(i) == Some("C") { 0.6 } else { 0.3 };
        let labels: Vec<bool> = (0..n).map(|i| noise(i * 7 + 3) < rate(i)).collect();
        let scores: Vec<f64> = (0..n).map(|i| 0.25 + 0.1 * noise(i)).collect();
        let carrier: StringArray = (0..n).map(name).collect();
        let features = RecordBatch::try_from_iter([("carrier", Arc::new(carrier) as ArrayRef)]).unwrap();
        let by =
            |feature: &str, masks: &Masks| slices(&features, &[feature.into()], &scores, &labels, (50, 0.05), masks);
        let found = by("carrier", &Masks::default()).unwrap();
        assert!(found.iter().all(|s| s.value != "rare") && found.iter().any(|s| s.value == "∅"));
        let c = found.iter().find(|s| s.value == "C").unwrap();
        assert!(c.flagged && c.bias.low > 0.0, "{c:?}");
        assert!(by("dest", &Masks::default()).is_err());

        let masks = [("carrier".to_owned(), tidemill_privacy::PiiClass::PersonName)].into_iter().collect();
        let masked = by("carrier", &masks).unwrap();
        let names: Vec<&str> = masked.iter().map(|s| s.value.as_str()).collect();
        assert_eq!(names, ["***", "*** (2)", "*** (3)", "∅"], "each is still one of its own");
        let unnamed =
            |slices: &[Slice]| slices.iter().map(|s| Slice { value: String::new(), ..s.clone() }).collect::<Vec<_>>();
        assert_eq!(unnamed(&masked), unnamed(&found), "and nothing else changes");
    }
}
