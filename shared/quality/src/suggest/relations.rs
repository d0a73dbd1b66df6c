//! What columns suggest together: keys, orders, dependencies, seasons.

use super::id;
use crate::error::QualityError;
use crate::memory::key_hashes;
use crate::row::column;
use crate::row::times::{DAY, instants};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{cast, max, min};
use arrow::datatypes::{DataType, Float64Type};
use std::collections::{HashMap, HashSet};
use tidemill_spec::{Check, CompareRule, Comparison, DependencyRule, Rule, Season, SeasonalRule, Source, Span};

/// Columns whose pairs are looked at; with more the pairs would be too many.
const PAIRED: usize = 24;
/// Rows a pair or dependency needs to be more than chance.
const LEAST: usize = 100;

pub(super) fn mine(source: &Source, rows: &RecordBatch, rules: &mut Vec<Rule>) -> Result<(), QualityError> {
    keys(source, rows, rules)?;
    orders(source, rows, rules)?;
    dependencies(source, rows, rules)?;
    if let Some(rule) = season(source, rows)? {
        rules.push(rule);
    }
    Ok(())
}

fn keys(source: &Source, rows: &RecordBatch, rules: &mut Vec<Rule>) -> Result<(), QualityError> {
    if !source.key.is_empty() && source.key.iter().all(|name| rows.column_by_name(name).is_some()) {
        rules.push(Rule::new("key-unique", Check::Unique(source.key.clone())));
    }
    for (name, _) in source.columns.iter().filter(|(name, _)| source.key != [(*name).clone()]) {
        let array = column(rows, name)?;
        let is_id = array.data_type().is_integer() || *array.data_type() == DataType::Utf8;
        let present = array.len() - array.null_count();
        if is_id && present >= LEAST {
            let keys: HashSet<u128> = key_hashes(rows, std::slice::from_ref(name))?.into_iter().flatten().collect();
            if keys.len() == present {
                rules.push(Rule::new(id(name, "unique"), Check::Unique(vec![name.clone()])));
            }
        }
    }
    Ok(())
}

/// Pairs of columns of one kind of which one is never above the other, though their ranges overlap.
fn orders(source: &Source, rows: &RecordBatch, rules: &mut Vec<Rule>) -> Result<(), QualityError> {
    let mut numbers: Vec<(&String, bool, ArrayRef)> = Vec::new();
    for name in source.columns.keys() {
        let array = column(rows, name)?;
        let instant = matches!(array.data_type(), DataType::Timestamp(_, _));
        if (instant || array.data_type().is_numeric()) && numbers.len() < PAIRED {
            let plain = if instant { cast(array, &DataType::Int64)? } else { array.clone() };
            numbers.push((name, instant, cast(&plain, &DataType::Float64)?));
        }
    }
    for (nth, (left, instant, a)) in numbers.iter().enumerate() {
        for (right, other, b) in numbers.iter().skip(nth + 1) {
            if instant == other
                && let Some(is) = order(a, b)
            {
                let rule = CompareRule { left: (*left).clone(), is, right: (*right).clone() };
                rules.push(Rule::new(id(left, &format!("against-{right}")), Check::Compare(rule)));
            }
        }
    }
    Ok(())
}

fn order(a: &ArrayRef, b: &ArrayRef) -> Option<Comparison> {
    let (a, b) = (a.as_primitive::<Float64Type>(), b.as_primitive::<Float64Type>());
    let (mut below, mut above, mut both) = (0_usize, 0_usize, 0_usize);
    for (a, b) in a.iter().zip(b.iter()).filter_map(|(a, b)| Some((a?, b?))) {
        below += usize::from(a < b);
        above += usize::from(a > b);
        both += 1;
        if below > 0 && above > 0 {
            return None;
        }
    }
    // Ranges that lie apart are in order whatever the rows say.
    let overlap = max(a)? > min(b)? && max(b)? > min(a)?;
    (both >= LEAST && overlap && below + above > 0).then_some(if above == 0 {
        Comparison::AtMost
    } else {
        Comparison::AtLeast
    })
}

/// Columns that determine another: many rows a key, and more than one value.
fn dependencies(source: &Source, rows: &RecordBatch, rules: &mut Vec<Rule>) -> Result<(), QualityError> {
    let mut named: Vec<(&String, Vec<Option<u128>>, usize)> = Vec::new();
    for name in source.columns.keys() {
        let kind = column(rows, name)?.data_type();
        if (*kind == DataType::Utf8 || kind.is_integer()) && named.len() < PAIRED {
            let hashes = key_hashes(rows, std::slice::from_ref(name))?;
            let different = hashes.iter().flatten().collect::<HashSet<_>>().len();
            named.push((name, hashes, different));
        }
    }
    for (key, keys, keys_different) in &named {
        for (value, values, values_different) in &named {
            let telling =
                *values_different >= 2 && keys_different >= values_different && 8 * keys_different <= keys.len();
            if key != value && telling && determines(keys, values) {
                let rule = DependencyRule { key: vec![(*key).clone()], value: (*value).clone() };
                rules.push(Rule::new(id(key, &format!("determines-{value}")), Check::Determines(rule)));
            }
        }
    }
    Ok(())
}

fn determines(keys: &[Option<u128>], values: &[Option<u128>]) -> bool {
    let mut known = HashMap::new();
    keys.iter().zip(values).all(|(key, value)| match (key, value) {
        (Some(key), Some(value)) => *known.entry(key).or_insert(value) == value,
        _ => true,
    })
}

/// The rule on usual volumes, when event time covers enough seasons.
fn season(source: &Source, rows: &RecordBatch) -> Result<Option<Rule>, QualityError> {
    let Some(array) = rows.column_by_name(&source.event_time) else {
        return Ok(None);
    };
    let at = instants(array)?;
    let (Some(first), Some(last)) = (min(&at), max(&at)) else {
        return Ok(None);
    };
    let weeks = (last - first) / (7 * DAY);
    let per_hour = at.len() as f64 / ((last - first).max(1) as f64 / (DAY as f64 / 24.0));
    let season = match weeks {
        0..5 => return Ok(None),
        _ if per_hour >= 5.0 => Season::HourOfWeek,
        _ => Season::DayOfWeek,
    };
    let rule = SeasonalRule { column: None, by: None, season, deviation: 6.0, cycles: 8, lateness: Span::default() };
    Ok(Some(Rule::new("volume-seasonal", Check::Seasonal(rule))))
}
