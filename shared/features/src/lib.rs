//! The feature engine: one set of operators for replay and for serving.
//!
//! [`Plan::compile`] types the feature set of a spec. An [`Engine`] takes in clean rows ([`Engine::push`]) and
//! answers what an entity looked like at an instant ([`Engine::read`]), from what was known by then. Training
//! sets are made by [`Replay`], which feeds stored rows to the same engine; so for the same instant the online
//! answer equals the replayed one bit for bit. Pure: no clock, no files, no threads.

mod aggregate;
mod checkpoint;
mod compile;
mod engine;
mod entity;
mod error;
mod group;
mod input;
mod key;
mod plan;
mod read;
mod replay;
mod series;
mod value;

pub use engine::{Engine, PushStats, StateSize};
pub use error::FeatureError;
pub use plan::Plan;
pub use read::{Reading, Status};
pub use replay::{Feed, Replay, replay};
