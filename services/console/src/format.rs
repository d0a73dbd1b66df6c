//! Numbers, units, instants and spans as people read them. Minus is a minus sign; what is absent is a dash.

use maud::{Markup, html};
use tidemill_types::Millis;

/// Stands for what is absent.
pub const ABSENT: &str = "–";

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A count with thousands set apart: `1,028,188`.
#[must_use]
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with three digits that matter, where there is little room: `309,779`, `1.03 M`, `25.7 M`.
#[must_use]
pub fn compact(value: u64) -> String {
    let scaled = |unit: u64, name: &str| {
        let size = value as f64 / unit as f64;
        let decimals = if size >= 99.95 { 0 } else { 1 + usize::from(size < 9.995) };
        format!("{} {name}", fixed(size, decimals))
    };
    match value {
        1_000_000_000.. => scaled(1_000_000_000, "bn"),
        1_000_000.. => scaled(1_000_000, "M"),
        _ => count(value),
    }
}

/// A number with so many decimals.
#[must_use]
pub fn fixed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return ABSENT.to_owned();
    }
    let text = format!("{:.decimals$}", value.abs());
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), ""), |(whole, rest)| (whole, rest));
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), count);
    let zero = text.bytes().all(|b| matches!(b, b'0' | b'.'));
    let sign = if value < 0.0 && !zero { "−" } else { "" };
    if rest.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest}") }
}

/// A measured number with about four digits that count: `0.0123`, `17.25`, `1,234`.
#[must_use]
pub fn number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return ABSENT.to_owned();
    }
    if size != 0.0 && !(1e-4..1e12).contains(&size) {
        return format!("{value:.2e}").replace('-', "−");
    }
    let decimals = match size {
        s if s >= 1_000.0 => 0,
        s if s >= 100.0 => 1,
        s if s >= 1.0 => 2,
        _ => 4,
    };
    let text = fixed(value, decimals);
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A share as a percentage; number and sign stay on one line.
#[must_use]
pub fn percent(share: f64, decimals: usize) -> String {
    if !share.is_finite() {
        return ABSENT.to_owned();
    }
    format!("{}\u{a0}%", fixed(share * 100.0, decimals))
}

/// A number that may be absent.
#[must_use]
pub fn or_dash<T>(value: Option<T>, format: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| ABSENT.to_owned(), format)
}

/// A size in bytes: `1.4 MB`.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a size is shown with two digits")]
pub fn bytes(size: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = size as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1_000.0;
        unit += 1;
    }
    let decimals = usize::from(unit > 0 && value < 10.0);
    format!("{} {}", fixed(value, decimals), UNITS[unit])
}

/// A span of time in its two largest units: `3 h 12 min`.
#[must_use]
pub fn span(millis: i64) -> String {
    const UNITS: [(i64, &str); 4] = [(DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s")];
    let sign = if millis < 0 { "−" } else { "" };
    let millis = millis.saturating_abs();
    let Some(at) = UNITS.iter().position(|(size, _)| millis >= *size) else { return format!("{sign}{millis} ms") };
    let (size, unit) = UNITS[at];
    let rest = UNITS.get(at + 1).map(|(next, name)| (millis % size / next, name)).filter(|(rest, _)| *rest > 0);
    match rest {
        Some((rest, name)) => format!("{sign}{} {unit} {rest} {name}", millis / size),
        None => format!("{sign}{} {unit}", millis / size),
    }
}

/// Seconds as a span: `412 ms`, `3.2 s`, `4 min 10 s`.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "durations are far below 2^63 ms")]
pub fn seconds(value: f64) -> String {
    if !value.is_finite() {
        return ABSENT.to_owned();
    }
    match value {
        v if v < 0.001 => format!("{} ms", fixed(v * 1_000.0, 2)),
        v if v < 1.0 => format!("{} ms", fixed(v * 1_000.0, 0)),
        v if v < 60.0 => format!("{} s", fixed(v, 1)),
        v => span((v * 1_000.0) as i64),
    }
}

/// An instant as text, to the minute: `2013-02-01 06:00`.
#[must_use]
pub fn minute(at: Millis) -> String {
    at.to_utc().map_or_else(|| ABSENT.to_owned(), |t| t.format("%Y-%m-%d %H:%M").to_string())
}

/// A day as text: `2013-02-01`.
#[must_use]
pub fn day(at: Millis) -> String {
    at.to_utc().map_or_else(|| ABSENT.to_owned(), |t| t.format("%Y-%m-%d").to_string())
}

/// An instant in UTC with its exact value behind it.
pub fn time(at: Millis) -> Markup {
    html! { time datetime=(at) title=(at) { (minute(at)) } }
}

/// The first characters of a digest, with the whole behind it.
pub fn digest(digest: &str) -> Markup {
    html! { code title=(digest) { (digest.get(..12).unwrap_or(digest)) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_numbers_are_set_for_reading() {
        assert_eq!(
            [309_779, 1_028_188, 25_700_000, 999_999_999].map(compact),
            ["309,779", "1.03 M", "25.7 M", "1,000 M"]
        );
        assert_eq!(compact(2_345_678_901), "2.35 bn");
        assert_eq!((count(0), count(999), count(1_028_188)), ("0".into(), "999".into(), "1,028,188".into()));
        assert_eq!(fixed(-0.001, 2), "0.00");
        assert_eq!(fixed(-1234.5, 1), "−1,234.5");
        assert_eq!(fixed(f64::NAN, 1), ABSENT);
        assert_eq!([number(0.01234), number(17.25), number(1234.4), number(0.5)], ["0.0123", "17.25", "1,234", "0.5"]);
        assert_eq!(number(1.5e-7), "1.50e−7");
        assert_eq!(percent(0.1234, 1), "12.3\u{a0}%");
        assert_eq!([bytes(12), bytes(1_400_000), bytes(999_600)], ["12 B", "1.4 MB", "1.0 MB"]);
    }

    #[test]
    fn spans_name_their_two_largest_units() {
        assert_eq!(span(3 * HOUR + 12 * MINUTE + 5), "3 h 12 min");
        assert_eq!(span(2 * DAY), "2 d");
        assert_eq!(span(-90 * SECOND), "−1 min 30 s");
        assert_eq!(
            [span(412), seconds(0.412), seconds(3.21), seconds(250.0)],
            ["412 ms", "412 ms", "3.2 s", "4 min 10 s"]
        );
    }

    #[test]
    fn instants_are_utc() {
        let at = Millis::parse("2013-02-01T06:00:30Z").unwrap();
        assert_eq!(minute(at), "2013-02-01 06:00");
        assert_eq!(day(at), "2013-02-01");
        assert!(time(at).into_string().contains("datetime=\"2013-02-01T06:00:30.000Z\""));
    }
}
