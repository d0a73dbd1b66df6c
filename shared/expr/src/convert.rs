//! Which types go together, and how one becomes another.

use crate::check::finish_as;
use crate::error::{ExprError, shorten};
use crate::literal::instant_literal;
use crate::node::{Node, Typed};
use crate::value::Type;
use sqlparser::ast::Expr;
use std::sync::Arc;

type Checked = Result<Typed, ExprError>;

/// Converts all to their common type: null to any, integer to double, text constants to timestamps.
pub(crate) fn unify(items: Vec<Typed>, expr: &Expr) -> Result<Vec<Typed>, ExprError> {
    let mut common = Type::Null;
    for item in &items {
        common = match (common, item.data_type) {
            (a, b) if a == b => a,
            (Type::Null, b) => b,
            (a, Type::Null) => a,
            (Type::Int64, Type::Float64) | (Type::Float64, Type::Int64) => Type::Float64,
            (Type::Timestamp, Type::Utf8) | (Type::Utf8, Type::Timestamp) => Type::Timestamp,
            (a, b) => return Err(type_error(&format!("{a} and {b} do not go together"), expr)),
        };
    }
    items
        .into_iter()
        .map(|item| match (item.data_type, common) {
            (Type::Utf8, Type::Timestamp) => text_as_instant(&item, expr),
            _ => convert(item, common),
        })
        .collect()
}

pub(crate) fn text_as_instant(item: &Typed, expr: &Expr) -> Checked {
    let text = string_literal(item)
        .ok_or_else(|| type_error("timestamp and varchar do not go together; use cast(… as timestamp)", expr))?;
    instant_literal(&text, expr)
}

/// The text of a text constant.
pub(crate) fn string_literal(item: &Typed) -> Option<String> {
    use arrow::array::{Array, AsArray};
    let texts = item.literal()?.as_string_opt::<i32>()?;
    (!texts.is_null(0)).then(|| texts.value(0).to_owned())
}

/// A conversion that cannot fail: same type, null to any, integer to double.
pub(crate) fn convert(item: Typed, to: Type) -> Checked {
    if item.data_type == to {
        return Ok(item);
    }
    let text = Arc::clone(&item.text);
    finish_as(Node::Cast(Box::new(item)), to, text)
}

/// `cast(input as to)`, where such a conversion exists.
pub(crate) fn explicit_cast(input: Typed, to: Type, expr: &Expr) -> Checked {
    use Type::{Boolean, Float64, Int64, Null, Timestamp, Utf8};
    let allowed = matches!(
        (input.data_type, to),
        (Null, _)
            | (Int64 | Float64 | Boolean | Timestamp | Utf8, Utf8)
            | (Int64 | Float64 | Boolean | Utf8, Int64 | Float64)
            | (Timestamp, Int64)
            | (Int64 | Boolean | Utf8, Boolean)
            | (Int64 | Utf8 | Timestamp, Timestamp)
    );
    if !allowed {
        return Err(type_error(&format!("{} cannot be cast to {to}", input.data_type), expr));
    }
    convert(input, to)
}

/// The type a SQL type name stands for.
pub(crate) fn cast_target(name: &str) -> Option<Type> {
    Some(match name.to_uppercase().as_str() {
        "DOUBLE" | "DOUBLE PRECISION" | "FLOAT" | "FLOAT8" | "FLOAT64" | "REAL" => Type::Float64,
        "BIGINT" | "INT" | "INTEGER" | "INT8" | "INT64" => Type::Int64,
        "VARCHAR" | "TEXT" | "STRING" => Type::Utf8,
        "BOOLEAN" | "BOOL" => Type::Boolean,
        "TIMESTAMP" | "TIMESTAMPTZ" | "TIMESTAMP WITH TIME ZONE" => Type::Timestamp,
        _ => return None,
    })
}

/// Requires a type; a bare null becomes one of it.
pub(crate) fn require(item: Typed, wanted: Type, expr: &Expr) -> Checked {
    match item.data_type {
        found if found == wanted => Ok(item),
        Type::Null => convert(item, wanted),
        found => Err(type_error(&format!("{wanted} needed, but `{}` is {found}", item.text), expr)),
    }
}

/// Requires a truth value.
pub(crate) fn boolean(item: Typed, expr: &Expr) -> Checked {
    require(item, Type::Boolean, expr)
}

/// Requires a text.
pub(crate) fn string(item: Typed, expr: &Expr) -> Checked {
    require(item, Type::Utf8, expr)
}

/// An instant; a text constant is read as one.
pub(crate) fn instant(item: Typed, expr: &Expr) -> Checked {
    if item.data_type == Type::Utf8 && item.is_literal() {
        return text_as_instant(&item, expr);
    }
    require(item, Type::Timestamp, expr)
}

/// Requires something that has a sign.
pub(crate) fn numeric_or_interval(item: Typed, expr: &Expr) -> Checked {
    match item.data_type {
        Type::Int64 | Type::Float64 | Type::Duration => Ok(item),
        Type::Null => convert(item, Type::Float64),
        found => Err(type_error(&format!("a number needed, but `{}` is {found}", item.text), expr)),
    }
}

/// Exactly two items.
pub(crate) fn pair(items: Vec<Typed>, expr: &Expr) -> Result<[Typed; 2], ExprError> {
    items.try_into().map_err(|_| arguments_error("two arguments needed", expr))
}

/// An error about the types in `expr`.
pub(crate) fn type_error(message: &str, expr: &Expr) -> ExprError {
    ExprError::Type { message: message.to_owned(), text: shorten(&expr.to_string()) }
}

/// An error about the number of arguments in `expr`.
pub(crate) fn arguments_error(message: &str, expr: &Expr) -> ExprError {
    ExprError::Arguments { message: message.to_owned(), text: shorten(&expr.to_string()) }
}
