//! What can go wrong in the console, and how it looks: a page for people, problem+json for programs.

use tidemill_types::{Classified, Code, ErrorKind};

/// Why a page cannot be shown, or a decision was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another service refused or does not answer.
    #[error("the {service} service: {text}")]
    Service {
        /// The service.
        service: &'static str,
        /// Its kind of refusal.
        kind: ErrorKind,
        /// What it said.
        text: String,
        /// Its own code, when it sent one.
        code: Option<String>,
    },
    /// Another service answered what cannot be read.
    #[error("the {service} service answered what cannot be read: {reason}")]
    Answer {
        /// The service.
        service: &'static str,
        /// Cause.
        reason: String,
    },
    /// A parameter in the address that the page does not take.
    #[error("the address cannot be understood: {0}")]
    Query(String),
    /// Something named in the address does not exist.
    #[error("there is no {what} \"{name}\"")]
    Missing {
        /// What was looked for.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A form that did not come from a page of this console, or lacks what is asked for.
    #[error("{0}")]
    Form(String),
    /// A form that another site sent.
    #[error("this form was not sent from this console: {0}")]
    Foreign(&'static str),
    /// The console was asked under a name that is not its own.
    #[error("this console answers on this machine only, not as \"{0}\"")]
    Host(String),
    /// Too many pages are kept up to date already.
    #[error("{0} pages are kept up to date already")]
    Crowded(usize),
    /// A stored object that cannot be read.
    #[error("{path} cannot be read: {reason}")]
    Stored {
        /// Path of the object.
        path: String,
        /// Cause.
        reason: String,
    },
    /// The object store.
    #[error(transparent)]
    Storage(#[from] tidemill_storage::Error),
    /// A table.
    #[error(transparent)]
    Table(#[from] tidemill_dataset::Error),
    /// A question about lineage.
    #[error(transparent)]
    Lineage(#[from] tidemill_provenance::Error),
    /// The bus.
    #[error(transparent)]
    Bus(#[from] tidemill_bus::Error),
    /// Versions and aliases.
    #[error(transparent)]
    Registry(#[from] tidemill_registry::Error),
    /// What may be shown of rows cannot be told.
    #[error(transparent)]
    Privacy(#[from] tidemill_privacy::PrivacyError),
    /// The address of a service makes no sense.
    #[error("\"{url}\" is no address of a service: {reason}")]
    Address {
        /// The address.
        url: String,
        /// Cause.
        reason: String,
    },
    /// The web server stopped.
    #[error("the web server stopped: {0}")]
    Server(String),
}

/// What the console's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Something that is named in the address and does not exist.
    pub(crate) fn missing(what: &'static str, name: impl Into<String>) -> Self {
        Self::Missing { what, name: name.into() }
    }

    /// How it can be mended, as a command or an advice.
    #[must_use]
    pub fn mend(&self) -> &'static str {
        match self {
            Self::Service { kind: ErrorKind::Unavailable | ErrorKind::TimedOut, .. } => {
                "tidemill status shows which role is missing; the page fills as soon as it answers"
            }
            Self::Service { kind: ErrorKind::NotFound, .. } | Self::Missing { .. } => {
                "follow a link of the page above; what was listed there exists"
            }
            Self::Service { kind: ErrorKind::Conflict, .. } => "load the page again and decide on what it shows now",
            Self::Service { .. } => "tidemill explain CODE says more; the log of the service has the cause",
            Self::Query(_) => "remove the parameter that is named, or follow a link of the navigation",
            Self::Form(_) => "go back and fill in what is named",
            Self::Foreign(_) => "open the page in this console, load it again and send the form from there",
            Self::Crowded(_) => "close one that nobody looks at",
            Self::Host(_) => "use 127.0.0.1 or localhost, or let console.http listen on an outside address",
            Self::Storage(_) | Self::Table(_) | Self::Lineage(_) | Self::Bus(_) | Self::Registry(_) => {
                "tidemill doctor checks the bus and the store"
            }
            Self::Answer { .. } | Self::Stored { .. } => "roles of different versions may run together: restart them",
            Self::Address { .. } => "set the address in the configuration",
            Self::Privacy(_) => "tidemill dead show NUMBER shows it at a terminal",
            Self::Server(_) => "start the role again",
        }
    }
}

impl Classified for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Service { kind, .. } => *kind,
            Self::Answer { .. } => ErrorKind::Internal,
            Self::Query(_) | Self::Form(_) | Self::Address { .. } => ErrorKind::Invalid,
            Self::Missing { .. } => ErrorKind::NotFound,
            Self::Foreign(_) | Self::Host(_) => ErrorKind::Denied,
            Self::Crowded(_) => ErrorKind::Overloaded,
            Self::Stored { .. } => ErrorKind::Corrupt,
            Self::Storage(e) => e.kind(),
            Self::Table(e) => e.kind(),
            Self::Lineage(e) => e.kind(),
            Self::Bus(e) => e.kind(),
            Self::Registry(e) => e.kind(),
            Self::Privacy(e) => e.kind(),
            Self::Server(_) => ErrorKind::Unavailable,
        }
    }

    fn code(&self) -> Code {
        Code(match self {
            Self::Service { code, .. } => {
                let sent = code.as_deref().and_then(|code| code.strip_prefix("TM")?.parse().ok());
                sent.unwrap_or(1601)
            }
            Self::Answer { .. } => 1602,
            Self::Query(_) => 1603,
            Self::Missing { .. } => 1604,
            Self::Form(_) => 1605,
            Self::Foreign(_) => 1606,
            Self::Host(_) => 1607,
            Self::Stored { .. } => 1608,
            Self::Address { .. } => 1609,
            Self::Server(_) => 1610,
            Self::Crowded(_) => 1611,
            Self::Storage(e) => return e.code(),
            Self::Table(e) => return e.code(),
            Self::Lineage(e) => return e.code(),
            Self::Bus(e) => return e.code(),
            Self::Registry(e) => return e.code(),
            Self::Privacy(e) => return e.code(),
        })
    }
}
