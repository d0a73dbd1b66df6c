//! One source: stream in, raw table out, a notice for every commit.

use crate::Deps;
use crate::alarm::DeadRate;
use crate::error::IngestionError;
use crate::refusals::{now, remember, tell};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tidemill_conform::Conform;
use tidemill_contracts::events::RawCommitted;
use tidemill_contracts::events::notice::Fact;
use tidemill_contracts::subjects;
use tidemill_dataset::Table;
use tidemill_intake::{CommitTrace, Committed, Intake, IntakeError, IntakeOptions, Life};
use tidemill_telemetry::names;
use tidemill_types::{Classified, ProjectName, SourceName};
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Span, info_span, warn};

/// Wait before an intake is started again after a passing failure.
const PAUSE: Duration = Duration::from_millis(500);
/// Between two looks at how far the table is behind the stream.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Folder of the raw table of a source.
#[must_use]
pub fn raw_table_path(project: &ProjectName, source: &SourceName) -> String {
    format!("raw/{project}/{source}")
}

/// Runs until `stop`; passing failures of bus or store restart the intake from the table's cursor.
pub(crate) async fn run(
    deps: Arc<Deps>,
    source: SourceName,
    life: Life,
    stop: CancellationToken,
) -> Result<(), IngestionError> {
    loop {
        match once(&deps, &source, &life, stop.clone()).await {
            Err(error) if error.is_transient() && !stop.is_cancelled() => {
                warn!(%source, %error, "ingestion pauses and begins again at the table's cursor");
                tokio::time::sleep(PAUSE).await;
            }
            ended => return ended,
        }
    }
}

async fn once(
    deps: &Arc<Deps>,
    source: &SourceName,
    life: &Life,
    stop: CancellationToken,
) -> Result<(), IngestionError> {
    let project = &deps.spec.project;
    let declared = deps.spec.sources.get(source).ok_or_else(|| IngestionError::NoSource(source.to_string()))?;
    let conform = Conform::new(&declared.conform_schema())?;
    let (path, stream) = (raw_table_path(project, source), subjects::events_stream(project, source));
    tidemill_intake::mend(&deps.bus, &deps.storage, &path, &stream).await?;
    let table = Table::open_or_create(&deps.storage, &path, &conform.schema()).await?;
    let options = IntakeOptions {
        stream: stream.clone(),
        dead_subject: subjects::dead(project, source),
        commit_bytes: deps.options.commit_bytes,
        commit_age: deps.options.commit_age,
        dedupe_window: deps.options.dedupe_window,
        life: life.clone(),
        trace: CommitTrace { span: commit_span, current: tidemill_telemetry::current_traceparent },
    };
    let mut rate = DeadRate::new(deps.options.dead_share, deps.options.dead_window);
    let done = match deps.bus.stream_state_if_any(&stream).await? {
        Some(state) => {
            let incarnation = state.incarnation(&stream);
            // It may have ended before it told.
            if let Some((last_seq, change)) = remember(&table, &incarnation, &mut rate).await? {
                tell(deps, source, last_seq, change).await?;
            }
            table.load().await?.done(&incarnation).await?
        }
        // The intake says what that means.
        None => None,
    };
    let committed = AtomicI64::new(done.unwrap_or(0));
    let intake = Intake::new(deps.bus.clone(), table, conform, options).await?;
    let on_commit = |made: Committed| {
        let before = committed.swap(made.last_seq, Ordering::Relaxed);
        let change = rate.note(&made.counts, now());
        let (deps, source) = (Arc::clone(deps), source.clone());
        async move {
            if let Some(change) = change {
                tell(&deps, &source, made.last_seq, change).await?;
            }
            let step = crate::lineage::step(&deps, &source, &made, before);
            let took = made.took;
            report(Arc::clone(&deps), source, made).await?;
            tidemill_runtime::tell_step(&deps.bus, &deps.spec.project, &step, took).await;
            Ok(())
        }
    };
    tokio::select! {
        ended = intake.run(stop, on_commit) => Ok(ended?),
        () = watch_lag(deps, source, &stream, &committed) => Ok(()),
    }
}

/// Never ends: shows how far the table is behind the stream, also while nothing is committed.
async fn watch_lag(deps: &Deps, source: &SourceName, stream: &str, committed: &AtomicI64) {
    let lag = deps.metrics.gauge(names::INGESTION_LAG_MESSAGES).with(&[("source", source.as_str())]);
    let mut tick = tokio::time::interval(LOOK_EVERY);
    loop {
        tick.tick().await;
        // A bus that does not answer is told of by the intake.
        if let Ok(state) = deps.bus.stream_state(stream).await {
            let last = i64::try_from(state.last_seq).unwrap_or(i64::MAX);
            let behind = last.saturating_sub(committed.load(Ordering::Relaxed)).max(0);
            lag.set(f64::from(u32::try_from(behind).unwrap_or(u32::MAX)));
        }
    }
}

/// One commit takes up many messages, each with a trace of its own.
fn commit_span(traceparents: &[String]) -> Span {
    let span = info_span!("raw commit", dataset.name = Empty, rows = Empty);
    tidemill_telemetry::follow(&span, traceparents, || {
        info_span!("tm.events.{project}.{source} receive", otel.kind = "consumer")
    });
    span
}

/// Counts a commit and tells the others; a lost notice only delays them, since the table is their cursor.
async fn report(deps: Arc<Deps>, source: SourceName, committed: Committed) -> Result<(), IntakeError> {
    let labels = [("source", source.as_str())];
    let counts = committed.counts;
    deps.metrics.counter(names::INGESTION_ROWS).add(&labels, counts.rows);
    deps.metrics.counter(names::INGESTION_DEAD_LETTERS).add(&labels, counts.dead);
    deps.metrics.counter(names::INGESTION_DUPLICATES).add(&labels, counts.duplicates);
    deps.metrics.counter(names::INGESTION_COMMITS).add(&labels, 1);
    deps.metrics.histogram(names::INGESTION_COMMIT_SECONDS).observe(&labels, committed.took.as_secs_f64());
    Span::current().record("dataset.name", source.as_str()).record("rows", counts.rows);
    let fact = RawCommitted {
        source: source.to_string(),
        table_version: i64::try_from(committed.version).unwrap_or(i64::MAX),
        last_seq: committed.last_seq,
        rows: counts.rows,
    };
    Ok(deps.teller().notice(("raw", "committed"), ("", None), Fact::RawCommitted(fact)).await?)
}
