//! What one column suggests by itself.

use super::commits::History;
use super::{id, numbers, texts, wilson_upper};
use crate::error::QualityError;
use crate::row::column;
use crate::row::times::{DAY, instants};
use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes::DataType;
use tidemill_spec::{Check, Column, FutureRule, PeriodRule, RangeRule, Rule, Span};
use tidemill_types::{Millis, columns};

/// Rules that the rows of a column suggest.
pub(super) fn mine(
    name: &str,
    declared: &Column,
    history: &History,
    rules: &mut Vec<Rule>,
) -> Result<(), QualityError> {
    let rows = &history.rows;
    let array = column(rows, name)?;
    if array.null_count() == array.len() {
        return Ok(());
    }
    if declared.nullable {
        presence(name, array, history, rules);
    }
    match array.data_type() {
        DataType::Utf8 => texts::mine(name, array, rules)?,
        DataType::Timestamp(_, _) => times(name, array, rows, rules)?,
        kind if kind.is_numeric() => numbers::mine(name, array, history, rules)?,
        _ => {}
    }
    Ok(())
}

fn presence(name: &str, array: &ArrayRef, history: &History, rules: &mut Vec<Rule>) {
    if array.null_count() == 0 {
        rules.push(Rule::new(id(name, "not_null"), Check::NotNull(name.to_owned())));
        return;
    }
    // The share is itself known from a sample only.
    let share = wilson_upper(array.null_count() as u64, array.len() as u64);
    let limit = history.share_exceeded_rarely(share).map(|limit| (limit * 1_000.0).ceil() / 1_000.0);
    if let Some(limit) = limit.filter(|limit| *limit < 1.0) {
        let rule = RangeRule { column: name.to_owned(), min: None, max: Some(limit) };
        rules.push(Rule::new(id(name, "null_share"), Check::NullShare(rule)));
    }
}

fn times(name: &str, array: &ArrayRef, rows: &RecordBatch, rules: &mut Vec<Rule>) -> Result<(), QualityError> {
    let at = instants(array)?;
    let (Some(first), Some(last)) = (min(&at), max(&at)) else {
        return Ok(());
    };
    // Time goes on, so only the past is bounded: one length of the history before its beginning.
    let from = Millis((first - (last - first)).div_euclid(DAY) * DAY);
    let rule = PeriodRule { column: name.to_owned(), from: Some(from.to_string()), until: None };
    rules.push(Rule::new(id(name, "date_range"), Check::DateRange(rule)));
    if rows.column_by_name(columns::KNOWN_AT).is_some() {
        let rule = FutureRule { column: name.to_owned(), tolerance: Span::default() };
        rules.push(Rule::new(id(name, "not_in_future"), Check::NotInFuture(rule)));
    }
    Ok(())
}
