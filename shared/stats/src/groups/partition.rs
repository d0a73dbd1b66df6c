//! Which row belongs to which group: windows as short, and segments as many, as the bounds allow.

use super::window::{DAY, Unit, Window};
use super::{Cut, Group, Groups, Segment};
use crate::{Error, Result, TableProfile};
use arrow::array::{Array as _, AsArray as _, RecordBatch, UInt32Array};
use arrow::compute::{cast, take_record_batch};
use arrow::datatypes::{DataType, TimestampMillisecondType};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Windows of one commit at most.
pub const MOST_WINDOWS: usize = 64;
/// Values of a segment column that are kept apart in one commit: the most frequent ones.
pub const MOST_SEGMENTS: usize = 16;
/// Sketches of columns that are kept of one commit, in all groups together; more only where not even one window of all
/// rows, with the segments, keeps to it.
pub const MOST_SKETCHES: usize = 2_048;
/// Longest value that is kept apart, in bytes.
const LONGEST: usize = 200;

/// Of each row the place of its segment in a list.
struct Segmented {
    by: Option<String>,
    list: Vec<Option<Segment>>,
    places: Vec<u32>,
}

impl Groups {
    /// The groups of a batch whose instants stand in `event_time`, for each of the columns `segments`, and the profile of
    /// the whole. Without segments, and for the first of them, the rows are read once for both.
    ///
    /// # Errors
    /// A column that is absent or of another type.
    pub fn of(batch: &RecordBatch, event_time: &str, segments: &[String]) -> Result<(TableProfile, Self)> {
        let instants = batch.column_by_name(event_time).and_then(|c| c.as_primitive_opt::<TimestampMillisecondType>());
        let instants = instants.ok_or_else(|| unreadable(batch, event_time, "instants"))?.values();
        let days: Vec<i64> = instants.iter().map(|at| at.div_euclid(DAY)).collect();
        let mut segmented = segments.iter().map(|by| Segmented::of(batch, by)).collect::<Result<Vec<Segmented>>>()?;
        if segmented.is_empty() {
            segmented.push(Segmented { by: None, list: vec![None], places: vec![0; batch.num_rows()] });
        }
        let windows = windows(&days, instants, &segmented, batch.num_columns());
        let cuts = segmented.into_iter().map(|one| cut(batch, &days, &windows, one)).collect::<Result<Vec<Cut>>>()?;
        let groups = Self { cuts };
        let whole = match groups.whole()? {
            Some(whole) => whole,
            None => TableProfile::of(batch)?,
        };
        Ok((whole, groups))
    }
}

impl Segmented {
    fn of(batch: &RecordBatch, by: &str) -> Result<Self> {
        let column = batch.column_by_name(by).ok_or_else(|| unreadable(batch, by, "segments"))?;
        let texts = cast(column, &DataType::Utf8).map_err(|_| unreadable(batch, by, "segments"))?;
        let texts = texts.as_string::<i32>();
        let mut counts: HashMap<&str, u64> = HashMap::new();
        for text in texts.iter().flatten().filter(|text| text.len() <= LONGEST) {
            *counts.entry(text).or_default() += 1;
        }
        let mut kept: Vec<(&str, u64)> = counts.into_iter().collect();
        kept.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        kept.truncate(MOST_SEGMENTS);
        let of_value: HashMap<&str, u32> = kept.iter().map(|(text, _)| *text).zip(0..).collect();
        let (others, null) = (of_value.len() as u32, of_value.len() as u32 + 1);
        let place = |text: Option<&str>| text.map_or(null, |text| of_value.get(text).copied().unwrap_or(others));
        let places = texts.iter().map(place).collect();
        let values = kept.iter().map(|(text, _)| Some(Segment::Value((*text).to_owned())));
        let list = values.chain([Some(Segment::Others), Some(Segment::Null)]).collect();
        Ok(Self { by: Some(by.to_owned()), list, places })
    }
}

/// The window of each day that has rows.
fn windows(days: &[i64], instants: &[i64], segmented: &[Segmented], columns: usize) -> BTreeMap<i64, Window> {
    let mut cells: Vec<BTreeSet<(i64, u32)>> = vec![BTreeSet::new(); segmented.len()];
    for (cells, segmented) in cells.iter_mut().zip(segmented) {
        // Neighbours are mostly of one day.
        let mut before = None;
        for cell in days.iter().copied().zip(segmented.places.iter().copied()) {
            if before != Some(cell) {
                cells.insert(cell);
                before = Some(cell);
            }
        }
    }
    let distinct: BTreeSet<i64> = cells.first().into_iter().flatten().map(|(day, _)| *day).collect();
    for unit in Unit::ALL {
        let found = distinct.iter().map(|day| Some((*day, unit.window(*day)?))).collect::<Option<BTreeMap<_, _>>>();
        let Some(found) = found else { continue };
        let count = found.values().collect::<BTreeSet<_>>().len();
        let coarse = |cells: &BTreeSet<(i64, u32)>| {
            cells.iter().map(|(day, segment)| (found.get(day), *segment)).collect::<BTreeSet<_>>().len()
        };
        let sketches = cells.iter().map(coarse).sum::<usize>() * columns;
        if count <= MOST_WINDOWS && sketches <= MOST_SKETCHES {
            return found;
        }
    }
    let from = instants.iter().copied().min().unwrap_or_default();
    let to = instants.iter().copied().max().unwrap_or_default().saturating_add(1);
    distinct.into_iter().map(|day| (day, Window { from, to })).collect()
}

fn cut(batch: &RecordBatch, days: &[i64], windows: &BTreeMap<i64, Window>, segmented: Segmented) -> Result<Cut> {
    let Segmented { by, list, places } = segmented;
    let mut rows: BTreeMap<(Window, u32), Vec<u32>> = BTreeMap::new();
    let mut newest: Option<(i64, Window)> = None;
    for (row, (day, place)) in days.iter().zip(&places).enumerate() {
        let window = match newest {
            Some((of, window)) if of == *day => window,
            _ => windows.get(day).copied().unwrap_or(Window { from: i64::MIN, to: i64::MAX }),
        };
        newest = Some((*day, window));
        rows.entry((window, *place)).or_default().push(row as u32);
    }
    let is_one = rows.len() == 1;
    let mut groups = Vec::with_capacity(rows.len());
    for ((window, place), rows) in rows {
        let profile = if is_one {
            TableProfile::of(batch)?
        } else {
            let part = take_record_batch(batch, &UInt32Array::from(rows))
                .map_err(|e| Error::Type { wanted: "rows of a group", data_type: e.to_string() })?;
            // Neighbouring windows are often alike, and would err alike.
            TableProfile::of_part(&part, (window.from / DAY) as u64 ^ u64::from(place))?
        };
        groups.push(Group { window, segment: list.get(place as usize).cloned().flatten(), profile });
    }
    Ok(Cut { by, groups })
}

fn unreadable(batch: &RecordBatch, column: &str, wanted: &'static str) -> Error {
    let found = batch.column_by_name(column).map(|column| column.data_type().to_string());
    Error::Type { wanted, data_type: found.unwrap_or_else(|| format!("absent ({column})")) }
}
