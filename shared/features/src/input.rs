//! Reading one input for many rows at once.

use crate::aggregate::{Aggregate, Visible};
use crate::error::FeatureError;
use crate::group::Group;
use crate::key::Keys;
use crate::plan::{GroupPlan, InputPlan, Plan, Shape, WindowOutput, evaluate};
use crate::series::{Series, up_to};
use crate::value::{Values, millis};
use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch};
use std::sync::Arc;

/// State found for the key of a row.
#[derive(Clone, Copy)]
pub(crate) enum Found<'a> {
    /// A component of the key is null: every output is null.
    NoKey,
    /// No row with this key is kept: counts are 0, the rest is null.
    Nothing,
    Entries(&'a Series),
}

/// Looks the keys of all rows up in a group.
pub(crate) fn look_up<'a>(group: &'a Group, keys: &Keys, rows: usize) -> Vec<Found<'a>> {
    let find = |row| match keys.get(row) {
        None => Found::NoKey,
        Some(key) => group.series.get(key).map_or(Found::Nothing, Found::Entries),
    };
    (0..rows).map(find).collect()
}

/// The output columns of an input, in the order of the plan.
pub(crate) fn outputs(
    plan: &Plan,
    input: &InputPlan,
    entity: &RecordBatch,
    as_of: &[i64],
    found: &[Found<'_>],
) -> Result<Vec<ArrayRef>, FeatureError> {
    match &input.shape {
        Shape::Window { length, ahead, anchor, outputs } => {
            let anchors = match anchor {
                Some(anchor) => Some(millis(&evaluate(anchor, entity, "features.inputs anchor")?)?),
                None => None,
            };
            let window = Window { length: *length, ahead: *ahead, anchors, lookback: plan.lookback };
            Ok(window.read(outputs, as_of, found))
        }
        Shape::Last { lag, within, columns } => {
            Ok(last(&plan.groups[input.group], *lag, *within, columns, as_of, found))
        }
    }
}

struct Window {
    length: i64,
    ahead: i64,
    anchors: Option<Int64Array>,
    lookback: i64,
}

impl Window {
    /// Where the window of a row ends without `ahead`; `None` when it has none.
    fn anchor(&self, row: usize, as_of: i64) -> Option<i64> {
        let Some(anchors) = &self.anchors else { return Some(as_of) };
        // Farther back than one lookback the rows may be gone: then the answer is null for everybody.
        (anchors.is_valid(row) && anchors.value(row) >= as_of.saturating_sub(self.lookback)).then(|| anchors.value(row))
    }

    fn read(&self, outputs: &[WindowOutput], as_of: &[i64], found: &[Found<'_>]) -> Vec<ArrayRef> {
        let mut cells: Vec<Values> = outputs.iter().map(|o| Values::empty(o.kind)).collect();
        let mut picked = Vec::new();
        for (row, (as_of, found)) in as_of.iter().zip(found).enumerate() {
            let anchor = self.anchor(row, *as_of);
            let (series, anchor) = match (found, anchor) {
                (Found::NoKey, _) | (_, None) => {
                    push_all(&mut cells, |_| f64::NAN);
                    continue;
                }
                (Found::Nothing, Some(_)) => {
                    push_all(&mut cells, |i| outputs[i].aggregate.of_nothing());
                    continue;
                }
                (Found::Entries(series), Some(anchor)) => (*series, anchor),
            };
            let visible = self.visible(series, anchor, *as_of, &mut picked);
            for (cell, output) in cells.iter_mut().zip(outputs) {
                match cell {
                    Values::Numbers(cell) => cell.push(output.aggregate.number(series, output.column, &visible)),
                    Values::Texts(cell) => cell.push(Aggregate::last_text(series, output.column, &visible)),
                }
            }
        }
        cells.into_iter().map(Values::into_array).collect()
    }

    fn visible<'a>(&self, series: &Series, anchor: i64, as_of: i64, picked: &'a mut Vec<usize>) -> Visible<'a> {
        let end = anchor.saturating_add(self.ahead);
        let start = anchor.saturating_sub(self.length);
        if series.is_on_known() {
            let high = up_to(&series.on, end.min(as_of));
            return Visible::Range(up_to(&series.on, start).min(high)..high);
        }
        let (low, high) = (up_to(&series.on, start), up_to(&series.on, end));
        let known = series.known();
        picked.clear();
        picked.extend((low..high).filter(|i| known[*i] <= as_of));
        Visible::Picked(picked)
    }
}

fn push_all(cells: &mut [Values], number: impl Fn(usize) -> f64) {
    for (i, cell) in cells.iter_mut().enumerate() {
        match cell {
            Values::Numbers(cell) => cell.push(number(i)),
            Values::Texts(cell) => cell.push(None),
        }
    }
}

/// Columns of the `lag`-th newest row known by the instant of the read, and its age in seconds.
fn last(
    group: &GroupPlan,
    lag: usize,
    within: Option<i64>,
    columns: &[usize],
    as_of: &[i64],
    found: &[Found<'_>],
) -> Vec<ArrayRef> {
    let at = |(as_of, found): (&i64, &Found<'_>)| {
        let Found::Entries(series) = found else { return None };
        let newer = lag.checked_add(1)?;
        let index = up_to(series.known(), *as_of).checked_sub(newer)?;
        let age = as_of.saturating_sub(series.known()[index]);
        within.is_none_or(|within| age <= within).then_some((index, age))
    };
    let hits: Vec<Option<(usize, i64)>> = as_of.iter().zip(found).map(at).collect();
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns.len() + 1);
    for column in columns {
        let mut cell = Values::empty(group.columns[*column].kind);
        for (hit, found) in hits.iter().zip(found) {
            let stored = match (hit, found) {
                (Some((index, _)), Found::Entries(series)) => Some((&series.columns[*column], *index)),
                _ => None,
            };
            match &mut cell {
                Values::Numbers(cell) => cell.push(match stored {
                    Some((Values::Numbers(values), index)) => values[index],
                    _ => f64::NAN,
                }),
                Values::Texts(cell) => cell.push(match stored {
                    Some((Values::Texts(values), index)) => values[index].as_ref().map(Arc::clone),
                    _ => None,
                }),
            }
        }
        arrays.push(cell.into_array());
    }
    let ages = hits.iter().map(|hit| hit.map_or(f64::NAN, |(_, age)| age as f64 / 1000.0)).collect();
    arrays.push(Values::Numbers(ages).into_array());
    arrays
}
