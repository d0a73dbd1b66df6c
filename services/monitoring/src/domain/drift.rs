//! Drift of the features and scores of one window against the training of the model that served it.

use crate::error::MonitoringError;
use arrow::array::{Array, ArrayRef, RecordBatch};
use serde::{Deserialize, Serialize};
use tidemill_contracts::prediction_log;
use tidemill_privacy::{HIDDEN, Masks, numbered};
use tidemill_stats::{FeatureDrift, Reference, Verdict, family};

/// Drift of one window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowDrift {
    /// Digest of the model whose training is the reference.
    pub reference_model: String,
    /// Rows of the window, without those whose features were not found.
    pub rows: u64,
    /// False-discovery rate over the family.
    pub fdr: f64,
    /// One verdict per feature, the largest PSI first.
    pub features: Vec<Verdict>,
    /// Names of features whose shift is real after adjustment.
    pub drifted: Vec<String>,
    /// Those among them whose shift is also large.
    pub actionable: Vec<String>,
    /// Share of compared features that drifted.
    pub drifted_share: f64,
    /// The scores against those of training, when the reference holds them.
    pub score: Option<FeatureDrift>,
    /// Features that could not be compared, with the reason.
    pub not_compared: Vec<String>,
}

impl WindowDrift {
    /// PSI of the scores.
    #[must_use]
    pub fn score_psi(&self) -> Option<f64> {
        self.score.as_ref().map(|score| score.psi)
    }
}

/// Compares the rows of a window with the references of a model. A reference by the name of the score column is
/// compared too, outside the family. Values of masked features are told as masks show them.
///
/// # Errors
/// When the rows cannot be joined or a test yields no p-value, both defects.
pub fn compare(
    batches: &[RecordBatch],
    references: &[Reference],
    model: &str,
    fdr: f64,
    masks: &Masks,
) -> Result<WindowDrift, MonitoringError> {
    let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
    let mut compared = Vec::with_capacity(references.len());
    let mut not_compared = Vec::new();
    let mut score = None;
    for reference in references {
        let outcome = match column(batches, &reference.name)? {
            Some(values) => {
                let compared = reference.compare(&values);
                compared.map(|drift| masked(drift, reference, masks)).map_err(|e| e.to_string())
            }
            None => Err("the prediction log has no such column".to_owned()),
        };
        match outcome {
            Ok(drift) if reference.name == prediction_log::SCORE => score = Some(drift),
            Ok(drift) => compared.push(drift),
            Err(reason) => not_compared.push(format!("{}: {reason}", reference.name)),
        }
    }
    let mut features = family(compared, fdr)?;
    features.sort_by(|a, b| b.drift.psi.total_cmp(&a.drift.psi).then_with(|| a.drift.name.cmp(&b.drift.name)));
    let names = |wanted: fn(&Verdict) -> bool| -> Vec<String> {
        features.iter().filter(|v| wanted(v)).map(|v| v.drift.name.clone()).collect()
    };
    let (drifted, actionable) = (names(|v| v.drifted), names(|v| v.actionable));
    let drifted_share = if features.is_empty() { 0.0 } else { drifted.len() as f64 / features.len() as f64 };
    Ok(WindowDrift {
        reference_model: model.to_owned(),
        rows,
        fdr,
        features,
        drifted,
        actionable,
        drifted_share,
        score,
        not_compared,
    })
}

fn column(batches: &[RecordBatch], name: &str) -> Result<Option<ArrayRef>, MonitoringError> {
    let parts: Option<Vec<&dyn Array>> =
        batches.iter().map(|batch| batch.column_by_name(name).map(AsRef::as_ref)).collect();
    match parts {
        Some(parts) if !parts.is_empty() => Ok(Some(arrow::compute::concat(&parts)?)),
        _ => Ok(None),
    }
}

fn masked(mut drift: FeatureDrift, reference: &Reference, masks: &Masks) -> FeatureDrift {
    if reference.is_pseudonymous() {
        // The comparison knows no value, and pseudonyms say nothing to anybody.
        drift.show_values(|values| (1..=values.len()).map(|count| numbered(HIDDEN, count)).collect());
    } else if masks.covers(&reference.name) {
        drift.show_values(|values| masks.texts(&reference.name, values.iter().map(String::as_str)));
    }
    drift
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float64Array, StringArray};
    use std::sync::Arc;

    fn numbers(shift: f64) -> ArrayRef {
        Arc::new(Float64Array::from((0..2_000).map(|i| f64::from(i % 200) + shift).collect::<Vec<_>>()))
    }

    #[test]
    fn only_what_moved_is_named_and_what_cannot_be_compared_is_said() {
        let references = [
            Reference::of("still", &numbers(0.0)).unwrap(),
            Reference::of("moved", &numbers(0.0)).unwrap(),
            Reference::of("gone", &numbers(0.0)).unwrap(),
            Reference::of(prediction_log::SCORE, &numbers(0.0)).unwrap(),
        ];
        let text: ArrayRef = Arc::new(StringArray::from(vec!["a"; 2_000]));
        let window = RecordBatch::try_from_iter([
            ("still", numbers(0.0)),
            ("moved", numbers(80.0)),
            ("other", text),
            (prediction_log::SCORE, numbers(0.0)),
        ])
        .unwrap();
        // The window may come in several batches.
        let batches = [window.slice(0, 700), window.slice(700, 1_300)];
        let drift = compare(&batches, &references, "m", 0.05, &Masks::default()).unwrap();
        assert_eq!((drift.rows, drift.drifted.as_slice()), (2_000, ["moved".to_owned()].as_slice()));
        assert_eq!(drift.actionable, ["moved"]);
        assert_eq!(drift.drifted_share, 0.5);
        assert!(drift.score_psi().unwrap() < 1e-9);
        assert_eq!(drift.not_compared.len(), 1);
    }

    #[test]
    fn values_of_personal_features_are_told_as_masks_show_them() {
        let texts = |names: [&str; 2]| Arc::new(StringArray::from(names.repeat(500))) as ArrayRef;
        let references = ["doctor", "ward"].map(|name| Reference::of(name, &texts(["Anna Schmidt", "north"])).unwrap());
        let names = texts(["Anna Schmidt", "Berta Schmidt"]);
        let window = RecordBatch::try_from_iter([("doctor", Arc::clone(&names)), ("ward", names)]).unwrap();
        let masks = [("doctor".to_owned(), tidemill_privacy::PiiClass::PersonName)].into_iter().collect();
        let windows = [window];
        let drift = compare(&windows, &references, "m", 0.05, &masks).unwrap();
        let of = |name: &str| drift.features.iter().find(|v| v.drift.name == name).unwrap().drift.clone();
        assert_eq!(
            (&of("doctor").new_categories[..], &of("ward").new_categories[..]),
            (&["B***".to_owned()][..], &["Berta Schmidt".to_owned()][..])
        );
        assert!(!serde_json::to_string(&of("doctor")).unwrap().contains("Schmidt"));

        // As training keeps them today: the same figures, and no name at all.
        let [doctor, _] = references;
        let hidden = compare(&windows, &[doctor.pseudonymous("salt")], "m", 0.05, &masks).unwrap();
        let found = &hidden.features[0].drift;
        assert_eq!((found.psi, found.p_value, found.rows), (of("doctor").psi, of("doctor").p_value, 1_000));
        assert_eq!(found.new_categories, ["***"]);
        let cells = found.distribution.clone().unwrap();
        assert_eq!(cells.cells, ["***", "*** (2)", "other"]);
        assert_eq!((cells.expected, cells.actual), (vec![500, 500, 0, 0], vec![500, 0, 500, 0]));
    }

    #[test]
    fn a_window_without_rows_compares_nothing() {
        let references = [Reference::of("x", &numbers(0.0)).unwrap()];
        let drift = compare(&[], &references, "m", 0.05, &Masks::default()).unwrap();
        assert_eq!((drift.features.len(), drift.drifted_share, drift.not_compared.len()), (0, 0.0, 1));
    }
}
