//! The project spec: one YAML file that states a machine-learning project from problem to retraining.
//!
//! The schema is closed. [`Spec::parse`] refuses unknown keys, values out of range and names that point
//! nowhere, each with its path, line and column and the nearest valid name. What is returned is complete:
//! defaults are filled in, so nothing downstream decides one. Pure: takes text, returns values.

mod check;
pub use check::{kpi_schema, trigger_schema};
mod duration;
mod error;
pub mod model;
mod parse;
pub mod replay;

pub use duration::Span;
pub use error::{SpecError, SpecProblem};
pub use model::*;
pub use parse::locate;
pub use replay::{ReplayPlan, ReplayStream};
