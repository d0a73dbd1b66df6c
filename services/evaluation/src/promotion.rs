//! Who is champion: aliases moved by compare-and-set, every move in the audit log.

use crate::Context;
use crate::domain::scorecard::CHAMPION;
use crate::error::EvaluationError;
use crate::notices::audit;
use std::time::{SystemTime, UNIX_EPOCH};
use tidemill_registry::{AliasState, Error as RegistryError, MoveRequest};
use tidemill_types::{Digest, Millis};
use tracing::info;

/// Alias of the first champion ever; serving scores it in the shadow.
const FIRST: &str = "first";

pub(crate) fn now() -> Millis {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Millis(i64::try_from(elapsed).unwrap_or(i64::MAX))
}

/// A move of this instant, as part of the trace that is under way.
fn requested(by: &str, reason: &str) -> MoveRequest {
    let (by, reason) = (by.to_owned(), reason.to_owned());
    MoveRequest { by, reason, at: now(), traceparent: tidemill_telemetry::current_traceparent() }
}

/// The model in service.
pub(crate) async fn champion(context: &Context) -> Result<Option<AliasState>, EvaluationError> {
    Ok(context.registry.alias(&context.spec.project, CHAMPION).await?)
}

/// Points `champion` to a model if it still points to `expected`, and `first` if nobody was champion before.
pub(crate) async fn promote(
    context: &Context,
    to: &Digest,
    expected: Option<&Digest>,
    by: &str,
    reason: &str,
) -> Result<(), EvaluationError> {
    let project = &context.spec.project;
    let request = || requested(by, reason);
    let made = context.registry.set_alias(project, CHAMPION, to, expected, request()).await?;
    audit(&context.bus, &made).await?;
    info!(model = to.short(), by, "champion of {project}");
    ensure_first(context, to, by).await
}

/// Makes the alias `first` once.
pub(crate) async fn ensure_first(context: &Context, to: &Digest, by: &str) -> Result<(), EvaluationError> {
    let project = &context.spec.project;
    if context.registry.alias(project, FIRST).await?.is_some() {
        return Ok(());
    }
    let request = requested(by, "the first champion");
    match context.registry.set_alias(project, FIRST, to, None, request).await {
        Ok(made) => audit(&context.bus, &made).await,
        Err(RegistryError::AliasMoved { .. }) => Ok(()),
        Err(other) => Err(other.into()),
    }
}

/// Points `champion` back to the model before. Returns the champion now and the one it was.
pub(crate) async fn rollback(context: &Context, by: &str, reason: &str) -> Result<(Digest, Digest), EvaluationError> {
    let project = &context.spec.project;
    let missing = || EvaluationError::Missing(format!("champion of project {project}"));
    let from = champion(context).await?.ok_or_else(missing)?.entry.digest;
    let request = requested(by, reason);
    let made = context.registry.rollback(project, CHAMPION, &from, request).await?;
    audit(&context.bus, &made).await?;
    info!(model = made.to.short(), by, "champion of {project} is rolled back");
    Ok((made.to, from))
}
