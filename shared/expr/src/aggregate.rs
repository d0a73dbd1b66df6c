//! Aggregates: an expression over sums, counts and extremes of row expressions.

use crate::Compiled;
use crate::error::{ExprError, nearest, shorten};
use crate::functions::{AGGREGATES, names};
use crate::parse::{Call, call, children, column_name, parse};
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema};
use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, Interval,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// An expression whose leaves are constants and aggregate calls, such as `sum(gain) / nullif(count(*), 0)`.
///
/// Aggregates skip nulls and NaN. `count` and `count_if` of nothing are 0; `sum`, `mean`, `min` and `max` of nothing
/// are null. All results are doubles; a sum of integers is exact until the end, a sum of doubles is compensated
/// (Neumaier 1974).
#[derive(Clone, Debug)]
pub struct Aggregate {
    text: String,
    leaves: Vec<Leaf>,
    outer: Compiled,
    schema: Arc<Schema>,
    columns: Vec<String>,
    plain_sum: bool,
}

#[derive(Clone, Debug)]
struct Leaf {
    kind: Kind,
    /// The row expression; none for `count(*)`.
    row: Option<Compiled>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sum,
    Mean,
    Min,
    Max,
    Count,
    CountIf,
}

impl Aggregate {
    /// Compiles `text` for batches of `schema`.
    ///
    /// # Errors
    /// As [`Compiled::new`]; [`ExprError::Placement`] for a column outside an aggregate, an aggregate inside another,
    /// or a text without any aggregate; [`ExprError::Type`] for a result that is no number.
    pub fn new(text: &str, schema: &Schema) -> Result<Self, ExprError> {
        let mut expr = parse(text)?;
        let plain_sum = is_plain_sum(&expr);
        let mut calls = Vec::new();
        replace_calls(&mut expr, &mut calls)?;
        let misplaced = |message: &str| ExprError::Placement { message: message.to_owned(), text: shorten(text) };
        if calls.is_empty() {
            return Err(misplaced("an aggregate such as sum(…) or count(*) is needed"));
        }
        let names: Vec<String> = calls.iter().map(|(name, _)| name.clone()).collect();
        if let Some(stray) = crate::parse::column_names(&expr)?.into_iter().find(|name| !names.contains(name)) {
            return Err(misplaced(&format!("column `{stray}` stands outside an aggregate")));
        }
        let leaves = calls.iter().map(|(_, function)| leaf(function, schema)).collect::<Result<Vec<_>, _>>()?;
        let fields: Vec<Field> = names.iter().map(|name| Field::new(name, DataType::Float64, true)).collect();
        let inner = Arc::new(Schema::new(fields));
        let outer = Compiled::from_expr(text, &expr, &inner)?;
        if !matches!(outer.data_type(), DataType::Float64 | DataType::Int64) {
            let message = format!("the result must be a number, not {}", outer.data_type());
            return Err(ExprError::Type { message, text: shorten(text) });
        }
        let columns: BTreeSet<String> =
            leaves.iter().filter_map(|leaf| leaf.row.as_ref()).flat_map(|row| row.columns().iter().cloned()).collect();
        let columns = columns.into_iter().collect();
        Ok(Self { text: text.to_owned(), leaves, outer, schema: inner, columns, plain_sum })
    }

    /// The value over all rows of the batch; none when it is null.
    ///
    /// # Errors
    /// As [`Compiled::evaluate`].
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<Option<f64>, ExprError> {
        let cells = self
            .leaves
            .iter()
            .map(|leaf| Ok(Arc::new(Float64Array::from(vec![leaf.evaluate(batch)?])) as ArrayRef))
            .collect::<Result<Vec<_>, ExprError>>()?;
        let row = RecordBatch::try_new(Arc::clone(&self.schema), cells)
            .map_err(|error| crate::eval::kernel_error(error, &self.text))?;
        let result = self.outer.evaluate(&row)?;
        if result.is_null(0) {
            return Ok(None);
        }
        Ok(match result.data_type() {
            DataType::Int64 => Some(result.as_primitive::<Int64Type>().value(0) as f64),
            _ => Some(result.as_primitive::<Float64Type>().value(0)),
        })
    }

    /// The row expression of a text that is one plain `sum(…)`, so that a caller can add up resampled rows itself.
    #[must_use]
    pub fn row(&self) -> Option<&Compiled> {
        self.leaves.first().filter(|_| self.plain_sum)?.row.as_ref()
    }

    /// Names of the columns that are read, sorted and unique.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The text as given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl Leaf {
    fn evaluate(&self, batch: &RecordBatch) -> Result<Option<f64>, ExprError> {
        let Some(row) = &self.row else { return Ok(Some(batch.num_rows() as f64)) };
        let array = row.evaluate(batch)?;
        Ok(match self.kind {
            Kind::Count => Some(count(&array) as f64),
            Kind::CountIf => Some(array.as_boolean_opt().map_or(0, |flags| flags.true_count()) as f64),
            Kind::Sum => total(&array).map(|(sum, _)| sum),
            Kind::Mean => total(&array).map(|(sum, count)| sum / count as f64),
            Kind::Min => numbers(&array).reduce(f64::min),
            Kind::Max => numbers(&array).reduce(f64::max),
        })
    }
}

fn count(array: &ArrayRef) -> usize {
    match array.data_type() {
        DataType::Float64 => numbers(array).count(),
        _ => array.len() - array.logical_null_count(),
    }
}

fn numbers(array: &ArrayRef) -> Box<dyn Iterator<Item = f64> + '_> {
    match array.data_type() {
        DataType::Int64 => Box::new(array.as_primitive::<Int64Type>().iter().flatten().map(|number| number as f64)),
        DataType::Float64 => {
            Box::new(array.as_primitive::<Float64Type>().iter().flatten().filter(|number| !number.is_nan()))
        }
        _ => Box::new(std::iter::empty()),
    }
}

/// Sum and count of the entries, or none without any.
fn total(array: &ArrayRef) -> Option<(f64, usize)> {
    let count = count(array);
    if count == 0 {
        return None;
    }
    if array.data_type() == &DataType::Int64 {
        let sum: i128 = array.as_primitive::<Int64Type>().iter().flatten().map(i128::from).sum();
        return Some((sum as f64, count));
    }
    let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
    for number in numbers(array) {
        let next = sum + number;
        lost += if sum.abs() >= number.abs() { (sum - next) + number } else { (number - next) + sum };
        sum = next;
    }
    // With an infinity the correction is NaN and means nothing.
    Some((if sum.is_finite() { sum + lost } else { sum }, count))
}

fn leaf(function: &Function, schema: &Schema) -> Result<Leaf, ExprError> {
    let expr = Expr::Function(function.clone());
    let text = shorten(&expr.to_string());
    let Call { name, arguments, star } = call(function)?;
    let kind = match name.as_str() {
        "sum" => Kind::Sum,
        "mean" | "avg" => Kind::Mean,
        "min" => Kind::Min,
        "max" => Kind::Max,
        "count_if" => Kind::CountIf,
        _ => Kind::Count,
    };
    let row = match (kind, arguments.as_slice(), star) {
        (Kind::Count, [], true) => return Ok(Leaf { kind, row: None }),
        (_, [row], false) => *row,
        _ => return Err(ExprError::Arguments { message: format!("{name} takes one argument"), text }),
    };
    let row = Compiled::from_expr(&row.to_string(), row, schema)?;
    let fits = match kind {
        Kind::Count => true,
        Kind::CountIf => matches!(row.data_type(), DataType::Boolean | DataType::Null),
        _ => matches!(row.data_type(), DataType::Int64 | DataType::Float64 | DataType::Null),
    };
    if !fits {
        let wanted = if kind == Kind::CountIf { "a boolean" } else { "a number" };
        let message = format!("{name} needs {wanted}, not {} (count_if counts truths)", row.data_type());
        return Err(ExprError::Type { message, text });
    }
    Ok(Leaf { kind, row: Some(row) })
}

fn is_plain_sum(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_plain_sum(inner),
        Expr::Function(function) => function.name.to_string().eq_ignore_ascii_case("sum"),
        _ => false,
    }
}

fn aggregate_call(expr: &Expr) -> Option<Function> {
    match expr {
        Expr::Function(function) => {
            let name = function.name.to_string().to_lowercase();
            AGGREGATES.contains(&name.as_str()).then(|| function.clone())
        }
        _ => None,
    }
}

/// Replaces every aggregate call by a column named like its text. Depth and width are bounded by the parser.
fn replace_calls(expr: &mut Expr, calls: &mut Vec<(String, Function)>) -> Result<(), ExprError> {
    if let Some(function) = aggregate_call(expr) {
        let name = expr.to_string();
        if !calls.iter().any(|(known, _)| *known == name) {
            calls.push((name.clone(), function));
        }
        *expr = Expr::Identifier(Ident::with_quote('"', name));
        return Ok(());
    }
    if let Expr::Function(function) = expr {
        let Call { name, .. } = call(function)?;
        if !names().any(|known| known == name) {
            let suggestion = nearest(&name, names().chain(AGGREGATES.iter().copied()));
            return Err(ExprError::UnknownFunction { name, text: shorten(&expr.to_string()), suggestion });
        }
    }
    if let Some(name) = column_name(expr) {
        return Err(ExprError::Placement {
            message: format!("column `{name}` stands outside an aggregate"),
            text: name,
        });
    }
    for child in children_mut(expr) {
        replace_calls(child, calls)?;
    }
    Ok(())
}

/// The direct sub-expressions of a tree that [`children`] has accepted.
fn children_mut(expr: &mut Expr) -> Vec<&mut Expr> {
    debug_assert!(children(expr).is_ok(), "parse() accepts nothing else");
    match expr {
        Expr::IsFalse(e)
        | Expr::IsNotFalse(e)
        | Expr::IsTrue(e)
        | Expr::IsNotTrue(e)
        | Expr::IsNull(e)
        | Expr::IsNotNull(e)
        | Expr::IsUnknown(e)
        | Expr::IsNotUnknown(e)
        | Expr::Nested(e)
        | Expr::UnaryOp { expr: e, .. }
        | Expr::Extract { expr: e, .. }
        | Expr::Cast { expr: e, .. }
        | Expr::Ceil { expr: e, .. }
        | Expr::Floor { expr: e, .. }
        | Expr::Trim { expr: e, .. }
        | Expr::Interval(Interval { value: e, .. }) => vec![e],
        Expr::IsDistinctFrom(l, r) | Expr::IsNotDistinctFrom(l, r) => vec![l, r],
        Expr::BinaryOp { left, right, .. } => vec![left, right],
        Expr::Like { expr: e, pattern, .. } | Expr::ILike { expr: e, pattern, .. } => vec![e, pattern],
        Expr::InList { expr: e, list, .. } => std::iter::once(e.as_mut()).chain(list).collect(),
        Expr::Between { expr: e, low, high, .. } => vec![e, low, high],
        Expr::Substring { expr: e, substring_from, substring_for, .. } => std::iter::once(e.as_mut())
            .chain(substring_from.as_deref_mut())
            .chain(substring_for.as_deref_mut())
            .collect(),
        Expr::Case { operand, conditions, else_result, .. } => operand
            .as_deref_mut()
            .into_iter()
            .chain(conditions.iter_mut().flat_map(|when| [&mut when.condition, &mut when.result]))
            .chain(else_result.as_deref_mut())
            .collect(),
        Expr::Function(Function { args: FunctionArguments::List(FunctionArgumentList { args, .. }), .. }) => args
            .iter_mut()
            .filter_map(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}
