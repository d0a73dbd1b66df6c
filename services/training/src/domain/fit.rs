//! Fits: trials on training rows, then the last fit on everything before the seal, and the baselines.

use crate::domain::rows::Rows;
use crate::domain::windows::Windows;
use crate::error::TrainingError;
use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tidemill_contracts::prediction_log;
use tidemill_learn::{FittedModel, Model, ParamValue, Params, TrainData, learner};
use tidemill_metrics::{Estimate, at_budget, auc_interval, brier, log_loss};
use tidemill_stats::Reference;
use tidemill_transform::{FitView, HeldOutView, Split, SplitSpec};
use tidemill_types::Millis;

/// What a trial found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialScore {
    /// Every parameter in force.
    pub params: Params,
    /// Boosting rounds kept, or iterations of the solver.
    pub rounds: Option<usize>,
    /// Rows fitted on.
    pub train_rows: usize,
    /// Rows scored.
    pub valid_rows: usize,
    /// AUC on the validation rows.
    pub roc_auc: Estimate,
    /// Mean log loss on the validation rows; the smallest wins.
    pub log_loss: f64,
    /// Brier score on the validation rows.
    pub brier: f64,
    /// Share of positives among the rows flagged at the budget.
    pub precision_at_budget: f64,
    /// The lowest score flagged at the budget.
    pub threshold: f64,
    /// Distribution of the scores on the validation rows.
    pub scores: Reference,
}

/// Fits on the training window, with the validation window for early stopping, and scores the latter.
///
/// # Errors
/// The learner refuses, a window is empty or holds one class only.
pub(crate) fn run_trial(
    rows: &Rows,
    windows: &Windows,
    name: &str,
    params: &Params,
    budget: f64,
    seed: u64,
) -> Result<TrialScore, TrainingError> {
    let cut = SplitSpec {
        train_until: windows.train_until.0,
        gap: windows.valid_from.0 - windows.train_until.0,
        valid_until: windows.valid_until.0,
    };
    let split = Split::by_time(&rows.as_of, cut)?;
    let data =
        TrainData { batch: &rows.features, labels: &rows.labels, rows: split.train(), valid: Some(split.valid()) };
    let FittedModel { model, report } = learner(name)?.fit(&data, params, seed)?;
    let held_out = HeldOutView::new(&rows.features, &rows.labels, split.valid())?;
    let scores = model.predict(held_out.batch())?;
    let labels = held_out.labels();
    let flagged = at_budget(&scores, labels, budget)?;
    let distribution: ArrayRef = Arc::new(arrow::array::Float64Array::from(scores.clone()));
    Ok(TrialScore {
        params: report.params,
        rounds: report.rounds,
        train_rows: report.train_rows,
        valid_rows: labels.len(),
        roc_auc: auc_interval(&scores, labels)?,
        log_loss: log_loss(&scores, labels)?,
        brier: brier(&scores, labels)?,
        precision_at_budget: flagged.precision,
        threshold: flagged.threshold,
        scores: Reference::of(prediction_log::SCORE, &distribution)?,
    })
}

/// The parameters of the last fit: those of the trial, with the number of rounds it found and no early stopping.
#[must_use]
pub(crate) fn final_params(name: &str, trial: &TrialScore) -> Params {
    let mut params = trial.params.clone();
    if let (Some(rounds), "boosted") = (trial.rounds, name) {
        params.insert("rounds".to_owned(), ParamValue::Int(i64::try_from(rounds.max(1)).unwrap_or(i64::MAX)));
        params.insert("early_stopping_rounds".to_owned(), ParamValue::Int(0));
    }
    params
}

/// Fits on every row before `until`, without validation.
///
/// # Errors
/// The learner refuses, or there is no row.
pub(crate) fn fit_before(
    rows: &Rows,
    until: Millis,
    name: &str,
    params: &Params,
    seed: u64,
) -> Result<FittedModel, TrainingError> {
    let rows = rows.between(Millis::MIN, until);
    let split = Split::all_training(rows.len())?;
    let data = TrainData { batch: &rows.features, labels: &rows.labels, rows: split.train(), valid: None };
    Ok(learner(name)?.fit(&data, params, seed)?)
}

/// Names of the baselines, simplest first.
pub(crate) const BASELINES: [&str; 3] = ["majority", "rule", "logistic"];

/// Fits one baseline on every row before `until`.
///
/// # Errors
/// As [`fit_before`]; a name that is none of [`BASELINES`].
pub(crate) fn fit_baseline(
    rows: &Rows,
    until: Millis,
    name: &str,
    rates_by: &[String],
    seed: u64,
) -> Result<FittedModel, TrainingError> {
    let none = Params::new();
    match name {
        "rule" => {
            let keyed = Rows { features: with_text_keys(&rows.features, rates_by)?, ..rows.clone() };
            let keys = Params::from([("keys".to_owned(), ParamValue::List(rates_by.to_vec()))]);
            fit_before(&keyed, until, "rate_table", &keys, seed)
        }
        other => fit_before(rows, until, other, &none, seed),
    }
}

/// The columns that a rule looks up, as texts: features hold whole numbers as doubles, which are no look-up keys.
///
/// # Errors
/// A column is missing.
pub(crate) fn with_text_keys(features: &RecordBatch, keys: &[String]) -> Result<RecordBatch, TrainingError> {
    let mut fields = Vec::with_capacity(keys.len());
    let mut columns = Vec::with_capacity(keys.len());
    for key in keys {
        let column = crate::domain::rows::column(features, key)?;
        fields.push(Field::new(key, DataType::Utf8, true));
        columns.push(cast(column, &DataType::Utf8)?);
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// Rows a fit would see before `until`, and their share of positives.
///
/// # Errors
/// There is no row.
pub(crate) fn fitted_rows(rows: &Rows, until: Millis) -> Result<(usize, f64), TrainingError> {
    let rows = rows.between(Millis::MIN, until);
    let split = Split::all_training(rows.len())?;
    let view = FitView::new(&rows.features, &rows.labels, split.train())?;
    Ok((view.len(), view.base_rate()))
}

/// Distributions of the features before `until`; a feature without any value has none.
#[must_use]
pub(crate) fn references(rows: &Rows, until: Millis) -> Vec<Reference> {
    let rows = rows.between(Millis::MIN, until);
    let schema = rows.features.schema();
    let of = |(field, column): (&Arc<Field>, &ArrayRef)| Reference::of(field.name(), column).ok();
    schema.fields().iter().zip(rows.features.columns()).filter_map(of).collect()
}

/// Files of a saved model, and the model read back from them.
pub(crate) type Reloaded = (Vec<(String, Vec<u8>)>, Model);

/// The model as it will be read back from its files: what is stored is what is tested.
///
/// # Errors
/// The model cannot be saved or read.
pub(crate) fn reloaded(model: &Model) -> Result<Reloaded, TrainingError> {
    let files = model.save()?;
    let read = Model::load(&files)?;
    Ok((files, read))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use arrow::array::{Float64Array, StringArray};

    const DAY: i64 = 86_400_000;

    /// One row an hour for forty days; positive after large `x`, with noise.
    fn rows() -> Rows {
        let n = 40 * 24;
        let noise = |i: i64| ((i * 7_919 + 13) % 1_000) as f64 / 1_000.0;
        let x: Vec<f64> = (0..n).map(|i| noise(i * 31 + 7)).collect();
        let labels = (0..n).map(|i| x[i as usize] + 0.5 * noise(i * 17 + 3) > 0.9).collect();
        let hour = (0..n).map(|i| (i % 24) as f64).collect::<Vec<_>>();
        let carrier: StringArray = (0..n).map(|i| Some(if i % 3 == 0 { "A" } else { "B" })).collect();
        let features = RecordBatch::try_from_iter([
            ("carrier", Arc::new(carrier) as ArrayRef),
            ("hour", Arc::new(Float64Array::from(hour))),
            ("x", Arc::new(Float64Array::from(x))),
        ])
        .unwrap();
        Rows { features, labels, as_of: (0..n).map(|i| i * DAY / 24).collect() }
    }

    #[test]
    fn a_trial_is_scored_on_later_rows_and_repeats() {
        let windows = Windows {
            train_until: Millis(25 * DAY),
            valid_from: Millis(26 * DAY),
            valid_until: Millis(33 * DAY),
            test_from: Millis(34 * DAY),
            test_until: Millis(40 * DAY),
        };
        let rows = rows();
        let first = run_trial(&rows, &windows, "boosted", &Params::new(), 0.1, 7).unwrap();
        assert_eq!((first.train_rows, first.valid_rows), (25 * 24, 7 * 24));
        assert!(first.roc_auc.value > 0.8, "{:?}", first.roc_auc);
        assert_eq!(first, run_trial(&rows, &windows, "boosted", &Params::new(), 0.1, 7).unwrap());
        let params = final_params("boosted", &first);
        let fitted = fit_before(&rows, windows.valid_until, "boosted", &params, 7).unwrap();
        assert_eq!(fitted.report.rounds, first.rounds);
        assert_eq!(fitted.report.train_rows, 33 * 24);
        let (_, model) = reloaded(&fitted.model).unwrap();
        assert_eq!(model.predict(&rows.features).unwrap(), fitted.model.predict(&rows.features).unwrap());
    }

    #[test]
    fn the_rule_reads_whole_numbers_as_keys() {
        let rows = rows();
        let keys = ["carrier".to_owned(), "hour".to_owned()];
        let rule = fit_baseline(&rows, Millis::MAX, "rule", &keys, 7).unwrap();
        let scores = rule.model.predict(&with_text_keys(&rows.features, &keys).unwrap()).unwrap();
        assert!(scores.iter().all(|s| (0.0..=1.0).contains(s)));
        assert_eq!(references(&rows, Millis::MAX).len(), 3);
    }
}
