//! The engine: rows in by [`Engine::push`], feature vectors out by [`Engine::read`].

use crate::entity::{Entities, Version};
use crate::error::FeatureError;
use crate::group::{Group, System};
use crate::key::{Keys, column};
use crate::plan::Plan;
use crate::value::{Texts, millis, required};
use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{Int32Type, Int64Type, SchemaRef};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidemill_types::{Millis, SourceName, columns};

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PushStats {
    /// Rows in the batch.
    pub rows: usize,
    /// Rows that were already there; they count once.
    pub repeated: usize,
    /// Rows that became known before the oldest instant a read may ask for. They are taken in all the same,
    /// for windows that still reach them.
    pub late: usize,
}

/// How much state the engine holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateSize {
    /// Entity rows.
    pub entities: usize,
    /// Different keys over all stores.
    pub keys: usize,
    /// Entries over all stores.
    pub entries: usize,
}

/// How far a source has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub(crate) newest: Option<i64>,
    /// Largest (sequence, row) seen.
    pub(crate) position: Option<(i64, i32)>,
}

/// State of all operators of one feature set.
///
/// Answers depend on the rows pushed, never on their order or batching: entries are kept in an order of
/// their own and a row that comes twice (same sequence and row number) counts once.
pub struct Engine {
    pub(crate) plan: Arc<Plan>,
    pub(crate) groups: Vec<Group>,
    pub(crate) entities: Entities,
    pub(crate) texts: Texts,
    pub(crate) progress: BTreeMap<SourceName, Progress>,
    /// Largest horizon given to [`Engine::evict`].
    pub(crate) horizon: Option<i64>,
}

impl Engine {
    /// An engine that has seen nothing.
    #[must_use]
    pub fn new(plan: Arc<Plan>) -> Self {
        let groups = plan.groups.iter().map(|_| Group::default()).collect();
        let entities = Entities::new(plan.entity_schema.clone());
        let progress = plan.sources.iter().map(|s| (s.clone(), Progress::default())).collect();
        Self { plan, groups, entities, texts: Texts::default(), progress, horizon: None }
    }

    /// The plan that is run.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Takes in clean rows of a source: its declared columns, `tm_seq`, `tm_row` and `tm_known_at`, in any
    /// order. The batch is taken in whole or, on an error, not at all.
    ///
    /// # Errors
    /// A source that is not read, missing columns, or an expression that fails on a row.
    pub fn push(&mut self, source: &SourceName, batch: &RecordBatch) -> Result<PushStats, FeatureError> {
        if !self.progress.contains_key(source) {
            return Err(FeatureError::UnknownSource(source.clone()));
        }
        if batch.num_rows() == 0 {
            return Ok(PushStats::default());
        }
        let plan = Arc::clone(&self.plan);
        let system = System {
            seq: required::<Int64Type>(column(batch, columns::SEQ)?, columns::SEQ)?,
            row: required::<Int32Type>(column(batch, columns::ROW)?, columns::ROW)?,
            known: millis(column(batch, columns::KNOWN_AT)?)?,
        };
        if system.known.null_count() > 0 {
            return Err(FeatureError::Batch(format!("column {} has nulls", columns::KNOWN_AT)));
        }
        let mut prepared = Vec::new();
        for (index, group) in plan.groups.iter().enumerate().filter(|(_, g)| g.source == *source) {
            prepared
                .push((index, Group::prepare(group, &plan.key_lists[group.keys], batch, &system, &mut self.texts)?));
        }
        let mut repeated = vec![false; batch.num_rows()];
        if *source == plan.entity_source {
            self.push_entities(batch, &system, &mut repeated)?;
        }
        for (index, prepared) in &prepared {
            self.groups[*index].insert(&plan.groups[*index], prepared, &mut repeated);
        }
        let floor = self.floor().unwrap_or(i64::MIN);
        let late = system.known.values().iter().filter(|known| **known < floor).count();
        if let Some(progress) = self.progress.get_mut(source) {
            let positions = system.seq.values().iter().copied().zip(system.row.values().iter().copied());
            progress.position = progress.position.max(positions.max());
            progress.newest = progress.newest.max(system.known.values().iter().copied().max());
        }
        Ok(PushStats { rows: batch.num_rows(), repeated: repeated.iter().filter(|r| **r).count(), late })
    }

    fn push_entities(
        &mut self,
        batch: &RecordBatch,
        system: &System,
        repeated: &mut [bool],
    ) -> Result<(), FeatureError> {
        let rows = conform(&self.plan.entity_schema, batch)?;
        let keys = Keys::of_batch(&rows, std::slice::from_ref(&self.plan.entity_key))?;
        let instants = self.plan.as_of_for(&rows)?;
        let start = self.entities.append(rows)?;
        for (i, instant) in instants.iter().enumerate() {
            let Some(key) = keys.get(i) else { continue };
            let known = system.known.value(i);
            let until = instant.map_or(known, |instant| instant.0).saturating_add(self.plan.lookback);
            let id = start + i as u64;
            let version = Version { known, seq: system.seq.value(i), row: system.row.value(i), until, id };
            repeated[i] |= !self.entities.insert(key, version);
        }
        Ok(())
    }

    /// Lets go of what no read at or after `horizon − lookback` can see, and refuses earlier reads from now on.
    /// `horizon` is an instant up to which the caller has pushed everything.
    ///
    /// * Window entries go when their window time is at or before the start of the oldest window that can be
    ///   asked for. A window with an `anchor` reaches one lookback farther: an anchor before
    ///   `as_of − lookback` gives null, so that no answer depends on what has been let go.
    /// * `last` keeps the newest `lag + 1` rows known by the oldest instant, unless older than `within`.
    /// * Entity rows go when a newer version replaced them, or one lookback after their own instant of
    ///   prediction; from that instant on they are unknown to every read.
    ///
    /// Returns the number of entries and entity rows let go.
    ///
    /// # Errors
    /// Only when a columnar kernel fails.
    pub fn evict(&mut self, horizon: Millis) -> Result<usize, FeatureError> {
        self.horizon = self.horizon.max(Some(horizon.0));
        let floor = self.horizon.unwrap_or(horizon.0).saturating_sub(self.plan.lookback);
        let mut dropped = self.entities.evict(floor)?;
        for (group, plan) in self.groups.iter_mut().zip(&self.plan.groups) {
            dropped += group.evict(plan, floor);
        }
        self.texts.purge();
        Ok(dropped)
    }

    /// Takes back the rows of a source with a sequence after `after`, all of them when it is `None`, as if they had never
    /// been pushed. `newest` is the newest knowledge time among the rows of the source that remain.
    ///
    /// That is exact as long as no eviction had a floor (its horizon less the lookback) at or after the knowledge time of
    /// a row that is taken back: what such a row had replaced may be gone.
    ///
    /// Returns the number of entries and entity rows taken back.
    ///
    /// # Errors
    /// A source that is not read, or a columnar kernel that fails.
    pub fn take_back(
        &mut self,
        source: &SourceName,
        after: Option<i64>,
        newest: Option<Millis>,
    ) -> Result<usize, FeatureError> {
        let Some(progress) = self.progress.get_mut(source) else {
            return Err(FeatureError::UnknownSource(source.clone()));
        };
        progress.newest = newest.map(|t| t.0);
        progress.position = after.and_then(|after| progress.position.map(|at| at.min((after, i32::MAX))));
        let after = after.unwrap_or(i64::MIN);
        let mut dropped = if *source == self.plan.entity_source { self.entities.take_back(after)? } else { 0 };
        let groups = self.groups.iter_mut().zip(&self.plan.groups);
        for (group, _) in groups.filter(|(_, plan)| plan.source == *source) {
            dropped += group.take_back(after);
        }
        self.texts.purge();
        Ok(dropped)
    }

    /// The largest horizon up to which anything was let go.
    #[must_use]
    pub fn horizon(&self) -> Option<Millis> {
        self.horizon.map(Millis)
    }

    /// The oldest instant that can be asked for; `None` while nothing is known.
    #[must_use]
    pub fn oldest_answerable(&self) -> Option<Millis> {
        self.floor().map(Millis)
    }

    pub(crate) fn floor(&self) -> Option<i64> {
        let newest = self.progress.values().filter_map(|p| p.newest).max();
        newest.max(self.horizon).map(|t| t.saturating_sub(self.plan.lookback))
    }

    /// Newest knowledge time seen of each source, in name order.
    #[must_use]
    pub fn newest_known_at(&self) -> Vec<(SourceName, Option<Millis>)> {
        self.progress.iter().map(|(source, p)| (source.clone(), p.newest.map(Millis))).collect()
    }

    /// Largest (sequence, row) seen of a source: a consumer that restarts resumes after it. Overlap is harmless.
    #[must_use]
    pub fn position(&self, source: &SourceName) -> Option<(i64, i32)> {
        self.progress.get(source).and_then(|p| p.position)
    }

    /// How much is held.
    #[must_use]
    pub fn size(&self) -> StateSize {
        StateSize {
            entities: self.entities.len(),
            keys: self.groups.iter().map(|g| g.series.len()).sum(),
            entries: self.groups.iter().map(Group::entries).sum(),
        }
    }
}

/// Columns of `batch` by name in the order and with the types of `schema`.
pub(crate) fn conform(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch, FeatureError> {
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        arrays.push(cast(column(batch, field.name())?, field.data_type())?);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), arrays, &options)?)
}
