//! Dates as people write them, without a calendar library: only days are told apart, never instants.

use crate::value::Value;

/// Years in which somebody can be born who is in a data set.
const BIRTH_YEARS: std::ops::RangeInclusive<i32> = 1900..=2030;

/// Whether a day exists in the Gregorian calendar.
pub(crate) fn exists(year: i32, month: u32, day: u32) -> bool {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return false,
    };
    (1..=days).contains(&day)
}

/// Whether two-digit parts are a day in some century.
pub(crate) fn exists_short(year: u32, month: u32, day: u32) -> bool {
    // 29 February is let pass when any century has it.
    exists(if year.is_multiple_of(4) { 2000 } else { 2001 }, month, day)
}

/// Year of a value that may be a date of birth, and whether it is a whole date rather than a year alone.
pub(crate) fn birth_year(value: &Value<'_>) -> Option<(i32, bool)> {
    let text = midnight(value.text)?;
    if !text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'/' | b'.')) {
        return None;
    }
    let parts: Vec<&str> = text.split(['-', '/', '.']).collect();
    let found = match parts.as_slice() {
        [year] if year.len() == 4 => (number(year)?, false),
        [day] if day.len() == 8 => {
            let (year, rest) = day.split_at(4);
            let (month, day) = rest.split_at(2);
            whole(year, month, day)?
        }
        [year, month, day] if year.len() == 4 => whole(year, month, day)?,
        // Day first or month first: either is a date.
        [a, b, year] if year.len() == 4 => whole(year, b, a).or_else(|| whole(year, a, b))?,
        _ => return None,
    };
    BIRTH_YEARS.contains(&found.0).then_some(found)
}

fn number(text: &str) -> Option<i32> {
    text.parse().ok()
}

fn whole(year: &str, month: &str, day: &str) -> Option<(i32, bool)> {
    let short = |text: &str| text.len() <= 2;
    let (y, m, d) = (number(year)?, month.parse().ok()?, day.parse().ok()?);
    (short(month) && short(day) && exists(y, m, d)).then_some((y, true))
}

/// The date of a text whose time of day, if any, is midnight.
fn midnight(text: &str) -> Option<&str> {
    let Some(at) = text.find(['T', ' ']) else { return Some(text) };
    let (date, time) = text.split_at(at);
    let rest = time.trim_start_matches(['T', ' ']).trim_end_matches('Z').trim_end_matches("+00:00");
    rest.bytes().all(|b| matches!(b, b'0' | b':' | b'.')).then_some(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn year(text: &str) -> Option<(i32, bool)> {
        birth_year(&Value::new(text)?)
    }

    #[test]
    fn dates_are_read_as_people_write_them() {
        for text in [
            "1915-11-11",
            "19151111",
            "11/11/1915",
            "11.11.1915",
            "1915-11-11T00:00:00Z",
            "11/25/1915",
            "1915-11-11 00:00:00",
        ] {
            assert_eq!(year(text), Some((1915, true)), "{text}");
        }
        assert_eq!(year("1984"), Some((1984, false)));
        for other in
            ["1915-13-11", "19151311", "2013-01-01T05:15:00Z", "1815-11-11", "30.02.1970", "1.2.3", "12", "a-b-c"]
        {
            assert_eq!(year(other), None, "{other}");
        }
    }
}
