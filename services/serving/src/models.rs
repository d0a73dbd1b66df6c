//! Follows the registry's aliases: loads, verifies and warms a version beside the one that answers, then swaps.
//!
//! A version that cannot be verified is refused and said so; the one that answers stays. A registry that cannot be
//! reached is tried again.

use crate::bundle::{LoadedModel, ModelStore};
use crate::domain::router::Routes;
use crate::error::Error;
use crate::infer::{Deployment, now};
use crate::metrics::ServingMetrics;
use futures::StreamExt as _;
use std::sync::Arc;
use tidemill_lineage::{Place, Step, names};
use tidemill_runtime::{Backoff, Condition, retry, tell_lineage};
use tidemill_types::{Classified as _, Digest, Millis};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, info_span};

/// How long after a promotion a reload belongs to its trace.
const FRESH: Millis = Millis(600_000);

/// Aliases that serving follows.
#[derive(Clone, Copy, Debug)]
enum Role {
    /// Answers.
    Champion,
    /// The first champion ever: scored in the shadow.
    First,
}

impl Role {
    fn alias(self) -> &'static str {
        match self {
            Self::Champion => "champion",
            Self::First => "first",
        }
    }

    fn place(self, routes: &Routes<LoadedModel>, model: Arc<LoadedModel>) -> Routes<LoadedModel> {
        match self {
            Self::Champion => routes.with_champion(model),
            Self::First => routes.with_first(model),
        }
    }
}

/// Keeps the routes of a deployment where the aliases point, until `token` is cancelled.
pub(crate) async fn follow(
    deployment: Arc<Deployment>,
    store: ModelStore,
    metrics: ServingMetrics,
    condition: Condition,
    token: CancellationToken,
) {
    if deployment.routes().champion().is_none() {
        condition.unmet("no champion was promoted yet");
    }
    let follow = |role| follow_alias(&deployment, (&store, &metrics), role, &condition, &token);
    tokio::join!(follow(Role::Champion), follow(Role::First));
}

async fn follow_alias(
    deployment: &Deployment,
    context: (&ModelStore, &ServingMetrics),
    role: Role,
    condition: &Condition,
    token: &CancellationToken,
) {
    let mut backoff = Backoff::default();
    loop {
        match watch_once(deployment, context, role, condition, token).await {
            Ok(()) if token.is_cancelled() => return,
            Ok(()) => tracing::debug!(alias = role.alias(), "the watch of the registry ended, watching again"),
            Err(error) => tracing::warn!(alias = role.alias(), "the registry cannot be watched: {error}"),
        }
        if !backoff.wait(token).await {
            return;
        }
    }
}

async fn watch_once(
    deployment: &Deployment,
    (store, metrics): (&ModelStore, &ServingMetrics),
    role: Role,
    condition: &Condition,
    token: &CancellationToken,
) -> Result<(), Error> {
    let mut moves = store.registry.watch_alias(&deployment.spec.project, role.alias()).await.map_err(lost)?;
    while let Some(Some(state)) = token.run_until_cancelled(moves.next()).await {
        let entry = state.map_err(lost)?.entry;
        let digest = entry.digest;
        let span = info_span!("model reload", otel.kind = "consumer", alias = role.alias(), model = digest.short());
        let parent = entry.moves.last().and_then(|made| made.traceparent.as_deref());
        // What a start finds in place was promoted in a trace that has ended long ago.
        if let Some(parent) = parent.filter(|_| now().0.saturating_sub(entry.since.0) < FRESH.0) {
            tidemill_telemetry::set_parent(&span, parent);
        }
        let loaded = load(deployment, store, &digest, token).instrument(span.clone()).await;
        if matches!(role, Role::Champion) {
            told(deployment, store, (&digest, entry.since), &loaded).await;
        }
        match loaded {
            Ok(None) => return Ok(()),
            Ok(Some(model)) => {
                metrics.loaded(&deployment.name, role.alias(), Some(entry.since));
                deployment.swap(|routes| role.place(routes, model));
                tracing::info!(model = digest.short(), "{} of {}", role.alias(), deployment.name);
                if deployment.routes().champion().is_some() {
                    condition.met();
                }
            }
            Err(error) => {
                tidemill_telemetry::failed(&span, error.code());
                metrics.loaded(&deployment.name, role.alias(), None);
                tracing::error!(code = %error.code(), model = digest.short(), "{} is refused: {error}", role.alias());
                if deployment.routes().champion().is_none() {
                    condition.unmet(error.to_string());
                }
            }
        }
    }
    Ok(())
}

fn lost(error: tidemill_registry::Error) -> Error {
    Error::Bundle { digest: "alias".to_owned(), reason: error.to_string(), kind: error.kind() }
}

/// Tells for lineage that a deployment answers with a model, or that it refused one.
async fn told(
    deployment: &Deployment,
    store: &ModelStore,
    (digest, since): (&Digest, Millis),
    loaded: &Result<Option<Arc<LoadedModel>>, Error>,
) {
    let (project, name) = (&deployment.spec.project, &deployment.spec.serve.deployment);
    let step = Step::new(project, names::serving(name), &format!("{digest} since {}", since.0))
        .owned_by(&deployment.spec.problem.owners)
        .reads(Place::new(names::model(digest)));
    let events = match loaded {
        Ok(None) => return,
        Ok(Some(_)) => {
            let step = step.writes(names::deployed(name, since));
            vec![step.start(since), step.complete(now())]
        }
        Err(error) => vec![step.start(since), step.fail(now(), &format!("{}: {error}", error.code()))],
    };
    tell_lineage(&store.bus, project, &events).await;
}

/// The model, from memory when it is warm; `None` when told to end.
async fn load(
    deployment: &Deployment,
    store: &ModelStore,
    digest: &Digest,
    token: &CancellationToken,
) -> Result<Option<Arc<LoadedModel>>, Error> {
    if let Some(warm) = deployment.routes().loaded(digest) {
        return Ok(Some(Arc::clone(warm)));
    }
    let project = &deployment.spec.project;
    let loaded = retry("model bundle", token, Backoff::default(), || store.load(project, digest)).await?;
    Ok(loaded.map(Arc::new))
}
