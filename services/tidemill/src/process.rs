//! What every process of Tidemill begins with: crypto, store, bus, addresses.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::Path;
use tidemill_bus::{Bus, BusOptions, Credentials};
use tidemill_runtime::{Config, bind};
use tidemill_storage::{S3Options, Storage};
use tokio::net::TcpListener;

/// Where the services of an instance answer, as URLs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Endpoints {
    /// gRPC of the feature service.
    pub(crate) feature: String,
    /// gRPC of the training service.
    pub(crate) training: String,
    /// gRPC of the evaluation service.
    pub(crate) evaluation: String,
    /// Open Inference Protocol over gRPC.
    pub(crate) serving_grpc: String,
    /// Open Inference Protocol over HTTP.
    pub(crate) serving_http: String,
    /// gRPC of the monitoring service.
    pub(crate) monitoring: String,
    /// Health and metrics.
    pub(crate) admin: String,
}

impl Endpoints {
    /// The addresses of the configuration.
    pub(crate) fn configured(config: &Config) -> Self {
        Self {
            feature: url(&config.feature.grpc),
            training: url(&config.training.grpc),
            evaluation: url(&config.evaluation.grpc),
            serving_grpc: url(&config.serving.grpc),
            serving_http: url(&config.serving.http),
            monitoring: url(&config.monitoring.grpc),
            admin: url(&config.admin.bind),
        }
    }
}

fn url(address: &str) -> String {
    format!("http://{address}")
}

/// Takes an address and says under which URL it is reached.
pub(crate) async fn take(address: &str, what: &str, key: &str) -> Result<(TcpListener, String)> {
    let listener = bind(address, what, key).await?;
    let mut taken = listener.local_addr()?;
    if taken.ip().is_unspecified() {
        taken = SocketAddr::from(([127, 0, 0, 1], taken.port()));
    }
    Ok((listener, url(&taken.to_string())))
}

/// Chooses the crypto library once; two are linked, and rustls does not choose for us.
pub(crate) fn install_crypto() {
    // An error means that it was chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Opens the configured object store.
pub(crate) fn open_storage(config: &Config) -> Result<Storage> {
    let store = &config.store;
    let options = S3Options {
        endpoint: store.endpoint.clone(),
        region: Some(store.region.clone()),
        access_key_id: store.access_key_file.as_deref().map(secret).transpose()?,
        secret_access_key: store.secret_key_file.as_deref().map(secret).transpose()?,
        allow_http: store.endpoint.as_deref().is_some_and(|e| e.starts_with("http://")),
    };
    Ok(Storage::open(&config.store_url(), &options)?)
}

/// Connects to the bus at `url` with the configured identity.
pub(crate) async fn open_bus(config: &Config, url: &str, name: &str) -> Result<Bus> {
    let mut options = BusOptions::new(url, name);
    if let Some(file) = &config.bus.nkey_file {
        options.credentials = Credentials::NkeySeed(secret(file)?);
    }
    Ok(Bus::connect(options).await?)
}

fn secret(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file).map_err(Error::file("read the secret in", file))?;
    Ok(text.trim().to_owned())
}
