//! What keeps rows from being fetched. Every fault names the object, the place in it and the mend.

use std::time::Duration;
use tidemill_types::{Classified, Code, ErrorKind};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors of this crate, `TM1700` to `TM1749`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bus.
    #[error(transparent)]
    Bus(#[from] tidemill_bus::Error),
    /// The store, of the files or of the snapshots.
    #[error(transparent)]
    Storage(#[from] tidemill_storage::Error),
    /// The declared schema.
    #[error(transparent)]
    Conform(#[from] tidemill_conform::Error),
    /// The origin cannot be used as it is declared.
    #[error("{what}: {reason}")]
    Settings {
        /// The key or the secret.
        what: String,
        /// What is wrong, and how to mend it.
        reason: String,
    },
    /// Files cannot be copied or read on this machine.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was attempted.
        action: String,
        /// Cause.
        source: std::io::Error,
    },
    /// Another process fetches the same source; what it stored has to be taken into account first.
    #[error("another process published on {stream}; reading on from where it is")]
    Moved {
        /// The stream.
        stream: String,
    },
    /// The noted position cannot be read.
    #[error("the noted position {key} is damaged: {reason}")]
    Position {
        /// Key in the bucket.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// A body that was kept, or the note beside it, is not as it was written.
    #[error("\"{path}\" is damaged: {reason}")]
    Kept {
        /// Path of the object in the store.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// A task ended by panic.
    #[error("reading ended: {0}")]
    Task(String),
    /// A file or a body that cannot be taken.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The address is one that must not be asked.
    #[error("{url}: {reason}")]
    Address {
        /// What was to be asked, without its query.
        url: String,
        /// Why it is refused, and how to allow it.
        reason: String,
    },
    /// The host asks programs not to fetch the address.
    #[error("{url}: the robots.txt of the host does not permit it; if its owner does, say from.http.robots: ignore")]
    Robots {
        /// What was to be asked, without its query.
        url: String,
    },
    /// The interface refuses, and would refuse again.
    #[error("{url} answers {status}{detail}")]
    Status {
        /// What was asked, without its query.
        url: String,
        /// HTTP status.
        status: u16,
        /// What it said, shortened, or nothing.
        detail: String,
    },
    /// The interface does not answer, or only with failures that may pass.
    #[error("{url} is not reachable: {reason}")]
    Away {
        /// What was asked, without its query.
        url: String,
        /// Last failure.
        reason: String,
        /// How long the interface asks to be left alone.
        wait: Option<Duration>,
    },
    /// Pages that lead in a circle, or too many of them, or too many redirects.
    #[error("{url}: {reason}")]
    Endless {
        /// Where it was noticed, without its query.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The database cannot be reached or ends the connection.
    #[error("PostgreSQL at {place}: {reason}")]
    Database {
        /// Host, port and database.
        place: String,
        /// What the driver or the server said.
        reason: String,
    },
    /// The database refuses the query: table, column or permission.
    #[error("PostgreSQL at {place} refuses: {reason}")]
    Query {
        /// Host, port, database and table.
        place: String,
        /// What the server said.
        reason: String,
    },
    /// The overlap holds more rows than are remembered.
    #[error("the overlap of {place} holds more than {limit} rows: choose a shorter one")]
    Overlap {
        /// Table or interface.
        place: String,
        /// Most rows that are remembered.
        limit: usize,
    },
}

impl Error {
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }

    pub(crate) fn settings(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Settings { what: what.into(), reason: reason.into() }
    }
}

/// Why a file or a body is refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Damaged or cut off.
    Damaged,
    /// Text that is not UTF-8.
    Encoding,
    /// Lines of different length.
    Ragged,
    /// Larger than allowed, perhaps only after decompression.
    TooLarge,
    /// Not the declared columns.
    Schema,
    /// Text that is not JSON.
    Json,
    /// A format, compression or ending that is not read.
    Format,
    /// Changed after it was taken, and the project says to refuse that.
    Changed,
    /// One row that no message can hold.
    Row,
}

/// A file or a body that is refused as a whole: nothing of it was published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{object}{}: {reason}; mend: {mend}", at(.position))]
pub struct Fault {
    /// What sort of fault.
    pub kind: FaultKind,
    /// The file or address.
    pub object: String,
    /// `line 17`, or empty.
    pub position: String,
    /// What is wrong.
    pub reason: String,
    /// What to do about it.
    pub mend: String,
    /// The offending bytes, shortened.
    pub sample: Vec<u8>,
}

fn at(position: &str) -> String {
    if position.is_empty() { String::new() } else { format!(", {position}") }
}

/// Bytes of an offending line that are kept.
const SAMPLE: usize = 4_096;

impl Fault {
    pub(crate) fn new(kind: FaultKind, reason: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            kind,
            object: String::new(),
            position: String::new(),
            reason: reason.into(),
            mend: mend.into(),
            sample: Vec::new(),
        }
    }

    pub(crate) fn line(mut self, line: u64) -> Self {
        self.position = format!("line {line}");
        self
    }

    pub(crate) fn sample(mut self, bytes: &[u8]) -> Self {
        self.sample = bytes.iter().copied().take(SAMPLE).collect();
        self
    }

    pub(crate) fn of(mut self, object: &str) -> Self {
        object.clone_into(&mut self.object);
        self
    }
}

impl Classified for Fault {
    fn kind(&self) -> ErrorKind {
        match self.kind {
            FaultKind::Damaged => ErrorKind::Corrupt,
            FaultKind::Changed => ErrorKind::Refused,
            _ => ErrorKind::Invalid,
        }
    }

    fn code(&self) -> Code {
        Code(match self.kind {
            FaultKind::Damaged => 1710,
            FaultKind::Encoding => 1711,
            FaultKind::Ragged => 1712,
            FaultKind::TooLarge => 1713,
            FaultKind::Schema => 1714,
            FaultKind::Json => 1715,
            FaultKind::Format => 1716,
            FaultKind::Changed => 1717,
            FaultKind::Row => 1718,
        })
    }
}

impl Classified for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Bus(e) => e.kind(),
            Self::Storage(e) => e.kind(),
            Self::Conform(e) => e.kind(),
            Self::Fault(e) => Classified::kind(e),
            Self::Settings { .. } | Self::Address { .. } => ErrorKind::Invalid,
            Self::Io { .. } | Self::Task(_) => ErrorKind::Internal,
            Self::Moved { .. } => ErrorKind::Conflict,
            Self::Position { .. } | Self::Kept { .. } => ErrorKind::Corrupt,
            Self::Robots { .. }
            | Self::Status { .. }
            | Self::Endless { .. }
            | Self::Query { .. }
            | Self::Overlap { .. } => ErrorKind::Refused,
            Self::Away { .. } | Self::Database { .. } => ErrorKind::Unavailable,
        }
    }

    fn code(&self) -> Code {
        Code(match self {
            Self::Bus(e) => return e.code(),
            Self::Storage(e) => return e.code(),
            Self::Conform(e) => return e.code(),
            Self::Fault(e) => return e.code(),
            Self::Settings { .. } => 1700,
            Self::Io { .. } => 1701,
            Self::Moved { .. } => 1702,
            Self::Position { .. } => 1703,
            Self::Task(_) => 1704,
            Self::Kept { .. } => 1705,
            Self::Address { .. } => 1720,
            Self::Status { .. } => 1721,
            Self::Away { .. } => 1722,
            Self::Endless { .. } => 1723,
            Self::Robots { .. } => 1724,
            Self::Database { .. } => 1730,
            Self::Query { .. } => 1731,
            Self::Overlap { .. } => 1732,
        })
    }

    fn is_transient(&self) -> bool {
        match self {
            // The stream tells what was stored, so an unknown outcome passes as well.
            Self::Bus(tidemill_bus::Error::Unknown { .. }) | Self::Moved { .. } => true,
            Self::Bus(e) => e.is_transient(),
            Self::Storage(e) => e.is_transient(),
            Self::Away { .. } | Self::Database { .. } => true,
            _ => false,
        }
    }
}
