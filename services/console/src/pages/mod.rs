//! The pages, and the single table of them.

mod alerts;
mod charts;
mod data;
mod deployments;
mod diff;
mod drift;
mod experiments;
mod lineage;
pub(crate) mod live;
mod models;
mod overview;
mod paging;
mod traces;
mod window;

use crate::app::App;
use crate::page::{Entry, Group};
use axum::Router;
use axum::routing::{get, post};
use std::sync::Arc;

/// Every page with its path, title and place in the navigation.
pub static PAGES: &[Entry] = &[
    Entry::new::<overview::Overview>("/", "Overview", Group::Operate),
    Entry::new::<live::Live>("/live", "Live", Group::Operate),
    Entry::new::<alerts::Alerts>("/alerts", "Alerts", Group::Operate),
    Entry::new::<deployments::Deployments>("/deployments", "Deployments", Group::Operate),
    Entry::new::<data::Data>("/data", "Data & quality", Group::Data),
    Entry::new::<data::source::Source>("/data/{source}", "Source", Group::Inside),
    Entry::new::<data::profile::Profile>("/data/{source}/profile", "Profile", Group::Inside),
    Entry::new::<data::column::Column>("/data/{source}/{column}", "Column", Group::Inside),
    Entry::new::<diff::Diff>("/diff", "Compare versions", Group::Data),
    Entry::new::<data::letters::Letters>("/dead", "Dead letters", Group::Data),
    Entry::new::<data::letters::One>("/dead/{seq}", "Dead letter", Group::Inside),
    Entry::new::<drift::Drift>("/drift", "Drift & performance", Group::Data),
    Entry::new::<drift::feature::Feature>("/drift/{feature}", "Feature", Group::Inside),
    Entry::new::<traces::Traces>("/traces", "Traces", Group::Operate),
    Entry::new::<traces::TracePage>("/traces/{trace}", "Trace", Group::Inside),
    Entry::new::<lineage::Features>("/features", "Features", Group::Data),
    Entry::new::<lineage::FeaturePage>("/features/{feature}", "Feature", Group::Inside),
    Entry::new::<lineage::Lookup>("/lookup", "Online look-up", Group::Data),
    Entry::new::<lineage::Lineage>("/lineage", "Lineage", Group::Data),
    Entry::new::<experiments::Experiments>("/runs", "Experiments", Group::Learn),
    Entry::new::<experiments::Compare>("/runs/compare", "Compare runs", Group::Inside),
    Entry::new::<experiments::RunPage>("/runs/{run}", "Run", Group::Inside),
    Entry::new::<models::Models>("/models", "Models", Group::Learn),
    Entry::new::<models::ModelPage>("/models/{model}", "Model", Group::Inside),
];

/// Routes that take forms or give live numbers.
pub(crate) fn forms() -> Router<Arc<App>> {
    Router::new()
        .route("/deployments/promote", post(deployments::promote))
        .route("/deployments/rollback", post(deployments::roll_back))
        .route("/live/events", get(live::events))
        .route("/models/{model}/card", get(models::download))
        .route("/data/{source}/profile/report", get(data::profile::download))
}
