//! Which instance a command talks to: the one of the data folder, else the one of the configuration.

use crate::error::{Error, Result};
use crate::instance::RunFile;
use crate::process::{Endpoints, bus_options, install_crypto, open_storage};
use crate::projects;
use std::time::Duration;
use tidemill_bus::Bus;
use tidemill_runtime::Config;
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tidemill_types::ProjectName;
use tonic::transport::{Channel, Endpoint};

/// Patience of a person at a terminal.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Answers can hold many windows or rows.
pub(crate) const MAX_ANSWER: usize = 64 << 20;

/// An instance, running or configured. Nothing is connected before it is asked for.
#[derive(Debug)]
pub(crate) struct Target {
    /// Settings.
    pub(crate) config: Config,
    /// The running instance, when there is one in the data folder.
    pub(crate) instance: Option<RunFile>,
    /// Where the services answer.
    pub(crate) endpoints: Endpoints,
}

impl Target {
    /// Looks for the instance of the configured data folder.
    pub(crate) fn find(config: Config) -> Result<Self> {
        install_crypto();
        let instance = RunFile::find(&config.data_dir)?;
        let endpoints = instance.as_ref().map_or_else(|| Endpoints::configured(&config), |i| i.endpoints.clone());
        Ok(Self { config, instance, endpoints })
    }

    /// Address of the bus.
    pub(crate) fn bus_url(&self) -> &str {
        self.instance.as_ref().map_or(&self.config.bus.url, |instance| &instance.bus_url)
    }

    /// Connects to the bus, with little patience.
    pub(crate) async fn bus(&self) -> Result<Bus> {
        let mut options = bus_options(&self.config, self.bus_url(), "tidemill-cli")?;
        options.connect_within = Some(CONNECT_WITHIN);
        Ok(Bus::connect(options).await?)
    }

    /// Opens the object store.
    pub(crate) fn storage(&self) -> Result<Storage> {
        let mut config = self.config.clone();
        if let Some(instance) = &self.instance {
            config.store.url.clone_from(&instance.store_url);
        }
        open_storage(&config)
    }

    /// Name of the project: of the instance, of the configuration, or the only one applied.
    pub(crate) async fn project(&self) -> Result<ProjectName> {
        let named = match &self.instance {
            _ if !self.config.project.is_empty() => self.config.project.clone(),
            Some(instance) => instance.project.clone(),
            None => return Ok(projects::in_force(&self.bus().await?, "").await?.project),
        };
        named.parse().map_err(|e: tidemill_types::id::BadName| Error::Usage(e.to_string()))
    }

    /// The project in force.
    pub(crate) async fn spec(&self, bus: &Bus) -> Result<Spec> {
        let name = match &self.instance {
            Some(instance) if self.config.project.is_empty() => &instance.project,
            _ => &self.config.project,
        };
        projects::in_force(bus, name).await
    }

    /// Connects to a service.
    pub(crate) async fn channel(&self, role: &str, url: &str) -> Result<Channel> {
        let bad = |e: tonic::transport::Error| {
            let reason = tidemill_runtime::errors::chain(&e);
            Error::NoInstance(format!("the {role} service does not answer at {url}: {reason}"))
        };
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(bad)?;
        endpoint.connect_timeout(CONNECT_WITHIN).connect().await.map_err(bad)
    }
}
