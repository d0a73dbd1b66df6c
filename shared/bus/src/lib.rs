//! NATS JetStream: streams, atomic batches, contiguous readers, work queues, key-value.
//!
//! The one crate that talks to the bus library. What it promises: a publish that returns is on disk; a reader yields
//! every sequence of a stream exactly once and in order, a missing message as a [`Entry::Tombstone`]; a job comes again
//! until its effect was acknowledged, and is never given up before its dead letter is stored.

mod connection;
mod error;
mod headers;
mod identity;
mod job;
mod kv;
mod publish;
mod pull;
mod reader;
mod stream;
mod tail;
pub mod trace;
mod work;

pub use connection::{Bus, BusOptions, Credentials, MINIMUM_SERVER};
pub use error::{Error, Result};
pub use headers::Headers;
pub use identity::Nkey;
pub use job::{DeadJob, DeadLetterFn, Heartbeat, Job};
pub use kv::{Kv, KvEntry, KvSpec};
pub use publish::{BatchAck, BatchPublisher, MAX_ATOMIC_MESSAGES, Outgoing, PublishAck};
pub use reader::{Entry, Message, OrderedReader, Place, ReaderOptions};
pub use stream::{Retention, StreamInspection, StreamSpec, StreamState};
pub use tail::Tail;
pub use work::{Notices, StartAt, WorkQueue, WorkSpec};
