//! A column against a reference distribution, by the population stability index.

use super::statistics::missing;
use super::{CommitCheck, CommitMemory, Finding, shown};
use crate::error::QualityError;
use crate::row::column;
use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use tidemill_stats::distance::{psi, psi_critical};

/// Bins of the reference.
#[derive(Clone, Debug)]
pub(super) enum Bins {
    /// Inner edges, rising.
    Edges(Vec<f64>),
    /// Texts by name; all others count together.
    Values(Vec<String>),
}

/// The reference, and how far from it is too far.
#[derive(Clone, Debug)]
pub(super) struct Distribution {
    pub(super) column: String,
    pub(super) bins: Bins,
    pub(super) counts: Vec<u64>,
    pub(super) at_least: f64,
}

impl CommitCheck for Distribution {
    fn judge(&self, rows: &RecordBatch, _: &CommitMemory, _: usize) -> Result<Option<Finding>, QualityError> {
        if rows.num_rows() == 0 {
            return Ok(None);
        }
        let array = column(rows, &self.column)?;
        let actual = match &self.bins {
            Bins::Edges(edges) => binned(array, edges)?,
            Bins::Values(values) => named(array, values)?,
        };
        let index = psi(&self.counts, &actual).map_err(of_statistics)?;
        let used = self.counts.iter().zip(&actual).filter(|(e, a)| **e + **a > 0).count() as u64;
        let (n, m) = (self.counts.iter().sum(), actual.iter().sum());
        let critical = psi_critical(used, n, m).map_err(of_statistics)?;
        let limit = critical.max(self.at_least);
        let observed = format!("PSI {} with a limit of {}", shown(index), shown(limit));
        Ok(Some(Finding { holds: index <= limit, observed }))
    }
}

/// A refusal of the statistics behind a rule.
pub(crate) fn of_statistics(error: tidemill_stats::Error) -> QualityError {
    QualityError::Batch(error.to_string())
}

/// Rows per bin, and last those without a value.
pub(crate) fn binned(array: &ArrayRef, edges: &[f64]) -> Result<Vec<u64>, QualityError> {
    let mut counts = vec![0; edges.len() + 2];
    let floats = cast(array, &DataType::Float64)?;
    for value in floats.as_primitive::<Float64Type>().iter().flatten().filter(|v| !v.is_nan()) {
        counts[edges.partition_point(|edge| *edge < value)] += 1;
    }
    counts[edges.len() + 1] = missing(array)? as u64;
    Ok(counts)
}

/// Rows per named text, then of all others, and last those without a value.
fn named(array: &ArrayRef, values: &[String]) -> Result<Vec<u64>, QualityError> {
    let mut counts = vec![0; values.len() + 2];
    let texts = cast(array, &DataType::Utf8)?;
    for text in texts.as_string::<i32>() {
        let place = match text {
            Some(text) => values.iter().position(|value| value == text).unwrap_or(values.len()),
            None => values.len() + 1,
        };
        counts[place] += 1;
    }
    Ok(counts)
}
