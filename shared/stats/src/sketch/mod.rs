//! Summaries of a stream of values that can be merged.

mod counter;
mod distinct;
mod extremes;
mod histogram;
mod moments;
mod quantiles;
mod topk;

pub(crate) use counter::{Counted, Counter};
pub use distinct::Distinct;
pub use extremes::{Extreme, Extremes};
pub use histogram::Histogram;
pub use moments::Moments;
pub use quantiles::Quantiles;
pub(crate) use topk::CAPACITY;
pub use topk::{Entry, TopK};
