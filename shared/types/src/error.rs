//! One closed set of error kinds for all services.
//!
//! The kind decides how an error looks outside (gRPC status, HTTP status, bus disposition, exit code);
//! whether to retry is a second, separate answer. Each crate keeps a small `Error` enum of its own and
//! implements [`Classified`] for it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What sort of thing went wrong, seen by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The request, spec or event is wrong and stays wrong: mend it and send it again.
    Invalid,
    /// The thing named does not exist.
    NotFound,
    /// Somebody else was faster, or a precondition does not hold: read again, then decide.
    Conflict,
    /// A check or gate said no.
    Refused,
    /// Not permitted.
    Denied,
    /// A deadline passed.
    TimedOut,
    /// Too much work at once; retry later.
    Overloaded,
    /// Something needed is not reachable now.
    Unavailable,
    /// Stored or sent data is damaged.
    Corrupt,
    /// A defect of Tidemill.
    Internal,
}

/// A stable error code, `TM0000` to `TM9999`, each with a cause and a remedy in the manual.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub u16);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TM{:04}", self.0)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What every error of Tidemill can say about itself.
pub trait Classified: std::error::Error {
    /// How the error looks to a caller.
    fn kind(&self) -> ErrorKind;
    /// The code with a page in the manual.
    fn code(&self) -> Code;
    /// True when the same call may succeed later without anybody changing anything.
    fn is_transient(&self) -> bool {
        matches!(self.kind(), ErrorKind::Unavailable | ErrorKind::Overloaded | ErrorKind::TimedOut)
    }
}
