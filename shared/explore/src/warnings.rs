//! What one should look at first.

mod of_column;
mod of_table;

use serde::Serialize;

/// How much a warning matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Good to know.
    Note,
    /// Look at it before using the column.
    Warn,
    /// Results will be wrong without a mend.
    Bad,
}

/// Sorts of warnings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// Values outside the documented set.
    Undocumented,
    /// A value far from all others, repeated or alone, at an end.
    Isolated,
    /// Whole rows that stand twice.
    DuplicateRows,
    /// A time column without rows for a long while.
    Gap,
    /// A key or an instant that stands twice.
    Repeated,
    /// Only one value.
    Constant,
    /// No value at all.
    Empty,
    /// More than half of the cells are missing.
    MostlyMissing,
    /// Some cells are missing.
    Missing,
    /// Gaps that other columns foretell.
    Systematic,
    /// Infinite values.
    Infinite,
    /// NaN beside or instead of nulls.
    NotANumber,
    /// Texts of several formats.
    MixedFormats,
    /// Spellings that differ by case or white space only.
    Variants,
    /// Every value occurs once.
    IdLike,
    /// Too many categories to encode.
    HighCardinality,
    /// Values of very few rows.
    Rare,
    /// One value takes nearly all rows.
    Imbalance,
    /// Most values are zero.
    ZeroInflated,
    /// A long tail.
    Skewed,
    /// Many values outside Tukey's fences.
    Outliers,
    /// Two columns that say the same.
    Redundant,
    /// Two columns whose relation no line shows.
    NonLinear,
    /// Texts that are empty or white space.
    Blank,
}

/// One warning.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Warning {
    /// How much it matters.
    pub level: Level,
    /// What sort it is.
    pub sort: Sort,
    /// The column, if it concerns one.
    pub column: Option<String>,
    /// What was found, with its numbers.
    pub text: String,
    /// What to do about it.
    pub advice: &'static str,
}

impl Warning {
    fn of(level: Level, sort: Sort, column: &str, text: String, advice: &'static str) -> Self {
        Self { level, sort, column: Some(column.to_owned()), text, advice }
    }
}

pub(crate) use of_column::of_column;
pub(crate) use of_table::{Beside, of_table};

/// The gravest first; of one level, sorts in the order of their names' table.
pub(crate) fn sorted(mut warnings: Vec<Warning>) -> Vec<Warning> {
    warnings.sort_by_key(|warning| (std::cmp::Reverse(warning.level), warning.sort));
    warnings
}

/// A count as people read it.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share as people read it.
pub(crate) fn percent(share: f64) -> String {
    match share * 100.0 {
        p if p == 0.0 || p >= 10.0 => format!("{p:.0} %"),
        p if p >= 0.1 => format!("{p:.1} %"),
        p if p >= 0.001 => format!("{p:.3} %"),
        _ => "< 0.001 %".to_owned(),
    }
}

/// A measured number with about four digits that count.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e12).contains(&size) {
        return format!("{value:.3e}");
    }
    let text = match size {
        s if s >= 10_000.0 => format!("{value:.1}"),
        s if s >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    };
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let (sign, plain) = text.strip_prefix('-').map_or(("", text), |plain| ("−", plain));
    let (whole, rest) = plain.split_once('.').map_or((plain, String::new()), |(w, r)| (w, format!(".{r}")));
    format!("{sign}{}{rest}", whole.parse().map_or_else(|_| whole.to_owned(), count))
}

/// A span of time in its largest unit that fits.
pub(crate) fn span(millis: i64) -> String {
    let (size, unit) = match millis {
        m if m >= 2 * 86_400_000 => (86_400_000, "days"),
        m if m >= 2 * 3_600_000 => (3_600_000, "hours"),
        m if m >= 120_000 => (60_000, "minutes"),
        m if m >= 2_000 => (1_000, "seconds"),
        _ => (1, "ms"),
    };
    format!("{} {unit}", millis / size)
}
