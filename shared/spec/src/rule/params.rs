//! What stands behind the key of a rule's kind. Every structure is closed.

use crate::{ColumnType, Span};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Columns a parameter names.
pub(super) trait Columns {
    /// Their names.
    fn columns(&self) -> Vec<&str>;
}

impl Columns for String {
    fn columns(&self) -> Vec<&str> {
        vec![self]
    }
}

impl Columns for Vec<String> {
    fn columns(&self) -> Vec<&str> {
        self.iter().map(String::as_str).collect()
    }
}

macro_rules! one_column {
    ($($name:ident)*) => {$(
        impl Columns for $name {
            fn columns(&self) -> Vec<&str> {
                vec![&self.column]
            }
        }
    )*};
}

one_column! {
    NullRule RangeRule InsideRule StepRule DecimalsRule SetRule RegexRule CaseRule FormatRule PeriodRule FutureRule
    WeekdayRule ReferenceRule QuantileRule ShareRule DistributionRule FreshnessRule
}

macro_rules! params {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }
    };
}

params! {
    /// When a column may be null.
    NullRule {
        /// Column under test.
        column: String,
        /// Boolean expression over the row.
        condition: String,
    }
}
params! {
    /// Bounds, both included; an absent bound is open.
    RangeRule {
        /// Column under test.
        column: String,
        /// Smallest allowed value.
        #[serde(default)]
        min: Option<f64>,
        /// Largest allowed value.
        #[serde(default)]
        max: Option<f64>,
    }
}
params! {
    /// Bounds, both excluded; an absent bound is open.
    InsideRule {
        /// Column under test.
        column: String,
        /// Values are above this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        above: Option<f64>,
        /// Values are below this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        below: Option<f64>,
    }
}
params! {
    /// A step that values are multiples of.
    StepRule {
        /// Column under test.
        column: String,
        /// The step, above zero.
        of: f64,
    }
}
params! {
    /// Decimal places.
    DecimalsRule {
        /// Column under test.
        column: String,
        /// Largest number of places, at most 9.
        at_most: u32,
    }
}
params! {
    /// Listed values of a text, number or truth.
    SetRule {
        /// Column under test.
        column: String,
        /// The values; for a column of numbers, written as numbers.
        #[serde(deserialize_with = "texts")]
        values: Vec<String>,
    }
}
params! {
    /// Pattern of a text column.
    RegexRule {
        /// Column under test.
        column: String,
        /// Regular expression, searched anywhere in the value unless anchored.
        pattern: String,
    }
}
params! {
    /// Case of letters.
    CaseRule {
        /// Column under test.
        column: String,
        /// The case.
        is: LetterCase,
    }
}
params! {
    /// Format of dates and times in a text column.
    FormatRule {
        /// Column under test.
        column: String,
        /// As strftime has it: `%Y-%m-%d`, `%d.%m.%Y %H:%M`, `%+`.
        format: String,
    }
}
params! {
    /// Bounds of instants.
    PeriodRule {
        /// Column under test.
        column: String,
        /// First allowed instant: a date or RFC 3339.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// First instant that is not allowed any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<String>,
    }
}
params! {
    /// Instants that cannot have come yet.
    FutureRule {
        /// Column under test.
        column: String,
        /// How far clocks may differ.
        #[serde(default)]
        tolerance: Span,
    }
}
params! {
    /// Allowed days of the week.
    WeekdayRule {
        /// Column under test.
        column: String,
        /// Allowed days, UTC.
        days: Vec<Day>,
    }
}
params! {
    /// A point and a box, in degrees.
    BoxRule {
        /// Column with the latitude.
        latitude: String,
        /// Column with the longitude.
        longitude: String,
        /// Least latitude.
        south: f64,
        /// Largest latitude.
        north: f64,
        /// Western edge.
        west: f64,
        /// Eastern edge.
        east: f64,
    }
}
params! {
    /// Two columns of one kind.
    CompareRule {
        /// First column.
        left: String,
        /// How they compare.
        is: Comparison,
        /// Second column.
        right: String,
    }
}
params! {
    /// Columns that add up.
    SumRule {
        /// The parts.
        columns: Vec<String>,
        /// Their sum.
        total: String,
        /// Largest difference that counts as equal.
        #[serde(default)]
        tolerance: f64,
    }
}
params! {
    /// Columns that determine another.
    DependencyRule {
        /// The determining columns.
        key: Vec<String>,
        /// The determined column.
        value: String,
    }
}
params! {
    /// A value that does not fall.
    OrderRule {
        /// Column under test: numbers or instants.
        column: String,
        /// Compared among rows with equal values here; none: among all.
        #[serde(default)]
        by: Vec<String>,
        /// Whether equal values fail too.
        #[serde(default)]
        strictly: bool,
    }
}
params! {
    /// A value of another source.
    ReferenceRule {
        /// Column under test.
        column: String,
        /// `source.column` where it must stand.
        to: String,
    }
}
params! {
    /// Bounds of a number of rows.
    CountRule {
        /// Fewest rows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<u64>,
        /// Most rows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<u64>,
    }
}
params! {
    /// Bounds of the rows of a commit as multiples of the median of earlier ones.
    TrailingRule {
        /// Smallest multiple.
        low: f64,
        /// Largest multiple.
        high: f64,
        /// How many earlier commits are looked at, 5 to 1,000.
        #[serde(default = "twenty")]
        commits: usize,
    }
}
params! {
    /// Bounds of a quantile.
    QuantileRule {
        /// Column under test.
        column: String,
        /// Which quantile, from 0 to 1.
        at: f64,
        /// Smallest allowed value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<f64>,
        /// Largest allowed value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<f64>,
    }
}
params! {
    /// Bounds of the share of one value.
    ShareRule {
        /// Column under test.
        column: String,
        /// The value.
        #[serde(deserialize_with = "text")]
        value: String,
        /// Smallest allowed share.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<f64>,
        /// Largest allowed share.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<f64>,
    }
}
params! {
    /// A distribution as it was in a reference: of numbers by `edges`, of texts by `values`.
    DistributionRule {
        /// Column under test.
        column: String,
        /// Inner edges of bins, rising; bin i is above edge i − 1 and up to edge i.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        edges: Vec<f64>,
        /// Texts that are counted by name.
        #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "texts")]
        values: Vec<String>,
        /// Rows of the reference per bin, or per text and of all others; last those that were missing.
        counts: Vec<u64>,
        /// A smaller index never fails.
        #[serde(default = "tenth")]
        at_least: f64,
    }
}
params! {
    /// How old the newest instant may be.
    FreshnessRule {
        /// Column with instants.
        column: String,
        /// Largest age.
        within: Span,
    }
}
params! {
    /// What is usual in the same hour or on the same weekday.
    SeasonalRule {
        /// Judge the nulls of this column; absent: the number of rows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        column: Option<String>,
        /// Judge each value of this column by itself; absent: all rows together.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// What repeats.
        season: Season,
        /// Deviation that fails, in robust standard deviations (of the median absolute deviation, at least that of
        /// counting).
        #[serde(default = "six")]
        deviation: f64,
        /// Earlier periods of the same season that are compared with, 4 to 100; with fewer than four nothing is judged.
        #[serde(default = "eight")]
        cycles: usize,
        /// How long after its end a period still takes rows.
        #[serde(default)]
        lateness: Span,
    }
}
params! {
    /// Columns a table must have.
    ColumnsRule {
        /// Their names.
        names: Vec<String>,
        /// Whether they must stand in this order.
        #[serde(default)]
        ordered: bool,
        /// Whether there must be no others.
        #[serde(default)]
        only: bool,
        /// Types by name.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        types: BTreeMap<String, ColumnType>,
    }
}

impl Columns for BoxRule {
    fn columns(&self) -> Vec<&str> {
        vec![&self.latitude, &self.longitude]
    }
}

impl Columns for CompareRule {
    fn columns(&self) -> Vec<&str> {
        vec![&self.left, &self.right]
    }
}

impl Columns for SumRule {
    fn columns(&self) -> Vec<&str> {
        self.columns.iter().chain([&self.total]).map(String::as_str).collect()
    }
}

impl Columns for DependencyRule {
    fn columns(&self) -> Vec<&str> {
        self.key.iter().chain([&self.value]).map(String::as_str).collect()
    }
}

impl Columns for OrderRule {
    fn columns(&self) -> Vec<&str> {
        self.by.iter().chain([&self.column]).map(String::as_str).collect()
    }
}

impl Columns for SeasonalRule {
    fn columns(&self) -> Vec<&str> {
        self.column.iter().chain(&self.by).map(String::as_str).collect()
    }
}

macro_rules! nameless {
    ($($name:ident)*) => {$(
        impl Columns for $name {
            fn columns(&self) -> Vec<&str> {
                Vec::new()
            }
        }
    )*};
}

// `columns` speaks of what a file really has, which may differ from what is declared.
nameless! { CountRule TrailingRule ColumnsRule }

/// Case of the letters of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterCase {
    /// No lower-case letter.
    Upper,
    /// No upper-case letter.
    Lower,
    /// Every word begins with an upper-case letter and goes on in lower case.
    Title,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it all")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the signs say it all")]
pub enum Comparison {
    #[serde(rename = "<")]
    Less,
    #[serde(rename = "<=")]
    AtMost,
    #[serde(rename = "=")]
    Equal,
    #[serde(rename = "<>")]
    Different,
    #[serde(rename = ">=")]
    AtLeast,
    #[serde(rename = ">")]
    Greater,
}

/// What repeats, and the length of its periods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Season {
    /// Hours, compared with the same hour of earlier days.
    HourOfDay,
    /// Hours, compared with the same hour of the same weekday.
    HourOfWeek,
    /// Days, compared with the same weekday.
    DayOfWeek,
}

fn twenty() -> usize {
    20
}

fn eight() -> usize {
    8
}

fn six() -> f64 {
    6.0
}

fn tenth() -> f64 {
    0.1
}

/// A text, also when it is written as a number or truth.
#[derive(Deserialize)]
struct Text(#[serde(deserialize_with = "text")] String);

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Plain;
    impl Visitor<'_> for Plain {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text, a number or a truth")
        }
        fn visit_str<E: Error>(self, v: &str) -> Result<String, E> {
            Ok(v.to_owned())
        }
        fn visit_i64<E: Error>(self, v: i64) -> Result<String, E> {
            Ok(v.to_string())
        }
        fn visit_u64<E: Error>(self, v: u64) -> Result<String, E> {
            Ok(v.to_string())
        }
        fn visit_f64<E: Error>(self, v: f64) -> Result<String, E> {
            Ok(v.to_string())
        }
        fn visit_bool<E: Error>(self, v: bool) -> Result<String, E> {
            Ok(v.to_string())
        }
    }
    deserializer.deserialize_str(Plain)
}

fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct List;
    impl<'de> Visitor<'de> for List {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of values")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<String>, A::Error> {
            let mut found = Vec::new();
            while let Some(Text(value)) = items.next_element()? {
                found.push(value);
            }
            Ok(found)
        }
    }
    deserializer.deserialize_seq(List)
}
