//! What the test tiers share: a small project, its messages, the servers it runs on and the audit of its tables.
//!
//! Nothing here stands in for a server or a service: messages go over a real bus into real tables.

pub mod audit;
pub mod books;
pub mod halts;
pub mod messages;
pub mod pages;
pub mod python;
pub mod rig;

pub use audit::Audit;
pub use books::Published;
pub use rig::{Features, Node, Rig, Validation};
