//! Replay: the same engine fed from stored rows, for training sets and backfills.

use crate::engine::Engine;
use crate::error::FeatureError;
use crate::key::column;
use crate::plan::Plan;
use crate::read::Reading;
use crate::value::millis;
use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::concat_batches;
use std::sync::Arc;
use tidemill_types::{Millis, SourceName, columns};

/// Questions answered at once.
const CHUNK_ROWS: usize = 8_192;

/// Clean rows of one source in the order of `tm_known_at`, or the reason why they cannot be had.
pub type Feed<'a> = Box<dyn Iterator<Item = Result<RecordBatch, String>> + Send + 'a>;

struct OpenFeed<'a> {
    source: SourceName,
    batches: Feed<'a>,
    /// Batch in hand, its knowledge times, and how many of its rows were pushed.
    current: Option<(RecordBatch, Vec<i64>, usize)>,
    newest: i64,
    done: bool,
}

impl OpenFeed<'_> {
    /// Pushes all rows known by `instant`.
    fn advance(&mut self, engine: &mut Engine, instant: i64) -> Result<(), FeatureError> {
        loop {
            if let Some((batch, known, pushed)) = &mut self.current {
                let upto = known.partition_point(|t| *t <= instant);
                if upto > *pushed {
                    engine.push(&self.source, &batch.slice(*pushed, upto - *pushed))?;
                    *pushed = upto;
                }
                if *pushed < known.len() {
                    return Ok(());
                }
            }
            if self.done || !self.open_next()? {
                return Ok(());
            }
        }
    }

    fn open_next(&mut self) -> Result<bool, FeatureError> {
        let fail = |message: String| FeatureError::Feed { feed: self.source.clone(), message };
        let Some(next) = self.batches.next() else {
            self.done = true;
            self.current = None;
            return Ok(false);
        };
        let batch = next.map_err(fail)?;
        let known = millis(column(&batch, columns::KNOWN_AT)?)?.values().to_vec();
        if known.first().is_some_and(|first| *first < self.newest) || !known.is_sorted() {
            return Err(fail(format!("rows are not in the order of {}", columns::KNOWN_AT)));
        }
        self.newest = known.last().copied().unwrap_or(self.newest);
        self.current = Some((batch, known, 0));
        Ok(true)
    }
}

/// A replay in progress: pushes stored rows in knowledge-time order and answers questions on the way.
///
/// Memory stays bounded: what lies behind is let go as the replay moves on.
pub struct Replay<'a> {
    engine: Engine,
    feeds: Vec<OpenFeed<'a>>,
    at: i64,
}

impl<'a> Replay<'a> {
    /// Starts before all rows. Every source of the plan needs a feed (an empty one will do).
    ///
    /// # Errors
    /// A feed that is missing or not read by the plan.
    pub fn new(plan: Arc<Plan>, feeds: Vec<(SourceName, Feed<'a>)>) -> Result<Self, FeatureError> {
        if let Some((source, _)) = feeds.iter().find(|(source, _)| !plan.sources().contains(source)) {
            return Err(FeatureError::UnknownSource(source.clone()));
        }
        if let Some(missing) = plan.sources().iter().find(|s| !feeds.iter().any(|(source, _)| source == *s)) {
            return Err(FeatureError::Arguments(format!("no feed for source \"{missing}\"")));
        }
        let open = |(source, batches)| OpenFeed { source, batches, current: None, newest: i64::MIN, done: false };
        Ok(Self { engine: Engine::new(plan), feeds: feeds.into_iter().map(open).collect(), at: i64::MIN })
    }

    /// Answers questions whose instants are sorted and not before those of the last call.
    ///
    /// # Errors
    /// Instants that go back, feeds out of order, and all of [`Engine::read`] and [`Engine::push`].
    pub fn read(&mut self, keys: &ArrayRef, as_of: &[Millis]) -> Result<Reading, FeatureError> {
        let mut readings = Vec::new();
        let mut start = 0;
        while start < as_of.len() {
            let end = self.chunk_end(as_of, start);
            self.check_order(&as_of[start..end])?;
            self.advance(as_of[end - 1])?;
            readings.push(self.engine.read(&keys.slice(start, end - start), &as_of[start..end])?);
            start = end;
        }
        if readings.len() == 1 {
            return readings.pop().ok_or_else(|| FeatureError::Arguments("nothing was read".to_owned()));
        }
        self.join(&readings)
    }

    /// Pushes everything known by `instant` and lets go of what is no longer needed.
    ///
    /// # Errors
    /// As [`Replay::read`].
    pub fn advance(&mut self, instant: Millis) -> Result<(), FeatureError> {
        for feed in &mut self.feeds {
            feed.advance(&mut self.engine, instant.0)?;
        }
        self.at = self.at.max(instant.0);
        self.engine.evict(instant)?;
        Ok(())
    }

    /// The engine as it stands, for instance to write a checkpoint and go on online.
    #[must_use]
    pub fn into_engine(self) -> Engine {
        self.engine
    }

    /// A chunk never spans more than the lookback: its first instant must be answerable after its last.
    fn chunk_end(&self, as_of: &[Millis], start: usize) -> usize {
        let limit = as_of[start].0.saturating_add(self.engine.plan.lookback);
        let longest = (start + CHUNK_ROWS).min(as_of.len());
        start + as_of[start..longest].partition_point(|t| t.0 <= limit).max(1)
    }

    fn check_order(&self, as_of: &[Millis]) -> Result<(), FeatureError> {
        let mut at = self.at;
        for instant in as_of {
            if instant.0 < at {
                return Err(FeatureError::Backwards { at, asked: instant.0 });
            }
            at = instant.0;
        }
        Ok(())
    }

    fn join(&self, readings: &[Reading]) -> Result<Reading, FeatureError> {
        let plan = &self.engine.plan;
        Ok(Reading {
            batch: concat_batches(&plan.schema, readings.iter().map(|r| &r.batch))?,
            status: readings.iter().flat_map(|r| r.status.iter().copied()).collect(),
            entity: concat_batches(&plan.entity_schema, readings.iter().map(|r| &r.entity))?,
            newest_known_at: self.engine.newest_known_at(),
        })
    }
}

/// Answers all questions (sorted by instant) from feeds in knowledge-time order.
///
/// # Errors
/// As [`Replay::new`] and [`Replay::read`].
pub fn replay(
    plan: Arc<Plan>,
    feeds: Vec<(SourceName, Feed<'_>)>,
    keys: &ArrayRef,
    as_of: &[Millis],
) -> Result<Reading, FeatureError> {
    Replay::new(plan, feeds)?.read(keys, as_of)
}
