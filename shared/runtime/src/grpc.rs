//! A gRPC server with health that tells the truth, traces that continue, and a graceful end.

use crate::error::Error;
use crate::readiness::Readiness;
use axum::http::HeaderMap;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tracing::Span;

/// Name under which health says that the process answers, whether or not it can do its work yet.
pub const LIVE: &str = "tidemill.live";

/// Serves `routes` and `grpc.health.v1.Health` until `token` is cancelled, then lets running calls finish.
///
/// The overall health (`""`) follows `readiness`, that of [`LIVE`] holds until `token` is cancelled. A call that brings a `traceparent` continues that trace.
///
/// # Errors
/// The listener stops working.
pub async fn grpc_server(
    what: &str,
    listener: TcpListener,
    routes: Routes,
    readiness: Readiness,
    token: CancellationToken,
) -> Result<(), Error> {
    let (mut reporter, health) = tonic_health::server::health_reporter();
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = Server::builder()
        .trace_fn(|request| grpc_span(request.uri().path(), request.headers()))
        .add_routes(routes.add_service(health))
        .serve_with_incoming_shutdown(incoming, token.clone().cancelled_owned());
    tokio::select! {
        result = server => result.map_err(|error| Error::Serve { what: what.to_owned(), reason: error.to_string() }),
        () = report(&mut reporter, &readiness, &token) => Ok(()),
    }
}

/// The span of a call, in the trace that it brings. Its name is that of the method, which is a template.
#[must_use]
pub fn grpc_span(path: &str, headers: &HeaderMap) -> Span {
    let Some(role) = role_of(path) else { return Span::none() };
    let span = tracing::info_span!("grpc", otel.name = path, otel.kind = "server", tidemill.role = role);
    if let Some(parent) = headers.get("traceparent").and_then(|value| value.to_str().ok()) {
        tidemill_telemetry::set_parent(&span, parent);
    }
    span
}

/// The role that answers a method, by its package; `None` for what is not traced: health, reflection, and paths that
/// are no name of a method, because they come from outside.
fn role_of(path: &str) -> Option<&str> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    if method.len() > 64 || !method.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return None;
    }
    match service.split('.').collect::<Vec<_>>().as_slice() {
        ["inference", "GRPCInferenceService"] => Some("serving"),
        ["arrow", "flight", "protocol", "FlightService"] => Some("validation"),
        ["tidemill", role, "v1", name] if name.to_lowercase() == format!("{role}service") => Some(role),
        _ => None,
    }
}

/// Never ends: keeps the reported health equal to readiness until `token` is cancelled.
async fn report(reporter: &mut HealthReporter, readiness: &Readiness, token: &CancellationToken) {
    reporter.set_service_status(LIVE, ServingStatus::Serving).await;
    loop {
        reporter.set_service_status("", ServingStatus::NotServing).await;
        if token.run_until_cancelled(readiness.reach(true)).await.is_none() {
            break;
        }
        reporter.set_service_status("", ServingStatus::Serving).await;
        if token.run_until_cancelled(readiness.reach(false)).await.is_none() {
            break;
        }
    }
    for service in ["", LIVE] {
        reporter.set_service_status(service, ServingStatus::NotServing).await;
        // Ends the streams of those who watch; they would keep the server from ending.
        reporter.clear_service_status(service).await;
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_methods_become_names_of_spans() {
        assert_eq!(role_of("/inference.GRPCInferenceService/ModelInfer"), Some("serving"));
        assert_eq!(role_of("/tidemill.feature.v1.FeatureService/ReadOnline"), Some("feature"));
        for path in ["/grpc.health.v1.Health/Check", "/tidemill.feature.v1.FeatureService/Read/1", "/a", ""] {
            assert_eq!(role_of(path), None, "{path}");
        }
    }
}
