//! What can go wrong in configuration and process conduct.

use crate::supervise::Failure;
use std::path::PathBuf;
use tidemill_types::{Classified, Code, ErrorKind};

/// A failure of configuration or process conduct.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A configuration file cannot be read.
    #[error("cannot read configuration file {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A configuration file is not TOML.
    #[error("{origin} is not readable as TOML: {reason}")]
    Syntax {
        /// Where the text came from.
        origin: String,
        /// What the parser said, with line and column.
        reason: String,
    },
    /// A setting does not exist.
    #[error("{origin} sets \"{key}\", which does not exist{}", suggest(suggestion))]
    UnknownKey {
        /// Where the setting came from.
        origin: String,
        /// The path of the setting.
        key: String,
        /// The nearest one that exists.
        suggestion: Option<String>,
    },
    /// A setting has a value it cannot have.
    #[error("setting \"{key}\" ({origin}): {reason}")]
    BadValue {
        /// Where the setting came from.
        origin: String,
        /// The path of the setting.
        key: String,
        /// What is expected.
        reason: String,
    },
    /// An address cannot be listened on.
    #[error(
        "cannot listen on {address} for {what}: {source}; free the port or set \"{key}\" to another one (0 takes a free one)"
    )]
    Bind {
        /// The address.
        address: String,
        /// What was to be served.
        what: String,
        /// The setting to change.
        key: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A server stopped working.
    #[error("serving {what}: {reason}")]
    Serve {
        /// What was served.
        what: String,
        /// What went wrong.
        reason: String,
    },
    /// A supervised task failed and took the process with it.
    #[error("task \"{}\" failed: {}", .0.task, .0.message)]
    Task(Failure),
    /// Tasks did not end in time.
    #[error("still running after {seconds} s of draining, cut off: {}", tasks.join(", "))]
    DrainTimedOut {
        /// How long they were given.
        seconds: u64,
        /// Their names.
        tasks: Vec<String>,
    },
    /// The process was told a second time to stop.
    #[error("stopped at once by a second signal; unfinished: {}", tasks.join(", "))]
    Interrupted {
        /// Names of the tasks that were running.
        tasks: Vec<String>,
    },
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signals(std::io::Error),
    /// The asynchronous runtime cannot be started.
    #[error("cannot start the asynchronous runtime: {0}")]
    Start(std::io::Error),
}

fn suggest(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"))
}

impl Classified for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::File { .. } | Self::Syntax { .. } | Self::UnknownKey { .. } | Self::BadValue { .. } => {
                ErrorKind::Invalid
            }
            Self::Bind { .. } => ErrorKind::Conflict,
            Self::Task(failure) => failure.kind,
            Self::DrainTimedOut { .. } => ErrorKind::TimedOut,
            Self::Serve { .. } | Self::Interrupted { .. } | Self::Signals(_) | Self::Start(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::File { .. } => Code(10),
            Self::Syntax { .. } => Code(11),
            Self::UnknownKey { .. } => Code(12),
            Self::BadValue { .. } => Code(13),
            Self::Bind { .. } => Code(20),
            Self::Serve { .. } => Code(21),
            Self::Task(failure) => failure.code,
            Self::DrainTimedOut { .. } => Code(23),
            Self::Interrupted { .. } => Code(24),
            Self::Signals(_) => Code(25),
            Self::Start(_) => Code(26),
        }
    }

    // None of them passes by itself: ports are freed and time limits raised by somebody.
    fn is_transient(&self) -> bool {
        false
    }
}
