//! What came from what, in the words of OpenLineage.
//!
//! A [`Step`] is one run of a job with what it read and wrote; its events go to whoever listens. The events of all
//! steps make a [`Graph`] that leads from a prediction or a column up to source events, and down again. Pure.

pub mod columns;
mod event;
pub mod facets;
mod graph;
pub mod names;
pub mod record;
mod step;

pub use event::{Dataset, EventType, Job, Run, RunEvent};
pub use facets::{ColumnMetrics, InputField, OutputColumn, Transformation};
pub use graph::{ColumnHop, Graph, Hop, Node};
pub use step::{Place, Step};

/// Who makes the events, as OpenLineage wants it: a URI.
pub const PRODUCER: &str = concat!("https://tidemill.example/", env!("CARGO_PKG_VERSION"));
