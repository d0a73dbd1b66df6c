//! The business measure of the spec, row by row.

use crate::error::EvaluationError;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tidemill_expr::Compiled;
use tidemill_metrics::{Estimate, budget, rank, sum};
use tidemill_spec::{Kpi, kpi_schema};

/// The measure of one model on the test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KpiResult {
    /// Name of the measure.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// Sum when exactly the budget is alerted.
    pub at_budget: Estimate,
    /// Sum when every score from the model's threshold on is alerted.
    pub at_threshold: Estimate,
    /// Share of rows that the threshold alerts.
    pub alerted_share: f64,
}

/// The measure of the spec, typed.
#[derive(Clone, Debug)]
pub(crate) struct Measure {
    value: Compiled,
    name: String,
    unit: String,
    budget: f64,
}

impl Measure {
    /// Types the expression over `alerted`, `outcome` and `score`.
    ///
    /// # Errors
    /// An expression that does not type.
    pub(crate) fn new(kpi: &Kpi) -> Result<Self, EvaluationError> {
        let value = Compiled::new(&kpi.value, &kpi_schema())?;
        Ok(Self { value, name: kpi.name.clone(), unit: kpi.unit.clone(), budget: kpi.budget })
    }

    /// The value of every row; a row without a value counts zero.
    ///
    /// # Errors
    /// Columns of unequal lengths, or an overflow in the expression.
    pub(crate) fn values(
        &self,
        alerted: &[bool],
        outcomes: &[bool],
        scores: &[f64],
    ) -> Result<Vec<f64>, EvaluationError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(BooleanArray::from(alerted.to_vec())),
            Arc::new(BooleanArray::from(outcomes.to_vec())),
            Arc::new(Float64Array::from(scores.to_vec())),
        ];
        let rows = RecordBatch::try_new(Arc::new(kpi_schema()), columns)?;
        let values = cast(&self.value.evaluate(&rows)?, &DataType::Float64)?;
        let values = values.as_primitive::<Float64Type>();
        Ok((0..values.len()).map(|row| if values.is_valid(row) { values.value(row) } else { 0.0 }).collect())
    }

    /// Row values when the top of the budget is alerted.
    ///
    /// # Errors
    /// As [`Self::values`].
    pub(crate) fn at_budget(&self, outcomes: &[bool], scores: &[f64]) -> Result<Vec<f64>, EvaluationError> {
        let mut alerted = vec![false; scores.len()];
        for row in rank::descending(scores).into_iter().take(budget::alerts(scores.len(), self.budget)) {
            alerted[row] = true;
        }
        self.values(&alerted, outcomes, scores)
    }

    /// The measure of one model, with intervals.
    ///
    /// # Errors
    /// As [`Self::values`]; fewer than two rows.
    pub(crate) fn of(&self, outcomes: &[bool], scores: &[f64], threshold: f64) -> Result<KpiResult, EvaluationError> {
        let alerted: Vec<bool> = scores.iter().map(|score| *score >= threshold).collect();
        let share = alerted.iter().filter(|a| **a).count() as f64 / alerted.len().max(1) as f64;
        Ok(KpiResult {
            name: self.name.clone(),
            unit: self.unit.clone(),
            at_budget: sum(&self.at_budget(outcomes, scores)?)?,
            at_threshold: sum(&self.values(&alerted, outcomes, scores)?)?,
            alerted_share: share,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn caught_rows_pay_and_false_alerts_cost() {
        let kpi = Kpi {
            name: "net".into(),
            value: "case when alerted and outcome then 3 when alerted then -1 else 0 end".into(),
            unit: "points".into(),
            budget: 0.5,
        };
        let measure = Measure::new(&kpi).unwrap();
        let scores = [0.9, 0.8, 0.4, 0.1];
        let outcomes = [true, false, true, false];
        assert_eq!(measure.at_budget(&outcomes, &scores).unwrap(), [3.0, -1.0, 0.0, 0.0]);
        let result = measure.of(&outcomes, &scores, 0.3).unwrap();
        assert_eq!((result.at_budget.value, result.at_threshold.value, result.alerted_share), (2.0, 5.0, 0.75));
    }
}
