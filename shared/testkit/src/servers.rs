//! A bus and stores in temporary folders, gone when dropped.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tidemill_bus::{Bus, BusOptions};
use tidemill_servers::{NatsOptions, NatsServer, Obtain, SeaweedFs, SeaweedOptions, nats_server, seaweedfs};
use tidemill_storage::{S3Options, Storage};

/// A nats-server of its own, with the repository's configuration.
#[derive(Debug)]
pub struct Nats {
    // Before the folder: it must have ended when the folder is removed.
    server: NatsServer,
    dir: PathBuf,
    temporary: Option<TempDir>,
}

impl Nats {
    /// Obtains the program if need be and starts it on a free port.
    ///
    /// # Errors
    /// When no program can be had or it does not become ready.
    pub async fn start() -> Result<Self> {
        let dir = tempfile::tempdir().context("temporary folder for nats-server")?;
        let mut started = Self::start_in(dir.path()).await?;
        started.temporary = Some(dir);
        Ok(started)
    }

    /// As [`Nats::start`], in a folder that stays.
    ///
    /// # Errors
    /// As [`Nats::start`].
    pub async fn start_in(dir: &Path) -> Result<Self> {
        let binary = nats_server(&Obtain::from_env()).await?;
        let server = NatsServer::start(NatsOptions::new(binary, dir)).await?;
        Ok(Self { server, dir: dir.to_owned(), temporary: None })
    }

    /// URL for clients.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// A new connection, with little patience so that failing tests fail soon.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn bus(&self) -> Result<Bus> {
        let mut options = BusOptions::new(self.url(), "test");
        options.request_timeout = Duration::from_secs(5);
        Ok(Bus::connect(options).await?)
    }

    /// The server, to stop, kill and restart it.
    pub fn server(&mut self) -> &mut NatsServer {
        &mut self.server
    }

    /// SIGKILL and a start on the same port and folder: what was acknowledged is still there.
    ///
    /// # Errors
    /// When it does not start again.
    pub async fn crash(&mut self) -> Result<()> {
        self.server.kill().await?;
        Ok(self.server.restart().await?)
    }

    /// Folder of configuration, log and store.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// A local folder as object store.
#[derive(Debug)]
pub struct Store {
    storage: Storage,
    dir: TempDir,
}

impl Store {
    /// An empty folder.
    ///
    /// # Errors
    /// When no temporary folder can be made.
    pub fn local() -> Result<Self> {
        let dir = tempfile::tempdir().context("temporary folder for the store")?;
        let storage = Storage::open(&url_of(dir.path()), &S3Options::default())?;
        Ok(Self { storage, dir })
    }

    /// `file://` URL of the folder.
    #[must_use]
    pub fn url(&self) -> String {
        url_of(self.dir.path())
    }

    /// The opened store.
    #[must_use]
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

fn url_of(dir: &Path) -> String {
    format!("file://{}", dir.display())
}

/// A SeaweedFS of its own, with one bucket.
#[derive(Debug)]
pub struct S3 {
    // Before the folder: it must have ended when the folder is removed.
    server: SeaweedFs,
    dir: PathBuf,
    temporary: Option<TempDir>,
}

impl S3 {
    /// Obtains the program if need be and starts it; takes some seconds.
    ///
    /// # Errors
    /// When no program can be had or it does not become ready.
    pub async fn start() -> Result<Self> {
        let dir = tempfile::tempdir().context("temporary folder for SeaweedFS")?;
        let mut started = Self::start_in(dir.path()).await?;
        started.temporary = Some(dir);
        Ok(started)
    }

    /// As [`S3::start`], in a folder that stays.
    ///
    /// # Errors
    /// As [`S3::start`].
    pub async fn start_in(dir: &Path) -> Result<Self> {
        let binary = seaweedfs(&Obtain::from_env()).await?;
        let server = SeaweedFs::start(SeaweedOptions::new(binary, dir)).await?;
        Ok(Self { server, dir: dir.to_owned(), temporary: None })
    }

    /// `s3://` URL of the bucket.
    #[must_use]
    pub fn url(&self) -> String {
        format!("s3://{}", self.server.bucket())
    }

    /// Endpoint and keys.
    #[must_use]
    pub fn options(&self) -> S3Options {
        S3Options {
            endpoint: Some(self.server.endpoint()),
            access_key_id: Some(self.server.access_key().to_owned()),
            secret_access_key: Some(self.server.secret_key().to_owned()),
            allow_http: true,
            ..S3Options::default()
        }
    }

    /// The opened store.
    ///
    /// # Errors
    /// When the options do not fit.
    pub fn storage(&self) -> Result<Storage> {
        Ok(Storage::open(&self.url(), &self.options())?)
    }

    /// The server, to stop, kill and restart it.
    pub fn server(&mut self) -> &mut SeaweedFs {
        &mut self.server
    }

    /// Folder of volumes, metadata and log.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}
