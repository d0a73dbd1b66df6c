//! The project spec: one YAML file that states a machine-learning project from problem to retraining.
//!
//! The schema is closed. [`Spec::parse`] refuses unknown keys, values out of range and names that point
//! nowhere, each with its path, line and column and the nearest valid name. What is returned is complete:
//! defaults are filled in, so nothing downstream decides one. Pure: takes text, returns values.

mod about;
mod check;
mod check_origin;
mod check_pii;
mod cleaning;
mod column;
pub use check::{kpi_schema, trigger_schema};
pub use column::ColumnType;
mod duration;
mod error;
pub mod model;
mod origin;
mod parse;
mod personal;
pub mod replay;
mod retention;
pub mod rule;
mod segments;
mod share;
mod units;

pub use cleaning::{Action, DateForms, Decision, TextStep, UnitChange};
pub use duration::Span;
pub use error::{SpecError, SpecProblem};
pub use model::*;
pub use origin::*;
pub use parse::{locate, read_yaml, write_yaml};
pub use replay::{ReplayPlan, ReplayStream};
pub use retention::{Hold, Retention, RetentionClass};
pub use rule::*;
pub use share::{Partner, Share};
pub use units::{UNITS, Unit};
