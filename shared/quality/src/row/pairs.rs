//! Tests of several columns of a row, and of what is there at all.

use super::{RowCheck, column};
use crate::error::QualityError;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::kernels::cmp;
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Float64Type};
use tidemill_expr::{Compiled, ExprError};
use tidemill_spec::Comparison;

/// Which rows of a column hold a value.
fn present(array: &ArrayRef) -> BooleanBuffer {
    array.nulls().map_or_else(|| BooleanBuffer::new_set(array.len()), |nulls| nulls.inner().clone())
}

/// A value is there.
#[derive(Debug)]
pub(super) struct NotNull(pub(super) String);

impl RowCheck for NotNull {
    fn passes(&self, batch: &RecordBatch) -> Result<BooleanArray, QualityError> {
        Ok(BooleanArray::new(present(column(batch, &self.0)?), None))
    }
}

/// At least one of several is there.
#[derive(Debug)]
pub(super) struct AnyPresent(pub(super) Vec<String>);

impl RowCheck for AnyPresent {
    fn passes(&self, batch: &RecordBatch) -> Result<BooleanArray, QualityError> {
        let mut any = BooleanBuffer::new_unset(batch.num_rows());
        for name in &self.0 {
            any = &any | &present(column(batch, name)?);
        }
        Ok(BooleanArray::new(any, None))
    }
}

/// All are there, or none.
#[derive(Debug)]
pub(super) struct AllOrNone(pub(super) Vec<String>);

impl RowCheck for AllOrNone {
    fn passes(&self, batch: &RecordBatch) -> Result<BooleanArray, QualityError> {
        let (mut all, mut any) = (BooleanBuffer::new_set(batch.num_rows()), BooleanBuffer::new_unset(batch.num_rows()));
        for name in &self.0 {
            let present = present(column(batch, name)?);
            (all, any) = (&all & &present, &any | &present);
        }
        Ok(BooleanArray::new(&all | &!&any, None))
    }
}

/// Null only where a condition is true.
#[derive(Debug)]
pub(super) struct NullOnlyWhen {
    pub(super) column: String,
    pub(super) condition: Condition,
}

impl RowCheck for NullOnlyWhen {
    fn passes(&self, batch: &RecordBatch) -> Result<BooleanArray, QualityError> {
        let allowed = self.condition.is_true(batch)?;
        Ok(BooleanArray::new(&present(column(batch, &self.column)?) | &allowed, None))
    }
}

/// Two columns compare.
#[derive(Debug)]
pub(super) struct Compare {
    pub(super) left: String,
    pub(super) is: Comparison,
    pub(super) right: String,
    /// The type in which both are compared, when theirs differ.
    pub(super) common: Option<DataType>,
}

impl RowCheck for Compare {
    fn passes(&self, batch: &RecordBatch) -> Result<BooleanArray, QualityError> {
        let (left, right) = (self.side(batch, &self.left)?, self.side(batch, &self.right)?);
        let compared = match self.is {
            Comparison::Less => cmp::lt(&left, &right),
            Comparison::AtMost => cmp::lt_eq(&left, &right),
            Comparison::Equal => cmp::eq(&left, &right),
            Comparison::Different => cmp::neq(&left, &right),
            Comparison::AtLeast => cmp::gt_eq(&left, &right),
            Comparison::Greater => cmp::gt(&left, &right),
        };
        Ok(compared?)
    }
}

impl Compare {
    fn side(&self, batch: &RecordBatch, name: &str) -> Result<ArrayRef, QualityError> {
        let array = column(batch, name)?;
        match &self.common {
            Some(common) if common != array.data_type() => Ok(cast(array, common)?),
            _ => Ok(array.clone()),
        }
    }
}

/// Columns add up to another.
#[derive(Debug)]
pub(super) struct SumEquals {
    pub(super) columns: Vec<String>,
    pub(super) total: String,
    pub(super) tolerance: f64,
}

impl RowCheck for SumEquals {
    fn passes(&self, batch: &RecordBatch) -> Result<BooleanArray, QualityError> {
        let mut difference: Vec<f64> = vec![0.0; batch.num_rows()];
        let mut nulls: Option<NullBuffer> = None;
        let parts = self.columns.iter().map(|name| (name, 1.0)).chain([(&self.total, -1.0)]);
        let mut largest: Vec<f64> = vec![0.0; batch.num_rows()];
        for (name, sign) in parts {
            let array = cast(column(batch, name)?, &DataType::Float64)?;
            nulls = NullBuffer::union(nulls.as_ref(), array.nulls());
            let values = array.as_primitive::<Float64Type>().values();
            for ((sum, size), value) in difference.iter_mut().zip(&mut largest).zip(values.iter()) {
                *sum += sign * value;
                *size = size.max(value.abs());
            }
        }
        // What rounding alone may leave is no difference.
        let bits = BooleanBuffer::collect_bool(difference.len(), |i| {
            difference[i].abs() <= self.tolerance + largest[i] * 8.0 * f64::EPSILON
        });
        Ok(BooleanArray::new(bits, nulls))
    }
}

/// An expression of the expression language that is true or false.
#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) rule: String,
    pub(crate) expr: Compiled,
}

impl RowCheck for Condition {
    fn passes(&self, batch: &RecordBatch) -> Result<BooleanArray, QualityError> {
        match self.expr.evaluate(batch) {
            Ok(array) if *array.data_type() == DataType::Boolean => Ok(array.as_boolean().clone()),
            Ok(array) => Ok(BooleanArray::new_null(array.len())),
            // One row that overflows must not stop the others: it fails the rule, alone.
            Err(ExprError::Overflow { .. } | ExprError::Kernel { .. }) if batch.num_rows() > 1 => {
                let half = batch.num_rows() / 2;
                let first = self.passes(&batch.slice(0, half))?;
                let second = self.passes(&batch.slice(half, batch.num_rows() - half))?;
                Ok(concat(&[&first, &second])?.as_boolean().clone())
            }
            Err(ExprError::Overflow { .. } | ExprError::Kernel { .. }) => {
                Ok(BooleanArray::new(BooleanBuffer::new_unset(batch.num_rows()), None))
            }
            Err(source) => Err(QualityError::Expression { rule: self.rule.clone(), source }),
        }
    }
}

impl Condition {
    /// Rows for which it is true, neither false nor unknown.
    pub(crate) fn is_true(&self, batch: &RecordBatch) -> Result<BooleanBuffer, QualityError> {
        let truth = self.passes(batch)?;
        Ok(match truth.nulls() {
            Some(nulls) => truth.values() & nulls.inner(),
            None => truth.values().clone(),
        })
    }
}
