//! What a decision does to a column, whole columns at a time.

use crate::error::QualityError;
use crate::row::Condition;
use arrow::array::{ArrayRef, AsArray as _, BooleanArray, RecordBatch, StringArray};
use arrow::compute::{cast, nullif};
use arrow::datatypes::{DataType, Float64Type};
use chrono::format::{Item, Parsed, StrftimeItems, parse};
use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use std::collections::HashMap;
use std::sync::Arc;
use tidemill_spec::{Action, Decision, TextStep, Unit};

/// A decision, typed.
#[derive(Debug)]
pub(super) enum Kernel {
    /// What a text becomes.
    Merge(HashMap<String, String>),
    Text(Vec<TextStep>),
    Date {
        from: Vec<Vec<Item<'static>>>,
        to: String,
    },
    Unit(&'static Unit, &'static Unit),
    ToNull(Condition),
}

impl Kernel {
    /// Types a decision that was checked.
    pub(super) fn of(
        decision: &Decision,
        condition: impl Fn(&str) -> Result<Condition, QualityError>,
    ) -> Result<Self, QualityError> {
        let bad = |message: &str| QualityError::Decision { decision: decision.id.clone(), message: message.to_owned() };
        Ok(match decision.action().ok_or_else(|| bad("it does not say what it does"))? {
            Action::Merge(merge) => {
                let becomes = |(kept, others): (&String, &Vec<String>)| {
                    others.iter().map(|other| (other.clone(), kept.clone())).collect::<Vec<_>>()
                };
                Self::Merge(merge.iter().flat_map(becomes).collect())
            }
            Action::Text(steps) => Self::Text(steps.to_vec()),
            Action::Date(forms) => {
                let items = |form: &String| StrftimeItems::new(form).map(Item::to_owned).collect();
                Self::Date { from: forms.from.iter().map(items).collect(), to: forms.to.clone() }
            }
            Action::Unit(change) => {
                let unit = |name: &str| Unit::named(name).ok_or_else(|| bad("there is no such unit"));
                Self::Unit(unit(&change.from)?, unit(&change.to)?)
            }
            Action::ToNull(text) => Self::ToNull(condition(text)?),
        })
    }

    /// The column with every value mended.
    pub(super) fn mend(&self, rows: &RecordBatch, column: &ArrayRef) -> Result<ArrayRef, QualityError> {
        match self {
            Self::Merge(becomes) => texts(column, |text| becomes.get(text).cloned()),
            Self::Text(steps) => texts(column, |text| {
                let tidied = steps.iter().fold(text.to_owned(), |text, step| tidy(&text, *step));
                (tidied != text).then_some(tidied)
            }),
            Self::Date { from, to } => texts(column, |text| {
                let made = from.iter().find_map(|items| rewritten(text, items, to))?;
                (made != text).then_some(made)
            }),
            Self::Unit(from, to) => {
                let numbers = cast(column, &DataType::Float64)?;
                let turned = numbers.as_primitive::<Float64Type>().unary::<_, Float64Type>(|v| from.convert(v, to));
                Ok(cast(&turned, column.data_type())?)
            }
            Self::ToNull(condition) => Ok(nullif(column, &BooleanArray::new(condition.is_true(rows)?, None))?),
        }
    }
}

/// Texts, each mended by `mend` or, where that says nothing, left as it is.
fn texts(column: &ArrayRef, mend: impl Fn(&str) -> Option<String>) -> Result<ArrayRef, QualityError> {
    let missing = || QualityError::Batch("a column of texts is needed".to_owned());
    let array = column.as_string_opt::<i32>().ok_or_else(missing)?;
    // Texts repeat, so what each becomes is found once.
    let mut known: HashMap<&str, Option<String>> = HashMap::new();
    for text in array.iter().flatten() {
        known.entry(text).or_insert_with(|| mend(text));
    }
    if known.values().all(Option::is_none) {
        return Ok(Arc::clone(column));
    }
    let mended = array.iter().map(|text| text.map(|text| known.get(text).and_then(Option::as_deref).unwrap_or(text)));
    Ok(Arc::new(mended.collect::<StringArray>()))
}

fn tidy(text: &str, step: TextStep) -> String {
    match step {
        TextStep::Trim => text.trim().to_owned(),
        TextStep::Squeeze => {
            let mut squeezed = String::with_capacity(text.len());
            for letter in text.chars() {
                let letter = if letter.is_whitespace() { ' ' } else { letter };
                if letter != ' ' || !squeezed.ends_with(' ') {
                    squeezed.push(letter);
                }
            }
            squeezed
        }
        TextStep::Lower => text.to_lowercase(),
        TextStep::Upper => text.to_uppercase(),
    }
}

/// A date or time of one form in another; `None` when the text has another form, or names no day of the calendar.
fn rewritten(text: &str, items: &[Item<'_>], to: &str) -> Option<String> {
    let mut parsed = Parsed::new();
    parse(&mut parsed, text, items.iter()).ok()?;
    let day: Option<NaiveDate> = parsed.to_naive_date().ok();
    let time: Option<NaiveTime> = parsed.to_naive_time().ok();
    let mut written = String::new();
    let at = NaiveDateTime::new(day?, time.unwrap_or_default());
    std::fmt::Write::write_fmt(&mut written, format_args!("{}", at.format(to))).ok()?;
    Some(written)
}
