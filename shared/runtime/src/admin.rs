//! `/livez`, `/readyz` and `/metrics` of a process.

use crate::error::Error;
use crate::readiness::Readiness;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use tidemill_telemetry::{Metrics, metrics::CONTENT_TYPE};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Serves the pages until `token` is cancelled.
///
/// Give it a token that outlives the drain, so that an observer sees the process become unready instead of absent.
///
/// # Errors
/// The listener stops working.
pub async fn serve_admin(
    listener: TcpListener,
    readiness: Readiness,
    metrics: Metrics,
    token: CancellationToken,
) -> Result<(), Error> {
    let routes = Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz).with_state(readiness))
        .route("/metrics", get(render).with_state(metrics));
    axum::serve(listener, routes)
        .with_graceful_shutdown(token.cancelled_owned())
        .await
        .map_err(|error| Error::Serve { what: "health and metrics".to_owned(), reason: error.to_string() })
}

async fn readyz(State(readiness): State<Readiness>) -> Response {
    let unmet = readiness.unmet();
    let status = if unmet.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let ready = unmet.is_empty();
    let unmet: Map<String, Value> = unmet.into_iter().map(|(name, reason)| (name, reason.into())).collect();
    (status, Json(json!({ "ready": ready, "unmet": unmet }))).into_response()
}

async fn render(State(metrics): State<Metrics>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics.render())
}
