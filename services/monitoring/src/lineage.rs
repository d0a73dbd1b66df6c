//! What every role says of its runs, from the bus into the table `lineage/<project>`, exactly once.
//!
//! As everywhere, the table is the cursor: a commit holds the events and the sequence they reach.

use crate::Role;
use crate::error::MonitoringError;
use crate::store::predictions_table_path;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tidemill_bus::{Entry, OrderedReader};
use tidemill_contracts::subjects;
use tidemill_dataset::{CommitError, Table};
use tidemill_intake::Committed;
use tidemill_lineage::{Change, Place, Step, names, record};
use tidemill_types::{Classified as _, ErrorKind};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// Wait before the stream is looked for, or a passing failure tried, again.
const PAUSE: Duration = Duration::from_millis(500);
/// Messages and bytes of one commit at most.
const MESSAGES: usize = 5_000;
const BYTES: usize = 32 << 20;
/// Messages of one read.
const READ: usize = 500;

/// A commit of logged predictions as a run.
pub(crate) fn predictions(deps: &Role, done: &Committed) -> Step {
    let (project, deployment) = (&deps.spec.project, &deps.spec.serve.deployment);
    let path = predictions_table_path(project, deployment);
    let uri = format!("{}/{path}", deps.storage.url());
    let step = Step::new(project, names::predictions(deployment), &format!("{path}@{}", done.version));
    let mut table = Place::new(path).at(done.version).with_rows(done.counts.rows).lying_at(uri);
    if done.version == 1 {
        table = table.changed(Change::Create);
    }
    step.owned_by(&deps.spec.problem.owners).reads(Place::new(names::deployment(deployment))).writes(table)
}

/// Runs until `stop`; passing failures begin again at the table's cursor.
pub(crate) async fn run(deps: Arc<Role>, stop: CancellationToken) -> Result<(), MonitoringError> {
    loop {
        match keep(&deps, &stop).await {
            Err(_) if stop.is_cancelled() => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => debug!(%error, "no lineage is told on this bus yet"),
            Err(error) if error.is_transient() || error.kind() == ErrorKind::Conflict => {
                warn!(%error, "lineage pauses and begins again at the table's cursor");
            }
            ended => return ended,
        }
        let _ = tokio::time::timeout(PAUSE, stop.cancelled()).await;
    }
}

async fn keep(deps: &Role, stop: &CancellationToken) -> Result<(), MonitoringError> {
    let project = &deps.spec.project;
    let state = deps.bus.stream_state(subjects::LINEAGE_STREAM).await?;
    let table = Table::open_or_create(&deps.storage, &record::table(project), &record::schema()).await?;
    let incarnation = state.incarnation(subjects::LINEAGE_STREAM);
    let done = table.load().await?.done(&incarnation).await?.and_then(|done| u64::try_from(done).ok());
    let next = done.map_or(1, |done| done + 1).max(state.first_seq.max(1));
    let mut reader = OrderedReader::open(&deps.bus, subjects::LINEAGE_STREAM, next).await?;
    let (mine, mut recorder) = (subjects::lineage(project), record::Recorder::default());
    let mut gathered: Vec<Entry> = Vec::new();
    loop {
        let deadline = tokio::time::Instant::now() + deps.options.commit_age;
        while gathered.len() < MESSAGES && !stop.is_cancelled() {
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            if left.is_zero() {
                break;
            }
            let wait = left.min(PAUSE);
            gathered.extend(reader.next_ready(READ, BYTES, wait).await?);
        }
        if let Some(last) = gathered.last().map(Entry::seq) {
            commit(&table, &mut recorder, (&mine, &incarnation), &gathered, last).await?;
            gathered.clear();
        }
        if stop.is_cancelled() {
            return Ok(());
        }
    }
}

async fn commit(
    table: &Table,
    recorder: &mut record::Recorder,
    (subject, incarnation): (&str, &str),
    gathered: &[Entry],
    last: u64,
) -> Result<(), MonitoringError> {
    let mine = gathered.iter().filter_map(Entry::message).filter(|message| message.subject == subject);
    let events: Vec<(i64, &[u8])> =
        mine.map(|message| (i64::try_from(message.seq).unwrap_or(i64::MAX), message.payload.as_ref())).collect();
    let (rows, refused) = recorder.rows(&events)?;
    if refused > 0 {
        warn!(refused, "messages on the subject of lineage were no OpenLineage events, and are left out");
    }
    let snapshot = table.load().await?;
    let last = i64::try_from(last).unwrap_or(i64::MAX);
    let made = table.commit(snapshot, &[rows], incarnation, last, BTreeMap::new()).await;
    made.map(|_| ()).map_err(|error| match error {
        CommitError::Other(error) => error.into(),
        other => MonitoringError::Conflict(other.to_string()),
    })
}
