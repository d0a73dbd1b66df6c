//! Warnings about one column.

use super::{Level, Sort, Warning, count, number, percent};
use crate::facts::ColumnFacts;
use tidemill_stats::{Extreme, Kind};

/// Interquartile ranges between a value and the next one from which on it stands alone.
const ALONE: f64 = 3.0;
/// A value at an end that stands alone is held by at most this share of the rows.
const ALONE_SHARE: f64 = 0.01;
/// Share of rows below which a category is rare.
const RARE: f64 = 0.01;
/// Different values up to which rare ones are named.
const NAMED: u64 = 50;
/// Distinct categories that are too many to encode.
const MANY: u64 = 50;
/// Skewness of a long tail.
const TAIL: f64 = 2.0;

/// Everything worth a look in one column. `documented` are the values it may have, when somebody said so.
pub(crate) fn of_column(facts: &ColumnFacts, documented: Option<&[String]>) -> Vec<Warning> {
    let name = facts.name.as_str();
    let mut found = Vec::new();
    if let Some(values) = documented {
        found.extend(undocumented(facts, values));
    }
    if facts.rows == 0 || facts.kind == Kind::Other {
        return found;
    }
    if facts.present() == 0 {
        let text = format!("none of the {} rows has a value", count(facts.rows));
        found.push(Warning::of(Level::Warn, Sort::Empty, name, text, "leave the column out, or mend its source"));
        return found;
    }
    found.extend(gaps(facts));
    if facts.distinct <= 1 {
        let value = facts.top.first().map_or_else(String::new, |top| format!(", \"{}\"", top.value));
        let text = format!("every value is the same{value}");
        found.push(Warning::of(Level::Note, Sort::Constant, name, text, "leave it out: it tells nothing"));
        return found;
    }
    match facts.kind {
        Kind::Numeric => found.extend(numeric(facts)),
        Kind::Text => found.extend(text(facts)),
        _ => {}
    }
    found.extend(identity(facts));
    found.extend(shares(facts, documented.is_some()));
    found
}

fn undocumented(facts: &ColumnFacts, documented: &[String]) -> Option<Warning> {
    let same =
        |a: &str, b: &str| a == b || a.parse::<f64>().ok().zip(b.parse::<f64>().ok()).is_some_and(|(a, b)| a == b);
    let strange: Vec<_> =
        facts.known.iter().filter(|top| !documented.iter().any(|value| same(value, &top.value))).collect();
    let rows: u64 = strange.iter().map(|top| top.count).sum();
    let named: Vec<String> =
        strange.iter().take(12).map(|top| format!("{} ({} rows)", top.value, count(top.count))).collect();
    (rows > 0).then(|| {
        let text = format!("{} rows have values outside the documented set: {}", count(rows), named.join(", "));
        Warning::of(
            Level::Bad,
            Sort::Undocumented,
            &facts.name,
            text,
            "ask the source what they mean, or quarantine them by an in_set rule",
        )
    })
}

/// Missing cells, NaN, infinities, blanks.
fn gaps(facts: &ColumnFacts) -> Vec<Warning> {
    let mut found = Vec::new();
    let mut add = |level, sort, text, advice| found.push(Warning::of(level, sort, &facts.name, text, advice));
    let missing = facts.nulls + facts.nans;
    if facts.missing_share > 0.5 {
        let text = format!("{} of the cells are missing ({})", percent(facts.missing_share), count(missing));
        add(Level::Warn, Sort::MostlyMissing, text, "use whether it is there as a feature, or leave it out");
    } else if missing > 0 {
        let text = format!("{} cells are missing ({})", count(missing), percent(facts.missing_share));
        let level = if facts.missing_share > 0.05 { Level::Warn } else { Level::Note };
        add(level, Sort::Missing, text, "choose how they are imputed, and keep an indicator");
    }
    if facts.nans > 0 && facts.kind == Kind::Numeric {
        let text = format!("{} values are NaN, beside {} nulls", count(facts.nans), count(facts.nulls));
        add(Level::Note, Sort::NotANumber, text, "find out whether NaN means missing or a failed computation");
    }
    if facts.infs > 0 {
        let text = format!("{} values are infinite", count(facts.infs));
        add(Level::Bad, Sort::Infinite, text, "mend the division or logarithm that made them");
    }
    if facts.blanks > 0 {
        let text = format!("{} texts are empty or white space", count(facts.blanks));
        add(Level::Warn, Sort::Blank, text, "read them as missing");
    }
    found
}

fn numeric(facts: &ColumnFacts) -> Vec<Warning> {
    let mut found = Vec::new();
    found.extend(isolated(facts, &facts.lowest, "smallest"));
    found.extend(isolated(facts, &facts.highest, "largest"));
    let mut add = |level, sort, text, advice| found.push(Warning::of(level, sort, &facts.name, text, advice));
    let zeros = facts.zeros as f64 / facts.present() as f64;
    if zeros > 0.5 && facts.distinct > 2 {
        let text = format!("{} of the values are zero", percent(zeros));
        add(Level::Note, Sort::ZeroInflated, text, "split it into \"is zero\" and the amount");
    }
    // Codes have no tail, and zeros are told already.
    let codes = facts.distinct <= 10;
    if let Some(skew) = facts.skewness.filter(|skew| skew.abs() > TAIL && !codes) {
        let side = if skew > 0.0 { "upper" } else { "lower" };
        let text = format!("long {side} tail: skewness {}", number(skew));
        add(Level::Note, Sort::Skewed, text, "look at medians, or take a logarithm, before means and linear models");
    }
    if let Some(outliers) =
        facts.outliers.filter(|o| !codes && o.fences.1 > o.fences.0 && o.iqr as f64 > 0.05 * o.values as f64)
    {
        let share = percent(outliers.iqr as f64 / outliers.values as f64);
        let (low, high) = (number(outliers.fences.0), number(outliers.fences.1));
        let text = format!("{share} of the values lie outside {low} to {high} (1.5 interquartile ranges)");
        add(Level::Note, Sort::Outliers, text, "check whether they are errors before they weigh on a fit");
    }
    found
}

/// A value at an end with nothing near it: a code for "unknown", a broken sensor, a slipped point.
fn isolated(facts: &ColumnFacts, ends: &[Extreme], which: &str) -> Option<Warning> {
    let (end, next) = (ends.first()?, ends.get(1)?);
    let spread = facts.quantile(0.75)? - facts.quantile(0.25)?;
    // With most values alike, the middle 98 % stand for the spread.
    let spread = if spread > 0.0 { spread } else { facts.quantile(0.99)? - facts.quantile(0.01)? };
    let spread = if spread > 0.0 { spread } else { facts.sd? };
    let gap = (end.value - next.value).abs();
    let beyond = (end.value - facts.quantile(0.5)?).abs();
    let rest = (next.value - facts.quantile(0.5)?).abs();
    let rare = (end.count as f64) < ALONE_SHARE * facts.present() as f64;
    let far = gap > ALONE * spread && beyond > 2.0 * rest.max(spread);
    (far && rare && facts.distinct > 10).then(|| {
        let rows = if end.count == 1 { "one row has".to_owned() } else { format!("{} rows have", count(end.count)) };
        let text = format!("{rows} the {which} value {}, the next one is {}", number(end.value), number(next.value));
        Warning::of(
            Level::Bad,
            Sort::Isolated,
            &facts.name,
            text,
            "most likely an error or a code for \"unknown\": set a range rule",
        )
    })
}

fn text(facts: &ColumnFacts) -> Vec<Warning> {
    let mut found = Vec::new();
    let Some(formats) = &facts.formats else { return found };
    let mut add = |level, sort, text, advice| found.push(Warning::of(level, sort, &facts.name, text, advice));
    let texts = formats.texts.max(1) as f64;
    let share = |count: u64| count as f64 / texts;
    let dates: u64 = formats.dates.values().sum();
    if formats.dates.len() > 1 && share(dates) > 0.5 {
        let forms: Vec<String> = formats.dates.iter().map(|(form, n)| format!("{form} ({})", count(*n))).collect();
        let text = format!("dates of several forms: {}", forms.join(", "));
        add(Level::Bad, Sort::MixedFormats, text, "write one form, and say which one day and month are in");
    } else if (0.5..0.9999).contains(&share(formats.numbers)) {
        let strange = formats.texts - formats.numbers;
        let text = format!("{} texts are numbers, {} are not", count(formats.numbers), count(strange));
        add(Level::Warn, Sort::MixedFormats, text, "read the others as missing, and declare the column a number");
    }
    if formats.variants > 0 && facts.distinct < facts.present() / 2 {
        let text = format!("{} values differ from another one by case or white space only", count(formats.variants));
        add(Level::Warn, Sort::Variants, text, "fold case and trim before grouping");
    } else if formats.padded > 0 {
        let text = format!("{} sampled texts begin or end with white space", count(formats.padded));
        add(Level::Note, Sort::Variants, text, "trim them");
    }
    found
}

/// Columns that name rows rather than describe them.
fn identity(facts: &ColumnFacts) -> Option<Warning> {
    let present = facts.present();
    let near_unique = facts.distinct as f64 >= 0.97 * present as f64 && present > 50;
    let whole = facts.top.iter().all(|top| !top.value.contains('.'))
        && facts.min.is_none_or(|min| min.fract() == 0.0)
        && facts.quantile(0.5).is_none_or(|median| median.fract() == 0.0);
    let names = facts.kind == Kind::Text || (facts.kind == Kind::Numeric && whole);
    if near_unique && names {
        let text = format!("{} different values in {} rows", count(facts.distinct), count(present));
        return Some(Warning::of(Level::Note, Sort::IdLike, &facts.name, text, "use it as a key, not as a feature"));
    }
    (facts.kind == Kind::Text && facts.distinct > MANY).then(|| {
        let text = format!("{} different values", count(facts.distinct));
        Warning::of(Level::Note, Sort::HighCardinality, &facts.name, text, "encode by target or by hash, not one-hot")
    })
}

/// Values of hardly any row, or of nearly all.
fn shares(facts: &ColumnFacts, documented: bool) -> Vec<Warning> {
    let mut found = Vec::new();
    let coded = facts.kind == Kind::Text || (facts.kind == Kind::Numeric && facts.distinct <= 20 && whole(facts));
    if !coded || !facts.distinct_exact || facts.distinct > NAMED {
        return found;
    }
    let least = RARE * facts.present() as f64;
    let rare: Vec<_> = facts.known.iter().filter(|top| (top.count as f64) < least).collect();
    let common = facts.top.first().map_or(0.0, |top| top.share);
    if !rare.is_empty() && !documented && facts.known.len() as u64 == facts.distinct {
        let named: Vec<String> =
            rare.iter().take(8).map(|top| format!("{} ({})", top.value, count(top.count))).collect();
        let text = format!("values of less than 1 % of the rows: {}", named.join(", "));
        found.push(Warning::of(
            Level::Note,
            Sort::Rare,
            &facts.name,
            text,
            "check them against the documented codes; pool or correct them",
        ));
    }
    if common > 0.95 {
        let text = format!("{} of the rows have one value, \"{}\"", percent(common), facts.top[0].value);
        found.push(Warning::of(
            Level::Note,
            Sort::Imbalance,
            &facts.name,
            text,
            "it can tell little; stratify when splitting",
        ));
    }
    found
}

fn whole(facts: &ColumnFacts) -> bool {
    facts.known.iter().all(|top| !top.value.contains('.'))
}
