//! Formats of texts: a column that mixes several was put together from several places.

use serde::Serialize;
use std::collections::BTreeMap;

/// Shapes that are told.
const TOLD: usize = 6;
/// Longest shape.
const LONGEST: usize = 40;

/// A shape of texts with how often it occurs: `9` stands for digits, `a` and `A` for letters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Format {
    /// The shape.
    pub shape: String,
    /// Texts that have it.
    pub count: u64,
    /// One of them.
    pub example: String,
}

/// What the texts of a column look like.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Formats {
    /// Shapes, the most frequent first.
    pub shapes: Vec<Format>,
    /// Texts that are numbers.
    pub numbers: u64,
    /// Texts that are dates, by shape of date.
    pub dates: BTreeMap<String, u64>,
    /// Texts with white space at an end.
    pub padded: u64,
    /// Values that differ from another one by case or white space only.
    pub variants: u64,
    /// Texts looked at.
    pub texts: u64,
}

/// Formats of values with their counts.
#[must_use]
pub fn formats<'a>(values: impl Iterator<Item = (&'a str, u64)>) -> Formats {
    let mut found = Formats::default();
    let mut shapes: BTreeMap<String, (u64, &str)> = BTreeMap::new();
    let mut folded: BTreeMap<String, u64> = BTreeMap::new();
    for (text, count) in values {
        found.texts += count;
        let trimmed = text.trim();
        found.padded += if trimmed.len() < text.len() && !trimmed.is_empty() { count } else { 0 };
        found.numbers += if trimmed.parse::<f64>().is_ok_and(f64::is_finite) { count } else { 0 };
        if let Some(date) = date(trimmed) {
            *found.dates.entry(date.to_owned()).or_default() += count;
        }
        if !trimmed.is_empty() {
            *folded.entry(trimmed.to_lowercase()).or_default() += 1;
        }
        shapes.entry(shape(text)).or_insert((0, text)).0 += count;
    }
    found.variants = folded.values().map(|spellings| spellings - 1).sum();
    let told = |(shape, (count, example)): (String, (u64, &str))| Format {
        shape,
        count,
        example: example.chars().take(LONGEST).collect(),
    };
    found.shapes = shapes.into_iter().map(told).collect();
    found.shapes.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.shape.cmp(&b.shape)));
    found.shapes.truncate(TOLD);
    found
}

/// Runs of digits and letters as one character each, the rest as it stands.
fn shape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(LONGEST) {
        let class = match c {
            c if c.is_ascii_digit() => '9',
            c if c.is_uppercase() => 'A',
            c if c.is_alphabetic() => 'a',
            c if c.is_whitespace() => ' ',
            c => c,
        };
        if !(out.ends_with(class) && matches!(class, '9' | 'a' | 'A' | ' ')) {
            out.push(class);
        }
    }
    out
}

/// The form of a text that is a date.
fn date(text: &str) -> Option<&'static str> {
    let head = text.split(['T', ' ']).next().unwrap_or_default();
    let separator = ['-', '/', '.'].into_iter().find(|s| head.matches(*s).count() == 2);
    let Some(separator) = separator else {
        let compact = head.len() == 8 && head.bytes().all(|b| b.is_ascii_digit());
        let parts = (head.get(..4)?.parse().ok()?, head.get(4..6)?.parse().ok()?, head.get(6..8)?.parse().ok()?);
        return (compact && plausible(parts)).then_some("yyyymmdd");
    };
    let parts: Vec<u32> = head.split(separator).map(str::parse).collect::<Result<_, _>>().ok()?;
    let [a, b, c] = <[u32; 3]>::try_from(parts).ok()?;
    let year_first = head.split(separator).next().is_some_and(|year| year.len() == 4);
    let form = match separator {
        _ if year_first && plausible((a, b, c)) => ["yyyy-mm-dd", "yyyy/mm/dd", "yyyy.mm.dd"],
        _ if plausible((c, b, a)) || plausible((c, a, b)) => ["dd-mm-yyyy", "dd/mm/yyyy", "dd.mm.yyyy"],
        _ => return None,
    };
    form.into_iter().find(|form| form.contains(separator))
}

fn plausible((year, month, day): (u32, u32, u32)) -> bool {
    (1800..2200).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixed_formats_are_told_apart() {
        let values = [("2013-02-01", 5), ("01/02/2013", 3), ("20130201", 2), ("n/a", 1), ("N/A ", 1), ("12.5", 1)];
        let found = formats(values.into_iter());
        assert_eq!(found.dates.len(), 3, "{found:?}");
        assert_eq!((found.texts, found.numbers, found.padded, found.variants), (13, 3, 1, 1));
        assert_eq!((found.shapes[0].shape.as_str(), found.shapes[0].count), ("9-9-9", 5));
        assert_eq!(date("12345678"), None);
        assert_eq!(date("2013-13-01"), None);
    }
}
