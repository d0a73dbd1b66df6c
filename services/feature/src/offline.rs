//! The offline half: a training set is a replay of the clean tables through the same engine.
//!
//! Feature rows are computed once, in knowledge-time order, and kept in the Delta table `features/<set>/rows`;
//! a later training set goes on where the last one ended. The table records for each plan digest up to which
//! instant it is complete, so a changed plan starts a history of its own.

mod assemble;
mod history;

use crate::error::FeatureServiceError;
use crate::{Deps, Options, lineage};
use arrow::array::RecordBatch;
use assemble::{Assembler, rows_schema};
use history::History;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidemill_bus::Bus;
use tidemill_contracts::feature::{BuildTrainingSetRequest, BuildTrainingSetResponse};
use tidemill_dataset::{CommitError, Table, write_parquet};
use tidemill_features::{Engine, Plan};
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tidemill_types::{Digest, Millis, SourceName};
use tokio::sync::Mutex;
use tracing::info;

/// Knowledge time replayed at once; far less than any lookback, so that reads stay inside it.
const STEP: i64 = 86_400_000;
/// Knowledge time loaded at once.
const CHUNK: i64 = 32 * STEP;
/// Between two looks at tables that are not complete yet.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Builds training sets, one at a time.
pub(crate) struct Offline {
    bus: Bus,
    storage: Storage,
    spec: Arc<Spec>,
    plan: Arc<Plan>,
    options: Options,
    state: Mutex<Option<State>>,
}

struct State {
    engine: Engine,
    rows: Table,
    history: History,
    /// Rows with `as_of` before this are in the table.
    until: Option<Millis>,
    /// Entities by instant of prediction that are still to come.
    waiting: BTreeMap<i64, Vec<RecordBatch>>,
}

impl Offline {
    pub(crate) fn new(deps: &Deps, plan: Arc<Plan>) -> Self {
        Self {
            bus: deps.bus.clone(),
            storage: deps.storage.clone(),
            spec: Arc::clone(&deps.spec),
            plan,
            options: deps.options.clone(),
            state: Mutex::new(None),
        }
    }

    /// Builds the training set of a request, and says what it was made of.
    pub(crate) async fn build(
        &self,
        request: &BuildTrainingSetRequest,
    ) -> Result<BuildTrainingSetResponse, FeatureServiceError> {
        let run = lineage::Run::begin(&self.bus, &self.spec, &name_of(request), Millis(request.known_by_ms)).await;
        let made = self.make(request).await;
        run.end(&made, &self.plan, self.storage.url()).await;
        made
    }

    async fn make(&self, request: &BuildTrainingSetRequest) -> Result<BuildTrainingSetResponse, FeatureServiceError> {
        let began = Instant::now();
        let (from, to, known_by) = (Millis(request.from_ms), Millis(request.to_ms), Millis(request.known_by_ms));
        if from >= to || to > known_by {
            return Err(FeatureServiceError::Request(format!(
                "a training set needs from < to ≤ known_by, not {from}, {to}, {known_by}"
            )));
        }
        let mut state = self.state.lock().await;
        let mut current = match state.take() {
            Some(current) => current,
            None => self.begin().await?,
        };
        let table_versions = self.settle(&current.history, known_by).await?;
        self.extend(&mut current, to).await?;
        let assembler = Assembler::new(&self.spec, &self.plan)?;
        let feature_rows = current.history.rows_between(&current.rows, from, to).await?;
        let outcomes = current.history.outcomes(&self.spec.features.label.source, known_by).await?;
        *state = Some(current);
        let (set, labelled) = tokio::task::spawn_blocking(move || assembler.label(&feature_rows, &outcomes))
            .await
            .map_err(|e| FeatureServiceError::Request(format!("assembling ended: {e}")))??;
        let path = format!("features/{}/training/{}.parquet", self.spec.features.set, name_of(request));
        let digest = write_parquet(&self.storage, &path, std::slice::from_ref(&set)).await?;
        let seconds = began.elapsed().as_secs_f64();
        info!(rows = set.num_rows(), labelled, seconds, path, "training set is written");
        Ok(BuildTrainingSetResponse {
            path,
            rows: set.num_rows() as u64,
            labelled,
            digest: digest.to_string(),
            plan_digest: self.plan.digest().to_string(),
            table_versions,
            seconds,
        })
    }

    async fn begin(&self) -> Result<State, FeatureServiceError> {
        let path = format!("features/{}/rows", self.spec.features.set);
        let rows = Table::open_or_create(&self.storage, &path, &rows_schema(&self.plan)).await?;
        let done = rows.load().await?.done(self.plan.digest().as_str()).await?.map(Millis);
        let history = History::open(&self.storage, &self.spec, &self.plan).await?;
        let engine = Engine::new(Arc::clone(&self.plan));
        let mut state = State { engine, rows, history, until: None, waiting: BTreeMap::new() };
        if let Some(done) = done {
            // The rows are there; only the engine's state has to be replayed.
            self.replay(&mut state, done, Keep::StateOnly).await?;
        }
        Ok(state)
    }

    async fn extend(&self, state: &mut State, to: Millis) -> Result<(), FeatureServiceError> {
        if state.until.is_some_and(|until| until >= to) {
            return Ok(());
        }
        self.replay(state, to, Keep::Rows).await
    }

    async fn replay(&self, state: &mut State, to: Millis, keep: Keep) -> Result<(), FeatureServiceError> {
        let Some(mut at) = state.until.or(state.history.first().await?) else {
            return Ok(());
        };
        while at < to {
            let end = Millis((at.0 + CHUNK).min(to.0));
            let chunk = state.history.chunk(at, end).await?;
            let made = tokio::task::block_in_place(|| step_through(&self.plan, state, &chunk, at, end, keep))?;
            // A stretch in which nothing happened needs no commit: the next one, or the last, says how far it is.
            if keep == Keep::Rows && (!made.is_empty() || end >= to) {
                let snapshot = state.rows.load().await?;
                let committed =
                    state.rows.commit(snapshot, &made, self.plan.digest().as_str(), end.0, BTreeMap::new()).await;
                committed.map_err(|e| match e {
                    CommitError::Other(e) => FeatureServiceError::from(e),
                    other => FeatureServiceError::Request(format!("{other}; is another feature service running?")),
                })?;
            }
            at = end;
            state.until = Some(end);
        }
        Ok(())
    }

    /// Waits until validation has committed everything known by `instant`.
    async fn settle(
        &self,
        history: &History,
        instant: Millis,
    ) -> Result<std::collections::HashMap<String, i64>, FeatureServiceError> {
        let deadline = Instant::now() + self.options.settle;
        loop {
            let lagging: Option<(SourceName, Millis)> = history.lagging(instant).await?;
            let Some((source, have)) = lagging else {
                return history.versions().await;
            };
            if Instant::now() >= deadline {
                return Err(FeatureServiceError::NotSettled {
                    want: instant.to_string(),
                    have: have.to_string(),
                    lagging: source.to_string(),
                });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Whether a replay makes rows or only rebuilds the state.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Rows,
    StateOnly,
}

/// Pushes a chunk day by day and reads the entities whose instant has come.
fn step_through(
    plan: &Arc<Plan>,
    state: &mut State,
    chunk: &history::Chunk,
    from: Millis,
    to: Millis,
    keep: Keep,
) -> Result<Vec<RecordBatch>, FeatureServiceError> {
    let mut made = Vec::new();
    let mut at = from.0;
    while at < to.0 {
        let end = (at + STEP).min(to.0);
        for (source, rows) in chunk.between(Millis(at), Millis(end)) {
            state.engine.push(source, &rows)?;
            if source == plan.entity_source() {
                assemble::enqueue(plan, &mut state.waiting, &rows)?;
            }
        }
        let later = state.waiting.split_off(&end);
        let due = std::mem::replace(&mut state.waiting, later);
        if keep == Keep::Rows {
            made.extend(assemble::read_due(plan, &state.engine, due)?);
        }
        state.engine.evict(Millis(end))?;
        at = end;
    }
    Ok(made)
}

/// File name of a training set: its cycle, or the digest of what was asked for.
fn name_of(request: &BuildTrainingSetRequest) -> String {
    if !request.cycle_id.is_empty()
        && request.cycle_id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    {
        return request.cycle_id.clone();
    }
    let asked = format!("{} {} {}", request.from_ms, request.to_ms, request.known_by_ms);
    Digest::of(asked.as_bytes()).short().to_owned()
}
