//! Values as the engine stores them: numbers with NaN for null, and shared texts.

use crate::error::FeatureError;
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, PrimitiveArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use std::collections::HashSet;
use std::sync::Arc;
use tidemill_types::Millis;

/// What a value means; decides which aggregates apply and how results are typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueKind {
    /// Numbers, and booleans as 0 and 1.
    Number,
    /// Milliseconds since 1970; can be compared, not added.
    Instant,
    Text,
}

impl ValueKind {
    /// The kind of an Arrow type; the sentence says what to do about the others.
    pub(crate) fn of(data_type: &DataType) -> Result<Self, String> {
        match data_type {
            DataType::Boolean => Ok(Self::Number),
            DataType::Utf8 => Ok(Self::Text),
            DataType::Timestamp(..) => Ok(Self::Instant),
            numeric if numeric.is_numeric() => Ok(Self::Number),
            DataType::Duration(_) | DataType::Interval(_) => {
                Err("a length of time must be turned into a number first, for instance by minutes(…)".to_owned())
            }
            other => Err(format!("values of type {other} cannot be kept")),
        }
    }

    /// Arrow type of an output of this kind.
    pub(crate) fn arrow(self) -> DataType {
        if self == Self::Text { DataType::Utf8 } else { DataType::Float64 }
    }
}

/// One column of values.
#[derive(Clone, Debug)]
pub(crate) enum Values {
    /// Numbers, booleans as 0 and 1, instants as milliseconds (exact below 2^53); null is `f64::NAN`.
    Numbers(Vec<f64>),
    /// Texts.
    Texts(Vec<Option<Arc<str>>>),
}

impl Values {
    pub(crate) fn empty(kind: ValueKind) -> Self {
        if kind == ValueKind::Text { Self::Texts(Vec::new()) } else { Self::Numbers(Vec::new()) }
    }

    /// Puts the value at `from` of `other` at position `at`; both columns hold the same kind.
    pub(crate) fn insert(&mut self, at: usize, other: &Self, from: usize) {
        match (self, other) {
            (Self::Numbers(mine), Self::Numbers(theirs)) => mine.insert(at, theirs[from]),
            (Self::Texts(mine), Self::Texts(theirs)) => mine.insert(at, theirs[from].clone()),
            // Columns are made from one plan, so kinds cannot differ; a null keeps the lengths right.
            (Self::Numbers(mine), Self::Texts(_)) => mine.insert(at, f64::NAN),
            (Self::Texts(mine), Self::Numbers(_)) => mine.insert(at, None),
        }
    }

    pub(crate) fn drop_front(&mut self, count: usize) {
        match self {
            Self::Numbers(values) => drop(values.drain(..count)),
            Self::Texts(values) => drop(values.drain(..count)),
        }
    }

    /// Keeps the values at whose place `keeps` is true.
    pub(crate) fn retain(&mut self, keeps: &[bool]) {
        let mut at = keeps.iter();
        match self {
            Self::Numbers(values) => values.retain(|_| at.next().is_none_or(|keeps| *keeps)),
            Self::Texts(values) => values.retain(|_| at.next().is_none_or(|keeps| *keeps)),
        }
    }

    /// The values as an Arrow array: `Float64`, or `Utf8` for texts.
    pub(crate) fn into_array(self) -> ArrayRef {
        match self {
            Self::Texts(values) => Arc::new(values.iter().map(Option::as_deref).collect::<StringArray>()),
            Self::Numbers(values) => {
                let present = values.iter().map(|v| if v.is_nan() { None } else { Some(*v) });
                Arc::new(present.collect::<Float64Array>())
            }
        }
    }
}

/// Texts that are shared between entries, so that a million rows of one carrier hold one allocation.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    known: HashSet<Arc<str>>,
}

impl Texts {
    pub(crate) fn intern(&mut self, text: &str) -> Arc<str> {
        if let Some(shared) = self.known.get(text) {
            return Arc::clone(shared);
        }
        let shared: Arc<str> = Arc::from(text);
        self.known.insert(Arc::clone(&shared));
        shared
    }

    /// Forgets texts that no entry holds any more.
    pub(crate) fn purge(&mut self) {
        self.known.retain(|text| Arc::strong_count(text) > 1);
    }

    /// Takes an array over into engine values.
    pub(crate) fn values(&mut self, array: &ArrayRef, kind: ValueKind) -> Result<Values, FeatureError> {
        match kind {
            ValueKind::Text => {
                let array = cast(array, &DataType::Utf8)?;
                Ok(Values::Texts(array.as_string::<i32>().iter().map(|t| t.map(|t| self.intern(t))).collect()))
            }
            ValueKind::Instant => {
                let array = cast(&cast(array, &Millis::arrow_type())?, &DataType::Int64)?;
                let array = cast(&array, &DataType::Float64)?;
                Ok(Values::Numbers(numbers(array.as_primitive::<Float64Type>())))
            }
            ValueKind::Number => {
                let array = cast(array, &DataType::Float64)?;
                Ok(Values::Numbers(numbers(array.as_primitive::<Float64Type>())))
            }
        }
    }
}

/// Every null and every NaN becomes the one NaN, so that equality is bitwise.
fn numbers(array: &Float64Array) -> Vec<f64> {
    array.iter().map(|v| v.filter(|v| !v.is_nan()).unwrap_or(f64::NAN)).collect()
}

/// A feature column with NaN turned into null.
pub(crate) fn without_nan(array: &Float64Array) -> Float64Array {
    if array.iter().any(|v| v.is_some_and(f64::is_nan)) {
        return array.iter().map(|v| v.filter(|v| !v.is_nan())).collect();
    }
    array.clone()
}

/// Milliseconds of a timestamp column; the array's nulls are kept.
pub(crate) fn millis(array: &ArrayRef) -> Result<Int64Array, FeatureError> {
    let array = cast(&cast(array, &Millis::arrow_type())?, &DataType::Int64)?;
    Ok(array.as_primitive::<Int64Type>().clone())
}

/// A column of a primitive type without nulls.
pub(crate) fn required<T: arrow::datatypes::ArrowPrimitiveType>(
    array: &ArrayRef,
    name: &str,
) -> Result<PrimitiveArray<T>, FeatureError> {
    if array.null_count() > 0 {
        return Err(FeatureError::Batch(format!("column {name} has nulls")));
    }
    Ok(cast(array, &T::DATA_TYPE)?.as_primitive::<T>().clone())
}
