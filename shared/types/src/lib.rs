//! Identifiers, instants, digests, error kinds and pauses that every layer shares.
//!
//! Pure: no clock, no files, no network. Nothing enters this crate unless at least two layers need it.

pub mod columns;
pub mod digest;
pub mod error;
pub mod id;
pub mod pause;
pub mod pseudonym;
pub mod time;

pub use digest::Digest;
pub use error::{Classified, Code, ErrorKind};
pub use id::{CycleId, DeploymentName, ProjectName, RunId, SourceName};
pub use pause::Pauses;
pub use pseudonym::pseudonym;
pub use time::Millis;
