//! Names of the system columns that Tidemill adds to every table it writes.

/// Stream sequence of the message a row came in (`Int64`, not null).
pub const SEQ: &str = "tm_seq";
/// Position of the row inside its message, from 0 (`Int32`, not null).
pub const ROW: &str = "tm_row";
/// CloudEvents `id` of the message (`Utf8`, not null).
pub const EVENT_ID: &str = "tm_event_id";
/// Knowledge time: the instant from which the row may be used (`Timestamp(ms, UTC)`, not null).
pub const KNOWN_AT: &str = "tm_known_at";
/// Rule ids that a quarantined row failed, comma separated (`Utf8`).
pub const FAILED_RULES: &str = "tm_failed_rules";

/// The columns that conforming adds to the declared ones, in their order.
pub const ADDED: [&str; 4] = [SEQ, ROW, EVENT_ID, KNOWN_AT];

/// Every system column starts with this; declared columns must not.
pub const PREFIX: &str = "tm_";
