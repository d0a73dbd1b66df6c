//! What came from what, in the words of OpenLineage.
//!
//! A [`Step`] is one run of a job with what it read and wrote; its events go to whoever listens. The events of all
//! steps make a [`Graph`] that leads from a prediction or a version up to source events and down again, and a
//! [`ColumnGraph`] that does so for columns. Pure.

mod column_graph;
pub mod columns;
mod event;
pub mod facets;
mod graph;
pub mod names;
mod place;
pub mod record;
mod step;
mod values;

pub use column_graph::{ColumnGraph, ColumnHop};
pub use event::{Dataset, EventType, Job, Run, RunEvent};
pub use facets::{Change, InputField, OutputColumn, Transformation};
pub use graph::{Graph, Hop, Node};
pub use place::Place;
pub use step::Step;
pub use values::{Assertion, ColumnMetrics, Metrics};

/// Who makes the events, as OpenLineage wants it: a URI.
pub const PRODUCER: &str = concat!("https://tidemill.example/", env!("CARGO_PKG_VERSION"));
