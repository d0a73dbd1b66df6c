//! Syntax tree to typed tree: names are resolved, types are inferred and widened, constants are folded.

use crate::convert::{
    arguments_error, boolean, cast_target, convert, explicit_cast, instant, numeric_or_interval, pair, string,
    type_error, unify,
};
use crate::error::{ExprError, nearest, shorten};
use crate::eval::{Frame, evaluate};
use crate::functions::AGGREGATES;
use crate::literal::{constant, interval_literal, literal, number, typed_string};
use crate::node::{Arithmetic, Comparison, Node, Typed};
use crate::parse::{column_name, unsupported};
use crate::time::part;
use crate::value::Type;
use arrow::datatypes::Schema;
use chrono_tz::Tz;
use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value as Sql};
use std::sync::Arc;

type Checked = Result<Typed, ExprError>;

/// Turns an expression into a typed one. Collects the columns it reads.
pub(crate) struct Checker<'a> {
    schema: &'a Schema,
    /// Columns read so far: name, place in the schema, type.
    pub(crate) columns: Vec<ColumnUse>,
}

/// A column that an expression reads.
#[derive(Clone, Debug)]
pub(crate) struct ColumnUse {
    /// Field name.
    pub name: String,
    /// Where the field stood in the schema; a batch usually has it at the same place.
    pub index: usize,
    /// Type under which it is read.
    pub data_type: Type,
}

impl<'a> Checker<'a> {
    /// A checker for the columns of `schema`. `names` are the columns the expression mentions.
    pub(crate) fn new(schema: &'a Schema, names: &[String]) -> Result<Self, ExprError> {
        let columns = names.iter().map(|name| column_use(schema, name)).collect::<Result<_, _>>()?;
        Ok(Self { schema, columns })
    }

    /// Types one expression.
    pub(crate) fn check(&self, expr: &Expr) -> Checked {
        match expr {
            Expr::Nested(inner) => self.check(inner),
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => self.column(expr),
            Expr::Value(value) => literal(&value.value, expr),
            Expr::TypedString(typed) => typed_string(typed, expr),
            Expr::Interval(interval) => interval_literal(interval, expr),
            Expr::UnaryOp { op, expr: inner } => self.unary(op, inner, expr),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right, expr),
            Expr::IsNull(inner) => self.is_null(inner, false, expr),
            Expr::IsNotNull(inner) => self.is_null(inner, true, expr),
            Expr::IsUnknown(inner) => self.is_unknown(inner, false, expr),
            Expr::IsNotUnknown(inner) => self.is_unknown(inner, true, expr),
            Expr::IsTrue(inner) => self.is_truth(inner, true, false, expr),
            Expr::IsNotTrue(inner) => self.is_truth(inner, true, true, expr),
            Expr::IsFalse(inner) => self.is_truth(inner, false, false, expr),
            Expr::IsNotFalse(inner) => self.is_truth(inner, false, true, expr),
            Expr::IsDistinctFrom(left, right) => self.compare(Comparison::Distinct, left, right, expr),
            Expr::IsNotDistinctFrom(left, right) => self.compare(Comparison::NotDistinct, left, right, expr),
            Expr::Between { expr: input, negated, low, high } => self.between(input, low, high, *negated, expr),
            Expr::InList { expr: input, list, negated } => self.in_list(input, list, *negated, expr),
            Expr::Like { expr: input, pattern, negated, .. } => self.like(input, pattern, *negated, false, expr),
            Expr::ILike { expr: input, pattern, negated, .. } => self.like(input, pattern, *negated, true, expr),
            Expr::Case { operand, conditions, else_result, .. } => {
                let branches: Vec<_> = conditions.iter().map(|when| (&when.condition, &when.result)).collect();
                self.case(operand.as_deref(), &branches, else_result.as_deref(), expr)
            }
            Expr::Cast { expr: input, data_type, .. } => {
                let input = self.check(input)?;
                let to = cast_target(&data_type.to_string())
                    .ok_or_else(|| unsupported(&format!("the type {data_type}"), expr))?;
                explicit_cast(input, to, expr)
            }
            Expr::Extract { field, expr: input, .. } => {
                let name = field.to_string().to_lowercase();
                let part = part(&name).ok_or_else(|| unsupported(&format!("the date part {name}"), expr))?;
                let input = instant(self.check(input)?, expr)?;
                finish(Node::DatePart { part, zone: Tz::UTC, input: Box::new(input) }, part.result(), expr)
            }
            Expr::Floor { expr: input, .. } => self.table_call("floor", &[input.as_ref()], expr),
            Expr::Ceil { expr: input, .. } => self.table_call("ceil", &[input.as_ref()], expr),
            Expr::Trim { expr: input, .. } => self.table_call("trim", &[input.as_ref()], expr),
            Expr::Substring { expr: input, substring_from, substring_for, .. } => {
                let Some(from) = substring_from.as_deref() else {
                    return Err(arguments_error("substring needs a start", expr));
                };
                let arguments: Vec<&Expr> =
                    [input.as_ref(), from].into_iter().chain(substring_for.as_deref()).collect();
                self.table_call("substring", &arguments, expr)
            }
            Expr::Function(function) => {
                let call = crate::parse::call(function)?;
                if AGGREGATES.contains(&call.name.as_str()) {
                    let message = format!("the aggregate `{}` cannot stand in a row expression", call.name);
                    return Err(ExprError::Placement { message, text: shorten(&expr.to_string()) });
                }
                if call.star {
                    return Err(unsupported("a starred argument", expr));
                }
                self.call(&call.name, &call.arguments, expr)
            }
            other => Err(unsupported("this construct", other)),
        }
    }

    fn column(&self, expr: &Expr) -> Checked {
        let name = column_name(expr).unwrap_or_default();
        let Some(index) = self.columns.iter().position(|column| column.name == name) else {
            return Err(unknown_column(self.schema, &name));
        };
        finish(Node::Column(index), self.columns[index].data_type, expr)
    }

    fn unary(&self, op: &UnaryOperator, inner: &Expr, expr: &Expr) -> Checked {
        match op {
            UnaryOperator::Not => {
                let input = boolean(self.check(inner)?, expr)?;
                finish(Node::Not(Box::new(input)), Type::Boolean, expr)
            }
            UnaryOperator::Plus => numeric_or_interval(self.check(inner)?, expr),
            UnaryOperator::Minus => {
                // The sign belongs to the number, or the least integer could not be written.
                if let Expr::Value(value) = inner
                    && let Sql::Number(digits, _) = &value.value
                {
                    return number(&format!("-{digits}"), expr);
                }
                let input = numeric_or_interval(self.check(inner)?, expr)?;
                let data_type = input.data_type;
                finish(Node::Negate(Box::new(input)), data_type, expr)
            }
            _ => Err(unsupported(&format!("the operator {op}"), expr)),
        }
    }

    fn binary(&self, left: &Expr, op: &BinaryOperator, right: &Expr, expr: &Expr) -> Checked {
        let comparison = match op {
            BinaryOperator::Eq => Some(Comparison::Equal),
            BinaryOperator::NotEq => Some(Comparison::NotEqual),
            BinaryOperator::Lt => Some(Comparison::Less),
            BinaryOperator::LtEq => Some(Comparison::LessEqual),
            BinaryOperator::Gt => Some(Comparison::Greater),
            BinaryOperator::GtEq => Some(Comparison::GreaterEqual),
            _ => None,
        };
        if let Some(comparison) = comparison {
            return self.compare(comparison, left, right, expr);
        }
        let (l, r) = (self.check(left)?, self.check(right)?);
        match op {
            BinaryOperator::And | BinaryOperator::Or => {
                let (l, r) = (Box::new(boolean(l, expr)?), Box::new(boolean(r, expr)?));
                let node = if *op == BinaryOperator::And { Node::And(l, r) } else { Node::Or(l, r) };
                finish(node, Type::Boolean, expr)
            }
            BinaryOperator::StringConcat => {
                finish(Node::Concat(vec![string(l, expr)?, string(r, expr)?]), Type::Utf8, expr)
            }
            BinaryOperator::Plus => arithmetic(Arithmetic::Add, l, r, expr),
            BinaryOperator::Minus => arithmetic(Arithmetic::Subtract, l, r, expr),
            BinaryOperator::Multiply => arithmetic(Arithmetic::Multiply, l, r, expr),
            BinaryOperator::Divide => arithmetic(Arithmetic::Divide, l, r, expr),
            BinaryOperator::Modulo => arithmetic(Arithmetic::Remainder, l, r, expr),
            _ => Err(unsupported(&format!("the operator {op}"), expr)),
        }
    }

    fn compare(&self, op: Comparison, left: &Expr, right: &Expr, expr: &Expr) -> Checked {
        let [left, right] = pair(unify(vec![self.check(left)?, self.check(right)?], expr)?, expr)?;
        finish(Node::Compare(op, Box::new(left), Box::new(right)), Type::Boolean, expr)
    }

    fn is_null(&self, input: &Expr, negated: bool, expr: &Expr) -> Checked {
        finish(Node::IsNull { input: Box::new(self.check(input)?), negated }, Type::Boolean, expr)
    }

    fn is_unknown(&self, input: &Expr, negated: bool, expr: &Expr) -> Checked {
        let input = Box::new(boolean(self.check(input)?, expr)?);
        finish(Node::IsNull { input, negated }, Type::Boolean, expr)
    }

    fn is_truth(&self, input: &Expr, truth: bool, negated: bool, expr: &Expr) -> Checked {
        let input = Box::new(boolean(self.check(input)?, expr)?);
        finish(Node::IsTruth { input, truth, negated }, Type::Boolean, expr)
    }

    fn between(&self, input: &Expr, low: &Expr, high: &Expr, negated: bool, expr: &Expr) -> Checked {
        let mut typed = unify(vec![self.check(input)?, self.check(low)?, self.check(high)?], expr)?.into_iter();
        let (Some(input), Some(low), Some(high)) = (typed.next(), typed.next(), typed.next()) else {
            return Err(arguments_error("between needs two bounds", expr));
        };
        let (input, low, high) = (Box::new(input), Box::new(low), Box::new(high));
        finish(Node::Between { input, low, high, negated }, Type::Boolean, expr)
    }

    fn in_list(&self, input: &Expr, list: &[Expr], negated: bool, expr: &Expr) -> Checked {
        let all = std::iter::once(input).chain(list).map(|item| self.check(item)).collect::<Result<Vec<_>, _>>()?;
        let mut typed = unify(all, expr)?.into_iter();
        let Some(input) = typed.next() else {
            return Err(arguments_error("in needs a list", expr));
        };
        finish(Node::InList { input: Box::new(input), list: typed.collect(), negated }, Type::Boolean, expr)
    }

    fn like(&self, input: &Expr, pattern: &Expr, negated: bool, insensitive: bool, expr: &Expr) -> Checked {
        let input = Box::new(string(self.check(input)?, expr)?);
        let pattern = Box::new(string(self.check(pattern)?, expr)?);
        finish(Node::Like { input, pattern, negated, insensitive }, Type::Boolean, expr)
    }

    /// `case`, and `if`, which is a `case` with one branch.
    pub(crate) fn case(
        &self,
        operand: Option<&Expr>,
        branches: &[(&Expr, &Expr)],
        otherwise: Option<&Expr>,
        expr: &Expr,
    ) -> Checked {
        let mut conditions = branches.iter().map(|(when, _)| self.check(when)).collect::<Result<Vec<_>, _>>()?;
        let mut results = branches.iter().map(|(_, then)| self.check(then)).collect::<Result<Vec<_>, _>>()?;
        results.push(match otherwise {
            Some(otherwise) => self.check(otherwise)?,
            None => constant(arrow::array::new_null_array(&Type::Null.arrow(), 1), Type::Null, "null"),
        });
        let operand = match operand {
            None => {
                conditions = conditions.into_iter().map(|when| boolean(when, expr)).collect::<Result<_, _>>()?;
                None
            }
            Some(operand) => {
                conditions.insert(0, self.check(operand)?);
                conditions = unify(conditions, expr)?;
                Some(Box::new(conditions.remove(0)))
            }
        };
        let mut results = unify(results, expr)?;
        let Some(otherwise) = results.pop() else {
            return Err(arguments_error("case needs a branch", expr));
        };
        let data_type = otherwise.data_type;
        let branches = conditions.into_iter().zip(results).collect();
        finish(Node::Case { operand, branches, otherwise: Box::new(otherwise) }, data_type, expr)
    }
}

fn column_use(schema: &Schema, name: &str) -> Result<ColumnUse, ExprError> {
    let (index, field) = schema.fields().find(name).ok_or_else(|| unknown_column(schema, name))?;
    let data_type = Type::of(field.data_type()).ok_or_else(|| ExprError::Type {
        message: format!("column `{name}` has type {}, which expressions cannot read", field.data_type()),
        text: name.to_owned(),
    })?;
    Ok(ColumnUse { name: name.to_owned(), index, data_type })
}

fn unknown_column(schema: &Schema, name: &str) -> ExprError {
    let known = schema.fields().iter().map(|field| field.name().as_str());
    ExprError::UnknownColumn { name: name.to_owned(), suggestion: nearest(name, known) }
}

/// Wraps a node; a node over constants alone is computed now.
pub(crate) fn finish(node: Node, data_type: Type, expr: &Expr) -> Checked {
    finish_as(node, data_type, shorten(&expr.to_string()).into())
}

pub(crate) fn finish_as(node: Node, data_type: Type, text: Arc<str>) -> Checked {
    let operands = node.operands();
    let fallible = operands.iter().any(|operand| operand.fallible) || can_fail(&node, data_type);
    let constant = !matches!(node, Node::Column(_) | Node::Literal(_)) && operands.iter().all(|o| o.is_literal());
    let typed = Typed { node, data_type, fallible, text };
    if !constant {
        return Ok(typed);
    }
    let value = evaluate(&typed, &Frame::constant())?;
    Ok(Typed { node: Node::Literal(Arc::clone(value.array())), fallible: false, ..typed })
}

fn can_fail(node: &Node, data_type: Type) -> bool {
    match node {
        Node::Arithmetic(op, ..) => data_type != Type::Float64 && *op != Arithmetic::Remainder,
        Node::Negate(_) => data_type != Type::Float64,
        Node::Call(function, _) => function.fallible,
        _ => false,
    }
}

fn arithmetic(op: Arithmetic, left: Typed, right: Typed, expr: &Expr) -> Checked {
    use Type::{Duration, Float64, Int64, Null, Timestamp};
    let (left, right, data_type) = match (left.data_type, right.data_type) {
        (Null, Null) => (convert(left, Float64)?, convert(right, Float64)?, Float64),
        (l, r) if (l.is_number() || l == Null) && (r.is_number() || r == Null) => {
            let integers = l != Float64 && r != Float64 && op != Arithmetic::Divide;
            let common = if integers { Int64 } else { Float64 };
            (convert(left, common)?, convert(right, common)?, common)
        }
        (Timestamp, Duration | Null) if matches!(op, Arithmetic::Add | Arithmetic::Subtract) => {
            (left, convert(right, Duration)?, Timestamp)
        }
        // Only `instant + interval` has a kernel.
        (Duration | Null, Timestamp) if op == Arithmetic::Add => (right, convert(left, Duration)?, Timestamp),
        (Timestamp, Timestamp) if op == Arithmetic::Subtract => (left, right, Duration),
        (Duration | Null, Duration | Null) if matches!(op, Arithmetic::Add | Arithmetic::Subtract) => {
            (convert(left, Duration)?, convert(right, Duration)?, Duration)
        }
        // A whole number of intervals: both are milliseconds underneath.
        (Duration, Int64) | (Int64, Duration) if op == Arithmetic::Multiply => {
            let product = Node::Arithmetic(op, Box::new(convert(left, Int64)?), Box::new(convert(right, Int64)?));
            return convert(finish(product, Int64, expr)?, Duration);
        }
        (l, r) => return Err(type_error(&format!("no arithmetic of this kind on {l} and {r}"), expr)),
    };
    finish(Node::Arithmetic(op, Box::new(left), Box::new(right)), data_type, expr)
}
