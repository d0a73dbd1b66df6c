//! What a column of texts suggests: its set, its format, its shape.

use super::{id, texts};
use crate::error::QualityError;
use arrow::array::{Array, ArrayRef};
use std::collections::BTreeMap;
use tidemill_spec::{CaseRule, Check, FormatRule, LetterCase, RangeRule, RegexRule, Rule, SetRule};

/// Different texts that still look like a set.
const SET: usize = 50;
/// Formats of dates that are tried.
const FORMATS: [&str; 7] =
    ["%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%m/%d/%Y", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%H:%M"];

pub(super) fn mine(name: &str, array: &ArrayRef, rules: &mut Vec<Rule>) -> Result<(), QualityError> {
    let array = texts(array)?;
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for text in array.iter().flatten() {
        *counts.entry(text).or_default() += 1;
    }
    let rows = (array.len() - array.null_count()) as u64;
    if rows < 10 {
        return Ok(());
    }
    let column = || name.to_owned();
    if counts.len() <= SET && rows >= 20 * counts.len() as u64 {
        let values = counts.keys().map(|text| (*text).to_owned()).collect();
        rules.push(Rule::new(id(name, "in_set"), Check::InSet(SetRule { column: column(), values })));
        return Ok(());
    }
    // Proposals that the rows contradict are struck out afterwards, so guesses may be bold.
    let is_cased = counts.keys().any(|text| text.chars().any(char::is_alphabetic));
    rules.push(Rule::new(id(name, "trimmed"), Check::Trimmed(column())));
    rules.push(Rule::new(id(name, "not_blank"), Check::NotBlank(column())));
    rules.push(Rule::new(id(name, "ascii"), Check::Ascii(column())));
    if let Some(check) = format(name, &counts) {
        rules.push(Rule::new(id(name, check.kind().key), check));
        return Ok(());
    }
    if is_cased {
        for is in [LetterCase::Upper, LetterCase::Lower] {
            let word = if is == LetterCase::Upper { "upper" } else { "lower" };
            rules.push(Rule::new(id(name, word), Check::Case(CaseRule { column: column(), is })));
        }
    }
    if let Some(pattern) = shape(&counts) {
        rules.push(Rule::new(id(name, "regex"), Check::Regex(RegexRule { column: column(), pattern })));
        return Ok(());
    }
    let lengths = || counts.keys().map(|text| text.chars().count());
    let (shortest, longest) = (lengths().min().unwrap_or(0), lengths().max().unwrap_or(0));
    let rule = RangeRule { column: column(), min: Some((shortest / 2) as f64), max: Some((longest * 3 / 2) as f64) };
    rules.push(Rule::new(id(name, "length"), Check::Length(rule)));
    Ok(())
}

/// The first format that every text has.
fn format(name: &str, counts: &BTreeMap<&str, u64>) -> Option<Check> {
    let column = || name.to_owned();
    let mut tried = vec![
        Check::Uuid(column()),
        Check::Email(column()),
        Check::Url(column()),
        Check::Ip(column()),
        Check::Iban(column()),
        Check::Phone(column()),
    ];
    tried.extend(FORMATS.map(|format| Check::DateFormat(FormatRule { column: column(), format: format.to_owned() })));
    // Short codes look like countries by chance, and any number is a JSON value.
    if counts.len() >= 10 {
        tried.push(Check::CountryCode(column()));
        tried.push(Check::CurrencyCode(column()));
    }
    if counts.keys().all(|text| text.len() >= 12) {
        tried.push(Check::Luhn(column()));
    }
    if counts.keys().all(|text| text.starts_with(['{', '['])) {
        tried.push(Check::Json(column()));
    }
    tried.into_iter().find(|check| crate::row::all_pass(check, counts.keys().copied()))
}

/// The pattern of letters and digits, when all texts share one: `[A-Z]{2}[0-9]{3,5}`.
fn shape(counts: &BTreeMap<&str, u64>) -> Option<String> {
    let mut shared: Option<Vec<(String, usize, usize)>> = None;
    for text in counts.keys() {
        let runs = runs(text)?;
        match &mut shared {
            None => shared = Some(runs.into_iter().map(|(class, n)| (class, n, n)).collect()),
            Some(known) => {
                if known.len() != runs.len() {
                    return None;
                }
                for ((class, low, high), (other, n)) in known.iter_mut().zip(runs) {
                    if *class != other {
                        return None;
                    }
                    (*low, *high) = ((*low).min(n), (*high).max(n));
                }
            }
        }
    }
    let piece = |(class, low, high): (String, usize, usize)| match (low, high) {
        (1, 1) => class,
        (low, high) if low == high => format!("{class}{{{low}}}"),
        (low, high) => format!("{class}{{{low},{high}}}"),
    };
    Some(format!("^{}$", shared?.into_iter().map(piece).collect::<String>()))
}

/// Runs of characters of one class; none for texts that are long or mixed.
fn runs(text: &str) -> Option<Vec<(String, usize)>> {
    let mut runs: Vec<(String, usize)> = Vec::new();
    for letter in text.chars() {
        let class = match letter {
            '0'..='9' => "[0-9]".to_owned(),
            'A'..='Z' => "[A-Z]".to_owned(),
            'a'..='z' => "[a-z]".to_owned(),
            other => regex::escape(&other.to_string()),
        };
        match runs.last_mut() {
            Some((last, count)) if *last == class => *count += 1,
            _ => runs.push((class, 1)),
        }
        if runs.len() > 8 {
            return None;
        }
    }
    (!runs.is_empty()).then_some(runs)
}
