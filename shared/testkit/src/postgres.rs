//! A PostgreSQL in a temporary folder, gone when dropped.

use anyhow::{Context, Result};
use std::path::Path;
use tempfile::TempDir;
use tidemill_servers::{Obtain, PostgresOptions, PostgresServer, postgresql};

/// A PostgreSQL of its own.
#[derive(Debug)]
pub struct Postgres {
    // Before the folder: it must have ended when the folder is removed.
    server: PostgresServer,
    dir: TempDir,
}

impl Postgres {
    /// Obtains the programs if need be, makes a database and starts it; takes some seconds.
    ///
    /// # Errors
    /// When no programs can be had or it does not become ready.
    pub async fn start() -> Result<Self> {
        Self::start_with(None).await
    }

    /// As [`Postgres::start`], offering TLS with a certificate and its key in PEM.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub async fn start_with(tls: Option<(String, String)>) -> Result<Self> {
        let programs = postgresql(&Obtain::from_env()).await?;
        let dir = tempfile::tempdir().context("temporary folder for PostgreSQL")?;
        let options = PostgresOptions { tls, ..PostgresOptions::new(programs, dir.path()) };
        Ok(Self { server: PostgresServer::start(options).await?, dir })
    }

    /// The server, to kill and restart it.
    pub fn server(&mut self) -> &mut PostgresServer {
        &mut self.server
    }

    /// Port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// A connection string for a client that has the password.
    #[must_use]
    pub fn connection(&self) -> String {
        let (user, password) = (self.server.user(), self.server.password());
        format!("host=127.0.0.1 port={} user={user} password={password} dbname=postgres", self.port())
    }

    /// Folder of data and log.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}
