//! Reading feature columns of an Arrow batch.

use crate::error::{Error, Result};
use arrow::array::{Array, AsArray, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use tidemill_types::pseudonym;

/// What a feature column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureKind {
    /// Floating point numbers.
    Number,
    /// Whole numbers.
    Integer,
    /// True or false.
    Flag,
    /// A category by its text.
    Category,
}

/// Name and kind of one input column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureSpec {
    /// Column name.
    pub name: String,
    /// What it holds.
    pub kind: FeatureKind,
}

/// The name under which a fitted table knows a category: itself, or its pseudonym where the table has a salt.
#[must_use]
pub fn known_as<'a>(salt: Option<&str>, column: &str, category: &'a str) -> Cow<'a, str> {
    salt.map_or(Cow::Borrowed(category), |salt| Cow::Owned(pseudonym(salt, column, category)))
}

/// One column, read as its kind. Nulls stay nulls.
#[derive(Clone, Debug)]
pub enum Column {
    /// Floating point numbers.
    Number(Float64Array),
    /// Whole numbers.
    Integer(Int64Array),
    /// True or false.
    Flag(BooleanArray),
    /// Texts.
    Category(StringArray),
}

impl Column {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Number(a) => a.len(),
            Self::Integer(a) => a.len(),
            Self::Flag(a) => a.len(),
            Self::Category(a) => a.len(),
        }
    }

    /// True without rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a row as a number: flags are 0 and 1; null, NaN and ±∞ are `None` (an infinite value says
    /// nothing about magnitude, and no learner accepts it); categories are always `None`.
    #[must_use]
    pub fn number(&self, row: usize) -> Option<f64> {
        match self {
            Self::Number(a) => a.is_valid(row).then(|| a.value(row)).filter(|v| v.is_finite()),
            Self::Integer(a) => a.is_valid(row).then(|| a.value(row) as f64),
            Self::Flag(a) => a.is_valid(row).then(|| f64::from(u8::from(a.value(row)))),
            Self::Category(_) => None,
        }
    }
}

/// Kinds of all columns of a batch, in order.
///
/// # Errors
/// [`Error::ColumnType`] for a column that is no feature type.
pub fn features_of(batch: &RecordBatch) -> Result<Vec<FeatureSpec>> {
    let kind_of = |field: &arrow::datatypes::FieldRef| {
        let kind = kind_of(field.data_type()).ok_or_else(|| Error::ColumnType {
            column: field.name().clone(),
            found: field.data_type().to_string(),
            expected: "a float, an integer, a boolean or a text",
        })?;
        Ok(FeatureSpec { name: field.name().clone(), kind })
    };
    batch.schema_ref().fields().iter().map(kind_of).collect()
}

fn kind_of(data_type: &DataType) -> Option<FeatureKind> {
    match data_type {
        DataType::Float64 | DataType::Float32 => Some(FeatureKind::Number),
        DataType::Int64
        | DataType::Int32
        | DataType::Int16
        | DataType::Int8
        | DataType::UInt32
        | DataType::UInt16
        | DataType::UInt8 => Some(FeatureKind::Integer),
        DataType::Boolean => Some(FeatureKind::Flag),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(FeatureKind::Category),
        DataType::Dictionary(_, value) if kind_of(value) == Some(FeatureKind::Category) => Some(FeatureKind::Category),
        _ => None,
    }
}

/// Reads one column by name, as the kind it had at fitting.
///
/// `hint` is the position where it is expected; it saves the search when the batch has the fitted order. Whole
/// numbers are accepted where floating point ones were fitted.
///
/// # Errors
/// [`Error::MissingColumn`], [`Error::ColumnType`].
pub fn read_column(batch: &RecordBatch, spec: &FeatureSpec, hint: usize) -> Result<Column> {
    let fields = batch.schema_ref().fields();
    let at = match fields.get(hint) {
        Some(field) if *field.name() == spec.name => Some(hint),
        _ => fields.iter().position(|field| *field.name() == spec.name),
    };
    let at = at.ok_or_else(|| Error::MissingColumn { column: spec.name.clone() })?;
    let array = batch.column(at);
    let found = kind_of(array.data_type());
    let fits = match spec.kind {
        FeatureKind::Number => matches!(found, Some(FeatureKind::Number | FeatureKind::Integer)),
        kind => found == Some(kind),
    };
    if !fits {
        return Err(Error::ColumnType {
            column: spec.name.clone(),
            found: array.data_type().to_string(),
            expected: match spec.kind {
                FeatureKind::Number => "a number",
                FeatureKind::Integer => "a whole number",
                FeatureKind::Flag => "a boolean",
                FeatureKind::Category => "a text",
            },
        });
    }
    let wanted = match spec.kind {
        FeatureKind::Number => DataType::Float64,
        FeatureKind::Integer => DataType::Int64,
        FeatureKind::Flag => DataType::Boolean,
        FeatureKind::Category => DataType::Utf8,
    };
    let array = if *array.data_type() == wanted { array.clone() } else { cast(array, &wanted)? };
    Ok(match spec.kind {
        FeatureKind::Number => Column::Number(array.as_primitive::<Float64Type>().clone()),
        FeatureKind::Integer => Column::Integer(array.as_primitive::<Int64Type>().clone()),
        FeatureKind::Flag => Column::Flag(array.as_boolean().clone()),
        FeatureKind::Category => Column::Category(array.as_string::<i32>().clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Date32Array, Int32Array};
    use std::sync::Arc;

    #[test]
    fn columns_are_found_by_name_and_refused_by_type() {
        let a: ArrayRef = Arc::new(Int32Array::from(vec![Some(3), None]));
        let b: ArrayRef = Arc::new(Float64Array::from(vec![f64::INFINITY, 2.0]));
        let batch = RecordBatch::try_from_iter([("a", a), ("b", b)]).unwrap();
        let specs = features_of(&batch).unwrap();
        assert_eq!(specs[0].kind, FeatureKind::Integer);
        let column = read_column(&batch, &specs[1], 0).unwrap();
        assert_eq!((column.number(0), column.number(1)), (None, Some(2.0)));
        let column = read_column(&batch, &specs[0], 0).unwrap();
        assert_eq!((column.number(0), column.number(1)), (Some(3.0), None));
        let absent = FeatureSpec { name: "c".into(), kind: FeatureKind::Flag };
        assert!(matches!(read_column(&batch, &absent, 0), Err(Error::MissingColumn { .. })));
        let other = FeatureSpec { name: "b".into(), kind: FeatureKind::Category };
        assert!(matches!(read_column(&batch, &other, 1), Err(Error::ColumnType { .. })));

        let date: ArrayRef = Arc::new(Date32Array::from(vec![1]));
        assert!(features_of(&RecordBatch::try_from_iter([("d", date)]).unwrap()).is_err());
    }
}
