//! Properties of the feature engine: order invariance, replay equality, agreement with a naive reference.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod data;
mod properties;
mod reference;
mod speed;
mod typing;
