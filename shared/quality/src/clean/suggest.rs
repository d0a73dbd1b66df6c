//! Decisions proposed from what texts look like: spellings of one thing, stray white space, dates in several forms.
//!
//! Spellings are merged by two signs. Texts that are equal but for case, white space and punctuation are one (the
//! fingerprint of Google Refine). Beyond that a rare text is taken for a slip of a common one when at most one edit in
//! four letters lies between them — insertion, deletion, replacement, or exchange of neighbours (Damerau 1964;
//! Levenshtein 1966) — and the common one is at least ten times as frequent.

use super::{Cleaner, Example};
use crate::error::QualityError;
use arrow::array::{Array as _, RecordBatch};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use tidemill_spec::{DateForms, Decision, Source, TextStep};

/// Different texts up to which a column is looked at for spellings.
const TEXTS: usize = 2_000;
/// How much more often the right spelling must occur.
const RATIO: u64 = 10;
/// Letters for each edit that may lie between two spellings.
const LETTERS_PER_EDIT: usize = 4;
/// Forms of dates that are looked for; of two that a text fits, the one that fits more texts is meant.
const FORMS: [&str; 8] = ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d-%m-%Y", "%Y%m%d", "%d %b %Y"];

/// A decision that the rows suggest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Proposed {
    /// The decision; who answers for it has to be filled in.
    pub decision: Decision,
    /// Values that it would change.
    pub changed: u64,
    /// Values there are.
    pub values: u64,
    /// Some of the changes.
    pub examples: Vec<Example>,
}

/// Proposals for a source, by its rows, in the order of its columns. Columns that `is_left_out` names are not looked at:
/// spellings of persons are persons.
///
/// # Errors
/// Rows without a declared column.
pub fn suggest(
    source: &Source,
    rows: &RecordBatch,
    is_left_out: &dyn Fn(&str) -> bool,
) -> Result<Vec<Proposed>, QualityError> {
    let mut proposed = Vec::new();
    for (name, column) in &source.columns {
        if column.kind != tidemill_spec::ColumnType::String || is_left_out(name) {
            continue;
        }
        let mut rows = rows.clone();
        // Each proposal stands on the ones before it, as it will when all are taken.
        for propose in [tidying, dates, spellings] {
            let Some(decision) = propose(name, &counts(&rows, name)?) else { continue };
            let (after, done) = Cleaner::compile(source, std::slice::from_ref(&decision))?.apply(&rows)?;
            let Some(done) = done.into_iter().next().filter(|done| done.changed > 0) else { continue };
            rows = after;
            let (changed, values, examples) = (done.changed, done.values_before, done.examples);
            proposed.push(Proposed { decision, changed, values, examples });
        }
    }
    Ok(proposed)
}

type Counts = BTreeMap<String, u64>;

fn counts(rows: &RecordBatch, name: &str) -> Result<Counts, QualityError> {
    let column = crate::row::column(rows, name)?;
    let missing = || QualityError::Batch(format!("column {name} holds no texts"));
    let texts = arrow::array::AsArray::as_string_opt::<i32>(column.as_ref()).ok_or_else(missing)?;
    let mut counts = Counts::new();
    for row in 0..texts.len() {
        if texts.is_valid(row) {
            *counts.entry(texts.value(row).to_owned()).or_default() += 1;
        }
    }
    Ok(counts)
}

fn decision(column: &str, what: &str, reason: &str) -> Decision {
    Decision {
        id: format!("{}-{what}", column.replace('_', "-")),
        column: column.to_owned(),
        merge: None,
        text: None,
        date: None,
        unit: None,
        to_null: None,
        filter: None,
        reason: reason.to_owned(),
        by: "nobody yet".to_owned(),
    }
}

fn tidying(column: &str, counts: &Counts) -> Option<Decision> {
    let untrimmed = counts.keys().any(|text| text.trim() != text);
    let spaced = counts.keys().any(|text| text.trim().contains("  ") || text.contains('\t'));
    let mut steps = Vec::new();
    if spaced {
        steps.push(TextStep::Squeeze);
    }
    if untrimmed {
        steps.push(TextStep::Trim);
    }
    let made = decision(column, "tidy", "white space carries no meaning");
    (!steps.is_empty()).then_some(Decision { text: Some(steps), ..made })
}

fn dates(column: &str, counts: &Counts) -> Option<Decision> {
    let total: u64 = counts.values().sum();
    let fits = |form: &str| {
        let items: Vec<_> = chrono::format::StrftimeItems::new(form).collect();
        let one = |text: &str| {
            let mut parsed = chrono::format::Parsed::new();
            let is_read = chrono::format::parse(&mut parsed, text, items.iter()).is_ok();
            is_read && parsed.to_naive_date().is_ok()
        };
        counts.iter().filter(|(text, _)| one(text)).map(|(text, times)| (text.as_str(), *times)).collect::<Vec<_>>()
    };
    let mut forms: Vec<(&str, Vec<(&str, u64)>)> = FORMS.iter().map(|form| (*form, fits(form))).collect();
    forms.retain(|(_, fit)| !fit.is_empty());
    forms.sort_by_key(|(_, fit)| std::cmp::Reverse(fit.iter().map(|(_, times)| times).sum::<u64>()));
    let (mut from, mut covered) = (Vec::new(), BTreeSet::new());
    for (form, fit) in forms {
        let new = fit.iter().filter(|(text, _)| !covered.contains(text)).count();
        if new > 0 {
            from.push(form.to_owned());
            covered.extend(fit.into_iter().map(|(text, _)| text));
        }
    }
    let known: u64 = covered.iter().filter_map(|text| counts.get(*text)).sum();
    // Nearly all are dates, in more than one form or in another than the usual.
    let is_dates = 10 * known >= 9 * total && total > 0;
    if !is_dates || from == ["%Y-%m-%d"] {
        return None;
    }
    let made = decision(column, "dates", "one form for one day");
    Some(Decision { date: Some(DateForms { from, to: "%Y-%m-%d".to_owned() }), ..made })
}

fn spellings(column: &str, counts: &Counts) -> Option<Decision> {
    if counts.len() > TEXTS {
        return None;
    }
    // Common ones first; of equally common ones the first in the alphabet.
    let mut texts: Vec<(&str, u64)> = counts.iter().map(|(text, times)| (text.as_str(), *times)).collect();
    texts.sort_by_key(|(text, times)| (std::cmp::Reverse(*times), *text));
    let mut merge: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut kept: Vec<(&str, u64, String)> = Vec::new();
    for (text, times) in texts {
        let print = fingerprint(text);
        match kept.iter().find(|(common, often, other)| is_spelling((text, &print, times), (common, other, *often))) {
            Some((common, _, _)) => merge.entry((*common).to_owned()).or_default().push(text.to_owned()),
            None => kept.push((text, times, print)),
        }
    }
    let made = decision(column, "spelling", "spellings of the same thing");
    (!merge.is_empty()).then_some(Decision { merge: Some(merge), ..made })
}

/// Whether a text is a spelling of a more common one.
fn is_spelling((text, print, times): (&str, &str, u64), (common, other, often): (&str, &str, u64)) -> bool {
    if !print.is_empty() && print == other {
        return true;
    }
    let letters = print.chars().count().min(other.chars().count());
    let edits = letters / LETTERS_PER_EDIT;
    // Numbers in texts tell things apart.
    let numbers = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    edits > 0
        && often >= RATIO * times
        && numbers(text) == numbers(common)
        && print.chars().count().abs_diff(other.chars().count()) <= edits
        && strsim::damerau_levenshtein(print, other) <= edits
}

/// A text without case, white space and punctuation.
fn fingerprint(text: &str) -> String {
    text.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
