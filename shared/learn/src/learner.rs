//! What all learners share.

use crate::boosted::Boosted;
use crate::error::{Error, Result};
use crate::logistic::Logistic;
use crate::majority::Majority;
use crate::model::Model;
use crate::params::Params;
use crate::rate_table::RateTable;
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};
use tidemill_transform::{FitView, HeldOutView, TrainRows, ValidRows};

/// Rows with labels, and which of them may be fitted on. Every column of the batch is a feature.
#[derive(Clone, Copy, Debug)]
pub struct TrainData<'a> {
    /// Features: floats, integers, booleans, texts (categories); nullable.
    pub batch: &'a RecordBatch,
    /// One label per row of the batch.
    pub labels: &'a [bool],
    /// Rows to fit on.
    pub rows: &'a TrainRows,
    /// Rows to stop on, by learners that stop early.
    pub valid: Option<&'a ValidRows>,
}

impl TrainData<'_> {
    pub(crate) fn view(&self) -> Result<FitView> {
        Ok(FitView::new(self.batch, self.labels, self.rows)?)
    }

    /// Validation rows, `None` when there are none.
    pub(crate) fn held_out(&self) -> Result<Option<HeldOutView>> {
        let Some(rows) = self.valid.filter(|rows| !rows.is_empty()) else { return Ok(None) };
        Ok(Some(HeldOutView::new(self.batch, self.labels, rows)?))
    }
}

/// The training rows, if they hold both labels.
pub(crate) fn two_class_view(learner: &'static str, data: &TrainData<'_>) -> Result<FitView> {
    let view = data.view()?;
    let first = view.labels().first().copied().unwrap_or_default();
    if view.labels().iter().all(|&label| label == first) {
        return Err(Error::SingleClass { learner, rows: view.len(), label: first });
    }
    Ok(view)
}

/// What a fit did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FitReport {
    /// Name of the learner.
    pub learner: String,
    /// Every parameter in force, defaults included.
    pub params: Params,
    /// Seed of everything random.
    pub seed: u64,
    /// Rows fitted on.
    pub train_rows: usize,
    /// Rows looked at for stopping.
    pub valid_rows: usize,
    /// Share of positive labels among the rows fitted on.
    pub base_rate: f64,
    /// Boosting rounds kept, or solver iterations.
    pub rounds: Option<usize>,
    /// Log loss on the validation rows at the round kept.
    pub valid_log_loss: Option<f64>,
}

/// A model and how it came about.
#[derive(Clone, Debug)]
pub struct FittedModel {
    /// The model.
    pub model: Model,
    /// How it came about.
    pub report: FitReport,
}

/// A way of fitting a model.
pub trait Learner: Send + Sync {
    /// Name by which specs ask for it.
    fn name(&self) -> &'static str;

    /// Fits on the training rows. The result depends on data, parameters and seed only.
    ///
    /// # Errors
    /// Unknown or bad parameters, columns that are no features, a single class, an engine's refusal.
    fn fit(&self, data: &TrainData<'_>, params: &Params, seed: u64) -> Result<FittedModel>;
}

static LEARNERS: [&dyn Learner; 4] = [&Majority, &RateTable, &Logistic, &Boosted];

/// The learner of a name.
///
/// # Errors
/// [`Error::UnknownLearner`].
pub fn learner(name: &str) -> Result<&'static dyn Learner> {
    let found = LEARNERS.iter().find(|learner| learner.name() == name).copied();
    found.ok_or_else(|| Error::UnknownLearner { name: name.to_owned(), known: learner_names().join(", ") })
}

/// Names of all learners, simplest first.
#[must_use]
pub fn learner_names() -> Vec<&'static str> {
    LEARNERS.iter().map(|learner| learner.name()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learners_are_found_by_name() {
        for name in learner_names() {
            assert_eq!(learner(name).unwrap().name(), name);
        }
        let message = learner("svm").err().unwrap().to_string();
        assert_eq!(message, "unknown learner \"svm\"; known: majority, rate_table, logistic, boosted");
    }
}
