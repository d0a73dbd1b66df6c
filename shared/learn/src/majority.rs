//! The simplest baseline: every row gets the training share of positive labels.

use crate::error::Result;
use crate::learner::{FitReport, FittedModel, Learner, TrainData};
use crate::model::Model;
use crate::params::{ParamReader, Params};
use serde::{Deserialize, Serialize};

/// Learner `majority`; no parameters.
#[derive(Clone, Copy, Debug)]
pub struct Majority;

/// One probability for every row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MajorityModel {
    pub(crate) rate: f64,
}

impl MajorityModel {
    /// The probability.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.rate
    }
}

impl Learner for Majority {
    fn name(&self) -> &'static str {
        "majority"
    }

    fn fit(&self, data: &TrainData<'_>, params: &Params, seed: u64) -> Result<FittedModel> {
        let params = ParamReader::new(self.name(), params).finish()?;
        let view = data.view()?;
        let rate = view.base_rate();
        let report = FitReport {
            learner: self.name().to_owned(),
            params,
            seed,
            train_rows: view.len(),
            valid_rows: 0,
            base_rate: rate,
            rounds: None,
            valid_log_loss: None,
        };
        Ok(FittedModel { model: Model::Majority(MajorityModel { rate }), report })
    }
}
