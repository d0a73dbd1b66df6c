//! How an error looks outside: gRPC status, HTTP problem (RFC 9457), exit code. One table for all services.
//!
//! Both name the page of the error's code: `tidemill explain TMnnnn` shows it.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prost::Message as _;
use serde::{Deserialize, Serialize};
use std::error::Error as StdError;
use tidemill_types::{Classified, ErrorKind};
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

/// Metadata key that carries the `TMnnnn` code of a gRPC status.
pub const CODE_KEY: &str = "tm-code";
/// Metadata key that says whether the same call may succeed later: `true` or `false`.
pub const RETRYABLE_KEY: &str = "tm-retryable";

/// Metadata key that carries the command which shows the page of the code.
pub const HELP_KEY: &str = "tm-help";

/// What to run to read about a code.
#[must_use]
pub fn help(code: impl std::fmt::Display) -> String {
    format!("tidemill explain {code}")
}

/// The name of a code's page.
fn page(code: impl std::fmt::Display) -> String {
    format!("urn:tidemill:error:{code}")
}

/// An error and its causes in one line.
#[must_use]
pub fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let next_text = next.to_string();
        // Many errors print their cause themselves; do not say it twice.
        if !text.contains(&next_text) {
            text.push_str(": ");
            text.push_str(&next_text);
        }
        cause = next.source();
    }
    text
}

fn grpc_code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::Invalid => Code::InvalidArgument,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Conflict => Code::Aborted,
        ErrorKind::Refused => Code::FailedPrecondition,
        ErrorKind::Denied => Code::PermissionDenied,
        ErrorKind::TimedOut => Code::DeadlineExceeded,
        ErrorKind::Overloaded => Code::ResourceExhausted,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Corrupt => Code::DataLoss,
        ErrorKind::Internal => Code::Internal,
    }
}

fn http_status(kind: ErrorKind) -> (StatusCode, &'static str) {
    match kind {
        ErrorKind::Invalid => (StatusCode::BAD_REQUEST, "The request is not valid"),
        ErrorKind::NotFound => (StatusCode::NOT_FOUND, "Not found"),
        ErrorKind::Conflict => (StatusCode::CONFLICT, "The state has changed"),
        ErrorKind::Refused => (StatusCode::UNPROCESSABLE_ENTITY, "A check said no"),
        ErrorKind::Denied => (StatusCode::FORBIDDEN, "Not permitted"),
        ErrorKind::TimedOut => (StatusCode::GATEWAY_TIMEOUT, "Took too long"),
        ErrorKind::Overloaded => (StatusCode::TOO_MANY_REQUESTS, "Too much at once"),
        ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "Not reachable now"),
        ErrorKind::Corrupt => (StatusCode::INTERNAL_SERVER_ERROR, "Stored data is damaged"),
        ErrorKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "A defect of Tidemill"),
    }
}

/// Exit code of a command that ended with this kind of error: 1 failed, 2 usage, 3 a check said no, 4 unreachable.
#[must_use]
pub fn exit_code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Invalid => 2,
        ErrorKind::Refused => 3,
        ErrorKind::Unavailable => 4,
        _ => 1,
    }
}

/// The gRPC status of an error: code, retryability and help as metadata, and as the details of `google.rpc.Status`.
pub fn to_status(error: &impl Classified) -> Status {
    let mut metadata = MetadataMap::new();
    let code = error.code().to_string();
    if let Ok(code) = code.parse() {
        metadata.insert(CODE_KEY, code);
    }
    if let Ok(help) = help(&code).parse() {
        metadata.insert(HELP_KEY, help);
    }
    if let Ok(retryable) = error.is_transient().to_string().parse() {
        metadata.insert(RETRYABLE_KEY, retryable);
    }
    let (grpc, text) = (grpc_code(error.kind()), chain(error));
    let details = wire::Status::of(grpc, &text, &code, error.is_transient()).encode_to_vec();
    Status::with_details_and_metadata(grpc, text, details.into(), metadata)
}

/// The messages of `google.rpc` that clients of other languages read from `grpc-status-details-bin`.
mod wire {
    use std::collections::BTreeMap;

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Any {
        #[prost(string, tag = "1")]
        pub(super) type_url: String,
        #[prost(bytes = "vec", tag = "2")]
        pub(super) value: Vec<u8>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Status {
        #[prost(int32, tag = "1")]
        pub(super) code: i32,
        #[prost(string, tag = "2")]
        pub(super) message: String,
        #[prost(message, repeated, tag = "3")]
        pub(super) details: Vec<Any>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ErrorInfo {
        #[prost(string, tag = "1")]
        pub(super) reason: String,
        #[prost(string, tag = "2")]
        pub(super) domain: String,
        #[prost(btree_map = "string, string", tag = "3")]
        pub(super) metadata: BTreeMap<String, String>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Link {
        #[prost(string, tag = "1")]
        pub(super) description: String,
        #[prost(string, tag = "2")]
        pub(super) url: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Help {
        #[prost(message, repeated, tag = "1")]
        pub(super) links: Vec<Link>,
    }

    fn any(name: &str, message: &impl prost::Message) -> Any {
        Any { type_url: format!("type.googleapis.com/google.rpc.{name}"), value: message.encode_to_vec() }
    }

    impl Status {
        pub(super) fn of(grpc: tonic::Code, message: &str, code: &str, retryable: bool) -> Self {
            let metadata = BTreeMap::from([("retryable".to_owned(), retryable.to_string())]);
            let info = ErrorInfo { reason: code.to_owned(), domain: "tidemill".to_owned(), metadata };
            let help = Help { links: vec![Link { description: super::help(code), url: super::page(code) }] };
            let details = vec![any("ErrorInfo", &info), any("Help", &help)];
            Self { code: grpc.into(), message: message.to_owned(), details }
        }
    }
}

/// The `TMnnnn` code that a status carries.
#[must_use]
pub fn status_code_text(status: &Status) -> Option<&str> {
    status.metadata().get(CODE_KEY)?.to_str().ok()
}

/// An HTTP problem; answers with media type `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Names the page of the code: `urn:tidemill:error:TMnnnn`.
    pub r#type: String,
    /// What sort of problem, the same for all of its kind.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// This problem, with causes.
    pub detail: String,
    /// `TMnnnn`.
    pub code: String,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// The command that shows cause and remedy.
    pub help: String,
}

/// The HTTP problem of an error.
pub fn to_problem(error: &impl Classified) -> Problem {
    let (status, title) = http_status(error.kind());
    let code = error.code().to_string();
    Problem {
        r#type: page(&code),
        title: title.to_owned(),
        status: status.as_u16(),
        detail: chain(error),
        help: help(&code),
        code,
        retryable: error.is_transient(),
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_string(&self).unwrap_or_default();
        (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemill_types::Code as TmCode;

    #[derive(Debug, thiserror::Error)]
    #[error("bus is away")]
    struct Away(#[source] std::io::Error);

    impl Classified for Away {
        fn kind(&self) -> ErrorKind {
            ErrorKind::Unavailable
        }
        fn code(&self) -> TmCode {
            TmCode(601)
        }
    }

    #[test]
    fn an_error_says_the_same_over_grpc_and_http() {
        let error = Away(std::io::Error::other("connection refused"));
        let status = to_status(&error);
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(status.message(), "bus is away: connection refused");
        assert_eq!(status_code_text(&status), Some("TM0601"));
        assert_eq!(status.metadata().get(HELP_KEY).unwrap(), "tidemill explain TM0601");
        let problem = to_problem(&error);
        assert_eq!(problem.help, "tidemill explain TM0601");
        assert_eq!((problem.status, problem.retryable), (503, true));
        assert_eq!(problem.r#type, "urn:tidemill:error:TM0601");
        assert_eq!(exit_code(error.kind()), 4);
        let response = problem.into_response();
        assert_eq!(response.headers().get(header::CONTENT_TYPE).unwrap(), "application/problem+json");
    }
    #[test]
    fn the_details_of_a_status_are_those_of_google_rpc() {
        let status = to_status(&Away(std::io::Error::other("connection refused")));
        let details = wire::Status::decode(status.details()).unwrap();
        assert_eq!((details.code, details.message.as_str()), (14, "bus is away: connection refused"));
        let [info, help] = details.details.as_slice() else { panic!("{details:?}") };
        assert_eq!(info.type_url, "type.googleapis.com/google.rpc.ErrorInfo");
        let info = wire::ErrorInfo::decode(info.value.as_slice()).unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("TM0601", "tidemill"));
        assert_eq!(info.metadata["retryable"], "true");
        let help = wire::Help::decode(help.value.as_slice()).unwrap();
        assert_eq!(help.links[0].description, "tidemill explain TM0601");
        assert_eq!(help.links[0].url, "urn:tidemill:error:TM0601");
    }
}
