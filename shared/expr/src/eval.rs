//! Runs a typed tree over the columns of a batch.

use crate::error::{ExprError, shorten};
use crate::functions::{concatenate, divide, pairwise, remainder};
use crate::node::{Arithmetic, Comparison, Node, Typed};
use crate::time::{NumericKernel, date_part, format_instants, ticks_between, truncate};
use crate::value::{Type, Value, comparable, reinterpret, ticks, truths, without_nan};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::{boolean, cmp, comparison, numeric, zip};
use arrow::compute::{CastOptions, cast_with_options, filter, nullif, take};
use arrow::datatypes::{DataType, Float64Type, TimeUnit};
use arrow::error::ArrowError;
use std::sync::Arc;

type Evaluated = Result<Value, ExprError>;

/// The columns an expression reads, in its own order and types.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// One array per column.
    pub columns: Vec<ArrayRef>,
    /// Number of rows.
    pub rows: usize,
}

impl Frame {
    /// One row without columns, for constants.
    pub(crate) fn constant() -> Self {
        Self { columns: Vec::new(), rows: 1 }
    }

    fn select(&self, mask: &BooleanBuffer) -> Result<Self, ArrowError> {
        let selection = BooleanArray::new(mask.clone(), None);
        let columns = self.columns.iter().map(|column| filter(column, &selection)).collect::<Result<_, _>>()?;
        Ok(Self { columns, rows: mask.count_set_bits() })
    }
}

/// The value of `typed` in every row.
pub(crate) fn evaluate(typed: &Typed, frame: &Frame) -> Evaluated {
    let fail = |error: ArrowError| kernel_error(error, &typed.text);
    let run = |input: &Typed| evaluate(input, frame);
    match &typed.node {
        Node::Column(index) => match frame.columns.get(*index) {
            Some(array) => Ok(Value::Array(Arc::clone(array))),
            None => Err(ExprError::MissingColumn { name: typed.text.to_string(), text: typed.text.to_string() }),
        },
        Node::Literal(array) => Ok(Value::Scalar(Arc::clone(array))),
        Node::Cast(input) => run(input)?.map(|array| cast(array, input.data_type, typed.data_type)).map_err(fail),
        Node::Negate(input) => run(input)?.map(|array| numeric::neg(array)).map_err(fail),
        Node::Not(input) => run(input)?.map(|array| Ok(Arc::new(boolean::not(array.as_boolean())?))).map_err(fail),
        Node::Arithmetic(op, left, right) => arithmetic(*op, &run(left)?, &run(right)?, typed.data_type).map_err(fail),
        Node::Compare(op, left, right) => compare(*op, &run(left)?, &run(right)?).map_err(fail),
        Node::And(left, right) => logic(boolean::and_kleene, run(left)?, run(right)?, frame.rows).map_err(fail),
        Node::Or(left, right) => logic(boolean::or_kleene, run(left)?, run(right)?, frame.rows).map_err(fail),
        Node::IsNull { input, negated } => {
            let kernel = if *negated { boolean::is_not_null } else { boolean::is_null };
            run(input)?.map(|array| Ok(Arc::new(kernel(array)?))).map_err(fail)
        }
        Node::IsTruth { input, truth, negated } => {
            run(input)?.map(|array| is_truth(array.as_boolean(), *truth, *negated)).map_err(fail)
        }
        Node::Between { input, low, high, negated } => {
            let (input, low, high) = (run(input)?, run(low)?, run(high)?);
            between(&input, &low, &high, *negated, frame.rows).map_err(fail)
        }
        Node::InList { input, list, negated } => in_list(input, list, *negated, frame, &typed.text),
        Node::Like { input, pattern, negated, insensitive } => {
            let kernel = match (insensitive, negated) {
                (false, false) => comparison::like,
                (false, true) => comparison::nlike,
                (true, false) => comparison::ilike,
                (true, true) => comparison::nilike,
            };
            let (input, pattern) = (run(input)?, run(pattern)?);
            let flags = kernel(&input, &pattern).map_err(fail)?;
            Ok(Value::like(Arc::new(flags), &[&input, &pattern]))
        }
        Node::Case { operand, branches, otherwise } => {
            case(operand.as_deref(), branches, otherwise, frame, &typed.text)
        }
        Node::Coalesce(inputs) => coalesce(inputs, typed, frame),
        Node::NullIf(left, right) => {
            let (left, right) = (run(left)?, run(right)?);
            null_if(&left, &right, frame.rows).map_err(fail)
        }
        Node::Extreme { greatest, inputs } => {
            let op = if *greatest { Comparison::Greater } else { Comparison::Less };
            let mut best = Value::null(typed.data_type);
            for input in inputs {
                best = better(op, comparable(&run(input)?), best, frame.rows).map_err(fail)?;
            }
            Ok(best)
        }
        Node::Concat(inputs) => {
            let values = inputs.iter().map(run).collect::<Result<Vec<_>, _>>()?;
            concatenate(&values, frame.rows).map_err(fail)
        }
        Node::DatePart { part, zone, input } => run(input)?.map(|array| date_part(array, *part, *zone)).map_err(fail),
        Node::Truncate { unit, zone, input } => run(input)?.map(|array| truncate(array, *unit, *zone)).map_err(fail),
        Node::Regexp { pattern, input } => run(input)?
            .map(|array| {
                let texts = array.as_string::<i32>();
                let flags: BooleanArray = texts.iter().map(|text| text.map(|text| pattern.is_match(text))).collect();
                Ok(Arc::new(flags))
            })
            .map_err(fail),
        Node::Call(function, arguments) => {
            let values = arguments.iter().map(run).collect::<Result<Vec<_>, _>>()?;
            (function.kernel)(&values).map_err(fail)
        }
    }
}

/// Evaluates in the rows of `mask` only, when evaluating elsewhere could fail; the other rows hold anything.
fn evaluate_where(typed: &Typed, mask: &BooleanBuffer, frame: &Frame) -> Evaluated {
    let taken = mask.count_set_bits();
    if !typed.fallible || taken == frame.rows {
        return evaluate(typed, frame);
    }
    if taken == 0 {
        return Ok(Value::null(typed.data_type));
    }
    let fail = |error: ArrowError| kernel_error(error, &typed.text);
    let value = evaluate(typed, &frame.select(mask).map_err(fail)?)?;
    let Value::Array(array) = value else { return Ok(value) };
    let mut next = 0u32;
    let places: UInt32Array = (0..frame.rows)
        .map(|row| {
            mask.value(row).then(|| {
                next += 1;
                next - 1
            })
        })
        .collect();
    Ok(Value::Array(take(&array, &places, None).map_err(fail)?))
}

fn case(
    operand: Option<&Typed>,
    branches: &[(Typed, Typed)],
    otherwise: &Typed,
    frame: &Frame,
    text: &str,
) -> Evaluated {
    let fail = |error: ArrowError| kernel_error(error, text);
    let operand = operand.map(|operand| evaluate(operand, frame)).transpose()?;
    let mut remaining = BooleanBuffer::new_set(frame.rows);
    let mut taken = Vec::with_capacity(branches.len());
    for (when, then) in branches {
        let condition = evaluate_where(when, &remaining, frame)?;
        let condition = match &operand {
            Some(operand) => compare(Comparison::Equal, operand, &condition).map_err(fail)?,
            None => condition,
        };
        let holds = &condition.truths(frame.rows) & &remaining;
        let value = evaluate_where(then, &holds, frame)?;
        remaining = &remaining & &!&holds;
        taken.push((holds, value));
    }
    let mut result = evaluate_where(otherwise, &remaining, frame)?;
    for (holds, value) in taken.into_iter().rev() {
        result = choose(holds, &value, &result).map_err(fail)?;
    }
    Ok(result)
}

fn coalesce(inputs: &[Typed], typed: &Typed, frame: &Frame) -> Evaluated {
    let fail = |error: ArrowError| kernel_error(error, &typed.text);
    let mut missing = BooleanBuffer::new_set(frame.rows);
    let mut taken = Vec::with_capacity(inputs.len());
    for input in inputs {
        let value = evaluate_where(input, &missing, frame)?;
        let present = match (&value, value.array().logical_nulls()) {
            (_, None) => missing.clone(),
            (Value::Scalar(array), Some(_)) if array.logical_null_count() > 0 => BooleanBuffer::new_unset(frame.rows),
            (Value::Scalar(_), Some(_)) => missing.clone(),
            (Value::Array(_), Some(nulls)) => nulls.inner() & &missing,
        };
        missing = &missing & &!&present;
        taken.push((present, value));
        if missing.count_set_bits() == 0 {
            break;
        }
    }
    let mut result = Value::null(typed.data_type);
    for (present, value) in taken.into_iter().rev() {
        result = choose(present, &value, &result).map_err(fail)?;
    }
    Ok(result)
}

/// `yes` where `mask` is set, `no` elsewhere. Chooses without copying where one side takes every row.
fn choose(mask: BooleanBuffer, yes: &Value, no: &Value) -> Result<Value, ArrowError> {
    let taken = mask.count_set_bits();
    if taken == mask.len() {
        return Ok(yes.clone());
    }
    if taken == 0 || yes.array().data_type() == &DataType::Null {
        return Ok(no.clone());
    }
    Ok(Value::Array(zip::zip(&BooleanArray::new(mask, None), yes, no)?))
}

fn arithmetic(op: Arithmetic, left: &Value, right: &Value, to: Type) -> Result<Value, ArrowError> {
    let checked: NumericKernel = match op {
        Arithmetic::Add => numeric::add,
        Arithmetic::Subtract => numeric::sub,
        Arithmetic::Multiply => numeric::mul,
        Arithmetic::Divide => return divide(left, right),
        Arithmetic::Remainder => return remainder(left, right),
    };
    match (to, op) {
        (Type::Float64, Arithmetic::Add) => pairwise(left, right, |a, b| a + b),
        (Type::Float64, Arithmetic::Subtract) => pairwise(left, right, |a, b| a - b),
        (Type::Float64, _) => pairwise(left, right, |a, b| a * b),
        (Type::Int64, _) => Ok(Value::like(checked(left, right)?, &[left, right])),
        _ => ticks_between(checked, left, right),
    }
}

fn compare(op: Comparison, left: &Value, right: &Value) -> Result<Value, ArrowError> {
    if left.array().data_type() == &DataType::Null {
        return Ok(match op {
            Comparison::Distinct => Value::Scalar(Arc::new(BooleanArray::from(vec![false]))),
            Comparison::NotDistinct => Value::Scalar(Arc::new(BooleanArray::from(vec![true]))),
            _ => Value::null(Type::Boolean),
        });
    }
    let kernel = match op {
        Comparison::Equal => cmp::eq,
        Comparison::NotEqual => cmp::neq,
        Comparison::Less => cmp::lt,
        Comparison::LessEqual => cmp::lt_eq,
        Comparison::Greater => cmp::gt,
        Comparison::GreaterEqual => cmp::gt_eq,
        Comparison::Distinct => cmp::distinct,
        Comparison::NotDistinct => cmp::not_distinct,
    };
    let flags = kernel(&comparable(left), &comparable(right))?;
    Ok(Value::like(Arc::new(flags), &[left, right]))
}

type LogicKernel = fn(&BooleanArray, &BooleanArray) -> Result<BooleanArray, ArrowError>;

fn logic(kernel: LogicKernel, left: Value, right: Value, rows: usize) -> Result<Value, ArrowError> {
    let scalar = matches!((&left, &right), (Value::Scalar(_), Value::Scalar(_)));
    let rows = if scalar { 1 } else { rows };
    let (left, right) = (left.into_array(rows)?, right.into_array(rows)?);
    let flags: ArrayRef = Arc::new(kernel(left.as_boolean(), right.as_boolean())?);
    Ok(if scalar { Value::Scalar(flags) } else { Value::Array(flags) })
}

fn negate_if(negated: bool, value: Value) -> Result<Value, ArrowError> {
    if !negated {
        return Ok(value);
    }
    value.map(|array| Ok(Arc::new(boolean::not(array.as_boolean())?)))
}

fn is_truth(flags: &BooleanArray, truth: bool, negated: bool) -> Result<ArrayRef, ArrowError> {
    let wanted = if truth { truths(flags) } else { truths(&boolean::not(flags)?) };
    Ok(Arc::new(BooleanArray::new(if negated { !&wanted } else { wanted }, None)))
}

fn between(input: &Value, low: &Value, high: &Value, negated: bool, rows: usize) -> Result<Value, ArrowError> {
    let above = compare(Comparison::GreaterEqual, input, low)?;
    let below = compare(Comparison::LessEqual, input, high)?;
    negate_if(negated, logic(boolean::and_kleene, above, below, rows)?)
}

fn in_list(input: &Typed, list: &[Typed], negated: bool, frame: &Frame, text: &str) -> Evaluated {
    let fail = |error: ArrowError| kernel_error(error, text);
    let input = evaluate(input, frame)?;
    let mut found = Value::Scalar(Arc::new(BooleanArray::from(vec![false])));
    for item in list {
        let equal = compare(Comparison::Equal, &input, &evaluate(item, frame)?).map_err(fail)?;
        found = logic(boolean::or_kleene, found, equal, frame.rows).map_err(fail)?;
    }
    negate_if(negated, found).map_err(fail)
}

fn null_if(left: &Value, right: &Value, rows: usize) -> Result<Value, ArrowError> {
    let equal = compare(Comparison::Equal, left, right)?;
    let scalar = matches!((left, right), (Value::Scalar(_), Value::Scalar(_)));
    if left.array().data_type() == &DataType::Null {
        return Ok(left.clone());
    }
    let rows = if scalar { 1 } else { rows };
    let (kept, equal) = (left.clone().into_array(rows)?, equal.into_array(rows)?);
    let array = nullif(&kept, equal.as_boolean())?;
    Ok(if scalar { Value::Scalar(array) } else { Value::Array(array) })
}

/// `candidate` where it beats `best` or where `best` is null, else `best`.
fn better(op: Comparison, candidate: Value, best: Value, rows: usize) -> Result<Value, ArrowError> {
    if candidate.array().data_type() == &DataType::Null {
        return Ok(best);
    }
    let scalar = matches!((&candidate, &best), (Value::Scalar(_), Value::Scalar(_)));
    let rows = if scalar { 1 } else { rows };
    let beats = compare(op, &candidate, &best)?.truths(rows);
    let empty = best.map(|array| Ok(Arc::new(boolean::is_null(array)?)))?.truths(rows);
    let chosen = choose(&beats | &empty, &candidate, &best)?;
    Ok(if scalar { Value::Scalar(Arc::clone(chosen.array())) } else { chosen })
}

/// Conversion; text that does not parse, numbers out of range and NaN become null. Doubles lose their fraction.
fn cast(array: &ArrayRef, from: Type, to: Type) -> Result<ArrayRef, ArrowError> {
    let lenient = CastOptions { safe: true, ..CastOptions::default() };
    match (from, to) {
        (Type::Timestamp, Type::Utf8) => Ok(format_instants(array)),
        (Type::Timestamp, Type::Int64) => Ok(Arc::new(ticks(array)?)),
        (Type::Int64, Type::Timestamp) => {
            let naive = reinterpret(array, &DataType::Timestamp(TimeUnit::Millisecond, None))?;
            reinterpret(&naive, &to.arrow())
        }
        (Type::Utf8, Type::Timestamp) => {
            let naive = DataType::Timestamp(TimeUnit::Millisecond, None);
            reinterpret(&cast_with_options(array, &naive, &lenient)?, &to.arrow())
        }
        (Type::Utf8, Type::Float64) => {
            let floats = cast_with_options(array, &DataType::Float64, &lenient)?;
            Ok(without_nan(floats.as_primitive::<Float64Type>().clone()))
        }
        _ => cast_with_options(array, &to.arrow(), &lenient),
    }
}

/// Names the sub-expression in a kernel's error.
pub(crate) fn kernel_error(error: ArrowError, text: &str) -> ExprError {
    match error {
        ArrowError::ArithmeticOverflow(_) => ExprError::Overflow { text: text.to_owned() },
        other => ExprError::Kernel { message: shorten(&other.to_string()), text: text.to_owned() },
    }
}
