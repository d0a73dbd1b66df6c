//! Checks of this repository, as functions: what `cargo xtask` runs and what tests assert.

pub mod bench;
pub mod check;
pub mod duplicates;
pub mod features;
pub mod layering;
