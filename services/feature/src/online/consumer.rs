//! One source from its stream into the engine.

use super::ahead::Row;
use super::state::{Shared, Standing};
use crate::error::FeatureServiceError;
use arrow::array::{AsArray as _, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::TimestampMillisecondType;
use std::sync::Arc;
use std::time::Duration;
use tidemill_bus::{Bus, Entry, Error as BusError, OrderedReader};
use tidemill_conform::Conform;
use tidemill_contracts::subjects;
use tidemill_intake::{Event, Window, decode};
use tidemill_quality::{Cleaner, Rules};
use tidemill_spec::{Source, Spec};
use tidemill_telemetry::{Metrics, names};
use tidemill_types::{Classified as _, ErrorKind, Millis, SourceName, columns};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{info_span, warn};

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

/// One source into the engine.
pub(super) struct Consumer {
    bus: Bus,
    stream: String,
    source: SourceName,
    conform: Conform,
    cleaner: Cleaner,
    rules: Arc<Rules>,
    /// Ids seen, as ingestion keeps them, so that an event sent twice counts once here too.
    window: Window,
    shared: Shared,
    /// The turn of the source for which this reads.
    turn: u64,
    turns: watch::Receiver<u64>,
    metrics: Metrics,
}

impl Consumer {
    pub(super) fn new(
        bus: &Bus,
        spec: &Spec,
        (source, declared): (&SourceName, &Source),
        rules: Arc<Rules>,
        shared: Shared,
        turns: watch::Receiver<u64>,
        metrics: &Metrics,
    ) -> Result<Self, FeatureServiceError> {
        Ok(Self {
            bus: bus.clone(),
            stream: subjects::events_stream(&spec.project, source),
            conform: Conform::new(&declared.conform_schema())?,
            cleaner: Cleaner::compile(declared, spec.decisions(source))?,
            rules,
            window: Window::new(DEDUPE_WINDOW),
            source: source.clone(),
            shared,
            turn: 0,
            turns,
            metrics: metrics.clone(),
        })
    }

    /// Runs until `stop`. A stream that is not there, lost messages or was made anew holds up its own source only, until
    /// somebody has mended it; ingestion raises the alert.
    pub(super) async fn run(
        mut self,
        stop: CancellationToken,
        wake: mpsc::Sender<()>,
    ) -> Result<(), FeatureServiceError> {
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

    /// Reads on from where the source stands, and anew whenever it was set back.
    async fn follow(&mut self, stop: &CancellationToken, wake: &mpsc::Sender<()>) -> Result<(), FeatureServiceError> {
        while !stop.is_cancelled() {
            self.turn = *self.turns.borrow_and_update();
            // Ids of what will be read again must not count as seen.
            self.window = Window::new(DEDUPE_WINDOW);
            let stands = |standing: &Standing| (standing.seq, standing.settled.stream.clone());
            let (done, expected) = self.shared.state.read().sources.get(&self.source).map(stands).unwrap_or_default();
            let reader = OrderedReader::open(&self.bus, &self.stream, done + 1).await?;
            if reader.incarnation() != expected {
                let found = reader.incarnation().to_owned();
                return Err(BusError::Incarnation { expected, found }.into());
            }
            self.read_on(reader, stop, wake).await?;
        }
        Ok(())
    }

    /// Takes in what comes, until the source is set back.
    async fn read_on(
        &mut self,
        mut reader: OrderedReader,
        stop: &CancellationToken,
        wake: &mpsc::Sender<()>,
    ) -> Result<(), FeatureServiceError> {
        while !stop.is_cancelled() {
            let entries = tokio::select! {
                _ = self.turns.changed() => return Ok(()),
                entries = reader.next_ready(PULL_MESSAGES, PULL_BYTES, PULL_WAIT) => entries?,
            };
            if entries.is_empty() {
                continue;
            }
            if !self.apply(&entries)? {
                tokio::select! {
                    _ = self.turns.changed() => {}
                    () = stop.cancelled() => {}
                }
                return Ok(());
            }
            // Full means that an eviction is already due; one is enough.
            let _ = wake.try_send(());
        }
        Ok(())
    }

    /// False when the entries were read in vain: the source does not flow, or was set back meanwhile.
    fn apply(&mut self, entries: &[Entry]) -> Result<bool, FeatureServiceError> {
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
            let Some(landed) = self.land(slice, reached, None)? else { return Ok(false) };
            rows += landed;
        }
        let Some(landed) = self.land(last_slice, last, said)? else { return Ok(false) };
        span.record("rows", rows + landed);
        Ok(true)
    }

    /// Takes in events up to a place of the stream and gives the number of rows; what `said` holds from then on. `None`
    /// when they were read in vain.
    fn land(
        &mut self,
        events: Vec<Event<'_>>,
        reached: u64,
        said: Option<Millis>,
    ) -> Result<Option<usize>, FeatureServiceError> {
        // What is refused here is refused by ingestion too, which writes the dead letter.
        let batches = decode(&self.conform, &mut self.window, events).batches;
        let batch = concat_batches(&self.conform.schema(), &batches)?;
        let (cleaned, _) = self.cleaner.apply(&batch)?;
        let taken = self.shared.change(&self.source, |engine, standing| {
            if standing.turn != self.turn {
                return Ok(None);
            }
            if !standing.flows {
                standing.waits = true;
                return Ok(None);
            }
            let accepted = self.rules.check(&mut standing.memory, &cleaned)?.accepted;
            let pushed = engine.push(&self.source, &accepted)?;
            standing.ahead.add(&Row::all(&accepted)?);
            standing.seq = reached;
            standing.settled.late += pushed.late as u64;
            standing.watermark = standing.watermark.max(said);
            standing.waits &= reached < standing.regain;
            self.count(&accepted, pushed.late as u64, standing.watermark);
            Ok::<_, FeatureServiceError>(Some(accepted.num_rows()))
        });
        Ok(taken.transpose()?.flatten())
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
