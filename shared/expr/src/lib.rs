//! The one expression language of Tidemill: features, rules, indicators, baselines and alerts are written in it.
//!
//! It is the expression part of SQL: no statements, no subqueries, no state, no side effects. A text is read, typed
//! against an Arrow schema once ([`Compiled::new`]), and evaluated column by column on record batches of that schema
//! ([`Compiled::evaluate`]). The value of a row depends on that row alone.
//!
//! # Types
//! `boolean`, `bigint` (every integer type is widened to it), `double` (also decimals), `varchar` (all text and
//! dictionaries of it), `timestamp` (milliseconds in UTC; dates are their midnight, instants without a zone are UTC)
//! and `interval` (milliseconds). Integers meet doubles as doubles; a constant text meets a timestamp as a timestamp;
//! nothing else is converted unless `cast` says so. `a.b` is the column named `a.b`. Names keep their case.
//!
//! # Null, NaN, zero, overflow
//! - Null propagates through operators and functions. `and`, `or`, `not` follow Kleene's three-valued logic.
//!   `coalesce`, `least` and `greatest` skip nulls. A `case` branch is taken only when its condition is true.
//! - `/` always gives a double. `x / 0`, `x % 0` and `mod(x, 0)` are null.
//! - No operator or function gives NaN: where the arithmetic would, the result is null. A NaN in a column stays what
//!   it is until computed with; every comparison (also `in`, `between`, `case x when`, `nullif`, `is distinct from`)
//!   takes it for null; `is_nan(x)` sees it and `is null` does not. 0.0 and -0.0 are equal.
//! - Integer and timestamp overflow is an error that names the sub-expression. It is not an error in a branch of
//!   `case`, `if` or `coalesce` that the row does not take. `and` and `or` do not guard: both sides are computed.
//! - Doubles follow IEEE 754 otherwise: `ln(0)` is minus infinity, `exp(1000)` infinity.
//! - `cast` gives null for text that does not parse and for numbers out of range; from double to bigint the fraction
//!   is cut off; bigint and timestamp convert as milliseconds since 1970.
//!
//! # Operators and functions
//! `+ - * / %`, comparisons, `and or not`, `||`, `is [not] null|true|false|unknown`, `is [not] distinct from`,
//! `[not] between`, `[not] in (…)`, `[not] like`, `ilike`, `case`, `cast(x as double|bigint|varchar|boolean|timestamp)`,
//! `x::type`, `extract(part from t)`, `interval '2 hours 30 minutes'` (fixed lengths up to weeks),
//! `timestamp '2024-01-01T00:00:00Z'`, `date '2024-01-01'`;
//! `coalesce nullif if least greatest`; `abs ln exp log10 sqrt pow sin cos floor ceil round(x[, digits]) mod is_nan`;
//! `cyclic_sin(x, period)`, `cyclic_cos(x, period)` (sine and cosine of 2π·x/period; null for period ≤ 0);
//! `lower upper trim length concat substring(s, from[, count]) starts_with ends_with contains regexp_like(s, constant)`
//! (lengths and positions count characters, the first is 1);
//! `year quarter month week day dow isodow doy hour minute second epoch`, each `(t[, 'IANA zone'])` (`dow`: Sunday 0,
//! `isodow`: Monday 1, `week`: ISO 8601, `epoch`: seconds as double);
//! `date_trunc('minute'|'hour'|'day'|'week'|'month'|'quarter'|'year', t[, 'IANA zone'])`;
//! `t ± interval`, `n * interval`, `t - t` (an interval), `seconds minutes hours days (interval)`, `seconds_between(from, to)`.
//!
//! # Bounds
//! [`MAX_TEXT_BYTES`], [`MAX_NODES`], [`MAX_DEPTH`], [`MAX_CHAIN`]; patterns compile to at most 1 MiB. A hostile text
//! is an error, never a crash.

mod aggregate;
mod calls;
mod check;
mod convert;
mod error;
mod eval;
mod functions;
mod literal;
mod node;
mod parse;
mod time;
mod value;

pub use aggregate::Aggregate;
pub use error::ExprError;
pub use parse::{MAX_CHAIN, MAX_DEPTH, MAX_NODES, MAX_TEXT_BYTES};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use check::{Checker, ColumnUse};
use error::shorten;
use eval::{Frame, kernel_error};
use node::Typed;
use sqlparser::ast::Expr;
use std::sync::Arc;
use value::{Type, normalise};

/// A row expression, typed and ready to run. Cheap to clone and to share between threads.
#[derive(Clone, Debug)]
pub struct Compiled {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    text: String,
    root: Typed,
    data_type: DataType,
    columns: Vec<ColumnUse>,
    names: Vec<String>,
}

impl Compiled {
    /// Reads and types `text` against `schema`.
    ///
    /// # Errors
    /// Everything of [`ExprError`] that can be known without data: bounds, syntax, names, types, bad literals, and
    /// overflow between constants.
    pub fn new(text: &str, schema: &Schema) -> Result<Self, ExprError> {
        Self::from_expr(text, &parse::parse(text)?, schema)
    }

    pub(crate) fn from_expr(text: &str, expr: &Expr, schema: &Schema) -> Result<Self, ExprError> {
        let names = parse::column_names(expr)?;
        let checker = Checker::new(schema, &names)?;
        let root = checker.check(expr)?;
        let columns = checker.columns;
        let data_type = root.data_type.arrow();
        Ok(Self { inner: Arc::new(Inner { text: text.to_owned(), root, data_type, columns, names }) })
    }

    /// Type of the result: `Boolean`, `Int64`, `Float64`, `Utf8`, `Timestamp(ms, "UTC")`, `Duration(ms)`, or `Null`
    /// for an expression that is nothing but `null`.
    #[must_use]
    pub fn data_type(&self) -> &DataType {
        &self.inner.data_type
    }

    /// Names of the columns that are read, sorted and unique.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.inner.names
    }

    /// The text as given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.inner.text
    }

    /// The value in every row: an array of [`Compiled::data_type`] with `batch.num_rows()` entries. Columns are found
    /// by name, so the batch may have others too, and in any order.
    ///
    /// # Errors
    /// [`ExprError::MissingColumn`], [`ExprError::ColumnType`] for a batch that does not fit;
    /// [`ExprError::Overflow`]; [`ExprError::Kernel`] for an integer beyond 64 signed bits or text arrays too large
    /// for Arrow.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef, ExprError> {
        let rows = batch.num_rows();
        let columns = self.inner.columns.iter().map(|column| self.column(column, batch)).collect::<Result<_, _>>()?;
        let value = eval::evaluate(&self.inner.root, &Frame { columns, rows })?;
        value.into_array(rows).map_err(|error| kernel_error(error, &self.inner.root.text))
    }

    fn column(&self, column: &ColumnUse, batch: &RecordBatch) -> Result<ArrayRef, ExprError> {
        let schema = batch.schema_ref();
        let same_place = schema.fields().get(column.index).is_some_and(|field| *field.name() == column.name);
        let array = match same_place {
            true => Some(batch.column(column.index)),
            false => batch.column_by_name(&column.name),
        };
        let array = array
            .ok_or_else(|| ExprError::MissingColumn { name: column.name.clone(), text: shorten(&self.inner.text) })?;
        // A column of nulls fits everywhere.
        let found = Type::of(array.data_type());
        if found != Some(column.data_type) && found != Some(Type::Null) {
            return Err(ExprError::ColumnType {
                name: column.name.clone(),
                expected: column.data_type.to_string(),
                found: array.data_type().to_string(),
            });
        }
        normalise(array, column.data_type).map_err(|error| kernel_error(error, &column.name))
    }
}

/// Names of the columns that a row expression or an aggregate reads, sorted and unique. Only the syntax is checked:
/// neither names nor types need exist.
///
/// # Errors
/// [`ExprError::TooLong`], [`ExprError::TooComplex`], [`ExprError::Syntax`], [`ExprError::Unsupported`].
pub fn columns_of(text: &str) -> Result<Vec<String>, ExprError> {
    parse::column_names(&parse::parse(text)?)
}
