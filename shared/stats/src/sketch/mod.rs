//! Summaries of a stream of values that can be merged.

mod distinct;
mod histogram;
mod moments;
mod quantiles;
mod topk;

pub use distinct::Distinct;
pub use histogram::Histogram;
pub use moments::Moments;
pub use quantiles::Quantiles;
pub use topk::{Entry, TopK};
