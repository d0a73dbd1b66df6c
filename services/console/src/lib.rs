#![doc = include_str!("../README.md")]

mod answers;
mod app;
mod assets;
mod commits;
mod error;
pub mod format;
pub mod layout;
mod live;
mod page;
mod pages;
mod profiles;
mod samples;
mod security;
mod services;
mod tables;

pub use app::{App, Part};
pub use error::{Error, Result};
pub use page::{Entry, Group, NoQuery, Page};
pub use pages::PAGES;
pub use services::{Addresses, Services};

use app::Answers;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Uri};
use axum::middleware::from_fn;
use axum::response::Response;
use commits::Commits;
use live::Live;
use profiles::Profiles;
use samples::Samples;
use std::sync::Arc;
use std::time::Duration;
use tables::Tables;
use tidemill_bus::Bus;
use tidemill_registry::Registry;
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tidemill_telemetry::{Metrics, Recent};
use tokio::net::TcpListener;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Largest form that is read.
const FORM_BYTES: usize = 16 * 1_024;
/// Between two looks at profiles that nobody asks for.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What the role needs from the process.
pub struct Deps {
    /// The bus.
    pub bus: Bus,
    /// The object store.
    pub storage: Storage,
    /// The applied project.
    pub spec: Arc<Spec>,
    /// Versions and aliases.
    pub registry: Registry,
    /// Where the other services answer.
    pub addresses: Addresses,
    /// Address of Jaeger's pages, or empty.
    pub traces_url: String,
    /// Metrics of the process.
    pub metrics: Metrics,
    /// The latest traces of the process.
    pub recent: Recent,
    /// Where pages are served.
    pub listener: TcpListener,
}

/// Serves the pages until `stop`.
///
/// # Errors
/// An address of a service that makes no sense, or a listener that stops working.
pub async fn run(deps: Deps, stop: CancellationToken) -> Result<()> {
    let loopback = deps.listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    let tables = Arc::new(Tables::new(&deps.storage));
    let app = Arc::new(App {
        live: Live::new(&deps.metrics),
        profiles: Profiles::new(&deps.spec, &tables),
        commits: Commits::new(&deps.spec, &tables),
        samples: Samples::new(&deps.spec, &tables),
        tables,
        lineage: Default::default(),
        stop: stop.clone(),
        spec: deps.spec,
        bus: deps.bus,
        storage: deps.storage,
        registry: deps.registry,
        metrics: deps.metrics,
        services: Services::new(&deps.addresses)?,
        recent: deps.recent,
        traces_url: deps.traces_url,
        form_token: security::secret(),
        loopback,
        answers: Answers::default(),
        lasting: Default::default(),
    });
    let follower = tokio::spawn(live::follow(Arc::clone(&app), stop.clone()));
    let looking = tokio::spawn(look_at_profiles(Arc::clone(&app)));
    let drawing = tokio::spawn(draw_rows(Arc::clone(&app)));
    let served = axum::serve(deps.listener, routes(app)).with_graceful_shutdown(stop.clone().cancelled_owned()).await;
    stop.cancel();
    // It ends by the same token; a panic in it was reported when it happened.
    let _ = follower.await;
    looking.abort();
    drawing.abort();
    served.map_err(|e| Error::Server(e.to_string()))
}

/// Reads new profiles before somebody asks, so that the first page is as fast as the others, also after much was loaded.
async fn look_at_profiles(app: Arc<App>) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = app.profiles.all().await {
            tracing::debug!(%error, "profiles are read when a page asks for them");
        }
    }
}

/// Draws rows of new versions, so that no page does.
async fn draw_rows(app: Arc<App>) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = app.samples.renew().await {
            tracing::debug!(%error, "rows are drawn at the next look");
        }
    }
}

/// All routes: pages and their twins, forms, live numbers, assets.
fn routes(app: Arc<App>) -> Router {
    let pages = PAGES.iter().fold(Router::new(), |router, entry| entry.mount(router));
    pages
        .merge(pages::forms())
        .merge(assets::routes())
        .fallback(nowhere)
        .layer(DefaultBodyLimit::max(FORM_BYTES))
        .layer(from_fn(security::headers))
        .with_state(app)
}

async fn nowhere(State(app): State<Arc<App>>, headers: HeaderMap, uri: Uri) -> Response {
    let path: String = uri.path().chars().take(200).collect();
    page::refusal(&app, &headers, path.ends_with(".json"), &Error::missing("page", path))
}
