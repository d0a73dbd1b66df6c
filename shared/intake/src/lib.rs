//! From a stream into a Delta table, exactly once.
//!
//! The table is the only cursor. One pass: load the snapshot; read the stream from the sequence after the one
//! it records, without a gap; conform; write the refusals to the dead letters and wait until the bus has them;
//! commit rows and last sequence on that same snapshot; write the head to the key-value store as the second
//! entry of the books. A crash anywhere leaves either the old or the new state, and the next pass begins where
//! the table says. A second writer loses the race for the commit, drops its batch and reloads: safe, never
//! useful.
//!
//! Every sequence of the stream becomes rows, dead letters, a counted duplicate, a watermark or a counted
//! tombstone; nothing is skipped silently.

mod binary;
mod cut;
mod dedupe;
mod error;
mod event;
mod gather;
mod guard;
mod head;
mod letters;
mod mend;
mod reading;
mod weight;
mod writer;

pub use binary::binary;
pub use cut::{is_one_object, rows_alone};
pub use dedupe::Window;
pub use error::IntakeError;
pub use event::Event;
pub use gather::{COUNTS_KEY, Counts, Decoded, Gathered, decode};
pub use guard::Life;
pub use head::{Head, accept_stream, is_accepted};
pub use mend::mend;
pub use reading::known_ids;
pub use weight::slices;
pub use writer::{CommitTrace, Committed, Intake, IntakeOptions, TRACEPARENT_KEY, WATERMARK_KEY};
