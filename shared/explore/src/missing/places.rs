//! When cells are missing, and in which rows: the share of gaps over time and by the column that tells most.

use crate::association::table;
use crate::table::{Categories, Column, MISSING};
use serde::Serialize;

/// Columns with gaps that are told.
const COLUMNS: usize = 12;
/// Spans of equal length.
const SPANS: usize = 12;
/// Values of a column that makes segments.
const GROUPS: usize = 20;
/// Segments that are told, those with the most rows.
const TOLD: usize = 8;
/// Cramér's V from which on segments differ enough to be told.
const DIFFERS: f64 = 0.1;

/// Rows with one value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Segment {
    /// The value.
    pub value: String,
    /// Rows that have it.
    pub rows: u64,
    /// Share of them that lacks the column.
    pub missing: f64,
}

/// Where a column is missing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Places {
    /// The column.
    pub column: String,
    /// Middle of a span in milliseconds since 1970-01-01T00:00:00Z, and the share of its rows that lacks the column.
    pub over_time: Vec<(i64, f64)>,
    /// The column whose values tell most about the gaps.
    pub by: Option<String>,
    /// Cramér's V, corrected for bias, of that column and "is missing".
    pub cramers_v: Option<f64>,
    /// Its segments, the one with the most rows first.
    pub segments: Vec<Segment>,
}

/// Looks at the columns with gaps.
pub(super) fn places(gappy: &[&Column], shown: &[&Column], time: Option<&Column>) -> Vec<Places> {
    let slots = time.and_then(slots);
    let place = |column: &&Column| {
        let found = strongest(column, shown);
        let (by, cramers_v, segments) = match found {
            Some((by, v, categories)) => (Some(by.name.clone()), Some(v), segments(column, categories)),
            None => (None, None, Vec::new()),
        };
        let over_time = slots.as_ref().map(|slots| over_time(column, slots)).unwrap_or_default();
        Places { column: column.name.clone(), over_time, by, cramers_v, segments }
    };
    gappy.iter().take(COLUMNS).map(place).collect()
}

fn strongest<'a>(column: &Column, shown: &[&'a Column]) -> Option<(&'a Column, f64, &'a Categories)> {
    let flags: Vec<u32> = column.missing.iter().map(|missing| u32::from(*missing)).collect();
    let measured = shown.iter().filter(|by| by.name != column.name).filter_map(|by| {
        let categories = by.groups(GROUPS)?;
        let (table, _) = table((&flags, 2), (&categories.codes, categories.names.len()))?;
        Some((*by, table.chi_square().cramers_v_corrected, categories))
    });
    measured.filter(|(_, v, _)| *v >= DIFFERS).max_by(|a, b| a.1.total_cmp(&b.1))
}

fn segments(column: &Column, categories: &Categories) -> Vec<Segment> {
    let mut gaps = vec![0_u64; categories.names.len()];
    for (code, missing) in categories.codes.iter().zip(&column.missing) {
        if *code != MISSING && *missing {
            gaps[*code as usize] += 1;
        }
    }
    let all = categories.names.iter().zip(&categories.counts).zip(gaps);
    let told = all.take(TOLD).map(|((value, rows), gaps)| Segment {
        value: value.clone(),
        rows: *rows,
        missing: gaps as f64 / (*rows).max(1) as f64,
    });
    told.collect()
}

/// Begin and length of spans, and the span of each row.
struct Slots {
    low: f64,
    span: f64,
    rows: Vec<Option<usize>>,
}

fn slots(time: &Column) -> Option<Slots> {
    let finite = time.finite();
    let low = finite.iter().copied().fold(f64::INFINITY, f64::min);
    let span = (finite.iter().copied().fold(f64::NEG_INFINITY, f64::max) - low) / SPANS as f64;
    if finite.is_empty() || span <= 0.0 {
        return None;
    }
    let slot = |at: &f64| at.is_finite().then(|| (((at - low) / span) as usize).min(SPANS - 1));
    Some(Slots { low, span, rows: time.numbers.iter().map(slot).collect() })
}

fn over_time(column: &Column, slots: &Slots) -> Vec<(i64, f64)> {
    let mut counts = [(0_u64, 0_u64); SPANS];
    for (slot, missing) in slots.rows.iter().zip(&column.missing) {
        if let Some((rows, gaps)) = slot.and_then(|slot| counts.get_mut(slot)) {
            *rows += 1;
            *gaps += u64::from(*missing);
        }
    }
    let shares = counts.iter().enumerate().filter(|(_, (rows, _))| *rows > 0);
    shares
        .map(|(at, (rows, gaps))| ((slots.low + slots.span * (at as f64 + 0.5)) as i64, *gaps as f64 / *rows as f64))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemill_stats::Kind;

    #[test]
    fn gaps_are_told_by_time_and_by_the_column_that_tells_most() {
        let rows = 1_200_usize;
        let site = |row: usize| ["north", "south", "west"][row % 3];
        let texts: Vec<&str> = (0..rows).map(site).collect();
        let text = |name: &str, texts: &[&str]| Column {
            name: name.to_owned(),
            kind: Kind::Text,
            missing: vec![false; rows],
            numbers: Vec::new(),
            categories: Some(Categories::of(texts.iter().map(|text| Some(*text)))),
        };
        let site = text("site", &texts);
        let other = text("other", &(0..rows).map(|row| ["a", "b"][row / 7 % 2]).collect::<Vec<_>>());
        // The south fails in the second half.
        let missing: Vec<bool> = (0..rows).map(|row| row % 3 == 1 && row >= rows / 2).collect();
        let gappy = Column { name: "gappy".to_owned(), kind: Kind::Other, missing, numbers: vec![], categories: None };
        let numbers: Vec<f64> = (0..rows).map(|row| row as f64 * 1_000.0).collect();
        let time = Column {
            name: "at".to_owned(),
            kind: Kind::Instant,
            missing: vec![false; rows],
            numbers,
            categories: None,
        };
        let found = &places(&[&gappy], &[&other, &site], Some(&time))[0];
        assert_eq!(found.by.as_deref(), Some("site"));
        let shares: Vec<(&str, f64)> = found.segments.iter().map(|s| (s.value.as_str(), s.missing)).collect();
        assert_eq!(shares, [("north", 0.0), ("south", 0.5), ("west", 0.0)]);
        let expected = [[0.0; 6], [1.0 / 3.0; 6]].concat();
        assert_eq!(found.over_time.len(), expected.len());
        let close = found.over_time.iter().zip(expected).all(|((_, share), expected)| (share - expected).abs() < 0.01);
        assert!(close, "{:?}", found.over_time);
        assert!(places(&[&gappy], &[&other], None)[0].by.is_none(), "what tells nothing is not told");
    }
}
