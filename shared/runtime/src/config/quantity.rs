//! Durations and sizes as people write them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A duration written as `200ms`, `5s`, `10m`, `24h` or `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Interval(pub Duration);

/// A number of bytes written as `512KB`, `64MB`, `1GB` (powers of 1000) or `64MiB` (powers of 1024).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size(pub u64);

const INTERVALS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const SIZES: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn print(value: u64, units: &[(&str, u64)]) -> String {
    let whole = units.iter().find(|(_, factor)| value >= *factor && value.is_multiple_of(*factor));
    let smallest = units.last().map_or("", |(name, _)| name);
    whole.map_or_else(|| format!("{value}{smallest}"), |(name, factor)| format!("{}{name}", value / factor))
}

impl TryFrom<String> for Interval {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let millis = parse(&text, &INTERVALS);
        let millis = millis.ok_or_else(|| format!("\"{text}\" is not a duration like 200ms, 5s, 10m, 24h or 7d"))?;
        Ok(Self(Duration::from_millis(millis)))
    }
}

impl TryFrom<String> for Size {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let bytes = parse(&text, &SIZES);
        Ok(Self(bytes.ok_or_else(|| format!("\"{text}\" is not a size like 512KB, 64MB, 64MiB or 1GB"))?))
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&print(u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX), &INTERVALS))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&print(self.0, &SIZES))
    }
}

impl From<Interval> for String {
    fn from(value: Interval) -> Self {
        value.to_string()
    }
}

impl From<Size> for String {
    fn from(value: Size) -> Self {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_and_printed_as_people_write_them() {
        for text in ["200ms", "5s", "10m", "24h", "60d", "1500ms"] {
            let value = Interval::try_from(text.to_owned()).expect("readable");
            assert_eq!(Interval::try_from(value.to_string()), Ok(value));
        }
        assert_eq!(Interval::try_from("5s".to_owned()), Ok(Interval(Duration::from_secs(5))));
        assert_eq!(Interval::try_from("0s".to_owned()).map(|v| v.to_string()), Ok("0ms".to_owned()));
        assert_eq!(Size::try_from("64MB".to_owned()), Ok(Size(64_000_000)));
        assert_eq!(Size::try_from("64MiB".to_owned()), Ok(Size(67_108_864)));
        for bad in ["", "5", "s", "-5s", "5 weeks", "99999999999999999999s", "99999999999999999d"] {
            assert!(Interval::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
