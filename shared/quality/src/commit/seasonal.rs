//! What is usual in the same hour or on the same weekday, per segment.
//!
//! Rows are counted by segment and period of event time. A period closes when event time has passed its end by the
//! lateness; it is then held against the same season of earlier periods: by how many robust standard deviations it is
//! off their median. The scale is 1.4826 times the median absolute deviation, and never below what counting alone
//! scatters (a Poisson count, a binomial share), so that few rows give no alarm. Periods without any row count as
//! zero, which is the point. What instants far from all others do is decided by [`super::eras`].

use super::eras::{Cell, Era, Eras, LEAST, Lengths};
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
/// Periods judged in one commit at most, the newest.
const JUDGED: i64 = 20_000;
/// Deviations told in words.
const TOLD: usize = 3;

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

/// Instants that lie too far from all others to be counted.
#[derive(Default)]
struct Astray {
    rows: u64,
    first: Option<i64>,
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

    fn lengths(&self) -> Lengths {
        let (period, season) = match self.season {
            Season::HourOfDay => (HOUR, 24),
            Season::HourOfWeek => (HOUR, 168),
            Season::DayOfWeek => (DAY, 7),
        };
        Lengths { period, season, memory: season * (self.cycles as i64 + 1) + self.lateness / period + 1 }
    }

    /// Counts rows, and forgets periods that no later one is compared with.
    pub(super) fn remember(&self, eras: &mut Eras, rows: &RecordBatch) -> Result<(), QualityError> {
        self.count(eras, rows)?;
        eras.look_on();
        eras.forget(&self.lengths());
        Ok(())
    }

    fn count(&self, eras: &mut Eras, rows: &RecordBatch) -> Result<Astray, QualityError> {
        let at = instants(column(rows, &self.event_time)?)?;
        let segments = self.by.as_ref().map(|by| Ok::<_, QualityError>(cast(column(rows, by)?, &DataType::Utf8)?));
        let segments: Option<ArrayRef> = segments.transpose()?;
        let measured = self.column.as_ref().map(|name| column(rows, name)).transpose()?;
        let lengths = self.lengths();
        let mut astray = Astray::default();
        for (row, instant) in at.iter().enumerate().filter_map(|(row, at)| Some((row, at?))) {
            let segment = segments
                .as_ref()
                .map_or("", |texts| if texts.is_null(row) { "(null)" } else { texts.as_string::<i32>().value(row) });
            if !eras.count(segment, instant, measured.is_some_and(|array| array.is_null(row)), &lengths) {
                astray.rows += 1;
                astray.first.get_or_insert(instant);
            }
        }
        Ok(astray)
    }

    /// Periods that end by `newest` less the lateness.
    fn closed_until(&self, newest: i64) -> i64 {
        newest.saturating_sub(self.lateness).div_euclid(self.lengths().period)
    }

    /// Periods judged, and what is not as usual, the worst first.
    fn deviations(&self, before: &Eras, eras: &Eras) -> (usize, Vec<Deviation>) {
        let (mut judged, mut found) = (0, Vec::new());
        for era in eras.both() {
            self.judge_era(before, era, &mut judged, &mut found);
        }
        if let Some((last, next)) = eras.gap() {
            judged += 1;
            let text = format!("nothing from {} to {}", Millis(last), Millis(next));
            found.push(Deviation { score: f64::INFINITY, text });
        }
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        (judged, found)
    }

    /// Judges the periods of an era that have closed since.
    fn judge_era(&self, before: &Eras, era: &Era, judged: &mut usize, found: &mut Vec<Deviation>) {
        let until = self.closed_until(era.newest);
        let known = before.newest_of(era, &self.lengths());
        let from = known.map_or(era.first, |newest| self.closed_until(newest)).max(until - JUDGED);
        for (segment, periods) in &era.segments {
            let each =
                (from..until).filter_map(|period| self.judge_period(segment, periods, period, era.first, judged));
            found.extend(each);
        }
    }

    fn judge_period(
        &self,
        segment: &str,
        periods: &BTreeMap<i64, Cell>,
        period: i64,
        first: i64,
        judged: &mut usize,
    ) -> Option<Deviation> {
        let Lengths { period: length, season, .. } = self.lengths();
        let cell = |period: i64| periods.get(&period).copied().unwrap_or_default();
        let earlier = (1..=self.cycles as i64).map(|back| period - back * season).take_while(|p| *p >= first);
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
            text: format!(
                "{segment} {}: {}, usually {}",
                Millis(period.saturating_mul(length)),
                shown(value),
                shown(middle)
            )
            .trim_start()
            .to_owned(),
        })
    }
}

impl CommitCheck for Seasonal {
    fn judge(&self, rows: &RecordBatch, memory: &CommitMemory, place: usize) -> Result<Option<Finding>, QualityError> {
        let nothing = Eras::default();
        let before = memory.eras(place).unwrap_or(&nothing);
        let mut eras = before.clone();
        let astray = self.count(&mut eras, rows)?;
        let (judged, found) = self.deviations(before, &eras);
        let what = if self.column.is_some() { "share of nulls" } else { "rows" };
        let told: Vec<&str> = found.iter().take(TOLD).map(|d| d.text.as_str()).collect();
        let mut observed = match (judged, found.len()) {
            (0, _) => "no period to judge".to_owned(),
            (_, 0) => format!("{judged} periods as usual"),
            (_, count) => format!("{count} of {judged} periods unusual ({what}): {}", told.join("; ")),
        };
        if let Some(first) = astray.first {
            let rows = astray.rows;
            observed
                .push_str(&format!("; {rows} rows too far from all others, such as {}, not counted", Millis(first)));
        }
        Ok((judged > 0 || astray.rows > 0).then_some(Finding { holds: found.is_empty(), observed }))
    }

    fn seasonal(&self) -> Option<&Seasonal> {
        Some(self)
    }
}
