//! Mergeable sketches and hypothesis tests.
//!
//! Sketches summarise columns while rows pass by and add up: profiling two batches and merging equals profiling
//! their union, exactly for counts and moments, within a stated error for quantiles, distinct counts and top values.
//! Tests and distances compare two samples; [`drift`] puts them together for one feature and a family of features.
//! Pure and deterministic: sketches that need coin flips carry their own seeded state.

pub mod distance;
pub mod drift;
pub mod error;
pub mod groups;
pub mod hypothesis;
pub mod profile;
pub mod random;
pub mod repeats;
pub mod sample;
pub mod sketch;
pub mod times;

mod hash;
mod values;

pub use drift::{Distribution, FeatureDrift, Reference, Verdict, family};
pub use error::{Error, Result};
pub use groups::{Groups, Segment};
pub use profile::{ColumnProfile, Reading, TableProfile};
pub use sketch::{Distinct, Extreme, Extremes, Histogram, Moments, Quantiles, TopK};
pub use values::{Kind, floats, millis, texts};
