//! Sharing out: partners read what the project file gives them, by Arrow Flight, with a signed manifest.
//!
//! A share is a view of the clean table of a source: some columns, some rows. Nothing is copied; each read is of one
//! version of the table, so that data and manifest belong together. Who is given what is noted in the audit log before
//! the first row leaves.

mod error;
mod flight;
mod manifest;
mod tokens;
mod view;

pub use error::ShareError;
pub use manifest::{Manifest, SharedColumn, SharedQuality, SignedManifest};
pub use tokens::Tokens;

use crate::error::ValidationError;
use arrow_flight::flight_service_server::FlightServiceServer;
use flight::Shares;
use std::sync::Arc;
use tidemill_bus::Bus;
use tidemill_registry::SigningKey;
use tidemill_runtime::grpc_span;
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

/// What sharing needs from the process.
pub struct ShareDeps {
    /// The bus, for the audit log.
    pub bus: Bus,
    /// The object store.
    pub storage: Storage,
    /// The applied project.
    pub spec: Arc<Spec>,
    /// Signs manifests.
    pub key: SigningKey,
    /// Who the partners are.
    pub tokens: Tokens,
    /// Where Flight is served.
    pub listener: TcpListener,
}

/// Serves the shares of the project until `stop`; running calls are finished.
///
/// # Errors
/// The listener stops working.
pub async fn share(deps: ShareDeps, stop: CancellationToken) -> Result<(), ValidationError> {
    let ShareDeps { bus, storage, spec, key, tokens, listener } = deps;
    let shares = Shares::new(bus, storage, spec, key, tokens);
    let served = Server::builder()
        .trace_fn(|request| grpc_span(request.uri().path(), request.headers()))
        .add_service(FlightServiceServer::new(shares))
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), stop.cancelled_owned());
    served.await.map_err(|e| ValidationError::Task(e.to_string()))
}
