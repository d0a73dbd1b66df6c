//! What can go wrong while telemetry is set up.

use tidemill_types::{Classified, Code, ErrorKind};

/// A failure to set up telemetry.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log filter cannot be read.
    #[error("log filter \"{filter}\" is not readable: {reason}; example: info,tidemill_bus=debug")]
    Filter {
        /// The filter as given.
        filter: String,
        /// What the parser said.
        reason: String,
    },
    /// The exporter for the endpoint cannot be built.
    #[error("cannot export traces to {endpoint}: {reason}; expected an address like http://127.0.0.1:4317")]
    Exporter {
        /// The endpoint as given.
        endpoint: String,
        /// What the exporter said.
        reason: String,
    },
    /// An exporter was asked for outside an asynchronous runtime.
    #[error("trace export needs a running tokio runtime: call init from inside one")]
    NoRuntime,
    /// Something else has installed a subscriber before.
    #[error("telemetry is set up already in this process")]
    Twice,
}

impl Classified for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Filter { .. } | Self::Exporter { .. } => ErrorKind::Invalid,
            Self::NoRuntime | Self::Twice => ErrorKind::Internal,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Filter { .. } => Code(30),
            Self::Exporter { .. } => Code(31),
            Self::NoRuntime => Code(32),
            Self::Twice => Code(33),
        }
    }
}
