//! Why a request is refused, as a problem by RFC 9457.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use std::time::Duration;
use tidemill_conform::Reject;
use tidemill_runtime::to_problem;
use tidemill_types::{Classified, Code, ErrorKind};

/// A refused request; nothing of it was published.
#[derive(Debug, thiserror::Error)]
pub(super) enum PushError {
    /// Another path or method.
    #[error("there is no such page: POST events to /v1/events/SOURCE")]
    Route,
    /// No token, or another one.
    #[error("the token is not the one that is expected: send Authorization: Bearer TOKEN")]
    Token,
    /// A source that the project does not declare.
    #[error("the project declares no source {0}")]
    Source(String),
    /// A body that was not read.
    #[error("the body was not read, at most {limit} bytes are taken: {reason}")]
    Body {
        /// Most bytes.
        limit: usize,
        /// What went wrong.
        reason: String,
    },
    /// A media type or encoding that is not taken.
    #[error("{0}")]
    Media(String),
    /// Headers or envelope are no CloudEvent.
    #[error("{0}")]
    Event(String),
    /// No row of the request fits the source.
    #[error("no row fits the source; the first: {}{}", .0.reason, position(.0))]
    Rows(Reject),
    /// A page in a browser, while no token says who may send.
    #[error(
        "a page in a browser asks ({0}), and without a token none may: set ingestion.http_token_file and send \
         Authorization: Bearer TOKEN, or send from a program"
    )]
    Page(String),
    /// A name that leads here without being ours, while no token says who may send.
    #[error(
        "the name {0} is not one of this interface: ask by its number or as localhost, add the name to \
         ingestion.http_names, or set ingestion.http_token_file"
    )]
    Host(String),
    /// As many requests as are taken at once are under way.
    #[error("{limit} requests are under way already: send again in a moment, and more rows at once")]
    Busy {
        /// Most requests.
        limit: usize,
    },
    /// The body did not arrive in time.
    #[error("the body did not arrive within {0:?}: send fewer rows at once")]
    Slow(Duration),
    /// Reading the events ended by panic.
    #[error("reading the events ended: {0}")]
    Task(String),
    /// The bus did not take the events.
    #[error(transparent)]
    Bus(#[from] tidemill_bus::Error),
}

fn position(reject: &Reject) -> String {
    if reject.position.is_empty() { String::new() } else { format!(", at {}", reject.position) }
}

impl Classified for PushError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Route | Self::Source(_) => ErrorKind::NotFound,
            Self::Token | Self::Page(_) | Self::Host(_) => ErrorKind::Denied,
            Self::Busy { .. } => ErrorKind::Overloaded,
            Self::Slow(_) => ErrorKind::TimedOut,
            Self::Task(_) => ErrorKind::Internal,
            Self::Rows(_) => ErrorKind::Refused,
            Self::Body { .. } | Self::Media(_) | Self::Event(_) => ErrorKind::Invalid,
            Self::Bus(e) => e.kind(),
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Route => Code(1750),
            Self::Token => Code(1751),
            Self::Source(_) => Code(1752),
            Self::Body { .. } => Code(1753),
            Self::Media(_) => Code(1754),
            Self::Event(_) => Code(1755),
            Self::Page(_) | Self::Host(_) => Code(1756),
            Self::Busy { .. } => Code(1757),
            Self::Slow(_) => Code(1758),
            Self::Task(_) => Code(1759),
            Self::Rows(reject) => reject.code,
            Self::Bus(e) => e.code(),
        }
    }

    fn is_transient(&self) -> bool {
        match self {
            // With the same id, the same request may be sent again whatever became of it.
            Self::Bus(tidemill_bus::Error::Unknown { .. }) | Self::Busy { .. } | Self::Slow(_) => true,
            Self::Bus(e) => e.is_transient(),
            _ => false,
        }
    }
}

impl IntoResponse for PushError {
    fn into_response(self) -> Response {
        let mut problem = to_problem(&self);
        // HTTP has statuses of its own for these.
        problem.status = match &self {
            Self::Token => 401,
            Self::Slow(_) => 408,
            Self::Body { .. } => 413,
            Self::Media(_) => 415,
            _ => problem.status,
        };
        let retryable = problem.retryable;
        let mut response = problem.into_response();
        let headers = response.headers_mut();
        if matches!(self, Self::Token) {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if retryable {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<PushError> for Response {
    fn from(error: PushError) -> Self {
        error.into_response()
    }
}
