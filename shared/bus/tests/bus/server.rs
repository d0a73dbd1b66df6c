//! A server of its own for each test.

use std::time::Duration;
use tempfile::TempDir;
use tidemill_bus::{Bus, BusOptions, Outgoing};
use tidemill_servers::{NatsOptions, NatsServer, Obtain, nats_server};

/// A server in a temporary folder.
pub(crate) struct Server {
    pub(crate) nats: NatsServer,
    _dir: TempDir,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(None).await
    }

    pub(crate) async fn start_with(config: Option<String>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let binary = nats_server(&Obtain::from_env()).await.unwrap();
        let options = NatsOptions { config, ..NatsOptions::new(binary, dir.path()) };
        Self { nats: NatsServer::start(options).await.unwrap(), _dir: dir }
    }

    pub(crate) async fn bus(&self) -> Bus {
        let mut options = BusOptions::new(self.nats.url(), "test");
        options.request_timeout = Duration::from_secs(3);
        Bus::connect(options).await.unwrap()
    }
}

/// Messages whose bodies are their numbers.
pub(crate) fn numbered(subject: &str, numbers: std::ops::Range<usize>) -> Vec<Outgoing> {
    numbers.map(|number| Outgoing::new(subject, number.to_string())).collect()
}
