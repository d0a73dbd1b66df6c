//! What is usual in the same hour or on the same weekday, per segment.
//!
//! Rows are counted by segment and period of event time. A period closes when event time has passed its end by the
//! lateness; it is then held against the same season of earlier periods: by how many robust standard deviations it is
//! off their median. The scale is 1.4826 times the median absolute deviation, and never below what counting alone
//! scatters (a Poisson count, a binomial share), so that few rows give no alarm. Periods without any row count as
//! zero, which is the point.

use super::statistics::quantile;
use super::{CommitCheck, CommitMemory, Finding, shown};
use crate::error::QualityError;
use crate::row::column;
use crate::row::times::{DAY, instants};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use std::collections::BTreeMap;
use tidemill_spec::Season;
use tidemill_types::Millis;

const HOUR: i64 = 3_600_000;
/// Earlier periods of a season needed before one is judged.
const LEAST: usize = 4;
/// Segments told apart; rows of others count together.
const SEGMENTS: usize = 1_000;
/// Periods judged in one commit at most, the newest.
const JUDGED: i64 = 20_000;
/// Deviations told in words.
const TOLD: usize = 3;

/// Rows of one segment in one period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cell {
    rows: u64,
    nulls: u64,
}

/// Counted periods by segment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Seasons {
    segments: BTreeMap<String, BTreeMap<i64, Cell>>,
    first: Option<i64>,
    newest: Option<i64>,
}

/// The rule.
#[derive(Clone, Debug)]
pub(crate) struct Seasonal {
    pub(super) event_time: String,
    pub(super) column: Option<String>,
    pub(super) by: Option<String>,
    pub(super) season: Season,
    pub(super) deviation: f64,
    pub(super) cycles: usize,
    pub(super) lateness: i64,
}

/// A period that is not as usual.
struct Deviation {
    score: f64,
    text: String,
}

impl Seasonal {
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        [Some(&self.event_time), self.column.as_ref(), self.by.as_ref()].into_iter().flatten().map(String::as_str)
    }

    /// Length of a period, and after how many the season comes again.
    fn lengths(&self) -> (i64, i64) {
        match self.season {
            Season::HourOfDay => (HOUR, 24),
            Season::HourOfWeek => (HOUR, 168),
            Season::DayOfWeek => (DAY, 7),
        }
    }

    /// Counts rows, and forgets periods that no later one is compared with.
    pub(super) fn remember(&self, seasons: &mut Seasons, rows: &RecordBatch) -> Result<(), QualityError> {
        self.count(seasons, rows)?;
        self.forget(seasons);
        Ok(())
    }

    fn forget(&self, seasons: &mut Seasons) {
        let (length, repeat) = self.lengths();
        let kept = repeat * (self.cycles as i64 + 1) + self.lateness / length + 1;
        let Some(newest) = seasons.newest else {
            return;
        };
        let oldest = newest.div_euclid(length) - kept;
        for periods in seasons.segments.values_mut() {
            // `split_off` would move what stays; usually nothing goes.
            while periods.first_key_value().is_some_and(|(period, _)| *period < oldest) {
                periods.pop_first();
            }
        }
    }

    fn count(&self, seasons: &mut Seasons, rows: &RecordBatch) -> Result<(), QualityError> {
        let at = instants(column(rows, &self.event_time)?)?;
        let segments = self.by.as_ref().map(|by| Ok::<_, QualityError>(cast(column(rows, by)?, &DataType::Utf8)?));
        let segments: Option<ArrayRef> = segments.transpose()?;
        let measured = self.column.as_ref().map(|name| column(rows, name)).transpose()?;
        let length = self.lengths().0;
        for (row, instant) in at.iter().enumerate().filter_map(|(row, at)| Some((row, at?))) {
            let segment = segments
                .as_ref()
                .map_or("", |texts| if texts.is_null(row) { "(null)" } else { texts.as_string::<i32>().value(row) });
            let period = instant.div_euclid(length);
            let cell = seasons.cell(segment, period);
            cell.rows += 1;
            cell.nulls += u64::from(measured.is_some_and(|array| array.is_null(row)));
            seasons.first = Some(seasons.first.map_or(period, |first| first.min(period)));
            seasons.newest = Some(seasons.newest.map_or(instant, |newest| newest.max(instant)));
        }
        Ok(())
    }

    /// Periods that end by `newest` less the lateness.
    fn closed_until(&self, newest: i64) -> i64 {
        (newest - self.lateness).div_euclid(self.lengths().0)
    }

    fn deviations(&self, before: Option<i64>, seasons: &Seasons) -> (usize, Vec<Deviation>) {
        let (Some(newest), Some(first)) = (seasons.newest, seasons.first) else {
            return (0, Vec::new());
        };
        let until = self.closed_until(newest);
        let from = before.map_or(first, |before| self.closed_until(before)).max(until - JUDGED);
        let (mut judged, mut found) = (0, Vec::new());
        for (segment, periods) in &seasons.segments {
            for period in from..until {
                if let Some(deviation) = self.judge_period(segment, periods, period, first, &mut judged) {
                    found.push(deviation);
                }
            }
        }
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        (judged, found)
    }

    fn judge_period(
        &self,
        segment: &str,
        periods: &BTreeMap<i64, Cell>,
        period: i64,
        first: i64,
        judged: &mut usize,
    ) -> Option<Deviation> {
        let (length, repeat) = self.lengths();
        let cell = |period: i64| periods.get(&period).copied().unwrap_or_default();
        let earlier = (1..=self.cycles as i64).map(|back| period - back * repeat).take_while(|p| *p >= first);
        let now = cell(period);
        let (value, floor, mut usual): (f64, f64, Vec<f64>) = if self.column.is_some() {
            let usual: Vec<f64> =
                earlier.map(cell).filter(|c| c.rows > 0).map(|c| c.nulls as f64 / c.rows as f64).collect();
            let middle = quantile(&mut usual.clone(), 0.5)?;
            let rows = now.rows.max(1) as f64;
            // A share that was never other than zero may still be off by one row.
            let floor = (middle * (1.0 - middle) / rows).sqrt().max(0.5 / rows);
            (now.nulls as f64 / rows, floor, usual)
        } else {
            let usual: Vec<f64> = earlier.map(|p| cell(p).rows as f64).collect();
            let middle = quantile(&mut usual.clone(), 0.5)?;
            (now.rows as f64, middle.max(1.0).sqrt(), usual)
        };
        if usual.len() < LEAST || (self.column.is_some() && now.rows == 0) {
            return None;
        }
        *judged += 1;
        let middle = quantile(&mut usual, 0.5)?;
        let mut off: Vec<f64> = usual.iter().map(|v| (v - middle).abs()).collect();
        let scale = (1.4826 * quantile(&mut off, 0.5)?).max(floor);
        let score = (value - middle).abs() / scale;
        (score > self.deviation).then(|| Deviation {
            score,
            text: format!("{segment} {}: {}, usually {}", Millis(period * length), shown(value), shown(middle))
                .trim_start()
                .to_owned(),
        })
    }
}

impl Seasons {
    fn cell(&mut self, segment: &str, period: i64) -> &mut Cell {
        let is_full = self.segments.len() >= SEGMENTS && !self.segments.contains_key(segment);
        let name = if is_full { "(others)" } else { segment };
        self.segments.entry(name.to_owned()).or_default().entry(period).or_default()
    }
}

impl CommitCheck for Seasonal {
    fn judge(&self, rows: &RecordBatch, memory: &CommitMemory, place: usize) -> Result<Option<Finding>, QualityError> {
        let mut seasons = memory.seasons(place).cloned().unwrap_or_default();
        let before = seasons.newest;
        self.count(&mut seasons, rows)?;
        let (judged, found) = self.deviations(before, &seasons);
        if judged == 0 {
            return Ok(None);
        }
        let what = if self.column.is_some() { "share of nulls" } else { "rows" };
        let told: Vec<&str> = found.iter().take(TOLD).map(|d| d.text.as_str()).collect();
        let observed = match found.len() {
            0 => format!("{judged} periods as usual"),
            count => format!("{count} of {judged} periods unusual ({what}): {}", told.join("; ")),
        };
        Ok(Some(Finding { holds: found.is_empty(), observed }))
    }

    fn seasonal(&self) -> Option<&Seasonal> {
        Some(self)
    }
}
