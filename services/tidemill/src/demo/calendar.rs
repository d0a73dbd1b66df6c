//! Months of the demo's year. Pure.

use tidemill_types::Millis;

/// The year of the flights.
pub(super) const YEAR: i32 = 2013;

/// First instant of a month of the year, UTC; month 13 is January of the next.
pub(super) fn month_start(month: u32) -> Millis {
    let (year, month) = if month > 12 { (YEAR + 1, month - 12) } else { (YEAR, month) };
    Millis::parse(&format!("{year}-{month:02}-01T00:00:00Z")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_at_midnight_utc() {
        assert_eq!(month_start(2).to_string(), "2013-02-01T00:00:00.000Z");
        assert_eq!(month_start(13).to_string(), "2014-01-01T00:00:00.000Z");
    }
}
