//! Evaluation metrics with confidence intervals.
//!
//! Point metrics follow scikit-learn's definitions, ties included; every one of them can be had as an
//! [`Estimate`] with an interval. Inputs are plain slices without NaN. Pure: randomness is seeded by the caller.

pub mod bootstrap;
pub mod budget;
pub mod calibration;
pub mod delong;
pub mod error;
pub mod interval;
pub mod paired;
pub mod probability;
pub mod rank;
pub mod regression;
pub mod report;
pub mod threshold;

mod check;
mod weighted;

pub use budget::{AtBudget, at_budget};
pub use calibration::{Bin, bins, ece};
pub use delong::{AucDifference, auc_interval, paired_auc};
pub use error::{Error, Result};
pub use interval::{Estimate, LEVEL, mean, sum, wilson};
pub use paired::{Difference, PairedReport, paired_report, paired_sum};
pub use probability::{brier, log_loss};
pub use rank::{pr_auc, roc_auc};
pub use regression::{RegressionReport, mae, r2, regression_report, rmse};
pub use report::{BinaryReport, binary_report};
pub use threshold::{Confusion, confusion};
