//! Files, HTTP interfaces and PostgreSQL tables, fetched and published as data events exactly once.
//!
//! The only crate that asks HTTP interfaces and databases. Whatever the origin, its rows become messages on the
//! stream of the source, as if a producer had sent them, with the origin in their headers and identity.
//!
//! # Why exactly once
//! The stream is the only cursor. A message carries the object it came from, the revision of the object and the rows
//! it holds, so position and rows are stored by one atomic publish: there is no instant at which one exists without
//! the other. Each publish names the last sequence that the puller has seen, and the bus refuses it when the stream
//! has moved on: of two pullers, of a process and its zombie, or of a publish whose answer was lost and its
//! repetition, one stores and the others look again. A start reads the messages behind the noted position and knows
//! what is stored. The note itself only shortens that look: it is written after the acknowledgment, and an older one
//! is as good as the newest. The deterministic id of each message (object, revision, first row) is a second net: the
//! intake would count a repetition as a duplicate.
//!
//! # Why bounded
//! Objects are copied to disk, hashed, and read in pieces of at most a message; at most a few pieces wait for the bus.
//! No record is gathered beyond what a row may have, and no binary file is unfolded beyond what its size lets expect.

mod error;
mod files;
mod http;
mod infer;
mod ledger;
mod letter;
mod message;
mod post;
mod postgres;
mod puller;
mod records;
mod secret;
mod seen;
mod snapshots;
mod text;

pub use error::{Error, Fault, FaultKind, Result};
pub use infer::{Candidate, InferOptions, Inferred, InferredColumn, SAMPLE_ROWS, infer};
pub use post::{Posted, Poster};
pub use puller::{Puller, Refusal, Tell, Told};
pub use records::{OpenRecord, RecordEnd, Records};
pub use snapshots::{Kept, SnapshotPlan, Snapshots};
