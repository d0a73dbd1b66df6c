//! Seasons: number columns by hour of day, weekday and month, from the sampled rows. Times are UTC.

use crate::outliers::quantile;
use crate::table::Column;
use serde::Serialize;
use tidemill_stats::{Kind, Moments};

/// Columns that are told, those with the strongest seasons.
const COLUMNS: usize = 8;
/// Values that a slot needs before its quartiles are told.
const LEAST: usize = 5;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// What repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cycle {
    /// 24 hours of the day.
    Hour,
    /// Monday to Sunday.
    Weekday,
    /// January to December.
    Month,
}

impl Cycle {
    /// Slots of the cycle.
    #[must_use]
    pub fn slots(self) -> usize {
        match self {
            Self::Hour => 24,
            Self::Weekday => 7,
            Self::Month => 12,
        }
    }

    /// The slot of an instant in milliseconds since 1970-01-01T00:00:00Z, a Thursday.
    #[must_use]
    pub fn slot(self, millis: i64) -> usize {
        let slot = match self {
            Self::Hour => millis.rem_euclid(DAY) / HOUR,
            Self::Weekday => (millis.div_euclid(DAY) + 3).rem_euclid(7),
            Self::Month => month(millis.div_euclid(DAY)),
        };
        slot as usize
    }
}

/// Month of a day since 1970-01-01, from 0: Hinnant's `civil_from_days`.
fn month(day: i64) -> i64 {
    let of_era = (day + 719_468).rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    // Counted from March on.
    ((5 * of_year + 2) / 153 + 2) % 12
}

/// One column over one cycle.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Season {
    /// The cycle.
    pub cycle: Cycle,
    /// Share of the variance that lies between the slots (η²).
    pub strength: f64,
    /// Lower quartile, median, upper quartile of each slot; none with too few values.
    pub quartiles: Vec<Option<[f64; 3]>>,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Seasonal {
    /// Its name.
    pub column: String,
    /// Its cycles.
    pub seasons: Vec<Season>,
}

/// Columns over the cycles that their time column has gone through.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Seasons {
    /// The time column.
    pub by: String,
    /// Cycles with the sampled rows of each slot.
    pub cycles: Vec<(Cycle, Vec<u64>)>,
    /// Columns, the one with the strongest season first.
    pub columns: Vec<Seasonal>,
}

/// Looks for seasons by a time column; none when it has gone through no cycle twice.
#[must_use]
pub fn seasons(time: &Column, columns: &[&Column]) -> Option<Seasons> {
    let finite = time.finite();
    let low = finite.iter().copied().fold(f64::INFINITY, f64::min);
    let high = finite.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let span = high - low;
    let gone_through = |cycle: &Cycle| match cycle {
        Cycle::Hour => span >= (2 * DAY) as f64,
        Cycle::Weekday => span >= (14 * DAY) as f64,
        Cycle::Month => span >= (59 * DAY) as f64,
    };
    let slots = |cycle: Cycle| -> Option<(Cycle, Vec<Option<usize>>)> {
        let of = |at: &f64| at.is_finite().then(|| cycle.slot(*at as i64));
        let slots: Vec<Option<usize>> = time.numbers.iter().map(of).collect();
        // Days without a time of day stand at midnight alone.
        let first = slots.iter().flatten().next().copied();
        slots.iter().flatten().any(|slot| Some(*slot) != first).then_some((cycle, slots))
    };
    let cycles: Vec<(Cycle, Vec<Option<usize>>)> =
        [Cycle::Hour, Cycle::Weekday, Cycle::Month].into_iter().filter(gone_through).filter_map(slots).collect();
    if cycles.is_empty() {
        return None;
    }
    let mut found: Vec<(f64, Seasonal)> = Vec::new();
    for column in columns.iter().filter(|column| column.kind == Kind::Numeric) {
        let seasons: Vec<Season> = cycles.iter().filter_map(|(cycle, slots)| season(column, *cycle, slots)).collect();
        let strongest = seasons.iter().map(|season| season.strength).fold(0.0, f64::max);
        if !seasons.is_empty() {
            found.push((strongest, Seasonal { column: column.name.clone(), seasons }));
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    let counted = |(cycle, slots): &(Cycle, Vec<Option<usize>>)| {
        let mut rows = vec![0; cycle.slots()];
        slots.iter().flatten().for_each(|slot| rows[*slot] += 1);
        (*cycle, rows)
    };
    Some(Seasons {
        by: time.name.clone(),
        cycles: cycles.iter().map(counted).collect(),
        columns: found.into_iter().take(COLUMNS).map(|(_, seasonal)| seasonal).collect(),
    })
}

fn season(column: &Column, cycle: Cycle, slots: &[Option<usize>]) -> Option<Season> {
    let mut values: Vec<Vec<f64>> = vec![Vec::new(); cycle.slots()];
    for (value, slot) in column.numbers.iter().zip(slots) {
        if let Some(slot) = slot.filter(|_| value.is_finite()) {
            values[slot].push(*value);
        }
    }
    let parts: Vec<Moments> = values.iter().map(|values| Moments::of(values)).collect();
    let mut whole = Moments::default();
    parts.iter().for_each(|part| whole.merge(part));
    if whole.m2 <= 0.0 {
        return None;
    }
    let between: f64 = parts.iter().map(|part| part.count as f64 * (part.mean - whole.mean).powi(2)).sum();
    let quartiles = |values: &mut Vec<f64>| {
        values.sort_unstable_by(f64::total_cmp);
        (values.len() >= LEAST).then(|| [0.25, 0.5, 0.75].map(|share| quantile(values, share)))
    };
    let strength = (between / whole.m2).clamp(0.0, 1.0);
    Some(Season { cycle, strength, quartiles: values.iter_mut().map(quartiles).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemill_types::Millis;

    fn column(name: &str, kind: Kind, numbers: Vec<f64>) -> Column {
        let missing = numbers.iter().map(|value| value.is_nan()).collect();
        Column { name: name.to_owned(), kind, missing, numbers, categories: None }
    }

    #[test]
    fn slots_are_those_of_the_calendar() {
        for (text, slots) in [
            ("1970-01-01T00:00:00Z", (0, 3, 0)),
            ("2024-02-29T23:59:59Z", (23, 3, 1)),
            ("2024-03-01T00:00:00Z", (0, 4, 2)),
            ("1969-12-31T22:00:00Z", (22, 2, 11)),
            ("1900-03-01T05:00:00Z", (5, 3, 2)),
            ("2013-12-31T12:00:00Z", (12, 1, 11)),
        ] {
            let at = Millis::parse(text).unwrap().0;
            let found = (Cycle::Hour.slot(at), Cycle::Weekday.slot(at), Cycle::Month.slot(at));
            assert_eq!(found, slots, "{text}");
        }
    }

    #[test]
    fn a_daily_rhythm_is_found_in_its_cycle() {
        let hours: Vec<i64> = (0..24 * 30).collect();
        let at = column("at", Kind::Instant, hours.iter().map(|hour| (hour * HOUR) as f64).collect());
        let daily = column("daily", Kind::Numeric, hours.iter().map(|hour| (hour % 24) as f64).collect());
        let flat = column("flat", Kind::Numeric, hours.iter().map(|hour| (hour * 7919 % 101) as f64).collect());
        let found = seasons(&at, &[&flat, &daily]).unwrap();
        assert_eq!(found.cycles.iter().map(|(cycle, _)| *cycle).collect::<Vec<_>>(), [Cycle::Hour, Cycle::Weekday]);
        assert!(found.cycles[0].1.iter().all(|rows| *rows == 30));
        assert_eq!(found.columns[0].column, "daily");
        let season = &found.columns[0].seasons[0];
        assert!((season.strength - 1.0).abs() < 1e-12);
        assert_eq!(season.quartiles[7], Some([7.0; 3]));
        assert!(found.columns[1].seasons[0].strength < 0.1);
        let day = column("at", Kind::Instant, vec![0.0, 1.0, 2.0]);
        assert!(seasons(&day, &[&daily]).is_none());
    }
}
