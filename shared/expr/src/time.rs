//! Instants: date parts, truncation, intervals and time zones.

use crate::value::{Type, Value, reinterpret, ticks, without_nan};
use arrow::array::{Array, ArrayRef, AsArray, Datum, Float64Array, Int64Array, TimestampMillisecondArray};
use arrow::compute::kernels::cast_utils::string_to_datetime;
use arrow::datatypes::{DataType, TimestampMillisecondType};
use arrow::error::ArrowError;
use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use std::sync::Arc;

/// A part of a civil date and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Calendar year.
    Year,
    /// 1 to 4.
    Quarter,
    /// 1 to 12.
    Month,
    /// ISO 8601 week, 1 to 53.
    Week,
    /// Day of the month, 1 to 31.
    Day,
    /// Sunday 0 to Saturday 6.
    Dow,
    /// Monday 1 to Sunday 7.
    Isodow,
    /// 1 to 366.
    Doy,
    /// 0 to 23.
    Hour,
    /// 0 to 59.
    Minute,
    /// 0 to 59.
    Second,
    /// Seconds since 1970-01-01T00:00:00Z, with fraction.
    Epoch,
}

/// Every part with the name of its function form.
pub(crate) const PARTS: &[(&str, Part)] = &[
    ("year", Part::Year),
    ("quarter", Part::Quarter),
    ("month", Part::Month),
    ("week", Part::Week),
    ("day", Part::Day),
    ("dow", Part::Dow),
    ("isodow", Part::Isodow),
    ("doy", Part::Doy),
    ("hour", Part::Hour),
    ("minute", Part::Minute),
    ("second", Part::Second),
    ("epoch", Part::Epoch),
];

/// The part of this name (lower case; `extract` also accepts the plural).
pub(crate) fn part(name: &str) -> Option<Part> {
    let name = name.strip_suffix('s').unwrap_or(name);
    PARTS.iter().find(|(known, _)| *known == name).map(|(_, part)| *part)
}

impl Part {
    /// `epoch` is a double, all others are integers.
    pub(crate) fn result(self) -> Type {
        if self == Self::Epoch { Type::Float64 } else { Type::Int64 }
    }

    fn of(self, civil: NaiveDateTime) -> i64 {
        let number = match self {
            Self::Year | Self::Epoch => return i64::from(civil.year()),
            Self::Quarter => civil.month0() / 3 + 1,
            Self::Month => civil.month(),
            Self::Week => civil.iso_week().week(),
            Self::Day => civil.day(),
            Self::Dow => civil.weekday().num_days_from_sunday(),
            Self::Isodow => civil.weekday().number_from_monday(),
            Self::Doy => civil.ordinal(),
            Self::Hour => civil.hour(),
            Self::Minute => civil.minute(),
            Self::Second => civil.second(),
        };
        i64::from(number)
    }
}

/// One part of every instant, in the given zone. An instant outside the calendar's range gives null.
pub(crate) fn date_part(array: &ArrayRef, part: Part, zone: Tz) -> Result<ArrayRef, ArrowError> {
    let ticks = ticks(array)?;
    if part == Part::Epoch {
        let seconds: Float64Array = ticks.unary(|millis| millis as f64 / 1000.0);
        return Ok(Arc::new(seconds));
    }
    let parts: Int64Array = ticks.unary_opt(|millis| Some(part.of(civil(millis, zone)?)));
    Ok(Arc::new(parts))
}

/// The units of `date_trunc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Full minutes.
    Minute,
    /// Full hours.
    Hour,
    /// Midnight.
    Day,
    /// Midnight of Monday.
    Week,
    /// Midnight of the first of the month.
    Month,
    /// Midnight of the first of the quarter.
    Quarter,
    /// Midnight of 1 January.
    Year,
}

/// Names of the units of `date_trunc`.
pub(crate) const UNITS: &[(&str, Unit)] = &[
    ("minute", Unit::Minute),
    ("hour", Unit::Hour),
    ("day", Unit::Day),
    ("week", Unit::Week),
    ("month", Unit::Month),
    ("quarter", Unit::Quarter),
    ("year", Unit::Year),
];

/// Rounds every instant down to the start of its unit in the given zone. A start that the zone skips (a clock
/// change) becomes the first instant after the gap; of a start that occurs twice the earlier one is taken.
pub(crate) fn truncate(array: &ArrayRef, unit: Unit, zone: Tz) -> Result<ArrayRef, ArrowError> {
    let starts: TimestampMillisecondArray = ticks(array)?.unary_opt(|millis| match unit {
        Unit::Minute | Unit::Hour => clock_start(millis, unit, zone),
        _ => day_start(first_day(civil(millis, zone)?.date(), unit)?, zone),
    });
    reinterpret(&(Arc::new(starts) as ArrayRef), &Type::Timestamp.arrow())
}

/// Subtracts the elapsed part of the hour or minute, so that both passes through a repeated hour stay apart.
fn clock_start(millis: i64, unit: Unit, zone: Tz) -> Option<i64> {
    let local = civil(millis, zone)?;
    let mut elapsed = i64::from(local.second()) * 1000 + millis.rem_euclid(1000);
    if unit == Unit::Hour {
        elapsed += i64::from(local.minute()) * 60_000;
    }
    millis.checked_sub(elapsed)
}

fn first_day(date: NaiveDate, unit: Unit) -> Option<NaiveDate> {
    match unit {
        Unit::Minute | Unit::Hour | Unit::Day => Some(date),
        Unit::Week => date.checked_sub_days(Days::new(u64::from(date.weekday().num_days_from_monday()))),
        Unit::Month => date.with_day(1),
        Unit::Quarter => NaiveDate::from_ymd_opt(date.year(), date.month0() / 3 * 3 + 1, 1),
        Unit::Year => NaiveDate::from_ymd_opt(date.year(), 1, 1),
    }
}

fn day_start(date: NaiveDate, zone: Tz) -> Option<i64> {
    const QUARTER_HOURS_TO_TRY: i64 = 24 * 4;
    let midnight = date.and_time(NaiveTime::MIN);
    // Gaps are whole quarters of an hour; the longest ones on record are a day.
    (0..=QUARTER_HOURS_TO_TRY).find_map(|quarters| {
        let candidate = midnight.checked_add_signed(chrono::TimeDelta::minutes(quarters * 15))?;
        Some(zone.from_local_datetime(&candidate).earliest()?.timestamp_millis())
    })
}

fn civil(millis: i64, zone: Tz) -> Option<NaiveDateTime> {
    let instant = DateTime::<Utc>::from_timestamp_millis(millis)?;
    if zone == Tz::UTC {
        return Some(instant.naive_utc());
    }
    Some(instant.with_timezone(&zone).naive_local())
}

/// Milliseconds of an interval text such as `2 hours` or `1 day 30 minutes`.
pub(crate) fn milliseconds_of(text: &str) -> Result<i64, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() || !words.len().is_multiple_of(2) {
        return Err("an interval is written as a number and a unit, such as '2 hours'".to_owned());
    }
    let mut total = 0.0;
    for pair in words.chunks_exact(2) {
        let [count, unit] = pair else { continue };
        let count: f64 = count.parse().map_err(|_| format!("`{count}` is not a number"))?;
        total += count * unit_milliseconds(unit)?;
    }
    // Beyond 2^53 a double no longer counts single milliseconds; that is 285,000 years.
    if !total.is_finite() || total.abs() > 9_007_199_254_740_992.0 {
        return Err("the interval is out of range".to_owned());
    }
    Ok(total.round() as i64)
}

fn unit_milliseconds(unit: &str) -> Result<f64, String> {
    let lower = unit.to_lowercase();
    let singular = lower.strip_suffix('s').unwrap_or(&lower);
    Ok(match singular {
        "millisecond" => 1.0,
        "second" => 1_000.0,
        "minute" => 60_000.0,
        "hour" => 3_600_000.0,
        "day" => 86_400_000.0,
        "week" => 604_800_000.0,
        "month" | "quarter" | "year" => return Err(format!("a {singular} has no fixed length; use days")),
        _ => return Err(format!("unknown interval unit `{unit}`")),
    })
}

/// Milliseconds of a timestamp literal; text without an offset is UTC.
pub(crate) fn parse_instant(text: &str) -> Result<i64, String> {
    string_to_datetime(&Utc, text).map(|instant| instant.timestamp_millis()).map_err(|error| error.to_string())
}

/// ISO 8601 with `Z`, with milliseconds only where there are any.
pub(crate) fn format_instants(array: &ArrayRef) -> ArrayRef {
    let instants = array.as_primitive::<TimestampMillisecondType>();
    let texts: arrow::array::StringArray = instants
        .iter()
        .map(|millis| {
            let instant = DateTime::<Utc>::from_timestamp_millis(millis?)?;
            Some(instant.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
        })
        .collect();
    Arc::new(texts)
}

/// Length of every interval in units of `unit` milliseconds.
pub(crate) fn durations_in(array: &ArrayRef, unit: f64) -> Result<ArrayRef, ArrowError> {
    Ok(without_nan(ticks(array)?.unary(|millis| millis as f64 / unit)))
}

/// Sum or difference of instants and intervals; overflow is an error. The kernels want to look up the zone of their
/// operands, which needs a zone database and changes nothing, so the zone is put aside meanwhile.
pub(crate) fn ticks_between(kernel: NumericKernel, left: &Value, right: &Value) -> Result<Value, ArrowError> {
    let result = kernel(&left.map(zoneless)?, &right.map(zoneless)?)?;
    let result = match result.data_type() {
        DataType::Timestamp(..) => reinterpret(&result, &Type::Timestamp.arrow())?,
        _ => result,
    };
    Ok(Value::like(result, &[left, right]))
}

/// One of arrow's checked arithmetic kernels.
pub(crate) type NumericKernel = fn(&dyn Datum, &dyn Datum) -> Result<ArrayRef, ArrowError>;

fn zoneless(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match array.data_type() {
        DataType::Timestamp(unit, Some(_)) => reinterpret(array, &DataType::Timestamp(*unit, None)),
        _ => Ok(Arc::clone(array)),
    }
}
