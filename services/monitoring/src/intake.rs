//! The prediction log into its table, exactly once.

use crate::error::MonitoringError;
use crate::rows::{LogSince, log_schema};
use crate::store::predictions_table_path;
use crate::{Role, lineage};
use std::sync::Arc;
use std::time::Duration;
use tidemill_conform::{Conform, Extra};
use tidemill_contracts::events::AlertRaised;
use tidemill_contracts::subjects;
use tidemill_dataset::Table;
use tidemill_intake::{CommitTrace, Committed, Intake, IntakeOptions, Life};
use tidemill_runtime::Teller;
use tidemill_telemetry::names;
use tidemill_types::{Classified, DeploymentName, Digest, ErrorKind, SourceName};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Span, debug, info_span, warn};

/// Wait before an intake is started again after a passing failure.
const PAUSE: Duration = Duration::from_millis(500);
/// Between two looks at whether a halted log was mended.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The conformer of the prediction log and the table of logged predictions, made when absent. Columns that the plan does
/// not name are dropped: a model may be asked with more than the features of the spec. A table that was made before the
/// log told of the oldest input goes on without it.
pub(crate) async fn open(deps: &Role) -> Result<(Conform, Table), MonitoringError> {
    match open_since(deps, LogSince::Ages).await {
        Err(MonitoringError::Table(error @ tidemill_dataset::Error::SchemaDiffers { .. })) => {
            // What differs may be something else: then the first finding is told.
            open_since(deps, LogSince::Before).await.map_err(|_| MonitoringError::Table(error))
        }
        opened => opened,
    }
}

async fn open_since(deps: &Role, since: LogSince) -> Result<(Conform, Table), MonitoringError> {
    let conform = Conform::new(&log_schema(&deps.spec, since)?)?.with_extra(Extra::Ignore);
    let path = predictions_table_path(&deps.spec.project, &deps.spec.serve.deployment);
    let table = Table::open_or_create(&deps.storage, &path, &conform.schema()).await?;
    Ok((conform, table))
}

/// Runs until `stop`; passing failures, and the stream not being there before the first prediction, are waited out. What
/// a person has to mend halts the log alone, with an alert.
pub(crate) async fn run(
    deps: Arc<Role>,
    conform: Conform,
    table: Table,
    committed: Arc<Notify>,
    stop: CancellationToken,
) -> Result<(), MonitoringError> {
    let (mut known, life) = (String::new(), Life::begin());
    loop {
        let mut pause = PAUSE;
        match once(&deps, &conform, &table, (&*committed, &life), stop.clone()).await {
            Err(error) if stop.is_cancelled() && error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => debug!(%error, "nothing was predicted yet"),
            Err(error) if error.is_transient() && !stop.is_cancelled() => {
                warn!(%error, "the prediction log pauses and begins again at the table's cursor");
            }
            Err(error) if halts(error.kind()) && !stop.is_cancelled() => {
                let text = format!("{}: {error}", error.code());
                if text != known {
                    tracing::error!("the prediction log is halted: {text}");
                    raise(&deps, &text).await;
                    known = text;
                }
                pause = LOOK_EVERY;
            }
            ended => return ended,
        }
        // Returning early on stop would lose the last pass, so only the wait is cut short.
        let _ = tokio::time::timeout(pause, stop.cancelled()).await;
    }
}

/// Table and stream disagree, or what is refused cannot be set aside: a person is needed, and the other parts go on.
fn halts(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Corrupt | ErrorKind::Overloaded)
}

/// Tells the others; an alert that cannot be sent is in the log all the same.
async fn raise(deps: &Role, text: &str) {
    let (project, deployment) = (&deps.spec.project, &deps.spec.serve.deployment);
    let (rule, text, severity) = (format!("halted.{deployment}"), text.to_owned(), "page".to_owned());
    let id = Digest::of(format!("halted {project} {deployment} {text}").as_bytes());
    let teller = Teller { role: "monitoring", bus: &deps.bus, project };
    let told = teller.alert(Some(id.as_str()), AlertRaised { rule, severity, text, ..AlertRaised::default() }).await;
    if let Err(error) = told {
        warn!(%error, "the alert that the prediction log is halted was not raised");
    }
}

/// Refused rows of the log stand beside those of the sources.
fn dead_letters_of(deployment: &DeploymentName) -> Result<SourceName, MonitoringError> {
    let name = SourceName::try_from(format!("predictions-{deployment}"));
    name.or_else(|_| SourceName::try_from("predictions".to_owned()))
        .map_err(|e| MonitoringError::Request(e.to_string()))
}

fn commit_span(traceparents: &[String]) -> Span {
    let span = info_span!("predictions commit", otel.kind = "consumer", rows = Empty);
    tidemill_telemetry::follow(&span, traceparents, || {
        info_span!("tm.predictions.{project}.{deployment} receive", otel.kind = "consumer")
    });
    span
}

async fn once(
    deps: &Role,
    conform: &Conform,
    table: &Table,
    (committed, life): (&Notify, &Life),
    stop: CancellationToken,
) -> Result<(), MonitoringError> {
    let (project, deployment) = (&deps.spec.project, &deps.spec.serve.deployment);
    let options = IntakeOptions {
        stream: subjects::predictions_stream(project, deployment),
        dead_subject: subjects::dead(project, &dead_letters_of(deployment)?),
        commit_bytes: deps.options.commit_bytes,
        commit_age: deps.options.commit_age,
        dedupe_window: deps.options.dedupe_window,
        life: life.clone(),
        trace: CommitTrace { span: commit_span, current: tidemill_telemetry::current_traceparent },
    };
    tidemill_intake::mend(&deps.bus, &deps.storage, table.path(), &options.stream).await?;
    let intake = Intake::new(deps.bus.clone(), table.clone(), conform.clone(), options).await?;
    let on_commit = |done: Committed| {
        Span::current().record("rows", done.counts.rows);
        let labels = [("deployment", deployment.as_str())];
        deps.metrics.counter(names::MONITORING_LOGGED).add(&labels, done.counts.rows);
        deps.metrics.counter(names::MONITORING_DEAD_LETTERS).add(&labels, done.counts.dead);
        if done.counts.dead > 0 {
            warn!(dead = done.counts.dead, "logged predictions were refused and are among the dead letters");
        }
        committed.notify_one();
        async move {
            let step = lineage::predictions(deps, table, &done).await;
            tidemill_runtime::tell_step(&deps.bus, &deps.spec.project, &step, done.took).await;
            Ok(())
        }
    };
    intake.run(stop, on_commit).await?;
    Ok(())
}
