//! Learners, baselines and search behind one trait.
//!
//! A [`Learner`] fits a [`Model`] on training rows (a type only a split can make) and may look at validation rows
//! to stop early. A model carries its own transforms, predicts probabilities from an Arrow batch by column name,
//! and is saved as files in open formats. The same data, parameters and seed give the same model, whatever the
//! number of threads.

mod boosted;
mod error;
mod files;
mod learner;
mod linear;
mod logistic;
mod majority;
mod model;
mod params;
mod rate_table;
mod search;

pub use boosted::{Boosted, BoostedModel};
pub use error::{Error, Result};
pub use files::ModelFiles;
pub use learner::{FitReport, FittedModel, Learner, TrainData, learner, learner_names};
pub use logistic::{Logistic, LogisticModel};
pub use majority::{Majority, MajorityModel};
pub use model::Model;
pub use params::{ParamValue, Params};
pub use rate_table::{RateTable, RateTableModel};
pub use search::{Range, SearchSpace, trial};
