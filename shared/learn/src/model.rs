//! A fitted model of any learner.

use crate::boosted::BoostedModel;
use crate::error::Result;
use crate::files::{self, ModelFiles, damaged};
use crate::logistic::LogisticModel;
use crate::majority::MajorityModel;
use crate::rate_table::RateTableModel;
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};
use tidemill_transform::{FeatureSpec, TreeMatrix};

/// File that says which model it is, and holds the simple ones.
const MODEL: &str = "model.json";

/// A fitted model with its transforms.
#[derive(Clone, Debug)]
pub enum Model {
    /// The overall rate.
    Majority(MajorityModel),
    /// Rates by key columns.
    RateTable(RateTableModel),
    /// Logistic regression.
    Logistic(LogisticModel),
    /// Gradient boosted trees.
    Boosted(Box<BoostedModel>),
}

/// Content of `model.json`.
#[derive(Serialize, Deserialize)]
#[serde(tag = "learner", rename_all = "snake_case")]
enum Saved {
    Majority(MajorityModel),
    RateTable(RateTableModel),
    Logistic(LogisticModel),
    /// The trees lie in files of their own.
    Boosted {
        rounds: usize,
    },
}

impl Model {
    /// Probability of a positive label per row; columns are found by name.
    ///
    /// # Errors
    /// A column is missing or has another type than in training.
    pub fn predict(&self, batch: &RecordBatch) -> Result<Vec<f64>> {
        match self {
            Self::Majority(model) => Ok(vec![model.rate; batch.num_rows()]),
            Self::RateTable(model) => model.predict(batch),
            Self::Logistic(model) => model.predict(batch),
            Self::Boosted(model) => model.predict(batch),
        }
    }

    /// Name of the learner that fits such models.
    #[must_use]
    pub fn learner(&self) -> &'static str {
        match self {
            Self::Majority(_) => "majority",
            Self::RateTable(_) => "rate_table",
            Self::Logistic(_) => "logistic",
            Self::Boosted(_) => "boosted",
        }
    }

    /// Columns the model reads.
    #[must_use]
    pub fn inputs(&self) -> Vec<FeatureSpec> {
        match self {
            Self::Majority(_) => Vec::new(),
            Self::RateTable(model) => model.keys().to_vec(),
            Self::Logistic(model) => model.transform.inputs().cloned().collect(),
            Self::Boosted(model) => TreeMatrix::inputs(model.transform()).cloned().collect(),
        }
    }

    /// What the prediction depends on, largest first: share of gain (boosted), absolute coefficient per standard
    /// deviation (logistic); empty for baselines.
    #[must_use]
    pub fn importance(&self) -> Vec<(String, f64)> {
        match self {
            Self::Majority(_) | Self::RateTable(_) => Vec::new(),
            Self::Logistic(model) => {
                let mut sizes: Vec<(String, f64)> =
                    model.coefficients().into_iter().map(|(name, value)| (name, value.abs())).collect();
                sizes.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
                sizes
            }
            Self::Boosted(model) => model.importance(),
        }
    }

    /// Keeps pseudonyms, made with a salt, in the place of the categories of some columns: no file of the model tells
    /// what they are. It predicts as before.
    pub fn pseudonymise(&mut self, salt: &str, is_personal: &dyn Fn(&str) -> bool) {
        match self {
            Self::Majority(_) => {}
            Self::RateTable(model) => model.pseudonymise(salt, is_personal),
            Self::Logistic(model) => model.transform.pseudonymise(salt, is_personal),
            Self::Boosted(model) => model.pseudonymise(salt, is_personal),
        }
    }

    /// The model as files: names and contents. Equal models give equal bytes.
    ///
    /// # Errors
    /// The engine cannot encode the trees.
    pub fn save(&self) -> Result<ModelFiles> {
        let (saved, rest) = match self {
            Self::Majority(model) => (Saved::Majority(model.clone()), Vec::new()),
            Self::RateTable(model) => (Saved::RateTable(model.clone()), Vec::new()),
            Self::Logistic(model) => (Saved::Logistic(model.clone()), Vec::new()),
            Self::Boosted(model) => (Saved::Boosted { rounds: model.rounds() }, model.save()?),
        };
        let mut all = vec![files::json_file(MODEL, &saved)?];
        all.extend(rest);
        Ok(all)
    }

    /// Reads what [`Self::save`] wrote; files of other names are ignored.
    ///
    /// # Errors
    /// A file is missing or damaged.
    pub fn load(saved: &[(String, Vec<u8>)]) -> Result<Self> {
        match files::read_json(saved, MODEL)? {
            Saved::Majority(model) => Ok(Self::Majority(model)),
            Saved::RateTable(model) => Ok(Self::RateTable(model)),
            Saved::Logistic(model) if !model.is_complete() => Err(damaged(MODEL, "coefficients are missing")),
            Saved::Logistic(model) => Ok(Self::Logistic(model)),
            Saved::Boosted { rounds } => {
                let model = BoostedModel::load(saved)?;
                if model.rounds() != rounds {
                    return Err(damaged(MODEL, format!("it says {rounds} rounds, the trees have {}", model.rounds())));
                }
                Ok(Self::Boosted(Box::new(model)))
            }
        }
    }
}
