//! From a rule on single rows to its kernel: types are checked here, once.

use super::Kernel;
use super::codes::{COUNTRIES, CURRENCIES, is_iban, is_listed, is_luhn};
use super::formats::{is_ascii, is_email, is_hostname, is_ip, is_json, is_phone, is_url, is_uuid};
use super::numbers::{Numbers, Point, is_multiple};
use super::pairs::{AllOrNone, AnyPresent, Compare, NotNull, NullOnlyWhen, SumEquals};
use super::texts::{Set, Texts, is_title};
use super::times::{Instants, NotInFuture, read_instant, weekday};
use crate::error::QualityError;
use crate::rule::{Typing, bounds};
use arrow::datatypes::DataType;
use chrono::format::{Item, Parsed, StrftimeItems, parse};
use regex::{Regex, RegexBuilder};
use tidemill_spec::{
    Check, CompareRule, Comparison, DecimalsRule, FormatRule, LetterCase, PeriodRule, RegexRule, SetRule,
};

/// Largest compiled size of a pattern, in bytes.
const PATTERN_BYTES: usize = 1 << 20;

type Made = Result<Kernel, QualityError>;

/// Makes the kernel of a rule on single rows; none for the other kinds.
pub(crate) fn compile(typing: &Typing<'_>, check: &Check) -> Result<Option<Kernel>, QualityError> {
    let made = match check {
        Check::NotNull(column) => typing.any(column).map(|()| Box::new(NotNull(column.clone())) as Kernel),
        Check::AnyPresent(columns) => several(typing, columns).map(|c| Box::new(AnyPresent(c)) as Kernel),
        Check::AllOrNone(columns) => several(typing, columns).map(|c| Box::new(AllOrNone(c)) as Kernel),
        Check::NullOnlyWhen(rule) => {
            typing.any(&rule.column)?;
            let condition = typing.condition(&rule.condition)?;
            Ok(Box::new(NullOnlyWhen { column: rule.column.clone(), condition }) as Kernel)
        }
        Check::Compare(rule) => compare(typing, rule),
        Check::SumEquals(rule) => {
            for column in rule.columns.iter().chain([&rule.total]) {
                typing.number(column)?;
            }
            if rule.columns.is_empty() || !(rule.tolerance >= 0.0 && rule.tolerance.is_finite()) {
                return Err(typing.bad("sum_equals needs columns, and a tolerance that is not below zero"));
            }
            let (columns, total) = (rule.columns.clone(), rule.total.clone());
            Ok(Box::new(SumEquals { columns, total, tolerance: rule.tolerance }) as Kernel)
        }
        Check::Expr(text) => typing.condition(text).map(|condition| Box::new(condition) as Kernel),
        other => {
            return Ok(match numeric(typing, other)? {
                Some(made) => Some(made),
                None => match textual(typing, other)? {
                    Some(made) => Some(made),
                    None => timely(typing, other)?,
                },
            });
        }
    };
    made.map(Some)
}

fn several(typing: &Typing<'_>, columns: &[String]) -> Result<Vec<String>, QualityError> {
    if columns.len() < 2 {
        return Err(typing.bad("at least two columns are needed"));
    }
    columns.iter().try_for_each(|column| typing.any(column))?;
    Ok(columns.to_vec())
}

fn numbers(typing: &Typing<'_>, column: &str, test: impl Fn(f64) -> bool + Send + Sync + 'static) -> Made {
    typing.number(column)?;
    Ok(Box::new(Numbers { column: column.to_owned(), test }))
}

fn numeric(typing: &Typing<'_>, check: &Check) -> Result<Option<Kernel>, QualityError> {
    let made = match check {
        Check::Range(rule) => {
            let (low, high) = bounds(typing, rule.min, rule.max)?;
            // A NaN lies in no range.
            numbers(typing, &rule.column, move |v| low <= v && v <= high)
        }
        Check::Inside(rule) => {
            let (low, high) = bounds(typing, rule.above, rule.below)?;
            numbers(typing, &rule.column, move |v| low < v && v < high)
        }
        Check::Positive(column) => numbers(typing, column, |v| v > 0.0),
        Check::NonNegative(column) => numbers(typing, column, |v| v >= 0.0),
        Check::Finite(column) => numbers(typing, column, f64::is_finite),
        Check::WholeNumber(column) => numbers(typing, column, |v| v.is_finite() && v.fract() == 0.0),
        Check::MultipleOf(rule) if rule.of > 0.0 && rule.of.is_finite() => {
            let step = rule.of;
            numbers(typing, &rule.column, move |v| is_multiple(v, step))
        }
        Check::MultipleOf(_) => return Err(typing.bad("the step must be above zero")),
        Check::Decimals(DecimalsRule { column, at_most }) if *at_most <= 9 => {
            let step = 10_f64.powi(-(*at_most as i32));
            numbers(typing, column, move |v| is_multiple(v, step))
        }
        Check::Decimals(_) => return Err(typing.bad("at_most is at most 9: doubles tell no more")),
        Check::Latitude(column) => numbers(typing, column, |v| (-90.0..=90.0).contains(&v)),
        Check::Longitude(column) => numbers(typing, column, |v| (-180.0..=180.0).contains(&v)),
        Check::BoundingBox(rule) => {
            typing.number(&rule.latitude)?;
            typing.number(&rule.longitude)?;
            let degrees = [rule.west, rule.east].iter().all(|edge| (-180.0..=180.0).contains(edge));
            if !(rule.south <= rule.north && degrees) {
                return Err(typing.bad("south must not be above north, and west and east lie in -180 to 180"));
            }
            let latitude = (rule.latitude.clone(), rule.south, rule.north);
            let longitude = (rule.longitude.clone(), rule.west, rule.east);
            Ok(Box::new(Point { latitude, longitude }) as Kernel)
        }
        Check::InSet(rule) if !typing.is_text(&rule.column) => listed(typing, rule, true),
        Check::NotInSet(rule) if !typing.is_text(&rule.column) => listed(typing, rule, false),
        _ => return Ok(None),
    };
    made.map(Some)
}

/// A set of numbers.
fn listed(typing: &Typing<'_>, rule: &SetRule, wanted: bool) -> Made {
    let read = |text: &String| {
        let wrong = || typing.bad(format!("\"{text}\" is no number, and column {} holds numbers", rule.column));
        text.parse::<f64>().ok().filter(|value| !value.is_nan()).ok_or_else(wrong)
    };
    let values = rule.values.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    numbers(typing, &rule.column, move |v| values.contains(&v) == wanted)
}

fn texts(typing: &Typing<'_>, column: &str, dear: bool, test: impl Fn(&str) -> bool + Send + Sync + 'static) -> Made {
    typing.text(column)?;
    Ok(Box::new(Texts { column: column.to_owned(), dear, test }))
}

fn textual(typing: &Typing<'_>, check: &Check) -> Result<Option<Kernel>, QualityError> {
    let made = match check {
        Check::NotBlank(column) => texts(typing, column, false, |t| t.chars().any(|c| !c.is_whitespace())),
        Check::InSet(rule) => {
            let set = Set::of(&rule.values);
            texts(typing, &rule.column, false, move |t| set.contains(t))
        }
        Check::NotInSet(rule) => {
            let set = Set::of(&rule.values);
            texts(typing, &rule.column, false, move |t| !set.contains(t))
        }
        Check::Regex(rule) => {
            let pattern = pattern(typing, rule)?;
            texts(typing, &rule.column, true, move |t| pattern.is_match(t))
        }
        Check::NotRegex(rule) => {
            let pattern = pattern(typing, rule)?;
            texts(typing, &rule.column, true, move |t| !pattern.is_match(t))
        }
        Check::Length(rule) => {
            let (low, high) = bounds(typing, rule.min, rule.max)?;
            texts(typing, &rule.column, false, move |t| {
                // Counting bytes is enough where each is a character.
                let characters = if t.is_ascii() { t.len() } else { t.chars().count() } as f64;
                low <= characters && characters <= high
            })
        }
        Check::StartsWith(rule) => {
            let any = some(typing, &rule.values)?;
            texts(typing, &rule.column, false, move |t| any.iter().any(|a| t.starts_with(a.as_str())))
        }
        Check::EndsWith(rule) => {
            let any = some(typing, &rule.values)?;
            texts(typing, &rule.column, false, move |t| any.iter().any(|a| t.ends_with(a.as_str())))
        }
        Check::Trimmed(column) => {
            texts(typing, column, false, |t| !t.starts_with(char::is_whitespace) && !t.ends_with(char::is_whitespace))
        }
        Check::Ascii(column) => texts(typing, column, false, is_ascii),
        Check::Case(rule) => match rule.is {
            LetterCase::Upper => texts(typing, &rule.column, false, |t| !t.chars().any(char::is_lowercase)),
            LetterCase::Lower => texts(typing, &rule.column, false, |t| !t.chars().any(char::is_uppercase)),
            LetterCase::Title => texts(typing, &rule.column, false, is_title),
        },
        Check::Email(column) => texts(typing, column, true, is_email),
        Check::Url(column) => texts(typing, column, true, is_url),
        Check::Uuid(column) => texts(typing, column, false, is_uuid),
        Check::Ip(column) => texts(typing, column, true, is_ip),
        Check::Hostname(column) => texts(typing, column, true, is_hostname),
        Check::Json(column) => texts(typing, column, true, is_json),
        Check::DateFormat(rule) => date_format(typing, rule),
        Check::CountryCode(column) => texts(typing, column, true, |t| is_listed(COUNTRIES, t)),
        Check::CurrencyCode(column) => texts(typing, column, true, |t| is_listed(CURRENCIES, t)),
        Check::Iban(column) => texts(typing, column, true, is_iban),
        Check::Luhn(column) => texts(typing, column, false, is_luhn),
        Check::Phone(column) => texts(typing, column, false, is_phone),
        _ => return Ok(None),
    };
    made.map(Some)
}

fn some(typing: &Typing<'_>, values: &[String]) -> Result<Vec<String>, QualityError> {
    if values.is_empty() { Err(typing.bad("values must not be empty")) } else { Ok(values.to_vec()) }
}

fn pattern(typing: &Typing<'_>, rule: &RegexRule) -> Result<Regex, QualityError> {
    RegexBuilder::new(&rule.pattern).size_limit(PATTERN_BYTES).build().map_err(|e| typing.bad(e.to_string()))
}

fn date_format(typing: &Typing<'_>, rule: &FormatRule) -> Made {
    let items: Vec<Item<'static>> = StrftimeItems::new(&rule.format).map(Item::to_owned).collect();
    if items.is_empty() || items.contains(&Item::Error) {
        return Err(typing.bad(format!("\"{}\" is no format: write one such as %Y-%m-%d", rule.format)));
    }
    texts(typing, &rule.column, true, move |text| {
        let mut parsed = Parsed::new();
        if parse(&mut parsed, text, items.iter()).is_err() {
            return false;
        }
        // A day must exist in the calendar, and a time on the clock.
        let has_day = parsed.day().is_some() || parsed.ordinal().is_some();
        let has_time = parsed.hour_mod_12().is_some();
        (!has_day || parsed.to_naive_date().is_ok()) && (!has_time || parsed.to_naive_time().is_ok())
    })
}

fn timely(typing: &Typing<'_>, check: &Check) -> Result<Option<Kernel>, QualityError> {
    Ok(Some(match check {
        Check::DateRange(rule) => {
            let (from, until) = period(typing, rule)?;
            instants(typing, &rule.column, move |at| from <= at && at < until)?
        }
        Check::Weekday(rule) => {
            let mut allowed = [false; 7];
            for day in &rule.days {
                allowed[*day as usize] = true;
            }
            if rule.days.is_empty() {
                return Err(typing.bad("days must not be empty"));
            }
            instants(typing, &rule.column, move |at| allowed[weekday(at)])?
        }
        Check::NotInFuture(rule) => {
            typing.instant(&rule.column)?;
            Box::new(NotInFuture { column: rule.column.clone(), tolerance: rule.tolerance.millis() })
        }
        _ => return Ok(None),
    }))
}

fn instants(typing: &Typing<'_>, column: &str, test: impl Fn(i64) -> bool + Send + Sync + 'static) -> Made {
    typing.instant(column)?;
    Ok(Box::new(Instants { column: column.to_owned(), test }))
}

fn period(typing: &Typing<'_>, rule: &PeriodRule) -> Result<(i64, i64), QualityError> {
    let read = |text: &Option<String>, open: i64| match text {
        None => Ok(open),
        Some(text) => read_instant(text)
            .ok_or_else(|| typing.bad(format!("\"{text}\" is no instant: write 2013-06-01 or 2013-06-01T12:00:00Z"))),
    };
    let (from, until) = (read(&rule.from, i64::MIN)?, read(&rule.until, i64::MAX)?);
    if from >= until || (rule.from.is_none() && rule.until.is_none()) {
        return Err(typing.bad("a date_range needs from or until, and from must be before until"));
    }
    Ok((from, until))
}

fn compare(typing: &Typing<'_>, rule: &CompareRule) -> Made {
    let (left, right) = (typing.type_of(&rule.left)?, typing.type_of(&rule.right)?);
    let common = match (left, right) {
        (left, right) if left == right => None,
        (left, right) if left.is_integer() && right.is_integer() => Some(DataType::Int64),
        (left, right) if left.is_numeric() && right.is_numeric() => Some(DataType::Float64),
        (left, right) => {
            let (a, b) = (&rule.left, &rule.right);
            return Err(typing.bad(format!("{a} has type {left} and {b} has type {right}: these do not compare")));
        }
    };
    let equality = matches!(rule.is, Comparison::Equal | Comparison::Different);
    if *left == DataType::Boolean && !equality {
        return Err(typing.bad("truths are equal or different, no more"));
    }
    Ok(Box::new(Compare { left: rule.left.clone(), is: rule.is, right: rule.right.clone(), common }))
}
