//! Open Inference Protocol v2 over HTTP: routes, statuses and headers.

use crate::error::Error;
use crate::infer::Serving;
use crate::metadata;
use crate::rest_body::{self, LENGTH_HEADER};
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde::Serialize;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tidemill_runtime::{Problem, to_problem};

type Shared = State<Arc<Serving>>;
/// `model` and, on some routes, `version`.
type Names = Path<HashMap<String, String>>;

/// The routes of the protocol.
pub(crate) fn routes(serving: Arc<Serving>) -> Router {
    let limit = serving.config.request_bytes;
    Router::new()
        .route("/v2", get(server))
        .route("/v2/health/live", get(|| async { Json(json!({"live": true})) }))
        .route("/v2/health/ready", get(ready))
        .route("/v2/models/{model}", get(model))
        .route("/v2/models/{model}/ready", get(model_ready))
        .route("/v2/models/{model}/infer", post(infer))
        .route("/v2/models/{model}/versions/{version}", get(model))
        .route("/v2/models/{model}/versions/{version}/ready", get(model_ready))
        .route("/v2/models/{model}/versions/{version}/infer", post(infer))
        .fallback(|| async { refusal(StatusCode::NOT_FOUND, "no such page: see /v2".to_owned()) })
        .layer(DefaultBodyLimit::max(limit))
        .with_state(serving)
}

/// The protocol's form of an error; the status is that of the error's kind.
struct Refused(Error);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let problem = to_problem(&self.0);
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retryable = problem.retryable;
        let told = Told { error: format!("{}: {}", problem.code, problem.detail), problem };
        let mut response = (status, Json(told)).into_response();
        let problem_json = header::HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, problem_json);
        if retryable {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        response
    }
}

/// What the protocol wants in an error, and beside it the problem (RFC 9457) with the name of its page.
#[derive(Serialize)]
struct Told {
    error: String,
    #[serde(flatten)]
    problem: Problem,
}

fn refusal(status: StatusCode, error: String) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

fn named<'a>(names: &'a HashMap<String, String>, which: &str) -> &'a str {
    names.get(which).map_or("", String::as_str)
}

async fn server() -> Response {
    let (name, version) = (metadata::SERVER, metadata::VERSION);
    Json(json!({"name": name, "version": version, "extensions": metadata::EXTENSIONS})).into_response()
}

async fn ready(State(serving): Shared) -> Response {
    readiness(serving.is_ready())
}

fn readiness(ready: bool) -> Response {
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": ready }))).into_response()
}

async fn model(State(serving): Shared, Path(names): Names) -> Result<Response, Refused> {
    let deployment = serving.deployment(named(&names, "model"))?;
    Ok(Json(metadata::model(deployment, named(&names, "version"))?).into_response())
}

async fn model_ready(State(serving): Shared, Path(names): Names) -> Result<Response, Refused> {
    let deployment = serving.deployment(named(&names, "model"))?;
    Ok(readiness(deployment.routes().route(&deployment.name, named(&names, "version")).is_ok()))
}

async fn infer(
    State(serving): Shared,
    Path(names): Names,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refused> {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return Ok(refusal(rejection.status(), rejection.body_text())),
    };
    if headers.contains_key(header::CONTENT_ENCODING) {
        let text = "compressed requests are not taken: send them as they are".to_owned();
        return Ok(refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    let json_bytes = json_length(&headers)?;
    let mut decoded = rest_body::decode(&body, json_bytes)?;
    decoded.request.model = named(&names, "model").to_owned();
    decoded.request.version = named(&names, "version").to_owned();
    decoded.request.traceparent = headers.get("traceparent").and_then(|v| v.to_str().ok()).map(str::to_owned);
    decoded.request.deadline = decoded.timeout_us.map(Duration::from_micros);
    let inferred = serving.infer(decoded.request).await?;
    let encoded = rest_body::encode(named(&names, "model"), decoded.id, inferred, &decoded.form)?;
    let kind = if encoded.json_bytes.is_some() { "application/octet-stream" } else { "application/json" };
    let mut response = ([(header::CONTENT_TYPE, kind)], encoded.body).into_response();
    if let Some(length) = encoded.json_bytes {
        response.headers_mut().insert(LENGTH_HEADER, length.into());
    }
    Ok(response)
}

/// Length of the JSON part when binary tensors follow it.
fn json_length(headers: &HeaderMap) -> Result<Option<usize>, Error> {
    let Some(value) = headers.get(LENGTH_HEADER) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    length.map(Some).ok_or_else(|| Error::BadRequest(format!("header {LENGTH_HEADER} is no length")))
}
