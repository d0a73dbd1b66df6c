//! A child nats-server with JetStream that syncs every acknowledged message to disk.

use crate::error::{Error, Result};
use crate::process::ServerProcess;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

const TEMPLATE: &str = include_str!("../../../infra/nats/tidemill.conf");
const READY_WITHIN: Duration = Duration::from_secs(30);
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// How to start a nats-server.
#[derive(Clone, Debug)]
pub struct NatsOptions {
    /// Program, as found by [`crate::nats_server`].
    pub binary: PathBuf,
    /// Folder of configuration, log and `jetstream` store; created when missing.
    pub data_dir: PathBuf,
    /// Configuration template; `None` takes `infra/nats/tidemill.conf`.
    pub config: Option<String>,
    /// Port on loopback; `None` takes a free one.
    pub port: Option<u16>,
    /// Name in logs and connection details.
    pub name: String,
    /// Upper bound of the store, in bytes or with a unit such as `64GB`.
    pub max_file_store: String,
}

impl NatsOptions {
    /// Defaults: the template of the repository, a free port, 64 GB.
    #[must_use]
    pub fn new(binary: impl Into<PathBuf>, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            data_dir: data_dir.into(),
            config: None,
            port: None,
            name: "tidemill".to_owned(),
            max_file_store: "64GB".to_owned(),
        }
    }
}

/// A running nats-server on loopback, killed on drop.
#[derive(Debug)]
pub struct NatsServer {
    options: NatsOptions,
    process: ServerProcess,
    port: u16,
}

impl NatsServer {
    /// Starts the server and waits until it takes connections.
    ///
    /// # Errors
    /// `TM1404` with the last lines of its log when it does not become ready within 30 s.
    pub async fn start(options: NatsOptions) -> Result<Self> {
        let (process, port) = launch(&options, options.port).await?;
        Ok(Self { options, process, port })
    }

    /// URL for clients, `nats://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Port for clients.
    #[must_use]
    pub fn client_port(&self) -> u16 {
        self.port
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Folder of configuration, log and store.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.options.data_dir
    }

    /// File with everything the server printed.
    #[must_use]
    pub fn log(&self) -> &Path {
        self.process.log()
    }

    /// Stops the server in good order; it can be started again by [`NatsServer::restart`].
    ///
    /// # Errors
    /// `TM1405` when the process cannot be ended.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.stop(STOP_WITHIN).await
    }

    /// SIGKILL, as in a crash.
    ///
    /// # Errors
    /// `TM1405` when the process cannot be ended.
    pub async fn kill(&mut self) -> Result<()> {
        self.process.kill().await
    }

    /// Starts the server again on the same port and folder, stopping it first when it still runs.
    ///
    /// # Errors
    /// As [`NatsServer::start`].
    pub async fn restart(&mut self) -> Result<()> {
        self.process.stop(STOP_WITHIN).await?;
        (self.process, self.port) = launch(&self.options, Some(self.port)).await?;
        Ok(())
    }
}

/// The configuration of the repository for a server that somebody else starts.
#[must_use]
pub fn nats_config(name: &str, store: &Path, max_file_store: &str) -> String {
    fill(TEMPLATE, name, store, max_file_store)
}

/// The configuration with its placeholders replaced.
fn fill(template: &str, name: &str, store: &Path, max_file_store: &str) -> String {
    template
        .replace("{{SERVER_NAME}}", name)
        .replace("{{STORE_DIR}}", &store.to_string_lossy().replace('\\', "/"))
        .replace("{{MAX_FILE_STORE}}", max_file_store)
}

async fn launch(options: &NatsOptions, port: Option<u16>) -> Result<(ServerProcess, u16)> {
    let dir = std::path::absolute(&options.data_dir).map_err(Error::io("resolve the data folder"))?;
    std::fs::create_dir_all(&dir).map_err(Error::io(format!("create {}", dir.display())))?;
    // Written at every start: a file left empty by a power cut would start a server that has no streams at all.
    let template = options.config.as_deref().unwrap_or(TEMPLATE);
    let config = fill(template, &options.name, &dir.join("jetstream"), &options.max_file_store);
    let path = dir.join("nats.conf");
    std::fs::write(&path, config).map_err(Error::io(format!("write {}", path.display())))?;
    let mut command = Command::new(&options.binary);
    command
        .current_dir(&dir)
        .args(["-a", "127.0.0.1", "-p"])
        .arg(port.map_or_else(|| "-1".to_owned(), |port| port.to_string()))
        .arg("-c")
        .arg(dir.join("nats.conf"))
        .arg("--ports_file_dir")
        .arg(&dir);
    let mut process = ServerProcess::spawn(command, dir.join("nats.log")).await?;
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        let state = match port_of(&dir, process.pid()) {
            None => "no ports file yet".to_owned(),
            Some(port) => match greeting(port).await {
                Ok(()) => return Ok((process, port)),
                Err(error) => format!("port {port}: {error}"),
            },
        };
        let ended = process.ended().map(|status| format!("it ended with {status}"));
        if ended.is_some() || Instant::now() >= deadline {
            let reason = format!("{}; last words: {}", ended.unwrap_or(state), process.last_words());
            return Err(Error::NotReady { name: "nats-server", reason, log: process.log().to_owned() });
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[derive(Deserialize)]
struct Ports {
    nats: Vec<String>,
}

/// The client port from `<program>_<pid>.ports`, once the server has written it.
fn port_of(dir: &Path, pid: u32) -> Option<u16> {
    let ending = format!("_{pid}.ports");
    let file = std::fs::read_dir(dir)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(&ending)))?;
    let ports: Ports = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    ports.nats.first()?.rsplit(':').next()?.parse().ok()
}

/// Waits for the server's greeting on a fresh connection.
async fn greeting(port: u16) -> std::io::Result<()> {
    let exchange = async {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).await?;
        let mut start = [0; 4];
        socket.read_exact(&mut start).await?;
        if &start == b"INFO" { Ok(()) } else { Err(std::io::Error::other("not a NATS greeting")) }
    };
    tokio::time::timeout(Duration::from_secs(2), exchange).await.map_err(std::io::Error::other)?
}
