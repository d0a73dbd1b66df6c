//! The console by itself: its pages over a bus and a store, without the services that it would ask.

use anyhow::Result;
use std::sync::Arc;
use tidemill_bus::Bus;
use tidemill_console::{Addresses, Deps};
use tidemill_registry::Registry;
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tidemill_telemetry::{Metrics, Recent};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Starts it, and gives where its pages are. It ends when `stop` says so.
///
/// # Errors
/// No address or no registry is to be had.
pub async fn console(
    bus: Bus,
    storage: &Storage,
    spec: &Arc<Spec>,
    stop: CancellationToken,
) -> Result<(String, JoinHandle<tidemill_console::Result<()>>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let host = listener.local_addr()?.to_string();
    let nowhere = "http://127.0.0.1:9".to_owned();
    let deps = Deps {
        registry: Registry::open(&bus).await?,
        bus,
        storage: storage.clone(),
        spec: Arc::clone(spec),
        addresses: Addresses {
            feature: nowhere.clone(),
            training: nowhere.clone(),
            evaluation: nowhere.clone(),
            monitoring: nowhere,
        },
        traces_url: String::new(),
        metrics: Metrics::new(),
        recent: Recent::default(),
        listener,
    };
    Ok((host, tokio::spawn(tidemill_console::run(deps, stop))))
}
