//! Typing of function calls: the special forms, and overloads of the function table.

use crate::check::{Checker, finish};
use crate::convert::{arguments_error, convert, instant, pair, string, string_literal, type_error, unify};
use crate::error::{ExprError, nearest, shorten};
use crate::functions::{FUNCTIONS, names, widenings};
use crate::node::{Node, Typed};
use crate::time::{PARTS, UNITS};
use crate::value::Type;
use chrono_tz::Tz;
use regex::RegexBuilder;
use sqlparser::ast::Expr;

/// Compiled size of a pattern, in bytes; keeps a hostile one from taking memory.
const PATTERN_BYTES: usize = 1 << 20;

impl Checker<'_> {
    /// Types a call of any function.
    pub(crate) fn call(&self, name: &str, arguments: &[&Expr], expr: &Expr) -> Result<Typed, ExprError> {
        if let Some((_, part)) = PARTS.iter().find(|(known, _)| *known == name) {
            let (input, zone) = match arguments {
                [input] => (input, Tz::UTC),
                [input, zone] => (input, self.zone(zone, expr)?),
                _ => return Err(arguments_error(&format!("{name}(timestamp[, zone]) takes 1 or 2 arguments"), expr)),
            };
            let input = Box::new(instant(self.check(input)?, expr)?);
            return finish(Node::DatePart { part: *part, zone, input }, part.result(), expr);
        }
        match (name, arguments) {
            ("if", [condition, yes, no]) => self.case(None, &[(condition, yes)], Some(no), expr),
            ("if", _) => Err(arguments_error("if(condition, yes, no) takes three arguments", expr)),
            ("nullif", [left, right]) => {
                let [left, right] = pair(unify(self.all(&[left, right])?, expr)?, expr)?;
                let data_type = left.data_type;
                finish(Node::NullIf(Box::new(left), Box::new(right)), data_type, expr)
            }
            ("nullif", _) => Err(arguments_error("nullif(a, b) takes two arguments", expr)),
            ("coalesce" | "least" | "greatest" | "concat", []) => {
                Err(arguments_error(&format!("{name} needs an argument"), expr))
            }
            ("coalesce", _) => {
                let inputs = unify(self.all(arguments)?, expr)?;
                let data_type = common(&inputs);
                finish(Node::Coalesce(inputs), data_type, expr)
            }
            ("least" | "greatest", _) => {
                let inputs = unify(self.all(arguments)?, expr)?;
                let data_type = common(&inputs);
                finish(Node::Extreme { greatest: name == "greatest", inputs }, data_type, expr)
            }
            ("concat", _) => {
                let inputs =
                    self.all(arguments)?.into_iter().map(|item| string(item, expr)).collect::<Result<_, _>>()?;
                finish(Node::Concat(inputs), Type::Utf8, expr)
            }
            ("regexp_like", [input, pattern]) => self.regexp(input, pattern, expr),
            ("regexp_like", _) => Err(arguments_error("regexp_like(text, pattern) takes two arguments", expr)),
            ("date_trunc", _) => self.date_trunc(arguments, expr),
            _ => self.table_call(name, arguments, expr),
        }
    }

    /// Types a call of a function of the table; of its overloads the one with the fewest conversions is taken.
    pub(crate) fn table_call(&self, name: &str, arguments: &[&Expr], expr: &Expr) -> Result<Typed, ExprError> {
        let overloads: Vec<_> = FUNCTIONS.iter().filter(|function| function.name == name).collect();
        if overloads.is_empty() {
            let text = shorten(&expr.to_string());
            return Err(ExprError::UnknownFunction { name: name.to_owned(), text, suggestion: nearest(name, names()) });
        }
        let mut arguments = self.all(arguments)?;
        for (argument, place) in arguments.iter_mut().zip(0..) {
            let wants_instant = overloads.iter().all(|f| f.arguments.get(place) == Some(&Type::Timestamp));
            if wants_instant {
                *argument = instant(argument.clone(), expr)?;
            }
        }
        let types: Vec<Type> = arguments.iter().map(|argument| argument.data_type).collect();
        let best = overloads
            .iter()
            .filter_map(|function| Some((widenings(function, &types)?, *function)))
            .min_by_key(|(cost, _)| *cost);
        let Some((_, function)) = best else {
            let signatures: Vec<String> = overloads
                .iter()
                .map(|f| format!("{name}({})", f.arguments.iter().map(Type::to_string).collect::<Vec<_>>().join(", ")))
                .collect();
            let found = types.iter().map(Type::to_string).collect::<Vec<_>>().join(", ");
            let message = format!("{} needed, found ({found})", signatures.join(" or "));
            return Err(match overloads.iter().any(|f| f.arguments.len() == types.len()) {
                true => type_error(&message, expr),
                false => arguments_error(&message, expr),
            });
        };
        let arguments = arguments
            .into_iter()
            .zip(function.arguments)
            .map(|(argument, wanted)| convert(argument, *wanted))
            .collect::<Result<_, _>>()?;
        finish(Node::Call(function, arguments), function.result, expr)
    }

    fn all(&self, arguments: &[&Expr]) -> Result<Vec<Typed>, ExprError> {
        arguments.iter().map(|argument| self.check(argument)).collect()
    }

    fn constant_text(&self, argument: &Expr, what: &str, expr: &Expr) -> Result<String, ExprError> {
        string_literal(&self.check(argument)?).ok_or_else(|| ExprError::Literal {
            message: format!("the {what} must be a constant text"),
            text: shorten(&expr.to_string()),
        })
    }

    fn zone(&self, argument: &Expr, expr: &Expr) -> Result<Tz, ExprError> {
        let name = self.constant_text(argument, "time zone", expr)?;
        name.parse().map_err(|_| ExprError::Literal {
            message: format!("unknown time zone `{}`", shorten(&name)),
            text: shorten(&expr.to_string()),
        })
    }

    fn date_trunc(&self, arguments: &[&Expr], expr: &Expr) -> Result<Typed, ExprError> {
        let (unit, input, zone) = match arguments {
            [unit, input] => (unit, input, Tz::UTC),
            [unit, input, zone] => (unit, input, self.zone(zone, expr)?),
            _ => return Err(arguments_error("date_trunc(unit, timestamp[, zone]) takes two or three arguments", expr)),
        };
        let name = self.constant_text(unit, "unit", expr)?.to_lowercase();
        let Some((_, unit)) = UNITS.iter().find(|(known, _)| *known == name) else {
            let known: Vec<&str> = UNITS.iter().map(|(known, _)| *known).collect();
            let message = format!("unit `{}` is none of {}", shorten(&name), known.join(", "));
            return Err(ExprError::Literal { message, text: shorten(&expr.to_string()) });
        };
        let input = Box::new(instant(self.check(input)?, expr)?);
        finish(Node::Truncate { unit: *unit, zone, input }, Type::Timestamp, expr)
    }

    fn regexp(&self, input: &Expr, pattern: &Expr, expr: &Expr) -> Result<Typed, ExprError> {
        let text = self.constant_text(pattern, "pattern", expr)?;
        let pattern = RegexBuilder::new(&text).size_limit(PATTERN_BYTES).build().map_err(|error| {
            ExprError::Literal { message: shorten(&error.to_string()), text: shorten(&expr.to_string()) }
        })?;
        let input = Box::new(string(self.check(input)?, expr)?);
        finish(Node::Regexp { pattern, input }, Type::Boolean, expr)
    }
}

fn common(inputs: &[Typed]) -> Type {
    inputs.first().map_or(Type::Null, |input| input.data_type)
}
