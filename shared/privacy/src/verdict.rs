//! What the columns of a table hold, from a sample of their values, their names and their neighbours.

use crate::class::{Declaration, PiiClass};
use crate::evidence::{Hint, hint, names_a_person};
use crate::ids;
use crate::mask::mask;
use crate::sample;
use crate::score::{NameWeight, THRESHOLD, Votes, confidence, logit};
use crate::sensitive::{Attribute, attribute};
use crate::value::{Findings, examine};
use crate::words::NameWords;
use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use std::collections::BTreeSet;

/// Values of a column that are looked at, at most.
pub const MOST_VALUES: usize = 256;

/// A column as it comes.
#[derive(Clone, Copy, Debug)]
pub struct ColumnView<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its values.
    pub values: &'a ArrayRef,
    /// What the project says of it; then it is not looked at, but tells of its neighbours.
    pub declared: Option<Declaration>,
}

/// What is believed of one column.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The column.
    pub column: String,
    /// The most probable class; `None` when nothing speaks for any.
    pub class: Option<PiiClass>,
    /// The kind of national number, or what a text contains.
    pub kind: Option<&'static str>,
    /// Probability of that class.
    pub confidence: f64,
    /// What speaks for it, in words.
    pub reason: String,
    /// A value that fits, masked.
    pub example: String,
    /// The sensitive attribute that the name says.
    pub sensitive: Option<Attribute>,
}

impl Verdict {
    /// Whether somebody should say what the column is.
    #[must_use]
    pub fn is_suspicious(&self) -> bool {
        self.class.is_some() && self.confidence >= THRESHOLD
    }
}

/// The distinct values of a sample with what the detectors say.
struct Sampled {
    values: Vec<(String, Findings)>,
    floating: bool,
}

impl Sampled {
    fn of(array: &ArrayRef, seed: u64) -> Result<Self, ArrowError> {
        let distinct: BTreeSet<String> = sample::values(array, MOST_VALUES, seed)?.into_iter().collect();
        let floating = matches!(array.data_type(), DataType::Float32 | DataType::Float64);
        let values = distinct.into_iter().map(|value| (examine(&value), value)).map(|(found, value)| (value, found));
        Ok(Self { values: values.filter(|(value, _)| !value.trim().is_empty()).collect(), floating })
    }

    fn count(&self, holds: impl Fn(&Findings) -> bool) -> usize {
        self.values.iter().filter(|(_, found)| holds(found)).count()
    }

    #[expect(clippy::cast_precision_loss, reason = "samples are small")]
    fn share(&self, holds: impl Fn(&Findings) -> bool) -> f64 {
        if self.values.is_empty() { 0.0 } else { self.count(holds) as f64 / self.values.len() as f64 }
    }

    fn votes(&self, holds: impl Fn(&Findings) -> bool, chance: f64, rates: &'static [f64], cap: f64) -> Votes {
        Votes { matching: self.count(holds), all: self.values.len(), chance, rates, cap }
    }
}

/// Match rates among columns of a class: clean, mixed with other things, mostly other things.
const CLEAN: &[f64] = &[0.97, 0.7, 0.4];
/// Where lists cannot know every member.
const LISTED: &[f64] = &[0.95, 0.8, 0.65];
/// Where most values need not contain any.
const SCATTERED: &[f64] = &[0.9, 0.5, 0.2, 0.05];
/// Several kinds of national numbers are tried, and the best is taken.
const TRIES: f64 = 1.4;

/// How the values of a column speak for a class.
struct Case {
    weight: f64,
    matching: usize,
    /// Share of values that can be of the class.
    fit: f64,
    kind: Option<&'static str>,
}

fn case(column: &Sampled, class: PiiClass) -> Case {
    let simple = |votes: Votes, fit: f64| Case { weight: votes.weight(), matching: votes.matching, fit, kind: None };
    match class {
        PiiClass::Email => simple(column.votes(|f| f.is_email, 0.001, CLEAN, 8.0), column.share(|f| f.is_email)),
        PiiClass::Phone => {
            simple(column.votes(|f| f.is_phone, 0.03, CLEAN, 7.0), column.share(|f| f.is_phone || f.may_be_phone))
        }
        PiiClass::Card => simple(column.votes(|f| f.is_card, 0.1, CLEAN, 8.0), column.share(|f| f.may_be_card)),
        PiiClass::Iban => simple(column.votes(|f| f.is_iban, 0.002, CLEAN, 8.0), column.share(|f| f.is_iban)),
        PiiClass::Bic => simple(column.votes(|f| f.is_bic, 0.05, CLEAN, 4.0), column.share(|f| f.may_be_bic)),
        PiiClass::NationalId => national(column),
        PiiClass::Document => simple(
            column.votes(|f| f.is_document, 0.001, CLEAN, 8.0),
            column.share(|f| f.is_document || f.may_be_document),
        ),
        PiiClass::IpAddress => simple(column.votes(|f| f.is_ip, 0.01, CLEAN, 7.0), column.share(|f| f.may_be_ip)),
        PiiClass::MacAddress => simple(column.votes(|f| f.is_mac, 0.001, CLEAN, 8.0), column.share(|f| f.is_mac)),
        PiiClass::PersonName => {
            let word = column.votes(|f| f.is_name_word, 0.3, LISTED, 5.5);
            let full = column.votes(|f| f.is_full_name, 0.03, CLEAN, 7.0);
            let better = if full.weight() > word.weight() { full } else { word };
            simple(better, column.share(|f| f.may_be_name))
        }
        PiiClass::Address => {
            simple(column.votes(|f| f.is_address, 0.02, CLEAN, 7.0), column.share(|f| f.may_be_address))
        }
        PiiClass::Postcode => {
            simple(column.votes(|f| f.is_postcode, 0.05, CLEAN, 4.5), column.share(|f| f.may_be_postcode))
        }
        PiiClass::BirthDate => births(column),
        PiiClass::Location => simple(
            column.votes(|f| f.is_position, 0.005, CLEAN, 5.0),
            column.share(|f| f.is_position || f.may_be_position),
        ),
        PiiClass::FreeText => texts(column),
    }
}

fn national(column: &Sampled) -> Case {
    let cases = ids::kinds().iter().enumerate().map(|(position, kind)| {
        let votes = column.votes(|f| f.ids & (1 << position) != 0, kind.chance, CLEAN, 8.0);
        (votes.weight() - TRIES, votes.matching, kind.name)
    });
    let best = cases.filter(|(_, matching, _)| *matching > 0).max_by(|a, b| a.0.total_cmp(&b.0));
    let fit = column.share(|f| f.may_be_id || f.ids != 0);
    match best {
        Some((weight, matching, kind)) => Case { weight, matching, fit, kind: Some(kind) },
        None => Case { weight: -4.0, matching: 0, fit, kind: None },
    }
}

/// Years that births of a population span at least, the twentieth part at either end left out.
const BIRTHS_SPAN: i32 = 25;
/// Distinct dates that are needed to see a span.
const BIRTHS_LEAST: usize = 20;
/// Weight of dates that are spread as births are.
const BIRTHS_WEIGHT: f64 = 3.0;

fn births(column: &Sampled) -> Case {
    let mut years: Vec<i32> = column.values.iter().filter(|(_, f)| f.is_date).filter_map(|(_, f)| f.year).collect();
    years.sort_unstable();
    let at = |twentieth: usize| years.get(years.len() * twentieth / 20).copied().unwrap_or(0);
    let spread = years.len() >= BIRTHS_LEAST && at(19) - at(1) >= BIRTHS_SPAN;
    let dates = column.share(|f| f.is_date);
    let fit = column.share(|f| f.year.is_some());
    let weight = match spread && dates >= 0.9 {
        true => BIRTHS_WEIGHT,
        false if fit >= 0.5 => 0.0,
        false => -4.0,
    };
    Case { weight, matching: if spread { years.len() } else { 0 }, fit, kind: None }
}

fn texts(column: &Sampled) -> Case {
    let all = column.count(|f| f.is_text);
    let votes = Votes { all, ..column.votes(|f| f.text_contains.is_some(), 0.003, SCATTERED, 6.0) };
    let contained = column.values.iter().find_map(|(_, found)| found.text_contains);
    let fit = column.share(|f| f.is_text);
    let weight = if fit >= 0.5 { votes.weight() } else { -4.0 };
    Case { weight, matching: votes.matching, fit, kind: contained.map(PiiClass::as_str) }
}

/// A class with its logit and the reason.
struct Candidate {
    class: PiiClass,
    logit: f64,
    kind: Option<&'static str>,
    reason: String,
}

/// Weight of a neighbour that points at a person, for what does so only beside one.
const BESIDE: f64 = 2.0;

fn candidate(column: &Sampled, name: &NameWords, class: PiiClass, beside: bool) -> Candidate {
    let case = case(column, class);
    let hint = hint(name, class);
    let weight = match hint {
        Hint::Strong(_) => NameWeight::Strong(case.fit),
        Hint::Weak(_) => NameWeight::Weak(case.fit),
        Hint::Against => NameWeight::Against,
        Hint::Silent => NameWeight::Silent,
    };
    // The word for a birth speaks of a person by itself; a town does not.
    let weak_place = class == PiiClass::Address && matches!(hint, Hint::Weak(_));
    let born = class == PiiClass::BirthDate && matches!(hint, Hint::Strong(_));
    let needs_person = (!class.is_direct() || weak_place) && !born;
    let tied = beside || names_a_person(name);
    let mut total = logit(case.weight, weight, needs_person && !tied);
    if needs_person && tied && hint != Hint::Against && (case.fit >= 0.5 || case.weight > 0.0) {
        total += BESIDE;
    }
    if matches!(class, PiiClass::FreeText) && case.matching == 0 {
        total = total.min(-4.0);
    }
    let mut reasons = Vec::new();
    if let (Hint::Strong(phrase) | Hint::Weak(phrase), true) = (hint, case.fit >= 0.5) {
        reasons.push(format!("the name says \"{phrase}\""));
    }
    if case.matching > 0 && case.weight > 0.0 {
        let kind = case.kind.map(|kind| format!(" ({kind})")).unwrap_or_default();
        reasons.push(format!("{} of {} distinct values match{kind}", case.matching, column.values.len()));
    }
    if needs_person && tied {
        reasons.push("it stands beside persons, or its name speaks of one".to_owned());
    }
    Candidate { class, logit: total, kind: case.kind, reason: reasons.join("; ") }
}

fn best(column: &Sampled, name: &NameWords, beside: bool) -> Candidate {
    let classes: &[PiiClass] = if column.floating { &[PiiClass::Location] } else { &PiiClass::ALL };
    let candidates = classes.iter().map(|class| candidate(column, name, *class, beside));
    let nothing = Candidate { class: PiiClass::FreeText, logit: f64::NEG_INFINITY, kind: None, reason: String::new() };
    candidates.fold(nothing, |best, next| if next.logit > best.logit { next } else { best })
}

fn example(column: &Sampled, class: PiiClass) -> String {
    let fits = |found: &Findings| match class {
        PiiClass::Email => found.is_email,
        PiiClass::Phone => found.is_phone,
        PiiClass::Card => found.is_card,
        PiiClass::PersonName => found.is_full_name || found.is_name_word,
        PiiClass::Address => found.is_address,
        _ => true,
    };
    let value = column.values.iter().find(|(_, found)| fits(found)).or(column.values.first());
    value.map(|(value, _)| mask(class, value)).unwrap_or_default()
}

/// What is believed of every column that is not declared, in their order. The same columns and seed give the same
/// verdicts; the work is bounded by [`MOST_VALUES`] values a column.
///
/// # Errors
/// Arrow cannot write the values of a column as text.
pub fn classify(columns: &[ColumnView<'_>], seed: u64) -> Result<Vec<Verdict>, ArrowError> {
    let mut looked_at = Vec::new();
    for column in columns.iter().filter(|column| column.declared.is_none()) {
        looked_at.push((column.name, NameWords::of(column.name), Sampled::of(column.values, seed)?));
    }
    let declared = columns.iter().filter_map(|column| column.declared?.class()).any(PiiClass::is_direct);
    let first: Vec<Candidate> = looked_at.iter().map(|(_, name, sampled)| best(sampled, name, declared)).collect();
    let person = |candidate: &Candidate| candidate.class.is_direct() && confidence(candidate.logit) >= THRESHOLD;
    let beside = declared || first.iter().any(person);
    let verdict = |((column, name, sampled), first): (&(&str, NameWords, Sampled), Candidate)| {
        let found = if beside && !declared { best(sampled, name, true) } else { first };
        let is_any = found.logit.is_finite() && !sampled.values.is_empty();
        Verdict {
            column: (*column).to_owned(),
            class: is_any.then_some(found.class),
            kind: found.kind.filter(|_| matches!(found.class, PiiClass::NationalId | PiiClass::FreeText)),
            confidence: if is_any { confidence(found.logit) } else { 0.0 },
            reason: found.reason,
            example: if is_any { example(sampled, found.class) } else { String::new() },
            sensitive: attribute(column),
        }
    };
    Ok(looked_at.iter().zip(first).map(verdict).collect())
}
