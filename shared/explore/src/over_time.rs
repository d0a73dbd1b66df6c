//! Quantiles and gaps of number columns over time, from the sampled rows or from profiles that were merged by span.

use crate::outliers::quantile;
use crate::spans::Spans;
use crate::table::Column;
use serde::Serialize;
use tidemill_stats::{ColumnProfile, Kind, TableProfile};

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

/// Follows the columns of a merged profile over the spans that its parts were merged into; none of a single span.
#[must_use]
pub fn of_spans(by: &str, whole: &TableProfile, spans: &Spans<TableProfile>) -> Option<OverTime> {
    spans.iter().nth(1)?;
    let follow = |column: &ColumnProfile| {
        let moments = spans.iter().filter_map(|(at, span)| Some(moment(at, span.column(&column.name)?)));
        Followed { column: column.name.clone(), moments: moments.flatten().collect() }
    };
    let numbers = whole.columns.iter().filter(|column| column.kind == Kind::Numeric);
    let followed = numbers.take(COLUMNS).map(follow).collect();
    Some(OverTime { by: by.to_owned(), span: spans.length(), columns: followed })
}

/// What the profile of a column tells of a moment; none without rows.
fn moment(at: i64, of: &ColumnProfile) -> Option<Moment> {
    let quartiles = of.quantiles.quantiles(&[0.25, 0.5, 0.75]).ok().flatten();
    (of.count > 0).then(|| Moment {
        at,
        rows: of.count,
        missing: of.missing_share(),
        quartiles: quartiles.and_then(|values| <[f64; 3]>::try_from(values).ok()),
    })
}
