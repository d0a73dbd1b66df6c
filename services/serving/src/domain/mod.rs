//! Decisions of serving: what a request asks, which version answers, what an answer looks like. Pure.

pub mod answer;
pub mod entry;
pub mod router;
pub mod row;
pub mod tensor;
