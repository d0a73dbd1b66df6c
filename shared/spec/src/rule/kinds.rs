//! The table of kinds. A line here, its kernel in `shared/quality`, and the kind exists everywhere.

use super::Dimension;
use super::params::*;
use serde::Serialize;
use serde::de::MapAccess;

/// What a rule is judged on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Each row by itself.
    Row,
    /// Each row, beside what was seen before.
    Memory,
    /// The rows of a commit together.
    Commit,
}

/// One kind of rule, as the manual shows it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Kind {
    /// Key in the rule.
    pub key: &'static str,
    /// What it is judged on.
    pub scope: Scope,
    /// The side of quality it speaks about.
    pub dimension: Dimension,
    /// What stands behind the key, as YAML.
    pub example: &'static str,
    /// What it asks.
    pub says: &'static str,
}

macro_rules! kinds {
    ($($key:literal $name:ident($params:ty) $scope:ident $dimension:ident $example:literal $says:literal;)*) => {
        /// What a rule asks, by kind.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        pub enum Check {
            $(#[doc = $says] #[serde(rename = $key)] $name($params),)*
        }

        /// Every kind of rule, in the order of the manual.
        pub const KINDS: &[Kind] = &[
            $(Kind { key: $key, scope: Scope::$scope, dimension: Dimension::$dimension, example: $example, says: $says },)*
        ];

        /// Keys a rule can have.
        pub(super) const KEYS: &[&str] = &["id", "when", "mostly", "on_fail", $($key,)*];

        impl Check {
            /// The line of the table.
            #[must_use]
            pub fn kind(&self) -> &'static Kind {
                match self {
                    $(Self::$name(_) => {
                        const KIND: Kind = Kind {
                            key: $key, scope: Scope::$scope, dimension: Dimension::$dimension,
                            example: $example, says: $says,
                        };
                        &KIND
                    })*
                }
            }

            /// Columns it names; those of an expression are not among them.
            #[must_use]
            pub fn columns(&self) -> Vec<&str> {
                match self {
                    $(Self::$name(params) => if $key == "expr" { Vec::new() } else { params.columns() },)*
                }
            }

            /// Reads what stands behind the key of a kind; none for any other key.
            pub(super) fn read<'de, A: MapAccess<'de>>(key: &str, map: &mut A) -> Result<Option<Self>, A::Error> {
                Ok(Some(match key {
                    $($key => Self::$name(map.next_value()?),)*
                    _ => return Ok(None),
                }))
            }
        }
    };
}

kinds! {
    "not_null" NotNull(String) Row Completeness "amount" "The value is not null.";
    "not_blank" NotBlank(String) Row Completeness "note" "The text is not empty and not only white space; null passes.";
    "any_present" AnyPresent(Vec<String>) Row Completeness "[email, phone]" "At least one of the columns is not null.";
    "all_or_none" AllOrNone(Vec<String>) Row Consistency "[lat, lon]" "The columns are null together or not at all.";
    "null_only_when" NullOnlyWhen(NullRule) Row Consistency "{column: paid_at, condition: \"code = 'OPEN'\"}"
        "Null only in rows for which the condition is true.";
    "range" Range(RangeRule) Row Accuracy "{column: amount, min: 0, max: 1000}" "A number between the bounds, both included.";
    "inside" Inside(InsideRule) Row Accuracy "{column: amount, above: 0, below: 1000}" "A number between the bounds, both excluded.";
    "positive" Positive(String) Row Accuracy "quantity" "A number above zero.";
    "non_negative" NonNegative(String) Row Accuracy "quantity" "A number that is not below zero.";
    "finite" Finite(String) Row Accuracy "amount" "A number, neither NaN nor infinite.";
    "whole_number" WholeNumber(String) Row Accuracy "amount" "A number without a fraction.";
    "multiple_of" MultipleOf(StepRule) Row Accuracy "{column: amount, of: 0.25}" "A multiple of a number, to a billionth of it.";
    "decimals" Decimals(DecimalsRule) Row Accuracy "{column: amount, at_most: 2}" "No more decimal places than said.";
    "in_set" InSet(SetRule) Row Accuracy "{column: code, values: [OPEN, PAID]}" "One of the values listed.";
    "not_in_set" NotInSet(SetRule) Row Accuracy "{column: code, values: [\"\", N/A]}" "None of the values listed.";
    "latitude" Latitude(String) Row Accuracy "lat" "Degrees from -90 to 90.";
    "longitude" Longitude(String) Row Accuracy "lon" "Degrees from -180 to 180.";
    "bounding_box" BoundingBox(BoxRule) Row Accuracy "{latitude: lat, longitude: lon, south: 40, north: 41, west: -75, east: -73}"
        "A point in the box; `west` above `east` crosses the antimeridian.";
    "regex" Regex(RegexRule) Row Accuracy "{column: code, pattern: \"^[A-Z]+$\"}" "The pattern is found in the text; anchor it to match the whole.";
    "not_regex" NotRegex(RegexRule) Row Accuracy "{column: note, pattern: \"(?i)test\"}" "The pattern is not found in the text.";
    "length" Length(RangeRule) Row Accuracy "{column: code, min: 2, max: 8}" "So many characters.";
    "starts_with" StartsWith(SetRule) Row Accuracy "{column: site, values: [\"https://\"]}" "The text begins with one of those listed.";
    "ends_with" EndsWith(SetRule) Row Accuracy "{column: email, values: [.org, .com]}" "The text ends with one of those listed.";
    "trimmed" Trimmed(String) Row Consistency "name" "No white space at either end.";
    "ascii" Ascii(String) Row Consistency "code" "Printable ASCII characters only.";
    "case" Case(CaseRule) Row Consistency "{column: code, is: upper}" "Letters are `upper`, `lower` or `title` case.";
    "email" Email(String) Row Accuracy "email" "An e-mail address as forms take it (HTML standard), with a dot in its domain.";
    "url" Url(String) Row Accuracy "site" "An absolute URL with scheme and host.";
    "uuid" Uuid(String) Row Accuracy "token" "A UUID, 8-4-4-4-12 hexadecimal digits.";
    "ip" Ip(String) Row Accuracy "address" "An IPv4 or IPv6 address.";
    "hostname" Hostname(String) Row Accuracy "host" "A host name (RFC 1123).";
    "json" Json(String) Row Accuracy "payload" "A text that is one JSON value.";
    "date_format" DateFormat(FormatRule) Row Consistency "{column: born, format: \"%Y-%m-%d\"}" "A text that is a date or time in the format (strftime), which must exist in the calendar.";
    "country_code" CountryCode(String) Row Accuracy "country" "A country code of two letters (ISO 3166-1 alpha-2), upper case.";
    "currency_code" CurrencyCode(String) Row Accuracy "currency" "A currency code of three letters (ISO 4217), upper case.";
    "iban" Iban(String) Row Accuracy "iban" "An IBAN: length of its country and checksum; spaces between groups are allowed.";
    "luhn" Luhn(String) Row Accuracy "card" "Digits with a valid Luhn checksum, as card numbers have; spaces and hyphens are skipped.";
    "phone" Phone(String) Row Accuracy "phone" "A phone number in E.164: `+`, country code, at most 15 digits.";
    "date_range" DateRange(PeriodRule) Row Accuracy "{column: ordered_at, from: 2013-01-01, until: 2014-01-01}" "An instant from `from` (included) until `until` (excluded).";
    "not_in_future" NotInFuture(FutureRule) Row Accuracy "{column: ordered_at, tolerance: 10m}" "An instant not later than the row's knowledge time, plus a tolerance. No clock is asked.";
    "weekday" Weekday(WeekdayRule) Row Accuracy "{column: ordered_at, days: [mon, tue, wed, thu, fri]}" "An instant on one of these days, UTC.";
    "compare" Compare(CompareRule) Row Consistency "{left: ordered_at, is: \"<=\", right: paid_at}" "Two columns compare so.";
    "sum_equals" SumEquals(SumRule) Row Consistency "{columns: [net, tax], total: amount, tolerance: 0.01}" "The columns add up to the total.";
    "expr" Expr(String) Row Consistency "\"quantity > 0 or code = 'OPEN'\"" "The expression is true.";
    "unique" Unique(Vec<String>) Memory Consistency "[id]" "No two rows have equal values in these columns; the first row wins.";
    "determines" Determines(DependencyRule) Memory Consistency "{key: [code], value: name}" "Rows with equal key have equal value; the first row says which.";
    "increasing" Increasing(OrderRule) Memory Consistency "{column: ordered_at, by: [code]}" "The value does not fall from row to row of the same key; `strictly: true`: it rises.";
    "refers" Refers(ReferenceRule) Memory Consistency "{column: code, to: catalogue.code}" "The value stands in a column of another source that was committed before.";
    "row_count" RowCount(CountRule) Commit Completeness "{min: 1, max: 1000000}" "So many rows.";
    "row_count_near" RowCountNear(TrailingRule) Commit Completeness "{low: 0.5, high: 2, commits: 20}" "So many times the median of the rows of earlier commits; not judged before five.";
    "mean" Mean(RangeRule) Commit Accuracy "{column: amount, min: 10, max: 90}" "The mean lies between the bounds.";
    "median" Median(RangeRule) Commit Accuracy "{column: amount, min: 10, max: 90}" "The median lies between the bounds.";
    "std" Std(RangeRule) Commit Accuracy "{column: amount, max: 50}" "The standard deviation (n − 1) lies between the bounds.";
    "sum" Sum(RangeRule) Commit Accuracy "{column: quantity, min: 1}" "The sum lies between the bounds.";
    "quantile" Quantile(QuantileRule) Commit Accuracy "{column: amount, at: 0.99, max: 900}" "The quantile (linear between ranks) lies between the bounds.";
    "null_share" NullShare(RangeRule) Commit Completeness "{column: paid_at, max: 0.2}" "The share of rows that are null or NaN lies between the bounds.";
    "distinct" Distinct(RangeRule) Commit Consistency "{column: code, min: 2, max: 10}" "The number of different values lies between the bounds.";
    "category_share" CategoryShare(ShareRule) Commit Accuracy "{column: code, value: OPEN, max: 0.5}" "The share of one value among those present lies between the bounds.";
    "distribution" Distribution(DistributionRule) Commit Accuracy "{column: amount, edges: [10, 50], counts: [100, 300, 100, 0]}"
        "The population stability index against the reference is not above both `at_least` (0.1) and its 95 % critical value for these sample sizes.";
    "freshness" Freshness(FreshnessRule) Commit Timeliness "{column: ordered_at, within: 2h}" "The newest instant is not older than this against the newest knowledge time.";
    "seasonal" Seasonal(SeasonalRule) Commit Completeness "{by: code, season: hour_of_week}"
        "Rows (or nulls of `column`) per segment and period are what the same hour or weekday usually has; judged when a period has closed.";
    "columns" Columns(ColumnsRule) Commit Consistency "{names: [id, code], ordered: false, types: {id: int64}}" "These columns are there, in this order if `ordered`, with these types; others too unless `only`.";
}
