//! All roles in one process, beside a child nats-server: the same code, subjects and files as in production.

use crate::error::{Error, Result};
use crate::instance::RunFile;
pub(crate) use crate::process::Endpoints;
use crate::process::{install_crypto, open_bus, open_keys, open_storage, take};
use crate::projects;
use crate::ready;
use crate::roles::{Context, Listeners, Role};
use crate::streams;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tidemill_bus::Bus;
use tidemill_registry::Registry;
use tidemill_runtime::{Config, Drained, Readiness, Signals, Supervisor, drain, grpc_server, serve_admin};
use tidemill_servers::{NatsOptions, NatsServer, Obtain, nats_server};
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tidemill_telemetry::{Metrics, Recent};
use tidemill_types::Millis;
use tonic::service::Routes;

/// How long the roles may take to answer.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// What [`start_all`] starts.
pub(crate) struct UpOptions {
    /// Settings.
    pub(crate) config: Config,
    /// Spec to apply first; without one, the project in force is taken.
    pub(crate) spec_text: Option<String>,
    /// Folder of the bus, the store, keys, spools and the file by which commands find the instance.
    pub(crate) data_dir: PathBuf,
    /// Whether to start a nats-server, instead of using the configured bus.
    pub(crate) with_nats: bool,
    /// The latest traces of the process.
    pub(crate) recent: Recent,
}

/// A running instance.
pub(crate) struct Running {
    /// The bus.
    pub(crate) bus: Bus,
    /// The object store.
    pub(crate) storage: Storage,
    /// The project.
    pub(crate) spec: Arc<Spec>,
    /// Where the services answer.
    pub(crate) endpoints: Endpoints,
    /// Metrics of the process.
    pub(crate) metrics: Metrics,
    /// Process id of the nats-server that was started.
    pub(crate) nats_pid: Option<u32>,
    /// URL of the bus.
    pub(crate) bus_url: String,
    supervisor: Supervisor,
    readiness: Readiness,
    drain_limit: Duration,
    observers: Supervisor,
    nats: Option<NatsServer>,
    data_dir: PathBuf,
    run_file: Option<PathBuf>,
}

/// Starts every role in this process and waits until all of them answer.
///
/// # Errors
/// An instance that runs already, an address that is taken, a spec that is refused, a role that does not come up.
pub(crate) async fn start_all(options: UpOptions) -> Result<Running> {
    let UpOptions { mut config, spec_text, data_dir, with_nats, recent } = options;
    std::fs::create_dir_all(&data_dir).map_err(Error::file("make", &data_dir))?;
    config.data_dir = data_dir.canonicalize().map_err(Error::file("find", &data_dir))?;
    if let Some(other) = RunFile::find(&config.data_dir)? {
        return Err(Error::Running(other.pid));
    }
    let nats = if with_nats { Some(start_nats(&config.data_dir).await?) } else { None };
    let bus_url = nats.as_ref().map_or_else(|| config.bus.url.clone(), NatsServer::url);
    let mut running = start(&Role::ALL, config, bus_url, spec_text, recent).await?;
    running.nats_pid = nats.as_ref().map(NatsServer::pid);
    running.nats = nats;
    running.announce()?;
    Ok(running)
}

/// Starts some roles in this process against a bus and store that others may share.
///
/// # Errors
/// As [`start_all`].
pub(crate) async fn start(
    roles: &[Role],
    config: Config,
    bus_url: String,
    spec_text: Option<String>,
    recent: Recent,
) -> Result<Running> {
    install_crypto();
    let storage = open_storage(&config)?;
    let name = if roles.len() == 1 { format!("tidemill-{}", roles[0]) } else { "tidemill".to_owned() };
    let bus = open_bus(&config, &bus_url, &name).await?;
    let spec = match spec_text {
        Some(text) => projects::apply(&bus, &text, config.bus.dead_letters).await?.spec,
        None => {
            let spec = projects::in_force(&bus, &config.project).await?;
            streams::ensure(&bus, &spec, config.bus.dead_letters).await?;
            spec
        }
    };
    let spec = Arc::new(spec);
    let mut endpoints = Endpoints::configured(&config);
    let listeners = Listeners::take(roles, &config, &mut endpoints).await?;
    let (admin, admin_url) = take(&config.admin.bind, "health and metrics", "admin.bind").await?;
    endpoints.admin = admin_url;
    let (key, trusted) = open_keys(&config, roles.contains(&Role::Training))?;
    let (metrics, readiness, supervisor) = (Metrics::new(), Readiness::new(), Supervisor::new());
    // Observers outlive the drain, so that somebody who asks sees it.
    let observers = Supervisor::new();
    let pages = serve_admin(admin, readiness.clone(), metrics.clone(), observers.token());
    observers.spawn("admin", pages);
    if let Some(address) = &config.admin.grpc {
        let (listener, _) = take(address, "gRPC health", "admin.grpc").await?;
        let health = grpc_server("health", listener, Routes::default(), readiness.clone(), observers.token());
        observers.spawn("health", health);
    }
    let drain_limit = config.drain.limit.0;
    let mut context = Context {
        config,
        bus: bus.clone(),
        storage: storage.clone(),
        spec: Arc::clone(&spec),
        metrics: metrics.clone(),
        readiness: readiness.clone(),
        supervisor: supervisor.clone(),
        endpoints: endpoints.clone(),
        listeners,
        registry: Registry::open(&bus).await?,
        key,
        trusted,
        recent,
    };
    for role in roles {
        context.start(*role)?;
    }
    let running = Running {
        bus,
        storage,
        spec,
        endpoints,
        metrics,
        nats_pid: None,
        bus_url,
        supervisor,
        readiness,
        drain_limit,
        observers,
        nats: None,
        data_dir: context.config.data_dir.clone(),
        run_file: None,
    };
    running.wait_until_ready(roles).await
}

async fn start_nats(data_dir: &Path) -> Result<NatsServer> {
    let obtain = Obtain { progress: Some(Arc::new(|step: &str| crate::cli::output::say(step))), ..Obtain::from_env() };
    let binary = nats_server(&obtain).await?;
    Ok(NatsServer::start(NatsOptions::new(binary, data_dir.join("nats"))).await?)
}

impl Running {
    /// Why the instance cannot go on, once a role has failed.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.supervisor.failure().map(|failure| Error::Runtime(tidemill_runtime::Error::Task(failure)))
    }

    /// Ends in good order: no new work, what runs is finished and committed, then the bus.
    ///
    /// # Errors
    /// A role that failed, or did not end in time.
    pub(crate) async fn stop(self) -> Result<()> {
        self.supervisor.cancel();
        let (_asks_nobody, nobody) = tokio::sync::mpsc::channel(1);
        Ok(self.finish(Signals::from_channel(nobody)).await.0?)
    }

    /// Runs until a signal or a failure, then ends in good order.
    pub(crate) async fn until_stopped(self) -> Result<Drained> {
        let signals = Signals::from_system()?;
        Ok(self.finish(signals).await)
    }

    async fn finish(mut self, signals: Signals) -> Drained {
        let drained = drain(&self.supervisor, &self.readiness, signals, self.drain_limit).await;
        if let Some(file) = self.run_file.take() {
            // It may never have been written.
            let _ = std::fs::remove_file(file);
        }
        self.observers.cancel();
        self.observers.ended().await;
        self.bus.close().await;
        if let Some(mut nats) = self.nats.take()
            && let Err(error) = nats.stop().await
        {
            tracing::warn!(%error, "the nats-server did not stop in good order");
        }
        drained
    }

    /// Writes the file by which commands find the instance.
    fn announce(&mut self) -> Result<()> {
        let file = RunFile {
            pid: std::process::id(),
            nats_pid: self.nats_pid,
            bus_url: self.bus_url.clone(),
            store_url: self.storage.url().to_owned(),
            endpoints: self.endpoints.clone(),
            project: self.spec.project.to_string(),
            started: now().to_string(),
        };
        self.run_file = Some(file.write(&self.data_dir)?);
        Ok(())
    }

    async fn wait_until_ready(self, roles: &[Role]) -> Result<Self> {
        let addresses = roles.iter().filter_map(|role| Some((*role, role.endpoint(&self.endpoints)?.to_owned())));
        let answering = ready::all_answer(addresses.collect(), &self.readiness);
        let outcome = tokio::select! {
            unmet = tokio::time::timeout(READY_WITHIN, answering) => unmet,
            () = self.supervisor.cancelled() => {
                // The failure says more than that somebody did not answer.
                self.stop().await?;
                return Err(Error::NoInstance("it ended while it started".to_owned()));
            }
        };
        if outcome.is_ok() {
            return Ok(self);
        }
        let unmet = self.readiness.unmet().into_iter().map(|(name, reason)| format!("{name} ({reason})"));
        let unmet = unmet.collect::<Vec<_>>().join(", ");
        self.stop().await?;
        Err(Error::NotReady { seconds: READY_WITHIN.as_secs(), unmet })
    }
}

/// The instant now.
pub(crate) fn now() -> Millis {
    Millis(chrono::Utc::now().timestamp_millis())
}
