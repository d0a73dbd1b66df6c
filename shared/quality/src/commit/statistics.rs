//! One number of a column, between bounds.

use super::{CommitCheck, CommitMemory, Finding, shown};
use crate::error::QualityError;
use crate::memory::key_hashes;
use crate::row::column;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use std::collections::HashSet;

/// Which number.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Statistic {
    Rows,
    Mean,
    Std,
    Sum,
    Quantile(f64),
    NullShare,
    Distinct,
    CategoryShare(String),
}

/// A number of a column, between bounds, both included.
#[derive(Clone, Debug)]
pub(super) struct Bounded {
    pub(super) statistic: Statistic,
    pub(super) column: String,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl CommitCheck for Bounded {
    fn judge(&self, rows: &RecordBatch, _: &CommitMemory, _: usize) -> Result<Option<Finding>, QualityError> {
        Ok(self.value(rows)?.map(|value| {
            let holds = self.low <= value && value <= self.high;
            let side = match holds {
                true => String::new(),
                false if value < self.low => format!(", below {}", shown(self.low)),
                false => format!(", above {}", shown(self.high)),
            };
            Finding { holds, observed: format!("{}{side}", shown(value)) }
        }))
    }
}

impl Bounded {
    /// The number; none without a value to compute it of.
    fn value(&self, rows: &RecordBatch) -> Result<Option<f64>, QualityError> {
        if self.statistic == Statistic::Rows {
            return Ok(Some(rows.num_rows() as f64));
        }
        let array = column(rows, &self.column)?;
        Ok(match &self.statistic {
            Statistic::NullShare => share(missing(array)?, array.len()),
            Statistic::Distinct => {
                let keys = key_hashes(rows, std::slice::from_ref(&self.column))?;
                Some(keys.into_iter().flatten().collect::<HashSet<_>>().len() as f64)
            }
            Statistic::CategoryShare(value) => {
                let texts = cast(array, &DataType::Utf8)?;
                let texts = texts.as_string::<i32>();
                let named = texts.iter().flatten().filter(|text| text == value).count();
                share(named, texts.len() - texts.null_count())
            }
            statistic => number(statistic, present(array)?),
        })
    }
}

fn share(part: usize, of: usize) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}

/// Values of a column of numbers that are neither null nor NaN.
pub(crate) fn present(array: &ArrayRef) -> Result<Vec<f64>, QualityError> {
    let floats = cast(array, &DataType::Float64)?;
    Ok(floats.as_primitive::<Float64Type>().iter().flatten().filter(|v| !v.is_nan()).collect())
}

/// Rows that are null or NaN.
pub(crate) fn missing(array: &ArrayRef) -> Result<usize, QualityError> {
    let nulls = array.null_count();
    if !array.data_type().is_floating() {
        return Ok(nulls);
    }
    Ok(array.len() - present(array)?.len())
}

fn number(statistic: &Statistic, mut values: Vec<f64>) -> Option<f64> {
    let count = values.len() as f64;
    let mean = || values.iter().sum::<f64>() / count;
    match statistic {
        Statistic::Sum => Some(values.iter().sum()),
        _ if values.is_empty() => None,
        Statistic::Mean => Some(mean()),
        Statistic::Std if values.len() < 2 => None,
        Statistic::Std => {
            let mean = mean();
            Some((values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (count - 1.0)).sqrt())
        }
        Statistic::Quantile(at) => quantile(&mut values, *at),
        _ => None,
    }
}

/// The quantile between ranks, as numpy and R (type 7) have it.
pub(crate) fn quantile(values: &mut [f64], at: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let rank = at * last as f64;
    let low = rank.floor() as usize;
    let (_, below, above) = values.select_nth_unstable_by(low.min(last), f64::total_cmp);
    let (below, next) = (*below, above.iter().copied().min_by(f64::total_cmp));
    let part = rank - low as f64;
    Some(match next {
        Some(next) if part > 0.0 => below + part * (next - below),
        _ => below,
    })
}
