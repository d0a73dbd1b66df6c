//! A gRPC server with health that tells the truth, traces that continue, and a graceful end.

use crate::error::Error;
use crate::readiness::Readiness;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// Serves `routes` and `grpc.health.v1.Health` until `token` is cancelled, then lets running calls finish.
///
/// The overall health (`""`) follows `readiness`. A call that brings a `traceparent` continues that trace.
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
        .trace_fn(|request| {
            // The path is the name of a method, hence a template.
            let span = tracing::info_span!("grpc", otel.name = request.uri().path(), otel.kind = "server");
            if let Some(parent) = request.headers().get("traceparent").and_then(|value| value.to_str().ok()) {
                tidemill_telemetry::set_parent(&span, parent);
            }
            span
        })
        .add_routes(routes.add_service(health))
        .serve_with_incoming_shutdown(incoming, token.clone().cancelled_owned());
    tokio::select! {
        result = server => result.map_err(|error| Error::Serve { what: what.to_owned(), reason: error.to_string() }),
        () = report(&mut reporter, &readiness, &token) => Ok(()),
    }
}

/// Never ends: keeps the reported health equal to readiness until `token` is cancelled.
async fn report(reporter: &mut HealthReporter, readiness: &Readiness, token: &CancellationToken) {
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
    reporter.set_service_status("", ServingStatus::NotServing).await;
    // Ends the streams of those who watch; they would keep the server from ending.
    reporter.clear_service_status("").await;
    std::future::pending().await
}
