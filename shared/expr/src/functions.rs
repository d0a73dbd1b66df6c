//! The table of functions: one row per name and signature, with its kernel.
//!
//! Functions that take constants (a time zone, a pattern), any number of arguments, or arguments that must not be
//! evaluated in every row are [`FORMS`]; the checker builds nodes of their own for them.

use crate::time::{PARTS, durations_in, ticks_between};
use crate::value::{Type, Value, ticks, without_nan};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow::compute::kernels::{arity, comparison, numeric};
use arrow::datatypes::{Float64Type, Int64Type};
use arrow::error::ArrowError;
use std::sync::Arc;

type Result<T> = std::result::Result<T, ArrowError>;

/// A function with fixed argument types. Null arguments give null.
#[derive(Debug)]
pub(crate) struct Function {
    /// Name in lower case.
    pub name: &'static str,
    /// Types of the arguments.
    pub arguments: &'static [Type],
    /// Type of the result.
    pub result: Type,
    /// True when some argument values are an error rather than null.
    pub fallible: bool,
    /// Computes the result; at least one argument has one entry per row, or all are scalars.
    pub kernel: fn(&[Value]) -> Result<Value>,
}

/// Functions that the checker treats one by one.
pub(crate) const FORMS: &[&str] = &[
    "coalesce",
    "nullif",
    "if",
    "least",
    "greatest",
    "concat",
    "date_trunc",
    "regexp_like",
    "floor",
    "ceil",
    "trim",
    "substring",
    "cast",
    "extract",
    "between",
    "case",
];

/// Aggregate functions, allowed in [`crate::Aggregate`] only.
pub(crate) const AGGREGATES: &[&str] = &["sum", "mean", "avg", "min", "max", "count", "count_if"];

const F: Type = Type::Float64;
const I: Type = Type::Int64;
const S: Type = Type::Utf8;
const B: Type = Type::Boolean;
const T: Type = Type::Timestamp;
const D: Type = Type::Duration;

const fn total(
    name: &'static str,
    arguments: &'static [Type],
    result: Type,
    kernel: fn(&[Value]) -> Result<Value>,
) -> Function {
    Function { name, arguments, result, fallible: false, kernel }
}

/// All functions; of several rows with one name the first that fits without widening wins.
pub(crate) const FUNCTIONS: &[Function] = &[
    Function { name: "abs", arguments: &[I], result: I, fallible: true, kernel: abs_int },
    total("abs", &[F], F, |a| unary(a, f64::abs)),
    total("ln", &[F], F, |a| unary(a, f64::ln)),
    total("exp", &[F], F, |a| unary(a, f64::exp)),
    total("log10", &[F], F, |a| unary(a, f64::log10)),
    total("sqrt", &[F], F, |a| unary(a, f64::sqrt)),
    total("sin", &[F], F, |a| unary(a, f64::sin)),
    total("cos", &[F], F, |a| unary(a, f64::cos)),
    total("pow", &[F, F], F, |a| binary(a, f64::powf)),
    total("power", &[F, F], F, |a| binary(a, f64::powf)),
    total("floor", &[I], I, first),
    total("floor", &[F], F, |a| unary(a, f64::floor)),
    total("ceil", &[I], I, first),
    total("ceil", &[F], F, |a| unary(a, f64::ceil)),
    total("round", &[I], I, first),
    total("round", &[F], F, |a| unary(a, f64::round)),
    total("round", &[F, I], F, round_to),
    total("mod", &[I, I], I, remainder_int),
    total("mod", &[F, F], F, |a| binary(a, |x, y| x % y)),
    total("cyclic_sin", &[F, F], F, |a| binary(a, |x, period| turn(x, period).sin())),
    total("cyclic_cos", &[F, F], F, |a| binary(a, |x, period| turn(x, period).cos())),
    total("is_nan", &[F], B, is_nan),
    total("lower", &[S], S, |a| text(a, |s| s.to_lowercase())),
    total("upper", &[S], S, |a| text(a, |s| s.to_uppercase())),
    total("trim", &[S], S, |a| text(a, |s| s.trim().to_owned())),
    total("length", &[S], I, length),
    total("substring", &[S, I], S, substring),
    total("substring", &[S, I, I], S, substring),
    total("starts_with", &[S, S], B, |a| compare(a, |l, r| comparison::starts_with(l, r))),
    total("ends_with", &[S, S], B, |a| compare(a, |l, r| comparison::ends_with(l, r))),
    total("contains", &[S, S], B, |a| compare(a, |l, r| comparison::contains(l, r))),
    total("seconds", &[D], F, |a| duration(a, 1_000.0)),
    total("minutes", &[D], F, |a| duration(a, 60_000.0)),
    total("hours", &[D], F, |a| duration(a, 3_600_000.0)),
    total("days", &[D], F, |a| duration(a, 86_400_000.0)),
    Function { name: "seconds_between", arguments: &[T, T], result: F, fallible: true, kernel: seconds_between },
];

/// Every name that may be called in a row expression.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS
        .iter()
        .map(|function| function.name)
        .chain(FORMS.iter().copied())
        .chain(PARTS.iter().map(|(name, _)| *name))
}

/// True when `function` takes arguments of these types, with `widenings` conversions from integer to double.
pub(crate) fn widenings(function: &Function, types: &[Type]) -> Option<usize> {
    if function.arguments.len() != types.len() {
        return None;
    }
    let mut count = 0;
    for (wanted, found) in function.arguments.iter().zip(types) {
        match (wanted, found) {
            (wanted, found) if wanted == found => {}
            (_, Type::Null) => {}
            (Type::Float64, Type::Int64) => count += 1,
            _ => return None,
        }
    }
    Some(count)
}

/// Division of doubles: null where the divisor is zero.
pub(crate) fn divide(left: &Value, right: &Value) -> Result<Value> {
    pairwise(left, right, |a, b| if b == 0.0 { f64::NAN } else { a / b })
}

/// Remainder, with the sign of the dividend: null where the divisor is zero.
pub(crate) fn remainder(left: &Value, right: &Value) -> Result<Value> {
    let arguments = [left.clone(), right.clone()];
    match left.array().data_type() == &Type::Int64.arrow() {
        true => remainder_int(&arguments),
        false => pairwise(left, right, |a, b| a % b),
    }
}

/// Joins texts row by row; null where any is null.
pub(crate) fn concatenate(values: &[Value], rows: usize) -> Result<Value> {
    let scalar = values.iter().all(|value| matches!(value, Value::Scalar(_)));
    let rows = if scalar { 1 } else { rows };
    let cells: Vec<(&StringArray, bool)> =
        values.iter().map(|value| (value.array().as_string::<i32>(), matches!(value, Value::Scalar(_)))).collect();
    let mut buffer = String::new();
    let mut joined = arrow::array::StringBuilder::with_capacity(rows, rows * 8);
    'rows: for row in 0..rows {
        buffer.clear();
        for (cell, constant) in &cells {
            let at = if *constant { 0 } else { row };
            if cell.is_null(at) {
                joined.append_null();
                continue 'rows;
            }
            buffer.push_str(cell.value(at));
        }
        joined.append_value(&buffer);
    }
    let array: ArrayRef = Arc::new(joined.finish());
    Ok(if scalar { Value::Scalar(array) } else { Value::Array(array) })
}

/// Applies `op` to two doubles per row; NaN becomes null.
pub(crate) fn pairwise(left: &Value, right: &Value, op: impl Fn(f64, f64) -> f64) -> Result<Value> {
    let a = left.array().as_primitive::<Float64Type>();
    let b = right.array().as_primitive::<Float64Type>();
    let result: Float64Array = match (left, right) {
        (Value::Scalar(_), Value::Array(_)) if a.is_null(0) => return Ok(Value::null(F)),
        (Value::Array(_), Value::Scalar(_)) if b.is_null(0) => return Ok(Value::null(F)),
        (Value::Scalar(_), Value::Array(_)) => {
            let constant = a.value(0);
            b.unary(|y| op(constant, y))
        }
        (Value::Array(_), Value::Scalar(_)) => {
            let constant = b.value(0);
            a.unary(|x| op(x, constant))
        }
        _ => arity::binary(a, b, op)?,
    };
    Ok(Value::like(without_nan(result), &[left, right]))
}

fn arguments<const N: usize>(values: &[Value]) -> Result<&[Value; N]> {
    values.try_into().map_err(|_| ArrowError::ComputeError(format!("{N} arguments expected, {} found", values.len())))
}

fn first(values: &[Value]) -> Result<Value> {
    let [value] = arguments(values)?;
    Ok(value.clone())
}

fn unary(values: &[Value], op: fn(f64) -> f64) -> Result<Value> {
    let [value] = arguments(values)?;
    value.map(|array| Ok(without_nan(array.as_primitive::<Float64Type>().unary(op))))
}

fn binary(values: &[Value], op: fn(f64, f64) -> f64) -> Result<Value> {
    let [left, right] = arguments(values)?;
    pairwise(left, right, op)
}

fn text(values: &[Value], op: fn(&str) -> String) -> Result<Value> {
    let [value] = arguments(values)?;
    value.map(|array| {
        let texts: StringArray = array.as_string::<i32>().iter().map(|text| text.map(op)).collect();
        Ok(Arc::new(texts) as ArrayRef)
    })
}

fn compare(values: &[Value], op: fn(&Value, &Value) -> Result<BooleanArray>) -> Result<Value> {
    let [left, right] = arguments(values)?;
    Ok(Value::like(Arc::new(op(left, right)?), &[left, right]))
}

fn duration(values: &[Value], unit: f64) -> Result<Value> {
    let [value] = arguments(values)?;
    value.map(|array| durations_in(array, unit))
}

fn seconds_between(values: &[Value]) -> Result<Value> {
    let [from, to] = arguments(values)?;
    let difference = ticks_between(numeric::sub, to, from)?;
    difference.map(|array| durations_in(array, 1_000.0))
}

fn turn(x: f64, period: f64) -> f64 {
    if period > 0.0 { std::f64::consts::TAU * (x / period) } else { f64::NAN }
}

fn abs_int(values: &[Value]) -> Result<Value> {
    let [value] = arguments(values)?;
    value.map(|array| {
        let absolute: Int64Array = array
            .as_primitive::<Int64Type>()
            .try_unary(|x: i64| x.checked_abs().ok_or_else(|| ArrowError::ArithmeticOverflow(format!("abs({x})"))))?;
        Ok(Arc::new(absolute) as ArrayRef)
    })
}

/// `i64::MIN % -1` is zero, as in arithmetic without bounds.
fn remainder_int(values: &[Value]) -> Result<Value> {
    let [left, right] = arguments(values)?;
    let (a, b) = (ticks(left.array())?, ticks(right.array())?);
    let rows = a.len().max(b.len());
    let scalar = |value: &Value| matches!(value, Value::Scalar(_));
    let (a_fixed, b_fixed) = (scalar(left), scalar(right));
    let rows = if a_fixed && b_fixed {
        1
    } else if a_fixed {
        b.len()
    } else if b_fixed {
        a.len()
    } else {
        rows
    };
    let result: Int64Array = (0..rows)
        .map(|row| {
            let (i, j) = (if a_fixed { 0 } else { row }, if b_fixed { 0 } else { row });
            if a.is_null(i) || b.is_null(j) || b.value(j) == 0 {
                return None;
            }
            Some(a.value(i).wrapping_rem(b.value(j)))
        })
        .collect();
    Ok(Value::like(Arc::new(result), &[left, right]))
}

/// Half away from zero, like `round(x)`. Digits beyond the range of a double leave `x` as it is.
fn round_to(values: &[Value]) -> Result<Value> {
    let [value, digits] = arguments(values)?;
    let digits = digits.map(|array| {
        let floats: Float64Array = array.as_primitive::<Int64Type>().unary(|n| n as f64);
        Ok(Arc::new(floats) as ArrayRef)
    })?;
    pairwise(value, &digits, |x, n| {
        let scale = 10f64.powi(n.clamp(-400.0, 400.0) as i32);
        let scaled = x * scale;
        if scale == 0.0 {
            return 0.0;
        }
        if scaled.is_finite() && scale.is_finite() { scaled.round() / scale } else { x }
    })
}

fn is_nan(values: &[Value]) -> Result<Value> {
    let [value] = arguments(values)?;
    value.map(|array| {
        let floats = array.as_primitive::<Float64Type>();
        let flags: BooleanArray = floats.iter().map(|number| number.map(f64::is_nan)).collect();
        Ok(Arc::new(flags) as ArrayRef)
    })
}

fn length(values: &[Value]) -> Result<Value> {
    let [value] = arguments(values)?;
    value.map(|array| {
        let lengths: Int64Array =
            array.as_string::<i32>().iter().map(|text| text.map(|text| text.chars().count() as i64)).collect();
        Ok(Arc::new(lengths) as ArrayRef)
    })
}

/// Characters from position `start` (first is 1), at most `count` of them; positions before the text count, as in
/// the SQL standard. A negative count gives the empty text.
fn substring(values: &[Value]) -> Result<Value> {
    let inputs: Vec<&Value> = values.iter().collect();
    let (Some(source), Some(start)) = (values.first(), values.get(1)) else {
        return Err(ArrowError::ComputeError("substring needs a text and a start".to_owned()));
    };
    let rows = if inputs.iter().all(|value| matches!(value, Value::Scalar(_))) {
        1
    } else {
        inputs.iter().find(|value| matches!(value, Value::Array(_))).map_or(0, |value| value.array().len())
    };
    let integer = |value: &Value, row: usize| {
        let at = if matches!(value, Value::Scalar(_)) { 0 } else { row };
        let array = value.array().as_primitive::<Int64Type>();
        (!array.is_null(at)).then(|| array.value(at))
    };
    let texts = source.array().as_string::<i32>();
    let cut: StringArray = (0..rows)
        .map(|row| {
            let at = if matches!(source, Value::Scalar(_)) { 0 } else { row };
            if texts.is_null(at) {
                return None;
            }
            let begin = integer(start, row)?;
            let end = match values.get(2) {
                Some(count) => begin.saturating_add(integer(count, row)?.max(0)),
                None => i64::MAX,
            };
            let skip = usize::try_from(begin.saturating_sub(1).max(0)).ok()?;
            let keep = usize::try_from(end.saturating_sub(begin.max(1)).max(0)).ok()?;
            Some(texts.value(at).chars().skip(skip).take(keep).collect::<String>())
        })
        .collect();
    Ok(Value::like(Arc::new(cut), &inputs))
}
