//! What came from what, in the words of OpenLineage.
//!
//! A [`Step`] is one run of a job with what it read and wrote; its events go to whoever listens. The events of all
//! steps make a [`Graph`] that leads from a prediction or a column up to source events, and down again. Pure.

pub mod columns;
mod event;
pub mod facets;
mod graph;
pub mod names;
mod place;
pub mod record;
mod step;
mod values;

pub use event::{Dataset, EventType, Job, Run, RunEvent};
pub use facets::{Change, InputField, OutputColumn, Transformation};
pub use graph::{ColumnHop, Graph, Hop, Node};
pub use place::Place;
pub use step::Step;
pub use values::{Assertion, ColumnMetrics, Metrics};

/// Who makes the events, as OpenLineage wants it: a URI.
pub const PRODUCER: &str = concat!("https://tidemill.example/", env!("CARGO_PKG_VERSION"));
