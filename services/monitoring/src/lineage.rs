//! What every role says of its runs, from the bus into the table `lineage/<project>`, exactly once.
//!
//! As everywhere, the table is the cursor: a commit holds the events and the sequence they reach.

use crate::Role;
use crate::error::MonitoringError;
use crate::models::CHAMPION;
use crate::store::predictions_table_path;
use arrow::array::AsArray as _;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tidemill_bus::{Entry, OrderedReader};
use tidemill_contracts::{prediction_log as log, subjects};
use tidemill_dataset::{CommitError, Table};
use tidemill_intake::Committed;
use tidemill_lineage::{Change, Place, Step, columns, names, record};
use tidemill_types::{Classified as _, Digest, ErrorKind, Millis};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// Wait before the stream is looked for, or a passing failure tried, again.
const PAUSE: Duration = Duration::from_millis(500);
/// Messages and bytes of one commit at most; one message may go beyond.
const MESSAGES: usize = 5_000;
const BYTES: usize = 32 << 20;
/// Messages of one read.
const READ: usize = 500;

/// A commit of logged predictions as a run: what the deployment answered with, as far as it is among them.
pub(crate) async fn predictions(deps: &Role, table: &Table, done: &Committed) -> Step {
    let (project, deployment) = (&deps.spec.project, &deps.spec.serve.deployment);
    let path = predictions_table_path(project, deployment);
    let uri = format!("{}/{path}", deps.storage.url());
    let mut step = Step::new(project, names::predictions(deployment), &format!("{path}@{}", done.version));
    let answered = match answered(deps, table, done.version).await {
        Ok(answered) => answered,
        Err(error) => {
            warn!(%error, "lineage tells of predictions without the models that answered");
            BTreeMap::new()
        }
    };
    let since: BTreeSet<Option<Millis>> = answered.values().copied().collect();
    for since in &since {
        step = step.reads(match since {
            Some(since) => names::deployed(deployment, *since),
            None => Place::new(names::deployment(deployment)),
        });
    }
    if since.is_empty() {
        step = step.reads(Place::new(names::deployment(deployment)));
    }
    let models: Vec<String> = answered.keys().map(names::model).collect();
    let mut log =
        Place::new(path).at(done.version).with_rows(done.counts.rows).with_schema(table.schema()).lying_at(uri);
    if !models.is_empty() {
        let own = [log::KEY, log::AS_OF, log::SCORE];
        log = log.with_columns(columns::predictions(&deps.spec, own, models.iter().map(String::as_str)));
    }
    if done.version == 1 {
        log = log.changed(Change::Create);
    }
    step.owned_by(&deps.spec.problem.owners).writes(log)
}

/// The models that answered what a version brought, each with since when the deployment answers with it: when the alias
/// was last moved to it before the last of these answers, if the registry still knows.
async fn answered(
    deps: &Role,
    table: &Table,
    version: u64,
) -> Result<BTreeMap<Digest, Option<Millis>>, MonitoringError> {
    let files = table.version_adds(version).await?.files;
    let mut models = BTreeSet::new();
    for file in &files {
        match file.texts(log::MODEL) {
            // The bounds of a file tell that it is but one.
            Some((low, high)) if low == high => models.extend([low]),
            _ => {
                for batch in table.read_files(std::slice::from_ref(file), Some(&[log::MODEL])).await? {
                    let column = batch.column(0).as_string_opt::<i32>();
                    models.extend(column.into_iter().flat_map(|texts| texts.iter().flatten()).map(str::to_owned));
                }
            }
        }
    }
    let until = files.iter().filter_map(|file| file.instants(log::ANSWERED_AT)).map(|(_, last)| last).max();
    let moves = deps.registry.history(&deps.spec.project, CHAMPION).await?;
    let since = |model: &Digest| {
        let moved = moves.iter().rev().find(|made| made.to == *model && until.is_none_or(|until| made.at <= until));
        moved.map(|made| made.at)
    };
    let models = models.iter().filter_map(|model| Digest::parse(model));
    Ok(models.map(|model| (model.clone(), since(&model))).collect())
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
        let mut bytes = 0;
        while gathered.len() < MESSAGES && bytes < BYTES && !stop.is_cancelled() {
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            if left.is_zero() {
                break;
            }
            let wait = left.min(PAUSE);
            let read = reader.next_ready(READ, BYTES - bytes, wait).await?;
            bytes += read.iter().filter_map(Entry::message).map(|message| message.payload.len()).sum::<usize>();
            gathered.extend(read);
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
