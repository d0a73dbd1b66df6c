//! The online half: the event streams into the engine, fresh within milliseconds.
//!
//! Messages pass the same conform, cleaning and row-rule code as ingestion and validation, so the engine holds exactly the
//! rows that will stand in the clean tables. A read waits until every source is known to be complete up to its
//! instant, or until its deadline.

use crate::error::FeatureServiceError;
use crate::store::{Checkpoint, Checkpoints, Position};
use crate::{Deps, Options};
use arrow::array::{ArrayRef, AsArray as _, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::TimestampMillisecondType;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidemill_bus::{Bus, Entry, Error as BusError, OrderedReader};
use tidemill_conform::Conform;
use tidemill_contracts::subjects;
use tidemill_features::{Engine, Plan, Reading};
use tidemill_intake::{Event, Window, decode};
use tidemill_quality::{Cleaner, Memory, Rules};
use tidemill_spec::Spec;
use tidemill_telemetry::{Metrics, names};
use tidemill_types::{Classified as _, ErrorKind, Millis, SourceName, columns};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Instrument as _, info, info_span, warn};

/// Messages taken at once.
const PULL_MESSAGES: usize = 2_048;
/// Bytes taken at once.
const PULL_BYTES: usize = 16 << 20;
/// Messages in the dedupe window of a source.
const DEDUPE_WINDOW: usize = 100_000;
/// Longest wait for a message, so that shutdown is noticed.
const PULL_WAIT: Duration = Duration::from_millis(250);
/// Between two looks at whether the stream of a source was mended.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Up to which instant each source is complete.
pub(crate) type Watermarks = BTreeMap<SourceName, Option<Millis>>;

/// What readers share with the consumers.
#[derive(Clone)]
pub(crate) struct Reader {
    engine: Arc<RwLock<State>>,
    marks: watch::Receiver<Watermarks>,
}

struct State {
    engine: Engine,
    positions: BTreeMap<SourceName, Position>,
    /// Keys taken by `unique` rules, as they were at each source's position.
    unique: BTreeMap<SourceName, Memory>,
}

/// The consumers.
pub(crate) struct Online {
    reader: Reader,
    tasks: JoinSet<Result<(), FeatureServiceError>>,
}

impl Online {
    /// Restores the newest checkpoint and reads on from its positions.
    pub(crate) async fn start(
        deps: &Deps,
        plan: Arc<Plan>,
        stop: &CancellationToken,
    ) -> Result<Self, FeatureServiceError> {
        let checkpoints = Checkpoints::new(deps.storage.clone(), &deps.spec.features.set);
        let (engine, positions, saved) = restore(&checkpoints, &plan).await?;
        let sources = plan.sources().to_vec();
        let initial: Watermarks =
            sources.iter().map(|s| (s.clone(), positions.get(s).and_then(|p| p.watermark))).collect();
        let (marks_out, marks) = watch::channel(initial);
        let marks_out = Arc::new(marks_out);
        let state = Arc::new(RwLock::new(State { engine, positions, unique: BTreeMap::new() }));
        let mut tasks = JoinSet::new();
        let (wake, woken) = mpsc::channel(1);
        for source in sources {
            let consumer =
                Consumer::new(&deps.bus, &deps.spec, source.clone(), &state, Arc::clone(&marks_out), &deps.metrics)?;
            let unique = match saved.get(&source) {
                Some(bytes) => Memory::from_bytes(&consumer.rules, bytes)?,
                None => Memory::new(&consumer.rules, Memory::CAPACITY),
            };
            state.write().unique.insert(source, unique);
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
        // A source whose producer sends no watermarks is complete up to now, by definition of arrival time.
        let reached = |marks: &Watermarks| marks.values().all(|m| m.is_none_or(|m| m >= instant));
        tokio::time::timeout(deadline, marks.wait_for(reached)).await.is_ok_and(|r| r.is_ok())
    }

    /// Watermarks by source.
    pub(crate) fn watermarks(&self) -> Watermarks {
        self.marks.borrow().clone()
    }

    /// Rows applied, entries held, rows that came late.
    pub(crate) fn size(&self) -> (u64, u64, u64) {
        let state = self.engine.read();
        let applied = state.positions.values().map(|p| p.rows).sum();
        (applied, state.engine.size().entries as u64, state.positions.values().map(|p| p.late).sum())
    }
}

type Restored = (Engine, BTreeMap<SourceName, Position>, BTreeMap<SourceName, Vec<u8>>);

async fn restore(checkpoints: &Checkpoints, plan: &Arc<Plan>) -> Result<Restored, FeatureServiceError> {
    if let Some(checkpoint) = checkpoints.newest().await? {
        if checkpoint.plan_digest == plan.digest().as_str() {
            let engine = Engine::restore(Arc::clone(plan), &checkpoint.engine)?;
            info!("restored the online state from its checkpoint");
            return Ok((engine, checkpoint.positions, checkpoint.unique));
        }
        info!("the feature plan has changed; building the online state anew");
    }
    Ok((Engine::new(Arc::clone(plan)), BTreeMap::new(), BTreeMap::new()))
}

/// One source into the engine.
struct Consumer {
    bus: Bus,
    stream: String,
    source: SourceName,
    conform: Conform,
    cleaner: Cleaner,
    rules: Rules,
    /// Ids seen, as ingestion keeps them, so that an event sent twice counts once here too.
    window: Window,
    state: Arc<RwLock<State>>,
    marks: Arc<watch::Sender<Watermarks>>,
    metrics: Metrics,
}

impl Consumer {
    fn new(
        bus: &Bus,
        spec: &Spec,
        source: SourceName,
        state: &Arc<RwLock<State>>,
        marks: Arc<watch::Sender<Watermarks>>,
        metrics: &Metrics,
    ) -> Result<Self, FeatureServiceError> {
        let declared =
            spec.sources.get(&source).ok_or_else(|| FeatureServiceError::Request(format!("no source {source}")))?;
        let rules = spec.quality.get(&source).map(Vec::as_slice).unwrap_or_default();
        let rules = Rules::compile(declared, rules)?;
        Ok(Self {
            bus: bus.clone(),
            stream: subjects::events_stream(&spec.project, &source),
            conform: Conform::new(&declared.conform_schema())?,
            cleaner: Cleaner::compile(declared, spec.decisions(&source))?,
            rules,
            window: Window::new(DEDUPE_WINDOW),
            source,
            state: Arc::clone(state),
            marks,
            metrics: metrics.clone(),
        })
    }

    /// Runs until `stop`. A stream that is not there, lost messages or was made anew holds up its own source only, until
    /// somebody has mended it; ingestion raises the alert.
    async fn run(mut self, stop: CancellationToken, wake: mpsc::Sender<()>) -> Result<(), FeatureServiceError> {
        let mut known = String::new();
        loop {
            let error = match self.follow(&stop, &wake).await {
                Err(FeatureServiceError::Bus(error)) if concerns_one_stream(&error) => error,
                ended => return ended,
            };
            let text = format!("{}: {error}", error.code());
            if text != known {
                warn!(source = %self.source, "the online state of the source stands still: {text}");
                known = text;
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn follow(&mut self, stop: &CancellationToken, wake: &mpsc::Sender<()>) -> Result<(), FeatureServiceError> {
        let incarnation = self.bus.incarnation(&self.stream).await?;
        let known = self.state.read().positions.get(&self.source).cloned().unwrap_or_default();
        let is_another = known.incarnation != incarnation;
        // What ingestion does not read is not read here either.
        let done = match is_another && tidemill_intake::is_accepted(&self.bus, &self.stream, &incarnation).await? {
            true => 0,
            false if is_another && !known.incarnation.is_empty() => {
                return Err(BusError::Incarnation { expected: known.incarnation, found: incarnation }.into());
            }
            false => known.seq,
        };
        let mut reader = OrderedReader::open(&self.bus, &self.stream, done + 1).await?;
        if reader.incarnation() != incarnation {
            let found = reader.incarnation().to_owned();
            return Err(BusError::Incarnation { expected: incarnation, found }.into());
        }
        while !stop.is_cancelled() {
            let entries = reader.next_ready(PULL_MESSAGES, PULL_BYTES, PULL_WAIT).await?;
            if entries.is_empty() {
                continue;
            }
            self.apply(&entries, &incarnation)?;
            // Full means that an eviction is already due; one is enough.
            let _ = wake.try_send(());
        }
        Ok(())
    }

    fn apply(&mut self, entries: &[Entry], incarnation: &str) -> Result<(), FeatureServiceError> {
        let events: Vec<Event<'_>> = entries.iter().filter_map(Entry::message).map(Event::of).collect();
        let mut contexts: Vec<_> = events.iter().filter_map(|event| event.traceparent.as_deref()).collect();
        contexts.dedup();
        let span = info_span!("online apply", otel.kind = "consumer", dataset.name = %self.source, rows = Empty);
        tidemill_telemetry::follow(&span, &contexts, || {
            info_span!("tm.events.{project}.{source} receive", otel.kind = "consumer")
        });
        let _entered = span.enter();
        let said = events.iter().filter_map(|event| event.watermark).max();
        let with_rows = events.into_iter().filter(|event| event.has_rows).collect();
        let mut slices = tidemill_intake::slices(&self.conform.schema(), with_rows);
        let (last_slice, last) = (slices.pop().unwrap_or_default(), entries.last().map_or(0, Entry::seq));
        let mut rows = 0;
        for slice in slices {
            let reached = slice.last().map_or(0, |event| event.message.seq);
            rows += self.land(slice, (incarnation, reached), None)?;
        }
        rows += self.land(last_slice, (incarnation, last), said)?;
        span.record("rows", rows);
        if said.is_some() {
            self.marks.send_modify(|marks| {
                let mark = marks.entry(self.source.clone()).or_default();
                *mark = (*mark).max(said);
            });
        }
        Ok(())
    }

    /// Applies events up to a place of the stream and returns the number of rows; what `said` holds from then on.
    fn land(
        &mut self,
        events: Vec<Event<'_>>,
        (incarnation, reached): (&str, u64),
        said: Option<Millis>,
    ) -> Result<usize, FeatureServiceError> {
        // What is refused here is refused by ingestion too, which writes the dead letter.
        let batches = decode(&self.conform, &mut self.window, events).batches;
        let batch = concat_batches(&self.conform.schema(), &batches)?;
        let (cleaned, _) = self.cleaner.apply(&batch)?;
        let mut state = self.state.write();
        let unique = state.unique.entry(self.source.clone());
        let unique = unique.or_insert_with(|| Memory::new(&self.rules, Memory::CAPACITY));
        let accepted = self.rules.check(unique, &cleaned)?.accepted;
        let pushed = state.engine.push(&self.source, &accepted)?;
        let position = state.positions.entry(self.source.clone()).or_default();
        position.seq = reached;
        if position.incarnation != incarnation {
            incarnation.clone_into(&mut position.incarnation);
        }
        position.rows += accepted.num_rows() as u64;
        position.late += pushed.late as u64;
        position.watermark = position.watermark.max(said);
        self.count(&accepted, pushed.late as u64, position.watermark);
        Ok(accepted.num_rows())
    }

    fn count(&self, accepted: &RecordBatch, late: u64, watermark: Option<Millis>) {
        let labels = [("source", self.source.as_str())];
        self.metrics.counter(names::FEATURE_EVENTS_APPLIED).add(&labels, accepted.num_rows() as u64);
        self.metrics.counter(names::FEATURE_LATE_EVENTS).add(&labels, late);
        let known = accepted.column_by_name(columns::KNOWN_AT);
        let known = known.and_then(|column| column.as_primitive_opt::<TimestampMillisecondType>());
        if let (Some(newest), Some(Millis(watermark))) = (known.and_then(arrow::compute::max), watermark) {
            // A watermark may run ahead of the events it speaks for.
            let lag = Duration::from_millis(u64::try_from(newest.saturating_sub(watermark)).unwrap_or(0));
            self.metrics.gauge(names::FEATURE_WATERMARK_LAG_SECONDS).set(&labels, lag.as_secs_f64());
        }
    }
}

/// Whether the failure is of one stream, or passes.
fn concerns_one_stream(error: &BusError) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt | ErrorKind::Conflict) || error.is_transient()
}

/// Evicts what no read can see any more, and writes checkpoints.
struct Keeper {
    state: Arc<RwLock<State>>,
    checkpoints: Checkpoints,
    options: Options,
    marks: watch::Receiver<Watermarks>,
}

/// Knowledge time between two evictions.
const EVICT_STEP: i64 = 6 * 3_600_000;

impl Keeper {
    async fn run(self, stop: CancellationToken, mut woken: mpsc::Receiver<()>) -> Result<(), FeatureServiceError> {
        let mut evicted = i64::MIN;
        let mut written = Instant::now();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                more = woken.recv() => if more.is_none() { break },
            }
            let complete = self.marks.borrow().values().copied().min().flatten();
            if let Some(Millis(complete)) = complete
                && complete.saturating_sub(evicted) >= EVICT_STEP
            {
                evicted = complete;
                self.state.write().engine.evict(Millis(complete))?;
            }
            if written.elapsed() >= self.options.checkpoint_every {
                written = Instant::now();
                self.checkpoint().await;
            }
        }
        self.checkpoint().await;
        Ok(())
    }

    /// A checkpoint that fails costs only a longer restart.
    async fn checkpoint(&self) {
        let state = Arc::clone(&self.state);
        let taken = tokio::task::spawn_blocking(move || {
            let state = state.read();
            let engine = state.engine.checkpoint()?;
            let plan_digest = state.engine.plan().digest().to_string();
            let unique = state.unique.iter().map(|(source, keys)| (source.clone(), keys.to_bytes())).collect();
            let positions = state.positions.clone();
            Ok::<_, tidemill_features::FeatureError>(Checkpoint { plan_digest, positions, engine, unique })
        });
        let result = match taken.await {
            Ok(Ok(checkpoint)) => self.checkpoints.write(&checkpoint).await,
            Ok(Err(error)) => Err(error.into()),
            Err(error) => Err(FeatureServiceError::Request(error.to_string())),
        };
        if let Err(error) = result {
            warn!(%error, "checkpoint of the online state was not written");
        }
    }
}
