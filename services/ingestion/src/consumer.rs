//! One source: stream in, raw table out, a notice for every commit.

use crate::Deps;
use crate::error::IngestionError;
use prost::Message as _;
use std::sync::Arc;
use std::time::Duration;
use tidemill_bus::Headers;
use tidemill_conform::Conform;
use tidemill_contracts::events::{Notice, RawCommitted, notice};
use tidemill_contracts::{headers, subjects};
use tidemill_dataset::Table;
use tidemill_intake::{Committed, Intake, IntakeError, IntakeOptions};
use tidemill_telemetry::names;
use tidemill_types::{Classified, ProjectName, SourceName};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info_span, warn};

/// Wait before an intake is started again after a passing failure.
const PAUSE: Duration = Duration::from_millis(500);

/// Folder of the raw table of a source.
#[must_use]
pub fn raw_table_path(project: &ProjectName, source: &SourceName) -> String {
    format!("raw/{project}/{source}")
}

/// Runs until `stop`; passing failures of bus or store restart the intake from the table's cursor.
pub(crate) async fn run(deps: Arc<Deps>, source: SourceName, stop: CancellationToken) -> Result<(), IngestionError> {
    loop {
        match once(&deps, &source, stop.clone()).await {
            Err(error) if error.is_transient() && !stop.is_cancelled() => {
                warn!(%source, %error, "ingestion pauses and begins again at the table's cursor");
                tokio::time::sleep(PAUSE).await;
            }
            ended => return ended,
        }
    }
}

async fn once(deps: &Arc<Deps>, source: &SourceName, stop: CancellationToken) -> Result<(), IngestionError> {
    let project = &deps.spec.project;
    let declared = deps.spec.sources.get(source).ok_or_else(|| IngestionError::NoSource(source.to_string()))?;
    let conform = Conform::new(&declared.conform_schema())?;
    let table = Table::open_or_create(&deps.storage, &raw_table_path(project, source), &conform.schema()).await?;
    let options = IntakeOptions {
        stream: subjects::events_stream(project, source),
        dead_subject: subjects::dead(project, source),
        commit_bytes: deps.options.commit_bytes,
        commit_age: deps.options.commit_age,
        dedupe_window: deps.options.dedupe_window,
    };
    let intake = Intake::new(deps.bus.clone(), table, conform, options).await?;
    let on_commit = |committed: Committed| report(Arc::clone(deps), source.clone(), committed);
    intake.run(stop, on_commit).await?;
    Ok(())
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
    let span = info_span!("commit raw table", otel.kind = "producer", dataset.name = %source, rows = counts.rows);
    tidemill_telemetry::add_links(&span, &committed.traceparents);
    async {
        let fact = RawCommitted {
            source: source.to_string(),
            table_version: i64::try_from(committed.version).unwrap_or(i64::MAX),
            last_seq: committed.last_seq,
            rows: counts.rows,
        };
        let project = &deps.spec.project;
        let notice = Notice {
            project: project.to_string(),
            cycle_id: String::new(),
            fact: Some(notice::Fact::RawCommitted(fact)),
        };
        let mut sent = Headers::new();
        if let Some(parent) = tidemill_telemetry::current_traceparent() {
            sent.set(headers::TRACEPARENT, &parent)?;
        }
        deps.bus.publish(&subjects::notice(project, "raw", "committed"), &sent, notice.encode_to_vec()).await?;
        Ok(())
    }
    .instrument(span)
    .await
}
