//! Answers about lineage, from the tables of a store: the graphs of what was told, and the rows behind a prediction.

mod error;
mod prediction;
mod project;
mod told;
mod why;
mod written;

pub use error::{Error, Result};
pub use prediction::{Prediction, prediction};
pub use project::spec_of;
pub use told::{Graphs, Kept, columns, runs};
pub use why::{EventOf, InputRead, Listed, Oldest, Why, why};
pub use written::{Written, is_prediction_id};
