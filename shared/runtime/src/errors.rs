//! How an error looks outside: gRPC status, HTTP problem (RFC 9457), exit code. One table for all services.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::error::Error as StdError;
use tidemill_types::{Classified, ErrorKind};
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

/// Metadata key that carries the `TMnnnn` code of a gRPC status.
pub const CODE_KEY: &str = "tm-code";
/// Metadata key that says whether the same call may succeed later: `true` or `false`.
pub const RETRYABLE_KEY: &str = "tm-retryable";

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

/// The gRPC status of an error, with its code and retryability as metadata.
pub fn to_status(error: &impl Classified) -> Status {
    let mut metadata = MetadataMap::new();
    if let Ok(code) = error.code().to_string().parse() {
        metadata.insert(CODE_KEY, code);
    }
    if let Ok(retryable) = error.is_transient().to_string().parse() {
        metadata.insert(RETRYABLE_KEY, retryable);
    }
    Status::with_metadata(grpc_code(error.kind()), chain(error), metadata)
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
}

/// The HTTP problem of an error.
pub fn to_problem(error: &impl Classified) -> Problem {
    let (status, title) = http_status(error.kind());
    let code = error.code().to_string();
    Problem {
        r#type: format!("urn:tidemill:error:{code}"),
        title: title.to_owned(),
        status: status.as_u16(),
        detail: chain(error),
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
        let problem = to_problem(&error);
        assert_eq!((problem.status, problem.retryable), (503, true));
        assert_eq!(problem.r#type, "urn:tidemill:error:TM0601");
        assert_eq!(exit_code(error.kind()), 4);
        let response = problem.into_response();
        assert_eq!(response.headers().get(header::CONTENT_TYPE).unwrap(), "application/problem+json");
    }
}
