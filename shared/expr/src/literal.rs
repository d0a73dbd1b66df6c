//! Constants: numbers, texts, instants and intervals.

use crate::error::{ExprError, shorten};
use crate::node::{Node, Typed};
use crate::parse::unsupported;
use crate::time::{milliseconds_of, parse_instant};
use crate::value::Type;
use arrow::array::{
    ArrayRef, BooleanArray, DurationMillisecondArray, Float64Array, Int64Array, StringArray, TimestampMillisecondArray,
};
use sqlparser::ast::{Expr, Interval, TypedString, Value as Sql};
use std::sync::Arc;

type Checked = Result<Typed, ExprError>;

/// A number, text, truth value or null.
pub(crate) fn literal(value: &Sql, expr: &Expr) -> Checked {
    let (array, data_type): (ArrayRef, Type) = match value {
        Sql::Number(digits, _) => return number(digits, expr),
        Sql::SingleQuotedString(text) => (Arc::new(StringArray::from(vec![text.as_str()])), Type::Utf8),
        Sql::Boolean(flag) => (Arc::new(BooleanArray::from(vec![*flag])), Type::Boolean),
        Sql::Null => (arrow::array::new_null_array(&Type::Null.arrow(), 1), Type::Null),
        _ => return Err(unsupported("this kind of literal", expr)),
    };
    Ok(constant(array, data_type, &expr.to_string()))
}

/// An integer if it is written as one, else a double.
pub(crate) fn number(digits: &str, expr: &Expr) -> Checked {
    let bad = |message: &str| ExprError::Literal { message: message.to_owned(), text: shorten(&expr.to_string()) };
    if digits.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit()) {
        let integer: i64 = digits.parse().map_err(|_| bad("the integer is out of range"))?;
        return Ok(constant(Arc::new(Int64Array::from(vec![integer])), Type::Int64, digits));
    }
    let double: f64 = digits.parse().map_err(|_| bad("not a number"))?;
    if !double.is_finite() {
        return Err(bad("the number is out of range"));
    }
    Ok(constant(Arc::new(Float64Array::from(vec![double])), Type::Float64, digits))
}

/// `timestamp '…'` or `date '…'`.
pub(crate) fn typed_string(typed: &TypedString, expr: &Expr) -> Checked {
    let kind = typed.data_type.to_string().to_uppercase();
    if !matches!(kind.as_str(), "TIMESTAMP" | "TIMESTAMPTZ" | "DATE") {
        return Err(unsupported(&format!("a literal of type {kind}"), expr));
    }
    let text = typed.value.clone().into_string().ok_or_else(|| unsupported("this kind of literal", expr))?;
    instant_literal(&text, expr)
}

/// The instant that `text` names; without an offset it is UTC.
pub(crate) fn instant_literal(text: &str, expr: &Expr) -> Checked {
    let millis =
        parse_instant(text).map_err(|message| ExprError::Literal { message, text: shorten(&expr.to_string()) })?;
    let array = TimestampMillisecondArray::from(vec![millis]).with_timezone("UTC");
    Ok(constant(Arc::new(array), Type::Timestamp, &expr.to_string()))
}

/// `interval '2 hours'`, `interval '2' hour`.
pub(crate) fn interval_literal(interval: &Interval, expr: &Expr) -> Checked {
    let bad = |message: String| ExprError::Literal { message, text: shorten(&expr.to_string()) };
    let precise = interval.leading_precision.is_some()
        || interval.last_field.is_some()
        || interval.fractional_seconds_precision.is_some();
    if precise {
        return Err(bad("write intervals as '2 hours 30 minutes'".to_owned()));
    }
    let mut text = match interval.value.as_ref() {
        Expr::Value(value) => match &value.value {
            Sql::SingleQuotedString(text) | Sql::Number(text, _) => text.clone(),
            _ => return Err(bad("an interval needs a text or number".to_owned())),
        },
        _ => return Err(bad("an interval must be a constant".to_owned())),
    };
    if let Some(field) = &interval.leading_field {
        text = format!("{text} {}", field.to_string().to_lowercase());
    }
    let millis = milliseconds_of(&text).map_err(bad)?;
    Ok(constant(Arc::new(DurationMillisecondArray::from(vec![millis])), Type::Duration, &expr.to_string()))
}

/// Wraps an array of length one.
pub(crate) fn constant(array: ArrayRef, data_type: Type, text: &str) -> Typed {
    Typed { node: Node::Literal(array), data_type, fallible: false, text: shorten(text).into() }
}
