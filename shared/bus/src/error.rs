//! What can go wrong on the bus.

use tidemill_types::{Classified, Code, ErrorKind};

/// Errors of this crate, `TM0600` to `TM0699`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server cannot be reached.
    #[error("the bus at {url} is not reachable: {reason}")]
    Unreachable {
        /// Server URL without credentials.
        url: String,
        /// Last failure.
        reason: String,
    },
    /// The server refuses this user or subject.
    #[error("the bus denies this: {0}")]
    Denied(String),
    /// The server is older than [`crate::MINIMUM_SERVER`].
    #[error(
        "nats-server {found} is too old, at least {wanted} is needed (atomic batches, no loss of acknowledged data)"
    )]
    ServerTooOld {
        /// Version the server reported.
        found: String,
        /// Oldest version that works.
        wanted: &'static str,
    },
    /// A stream, consumer or bucket is configured in a way that could lose data.
    #[error("{name} is not acceptable: {reason}")]
    Unsafe {
        /// Stream, consumer or bucket.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The stream, bucket or message does not exist.
    #[error("{0} does not exist on the bus")]
    NotFound(String),
    /// The key has another revision than expected.
    #[error("{key} was changed by somebody else")]
    Conflict {
        /// Key or subject.
        key: String,
    },
    /// The stream is full; with `discard: new` nothing old is dropped to make room.
    #[error("stream is full: {0}")]
    Full(String),
    /// No acknowledgment came: the messages may or may not be stored.
    #[error("no acknowledgment from the bus for {subject}: stored or not is unknown")]
    Unknown {
        /// Subject that was published to.
        subject: String,
    },
    /// A request that changes nothing was not answered in time.
    #[error("the bus did not answer {0} in time")]
    TimedOut(String),
    /// The stream was made anew since the position was taken; positions in it mean something else.
    #[error("stream was re-created: expected incarnation {expected}, found {found}")]
    Incarnation {
        /// Incarnation the caller reads.
        expected: String,
        /// Incarnation on the server.
        found: String,
    },
    /// The stream ends before a position that was read earlier: the bus has lost data.
    #[error("stream {stream} ends at {last_seq}, before {wanted} that should be read next: the bus has lost data")]
    Behind {
        /// Stream name.
        stream: String,
        /// Last sequence of the stream.
        last_seq: u64,
        /// Sequence that was to be read next.
        wanted: u64,
    },
    /// Another message stands where one was read earlier: the bus lost its tail and gave the sequences anew.
    #[error(
        "stream {stream} holds another message at {sequence} than was read there before: the bus has lost data and \
         given its sequences anew"
    )]
    Rewritten {
        /// Stream name.
        stream: String,
        /// Sequence of the message.
        sequence: u64,
    },
    /// A message does not fit the server's limit.
    #[error("message of {bytes} bytes for {subject} is larger than the {limit} bytes the bus accepts")]
    TooLarge {
        /// Subject that was published to.
        subject: String,
        /// Payload size.
        bytes: usize,
        /// Limit of the server.
        limit: usize,
    },
    /// A name, subject, key or header is malformed.
    #[error("{0}")]
    Malformed(String),
    /// The server refused a request for another reason.
    #[error("the bus refused {what}: {reason}")]
    Refused {
        /// What was asked.
        what: String,
        /// The server's words.
        reason: String,
    },
    /// The dead letter could not be stored, so the job was not given up either.
    #[error("dead letter for {stream}:{sequence} was not stored: {reason}")]
    DeadLetter {
        /// Stream of the job.
        stream: String,
        /// Sequence of the job.
        sequence: u64,
        /// Cause.
        reason: String,
    },
    /// A job was delivered as often as it may be, and no worker finished it.
    #[error("{stream}:{sequence} was delivered {deliveries} times without being finished")]
    Unfinished {
        /// Stream of the job.
        stream: String,
        /// Sequence of the job.
        sequence: u64,
        /// Deliveries after which it is given up.
        deliveries: u64,
    },
}

impl Classified for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreachable { .. } | Self::DeadLetter { .. } => ErrorKind::Unavailable,
            Self::Denied(_) => ErrorKind::Denied,
            Self::ServerTooOld { .. } | Self::Unsafe { .. } | Self::Refused { .. } => ErrorKind::Refused,
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Conflict { .. } | Self::Incarnation { .. } => ErrorKind::Conflict,
            Self::Full(_) => ErrorKind::Overloaded,
            Self::Unknown { .. } | Self::TimedOut(_) => ErrorKind::TimedOut,
            Self::Behind { .. } | Self::Rewritten { .. } => ErrorKind::Corrupt,
            Self::TooLarge { .. } | Self::Malformed(_) => ErrorKind::Invalid,
            Self::Unfinished { .. } => ErrorKind::Internal,
        }
    }

    fn code(&self) -> Code {
        Code(match self {
            Self::Unreachable { .. } => 600,
            Self::Denied(_) => 601,
            Self::ServerTooOld { .. } => 602,
            Self::Unsafe { .. } => 603,
            Self::NotFound(_) => 604,
            Self::Conflict { .. } => 605,
            Self::Full(_) => 606,
            Self::Unknown { .. } => 607,
            Self::TimedOut(_) => 608,
            Self::Incarnation { .. } => 609,
            Self::Behind { .. } => 610,
            Self::TooLarge { .. } => 611,
            Self::Malformed(_) => 612,
            Self::Refused { .. } => 613,
            Self::DeadLetter { .. } => 614,
            Self::Rewritten { .. } => 615,
            Self::Unfinished { .. } => 616,
        })
    }

    /// An unknown outcome is not transient: repeating it blindly could store the message twice.
    fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::DeadLetter { .. } | Self::Full(_) | Self::TimedOut(_))
    }
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
