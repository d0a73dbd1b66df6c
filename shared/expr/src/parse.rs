//! Text to syntax tree: size bounds, the subset of SQL that is allowed, and the names that occur.
//!
//! Everything here walks the tree without recursion, so that no text can exhaust the stack.

use crate::error::{ExprError, shorten};
use sqlparser::ast::{CeilFloorKind, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident};
use sqlparser::dialect::GenericDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};
use std::collections::BTreeSet;

/// Longest expression text, in bytes.
pub const MAX_TEXT_BYTES: usize = 8 * 1024;
/// Deepest nesting of brackets, calls and right-hand operands.
pub const MAX_DEPTH: usize = 64;
/// Most nodes in one expression.
pub const MAX_NODES: usize = 2_000;
/// Longest chain of operators that lean to the left, as in `a + b + c + …`.
pub const MAX_CHAIN: usize = 256;

/// Reads one expression and checks its size and its syntax, but no names and no types.
pub(crate) fn parse(text: &str) -> Result<Expr, ExprError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(ExprError::TooLong { bytes: text.len() });
    }
    let syntax = |message: String| ExprError::Syntax { message, text: shorten(text) };
    let parser_error = |error: ParserError| match error {
        ParserError::RecursionLimitExceeded => too_deep(),
        ParserError::ParserError(message) | ParserError::TokenizerError(message) => syntax(message),
    };
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, text)
        .tokenize_with_location()
        .map_err(|error| syntax(format!("{} at column {}", error.message, error.location.column)))?;
    check_tokens(&tokens)?;
    // Twice the depth: a right-hand operand and its bracket count as two for the parser.
    let mut parser = Parser::new(&dialect).with_recursion_limit(2 * MAX_DEPTH + 8).with_tokens_with_locations(tokens);
    let expr = parser.parse_expr().map_err(parser_error)?;
    let next = parser.peek_token();
    if next.token != Token::EOF {
        return Err(syntax(format!("the expression ends before `{}`", next.token)));
    }
    check_size(&expr)?;
    Ok(expr)
}

/// Names of the columns an expression mentions, sorted and unique.
pub(crate) fn column_names(expr: &Expr) -> Result<Vec<String>, ExprError> {
    let mut names = BTreeSet::new();
    let mut open = vec![expr];
    while let Some(expr) = open.pop() {
        if let Some(name) = column_name(expr) {
            names.insert(name);
        }
        open.extend(children(expr)?);
    }
    Ok(names.into_iter().collect())
}

/// The column an expression names, if it is a name: `a`, `"a b"`, or `a.b` for the field called `a.b`.
pub(crate) fn column_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(ident) => Some(ident.value.clone()),
        Expr::CompoundIdentifier(parts) => {
            Some(parts.iter().map(|ident: &Ident| ident.value.as_str()).collect::<Vec<_>>().join("."))
        }
        _ => None,
    }
}

/// Name in lower case and plain arguments of a call. `*` as the only argument is an empty list with `star` set.
pub(crate) struct Call<'a> {
    /// Function name in lower case.
    pub name: String,
    /// Arguments in order.
    pub arguments: Vec<&'a Expr>,
    /// True for `f(*)`.
    pub star: bool,
}

/// Takes a call apart; clauses such as `distinct`, `filter` and `over` are refused.
pub(crate) fn call(function: &Function) -> Result<Call<'_>, ExprError> {
    let refuse = |what: &str| unsupported(what, &Expr::Function(function.clone()));
    let plain = function.filter.is_none()
        && function.over.is_none()
        && function.null_treatment.is_none()
        && function.within_group.is_empty()
        && matches!(function.parameters, FunctionArguments::None);
    if !plain {
        return Err(refuse("a clause after a call"));
    }
    let name = function.name.to_string().to_lowercase();
    let list = match &function.args {
        FunctionArguments::List(list) => list,
        FunctionArguments::None => return Err(refuse("a call without brackets")),
        FunctionArguments::Subquery(_) => return Err(refuse("a subquery")),
    };
    if list.duplicate_treatment.is_some() || !list.clauses.is_empty() {
        return Err(refuse("a clause inside a call"));
    }
    let mut arguments = Vec::with_capacity(list.args.len());
    for argument in &list.args {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => arguments.push(expr),
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if list.args.len() == 1 => {
                return Ok(Call { name, arguments, star: true });
            }
            _ => return Err(refuse("a named or starred argument")),
        }
    }
    Ok(Call { name, arguments, star: false })
}

/// The direct sub-expressions; an error for every kind of expression outside the language.
pub(crate) fn children(expr: &Expr) -> Result<Vec<&Expr>, ExprError> {
    Ok(match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_) | Expr::TypedString(_) => Vec::new(),
        Expr::IsFalse(e)
        | Expr::IsNotFalse(e)
        | Expr::IsTrue(e)
        | Expr::IsNotTrue(e)
        | Expr::IsNull(e)
        | Expr::IsNotNull(e)
        | Expr::IsUnknown(e)
        | Expr::IsNotUnknown(e)
        | Expr::Nested(e) => vec![e],
        Expr::UnaryOp { expr: e, .. } | Expr::Extract { expr: e, .. } => vec![e],
        Expr::Cast { expr: e, array: false, format: None, .. } => vec![e],
        Expr::Ceil { expr: e, field } | Expr::Floor { expr: e, field } if plain_rounding(field) => vec![e],
        Expr::IsDistinctFrom(l, r) | Expr::IsNotDistinctFrom(l, r) => vec![l, r],
        Expr::BinaryOp { left, right, .. } => vec![left, right],
        Expr::Like { any: false, expr: e, pattern, escape_char: None, .. }
        | Expr::ILike { any: false, expr: e, pattern, escape_char: None, .. } => vec![e, pattern],
        Expr::InList { expr: e, list, .. } => std::iter::once(e.as_ref()).chain(list).collect(),
        Expr::Between { expr: e, low, high, .. } => vec![e, low, high],
        Expr::Substring { expr: e, substring_from, substring_for, special: _, shorthand: _ } => {
            std::iter::once(e.as_ref()).chain(substring_from.as_deref()).chain(substring_for.as_deref()).collect()
        }
        Expr::Trim { trim_where: None, trim_what: None, expr: e, trim_characters: None } => vec![e],
        Expr::Case { operand, conditions, else_result, .. } => operand
            .as_deref()
            .into_iter()
            .chain(conditions.iter().flat_map(|when| [&when.condition, &when.result]))
            .chain(else_result.as_deref())
            .collect(),
        Expr::Interval(interval) => vec![&interval.value],
        Expr::Function(function) => call(function)?.arguments,
        other => return Err(unsupported(construct(other), other)),
    })
}

/// An error for `expr`, which `what` describes.
pub(crate) fn unsupported(what: &str, expr: &Expr) -> ExprError {
    ExprError::Unsupported { what: what.to_owned(), text: shorten(&expr.to_string()) }
}

fn construct(expr: &Expr) -> &'static str {
    match expr {
        Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => "a subquery",
        Expr::Like { .. } | Expr::ILike { .. } => "this form of like",
        Expr::SimilarTo { .. } | Expr::RLike { .. } => "this form of pattern match (use regexp_like)",
        Expr::AtTimeZone { .. } => "at time zone (give the zone to hour(), dow(), date_trunc() …)",
        Expr::Cast { .. } | Expr::Convert { .. } => "this form of cast",
        Expr::Ceil { .. } | Expr::Floor { .. } => "rounding to a date part or scale",
        Expr::Trim { .. } => "this form of trim",
        Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => "a wildcard",
        Expr::Lambda(_) => "a lambda",
        Expr::Tuple(_) | Expr::Array(_) | Expr::Struct { .. } | Expr::Map(_) => "a composite value",
        _ => "this construct",
    }
}

fn plain_rounding(field: &CeilFloorKind) -> bool {
    matches!(field, CeilFloorKind::DateTimeField(sqlparser::ast::DateTimeField::NoDateTime))
}

fn too_deep() -> ExprError {
    ExprError::TooComplex { what: format!("nested deeper than {MAX_DEPTH}") }
}

/// Bounds what the parser may recurse into before it runs: brackets, and the words that start a nested type or a
/// nested interval, for which it keeps no count of its own.
fn check_tokens(tokens: &[TokenWithSpan]) -> Result<(), ExprError> {
    let mut depth = 0usize;
    let mut previous = Keyword::NoKeyword;
    for token in tokens {
        match &token.token {
            Token::Whitespace(_) => continue,
            Token::LParen | Token::LBracket | Token::LBrace => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(too_deep());
                }
            }
            Token::RParen | Token::RBracket | Token::RBrace => depth = depth.saturating_sub(1),
            Token::Word(word) => {
                let nests = matches!(word.keyword, Keyword::ARRAY | Keyword::STRUCT | Keyword::MAP | Keyword::SELECT)
                    || (word.keyword == Keyword::INTERVAL && previous == Keyword::INTERVAL);
                if nests {
                    let text = word.value.clone();
                    return Err(ExprError::Unsupported { what: "a query or composite type".to_owned(), text });
                }
                previous = word.keyword;
                continue;
            }
            _ => {}
        }
        previous = Keyword::NoKeyword;
    }
    Ok(())
}

fn check_size(root: &Expr) -> Result<(), ExprError> {
    let mut nodes = 0usize;
    let mut open = vec![(root, 1usize, 0usize)];
    while let Some((expr, depth, chain)) = open.pop() {
        nodes += 1;
        if nodes > MAX_NODES {
            return Err(ExprError::TooComplex { what: format!("more than {MAX_NODES} parts") });
        }
        if depth > MAX_DEPTH {
            return Err(too_deep());
        }
        if chain > MAX_CHAIN {
            return Err(ExprError::TooComplex { what: format!("more than {MAX_CHAIN} operators in one chain") });
        }
        for (position, child) in children(expr)?.into_iter().enumerate() {
            let leans_left = position == 0 && matches!(expr, Expr::BinaryOp { .. });
            open.push(if leans_left { (child, depth, chain + 1) } else { (child, depth + 1, chain) });
        }
    }
    Ok(())
}
