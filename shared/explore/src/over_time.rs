//! Quantiles and gaps of number columns over time, from the sampled rows.

use crate::outliers::quantile;
use crate::table::Column;
use serde::Serialize;
use tidemill_stats::{Kind, TableProfile};

/// Spans of equal length.
const SPANS: usize = 48;
/// Columns that are followed.
const COLUMNS: usize = 40;
/// Values that a span needs before its quantiles are told.
const LEAST: usize = 5;

/// One span of one column.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Moment {
    /// Middle of the span, in milliseconds since 1970-01-01T00:00:00Z.
    pub at: i64,
    /// Sampled rows.
    pub rows: u64,
    /// Share of them that lacks the value.
    pub missing: f64,
    /// Lower quartile, median, upper quartile; none with too few values.
    pub quartiles: Option<[f64; 3]>,
}

/// One column over time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Followed {
    /// The column.
    pub column: String,
    /// Its spans that have rows, from early to late.
    pub moments: Vec<Moment>,
}

/// Columns over time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OverTime {
    /// The time column.
    pub by: String,
    /// Length of a span in milliseconds.
    pub span: i64,
    /// Columns, in the order of the table.
    pub columns: Vec<Followed>,
}

/// Follows columns over a time column; none when that has no extent.
#[must_use]
pub fn over_time(time: &Column, columns: &[&Column]) -> Option<OverTime> {
    let finite = time.finite();
    let low = finite.iter().copied().fold(f64::INFINITY, f64::min);
    let high = finite.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if high <= low {
        return None;
    }
    let span = (high - low) / SPANS as f64;
    let slot = |at: f64| at.is_finite().then(|| (((at - low) / span) as usize).min(SPANS - 1));
    let slots: Vec<Option<usize>> = time.numbers.iter().map(|at| slot(*at)).collect();
    let follow = |column: &Column| {
        let mut values: Vec<Vec<f64>> = vec![Vec::new(); SPANS];
        let (mut rows, mut missing) = (vec![0_u64; SPANS], vec![0_u64; SPANS]);
        for (row, slot) in slots.iter().enumerate().filter_map(|(row, slot)| Some((row, (*slot)?))) {
            rows[slot] += 1;
            missing[slot] += u64::from(column.missing[row]);
            if let Some(value) = column.numbers.get(row).filter(|v| v.is_finite()) {
                values[slot].push(*value);
            }
        }
        let moment = |(at, mut values): (usize, Vec<f64>)| {
            values.sort_unstable_by(f64::total_cmp);
            Moment {
                at: (low + span * (at as f64 + 0.5)) as i64,
                rows: rows[at],
                missing: missing[at] as f64 / rows[at] as f64,
                quartiles: (values.len() >= LEAST).then(|| [0.25, 0.5, 0.75].map(|share| quantile(&values, share))),
            }
        };
        let moments = values.into_iter().enumerate().filter(|(at, _)| rows[*at] > 0).map(moment).collect();
        Followed { column: column.name.clone(), moments }
    };
    let followed =
        columns.iter().copied().filter(|column| column.kind == Kind::Numeric).take(COLUMNS).map(follow).collect();
    Some(OverTime { by: time.name.clone(), span: span as i64, columns: followed })
}

/// Follows columns over the instants of mergeable profiles, such as those of commits: profiles of one span are merged.
#[must_use]
pub fn of_profiles(by: &str, parts: &[(i64, TableProfile)]) -> Option<OverTime> {
    let low = parts.iter().map(|(at, _)| *at).min()?;
    let high = parts.iter().map(|(at, _)| *at).max().filter(|high| *high > low)?;
    let span = ((high - low) / SPANS as i64).max(1);
    let mut slots: Vec<TableProfile> = vec![TableProfile::default(); SPANS];
    for (at, part) in parts {
        let slot = (((at - low) / span) as usize).min(SPANS - 1);
        // One whose columns are others cannot be followed.
        let _ = slots[slot].merge(part);
    }
    let names = parts.last().map(|(_, part)| &part.columns)?;
    let follow = |column: &tidemill_stats::ColumnProfile| {
        let moments = slots.iter().enumerate().filter_map(|(at, slot)| {
            let found = slot.column(&column.name).filter(|found| found.count > 0)?;
            let quartiles = found.quantiles.quantiles(&[0.25, 0.5, 0.75]).ok().flatten();
            Some(Moment {
                at: low + span * at as i64 + span / 2,
                rows: found.count,
                missing: found.missing_share(),
                quartiles: quartiles.and_then(|values| <[f64; 3]>::try_from(values).ok()),
            })
        });
        Followed { column: column.name.clone(), moments: moments.collect() }
    };
    let followed = names.iter().filter(|column| column.kind == Kind::Numeric).take(COLUMNS).map(follow).collect();
    Some(OverTime { by: by.to_owned(), span, columns: followed })
}
