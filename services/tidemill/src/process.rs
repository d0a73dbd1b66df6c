//! What every process of Tidemill begins with: crypto, store, bus, addresses.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::Path;
use tidemill_bus::{Bus, BusOptions, Credentials};
use tidemill_registry::{SigningKey, TrustedKeys};
use tidemill_runtime::{Config, bind};
use tidemill_storage::{S3Options, Storage};
use tokio::net::TcpListener;

/// Where the services of an instance answer, as URLs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Endpoints {
    /// Events over HTTP; empty when they are not taken.
    pub(crate) ingestion: String,
    /// Shared datasets over Arrow Flight; empty when nothing is offered.
    pub(crate) shares: String,
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
    /// Pages for people.
    pub(crate) console: String,
    /// Health and metrics.
    pub(crate) admin: String,
}

impl Endpoints {
    /// The addresses of the configuration: of peers where they are named, else where the roles listen.
    pub(crate) fn configured(config: &Config) -> Self {
        let peers = &config.peers;
        Self {
            ingestion: config.ingestion.http.as_deref().map(url).unwrap_or_default(),
            shares: config.validation.flight.as_deref().map(url).unwrap_or_default(),
            feature: peer(&peers.feature, &config.feature.grpc),
            training: peer(&peers.training, &config.training.grpc),
            evaluation: peer(&peers.evaluation, &config.evaluation.grpc),
            serving_grpc: peer(&peers.serving, &config.serving.grpc),
            serving_http: peer(&peers.serving_http, &config.serving.http),
            monitoring: peer(&peers.monitoring, &config.monitoring.grpc),
            console: peer(&peers.console, &config.console.http),
            admin: url(&config.admin.bind),
        }
    }
}

fn peer(named: &str, listens: &str) -> String {
    if named.is_empty() { url(listens) } else { named.to_owned() }
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
    Ok(Bus::connect(bus_options(config, url, name)?).await?)
}

/// How the bus at `url` is reached with the configured identity.
pub(crate) fn bus_options(config: &Config, url: &str, name: &str) -> Result<BusOptions> {
    let mut options = BusOptions::new(url, name);
    options.root_certificates.clone_from(&config.bus.ca_file);
    if let Some(file) = &config.bus.nkey_file {
        options.credentials = Credentials::NkeySeed(secret(file)?);
    }
    Ok(options)
}

/// The key that signs bundles, for those who sign, and the keys whose bundles are loaded.
pub(crate) fn open_keys(config: &Config, signs: bool) -> Result<(Option<SigningKey>, TrustedKeys)> {
    let settings = &config.keys;
    if let (false, Some(file)) = (signs, &settings.trusted_file) {
        return Ok((None, TrustedKeys::load(file)?));
    }
    let key = match &settings.signing_file {
        Some(file) => SigningKey::load(file)?,
        None => SigningKey::load_or_create(&config.data_dir.join("keys").join("signing.key"))?,
    };
    let trusted = match &settings.trusted_file {
        Some(file) => TrustedKeys::load(file)?,
        None => TrustedKeys::default().with(&key.id())?,
    };
    Ok((Some(key), trusted))
}

/// The secret that a file holds.
pub(crate) fn secret(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file).map_err(Error::file("read the secret in", file))?;
    Ok(text.trim().to_owned())
}
