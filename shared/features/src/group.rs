//! Rows of one source kept by one key: taking rows in, letting old ones go.

use crate::error::FeatureError;
use crate::key::{KeyMap, Keys, column};
use crate::plan::{GroupPlan, Keep, evaluate};
use crate::series::{Place, Series, up_to};
use crate::value::{Texts, Values, millis};
use arrow::array::{Array, AsArray, BooleanArray, Int32Array, Int64Array, RecordBatch};

/// System columns of a batch of clean rows.
pub(crate) struct System {
    pub(crate) seq: Int64Array,
    pub(crate) row: Int32Array,
    pub(crate) known: Int64Array,
}

/// What a batch adds to a group, evaluated but not yet taken in.
///
/// Evaluation may fail, insertion cannot: a batch is taken in whole or not at all.
pub(crate) struct Prepared {
    /// Rows to insert and their places, sorted by place.
    rows: Vec<(Place, usize)>,
    keys: Keys,
    columns: Vec<Values>,
}

/// The state of one group.
#[derive(Default)]
pub(crate) struct Group {
    pub(crate) series: KeyMap<Series>,
}

impl Group {
    pub(crate) fn prepare(
        plan: &GroupPlan,
        by: &[String],
        batch: &RecordBatch,
        system: &System,
        texts: &mut Texts,
    ) -> Result<Prepared, FeatureError> {
        let place = || format!("an input from {}", plan.source);
        let filter = match &plan.filter {
            Some(filter) => Some(evaluate(filter, batch, &place())?.as_boolean().clone()),
            None => None,
        };
        let on = match &plan.on {
            Some(on) => Some(millis(column(batch, on)?)?),
            None => None,
        };
        let keys = Keys::of_batch(batch, by)?;
        let mut columns = Vec::with_capacity(plan.columns.len());
        for stored in &plan.columns {
            columns.push(texts.values(&evaluate(&stored.expr, batch, &place())?, stored.kind)?);
        }
        let passes = |f: &BooleanArray, i: usize| f.is_valid(i) && f.value(i);
        let mut rows = Vec::with_capacity(batch.num_rows());
        for i in 0..batch.num_rows() {
            if filter.as_ref().is_some_and(|f| !passes(f, i)) || keys.get(i).is_none() {
                continue;
            }
            let known = system.known.value(i);
            let on = match &on {
                // A row without a window time lies in no window.
                Some(on) if on.is_null(i) => continue,
                Some(on) => on.value(i),
                None => known,
            };
            rows.push((Place { on, known, seq: system.seq.value(i), row: system.row.value(i) }, i));
        }
        rows.sort_unstable();
        Ok(Prepared { rows, keys, columns })
    }

    /// Takes prepared rows in and marks those that were there already.
    pub(crate) fn insert(&mut self, plan: &GroupPlan, prepared: &Prepared, repeated: &mut [bool]) {
        for (place, i) in &prepared.rows {
            let Some(key) = prepared.keys.get(*i) else { continue };
            let fresh = match self.series.get_mut(key) {
                Some(series) => series.insert(*place, &prepared.columns, *i),
                None => {
                    let mut series = Series::new(plan.columns.iter().map(|c| c.kind), plan.on.is_none());
                    series.insert(*place, &prepared.columns, *i);
                    self.series.insert(key.into(), series);
                    true
                }
            };
            repeated[*i] |= !fresh;
        }
    }

    /// Lets go of entries that no read at or after `floor` can see; returns how many.
    pub(crate) fn evict(&mut self, plan: &GroupPlan, floor: i64) -> usize {
        let mut dropped = 0;
        self.series.retain(|_, series| {
            let count = plan.keeps.iter().map(|keep| unneeded(series, *keep, floor)).min().unwrap_or(0);
            if count == series.len() {
                dropped += count;
                return false;
            }
            // Moving the rest costs; wait until a quarter can go.
            if count * 4 >= series.len() {
                series.drop_front(count);
                dropped += count;
            }
            true
        });
        dropped
    }

    /// Takes back entries with a sequence after `after`; returns how many.
    pub(crate) fn take_back(&mut self, after: i64) -> usize {
        let mut dropped = 0;
        self.series.retain(|_, series| {
            dropped += series.drop_after(after);
            series.len() > 0
        });
        dropped
    }

    pub(crate) fn entries(&self) -> usize {
        self.series.values().map(Series::len).sum()
    }
}

/// Number of leading entries that a reader cannot see at or after `floor`.
fn unneeded(series: &Series, keep: Keep, floor: i64) -> usize {
    match keep {
        Keep::Window { reach } => up_to(&series.on, floor.saturating_sub(reach)),
        Keep::Last { lag, within } => {
            let superseded = up_to(series.known(), floor).saturating_sub(lag.saturating_add(1));
            let expired = within.map_or(0, |within| {
                // Expired means older than `within`, strictly.
                series.known().partition_point(|known| *known < floor.saturating_sub(within))
            });
            superseded.max(expired)
        }
    }
}
