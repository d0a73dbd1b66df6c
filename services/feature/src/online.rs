//! The online half: the event streams into the engine, fresh within milliseconds.
//!
//! Messages pass the same conform, cleaning and row-rule code as ingestion and validation, ahead of their commits. What
//! only a commit decides (rules on it as a whole, `mostly`, rows of other sources, the classification of personal columns)
//! is made good when the clean table says it: then what does not stand there is taken back, so that in the end the engine
//! holds exactly the rows of the clean tables. A read waits until every source is known to be complete up to its instant,
//! or until its deadline.

mod ahead;
mod consumer;
mod keeper;
mod settle;
mod state;

use crate::Deps;
use crate::error::FeatureServiceError;
use crate::store::{Checkpoints, Position};
use arrow::array::ArrayRef;
use consumer::Consumer;
use keeper::Keeper;
use parking_lot::RwLock;
use settle::Settler;
use state::{Marks, Shared, Standing, State};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tidemill_features::{Engine, Plan, Reading};
use tidemill_quality::{Memory, Rules};
use tidemill_types::{Millis, SourceName};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, info, info_span};

/// What readers share with the consumers.
#[derive(Clone)]
pub(crate) struct Reader {
    engine: Arc<RwLock<State>>,
    marks: watch::Receiver<Marks>,
}

/// The consumers.
pub(crate) struct Online {
    reader: Reader,
    tasks: JoinSet<Result<(), FeatureServiceError>>,
}

impl Online {
    /// Restores the newest checkpoint, puts every source where its clean table is, and reads on from there.
    pub(crate) async fn start(
        deps: &Deps,
        plan: Arc<Plan>,
        stop: &CancellationToken,
    ) -> Result<Self, FeatureServiceError> {
        let checkpoints = Checkpoints::new(deps.storage.clone(), &deps.spec.features.set);
        let (engine, mut positions) = restore(&checkpoints, &plan).await?;
        let (marks_out, marks) = watch::channel(Marks::new());
        let state = Arc::new(RwLock::new(State { engine, sources: BTreeMap::new() }));
        let shared = Shared { state: Arc::clone(&state), marks: Arc::new(marks_out) };
        let mut tasks = JoinSet::new();
        let (wake, woken) = mpsc::channel(1);
        let mut consumers = Vec::new();
        for source in plan.sources() {
            let missing = || FeatureServiceError::Request(format!("no source {source}"));
            let declared = deps.spec.sources.get(source).ok_or_else(missing)?;
            let rules = deps.spec.quality.get(source).map(Vec::as_slice).unwrap_or_default();
            let rules = Arc::new(Rules::compile(declared, rules)?);
            let settled = positions.remove(source).unwrap_or_default();
            // Filled from the clean table.
            let standing = Standing::new(settled, Memory::new(&rules, 1));
            state.write().sources.insert(source.clone(), standing);
            let (named, places) = ((source, declared), (&deps.bus, &deps.storage));
            let mut settler =
                Settler::open(places, &deps.spec, named, Arc::clone(&rules), shared.clone(), &deps.metrics).await?;
            settler.start().await?;
            let turns = settler.turns();
            let consumer = Consumer::new(&deps.bus, &deps.spec, named, rules, shared.clone(), turns, &deps.metrics)?;
            let stop = stop.clone();
            tasks.spawn(async move { settler.run(stop).await });
            consumers.push(consumer);
        }
        for consumer in consumers {
            let (stop, wake) = (stop.clone(), wake.clone());
            tasks.spawn(async move { consumer.run(stop, wake).await });
        }
        let keeper =
            Keeper { state: Arc::clone(&state), checkpoints, options: deps.options.clone(), marks: marks.clone() };
        let stop = stop.clone();
        tasks.spawn(async move { keeper.run(stop, woken).await });
        Ok(Self { reader: Reader { engine: state, marks }, tasks })
    }

    pub(crate) fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Waits for every consumer; the first failure ends it.
    pub(crate) async fn finish(mut self) -> Result<(), FeatureServiceError> {
        while let Some(ended) = self.tasks.join_next().await {
            match ended {
                Ok(result) => result?,
                Err(error) => return Err(FeatureServiceError::Request(format!("a consumer ended: {error}"))),
            }
        }
        Ok(())
    }
}

impl Reader {
    /// Feature vectors; waits until everything known by the newest `as_of` has been applied, or the deadline.
    ///
    /// # Errors
    /// Keys of another type than the entity key.
    pub(crate) async fn read(
        &self,
        keys: ArrayRef,
        as_of: Vec<Millis>,
        deadline: Duration,
    ) -> Result<(Reading, bool), FeatureServiceError> {
        let newest = as_of.iter().copied().max().unwrap_or(Millis::MIN);
        let complete = self.wait_for(newest, deadline).instrument(info_span!("wait for watermark")).await;
        let engine = Arc::clone(&self.engine);
        let span = info_span!("read features", rows = as_of.len(), complete);
        let reading = tokio::task::spawn_blocking(move || span.in_scope(|| engine.read().engine.read(&keys, &as_of)));
        let reading = reading.await.map_err(|e| FeatureServiceError::Request(format!("read ended: {e}")))??;
        Ok((reading, complete))
    }

    async fn wait_for(&self, instant: Millis, deadline: Duration) -> bool {
        let mut marks = self.marks.clone();
        let reached = |marks: &Marks| marks.values().all(|mark| mark.reaches(instant));
        tokio::time::timeout(deadline, marks.wait_for(reached)).await.is_ok_and(|r| r.is_ok())
    }

    /// How complete each source is.
    pub(crate) fn marks(&self) -> Marks {
        self.marks.borrow().clone()
    }

    /// How much is held, and what became of the rest.
    pub(crate) fn size(&self) -> Size {
        let state = self.engine.read();
        let of = |count: fn(&Standing) -> u64| -> u64 { state.sources.values().map(count).sum() };
        Size {
            rows: of(|at| at.settled.rows + at.ahead.len()),
            entries: state.engine.size().entries as u64,
            late: of(|at| at.settled.late),
            retracted: of(|at| at.settled.retracted),
        }
    }
}

/// How much the online state holds.
pub(crate) struct Size {
    /// Rows taken in.
    pub(crate) rows: u64,
    /// Entries that they make.
    pub(crate) entries: u64,
    /// Rows that came late.
    pub(crate) late: u64,
    /// Rows that were taken back.
    pub(crate) retracted: u64,
}

type Restored = (Engine, BTreeMap<SourceName, Position>);

async fn restore(checkpoints: &Checkpoints, plan: &Arc<Plan>) -> Result<Restored, FeatureServiceError> {
    if let Some(checkpoint) = checkpoints.newest().await? {
        if checkpoint.plan_digest == plan.digest().as_str() {
            let engine = Engine::restore(Arc::clone(plan), &checkpoint.engine)?;
            info!("restored the online state from its checkpoint");
            return Ok((engine, checkpoint.positions));
        }
        info!("the feature plan has changed; building the online state anew");
    }
    Ok((Engine::new(Arc::clone(plan)), BTreeMap::new()))
}
