//! How well predictions did once their outcomes are known.

use super::join::WindowRows;
use crate::error::MonitoringError;
use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tidemill_expr::Compiled;
use tidemill_metrics::{AucDifference, BinaryReport, Estimate, binary_report, budget, paired_auc, sum, wilson};
use tidemill_spec::{Kpi, kpi_schema};

/// Seed of the bootstrap intervals, fixed so that a window's report can be made again bit for bit.
const SEED: u64 = 0x006d_6f6e_6974_6f72;

/// What one way of choosing alerts came to. Shares have Wilson intervals and are absent without cases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decisions {
    /// Rows alerted.
    pub alerts: u64,
    /// Positives among them.
    pub caught: u64,
    /// `caught / alerts`.
    pub precision: Option<Estimate>,
    /// `caught / positives`.
    pub recall: Option<Estimate>,
    /// Sum of the KPI over all rows, with n times the t interval of its mean; absent below two rows.
    pub kpi: Option<Estimate>,
}

/// The champion's decisions, as they were made and as hindsight would have spread the budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ByDecision {
    /// As answered at the time: score at or above the model's threshold.
    pub as_served: Decisions,
    /// The best-scored rows of the whole window, as many as the budget allows.
    pub top_of_window: Decisions,
}

/// The quality of one window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Performance {
    /// The model that answered; absent while the rows do not allow it (see `why_absent`).
    pub champion: Option<BinaryReport>,
    /// Why `champion` is absent.
    pub why_absent: Option<String>,
    /// The shadow, on the rows that it scored.
    pub shadow: Option<BinaryReport>,
    /// `first` is the shadow, `second` the champion, on the same rows; the difference is champion − shadow.
    pub versus_shadow: Option<AucDifference>,
    /// What the decisions came to; absent without rows.
    pub decisions: Option<ByDecision>,
}

/// The KPI expression, ready to run.
#[derive(Clone, Debug)]
pub struct KpiValue {
    compiled: Compiled,
    /// Largest share of rows that may be alerted.
    pub budget: f64,
}

impl KpiValue {
    /// Compiles the expression of the spec.
    ///
    /// # Errors
    /// When it does not type, which the spec was checked for.
    pub fn new(kpi: &Kpi) -> Result<Self, MonitoringError> {
        Ok(Self { compiled: Compiled::new(&kpi.value, &kpi_schema())?, budget: kpi.budget })
    }

    /// The value of every row; null counts as zero.
    fn values(&self, alerted: &[bool], outcome: &[bool], score: &[f64]) -> Result<Vec<f64>, MonitoringError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(BooleanArray::from(alerted.to_vec())),
            Arc::new(BooleanArray::from(outcome.to_vec())),
            Arc::new(Float64Array::from(score.to_vec())),
        ];
        let rows = RecordBatch::try_new(Arc::new(kpi_schema()), columns)?;
        let values = cast(&self.compiled.evaluate(&rows)?, &DataType::Float64)?;
        Ok(values.as_primitive::<Float64Type>().iter().map(Option::unwrap_or_default).collect())
    }

    fn decisions(&self, rows: &WindowRows, alerted: &[bool]) -> Result<Decisions, MonitoringError> {
        let count = |wanted: &dyn Fn(bool, bool) -> bool| {
            alerted.iter().zip(&rows.labels).filter(|(a, l)| wanted(**a, **l)).count() as u64
        };
        let (alerts, caught, positives) = (count(&|a, _| a), count(&|a, l| a && l), count(&|_, l| l));
        let values = self.values(alerted, &rows.labels, &rows.scores)?;
        Ok(Decisions {
            alerts,
            caught,
            precision: wilson(caught, alerts).ok(),
            recall: wilson(caught, positives).ok(),
            kpi: sum(&values).ok(),
        })
    }
}

/// Measures a window.
///
/// # Errors
/// When the KPI cannot be evaluated. Metrics that the rows do not allow (one class only, too few) are absent.
pub fn measure(rows: &WindowRows, kpi: &KpiValue) -> Result<Performance, MonitoringError> {
    let (champion, why_absent) = match binary_report(&rows.scores, &rows.labels, kpi.budget, SEED) {
        Ok(report) => (Some(report), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let both = rows.shadow_scores.iter().zip(rows.scores.iter().zip(&rows.labels));
    let both: Vec<_> = both.filter_map(|(shadow, (score, label))| shadow.map(|s| (s, *score, *label))).collect();
    let shadow_scores: Vec<f64> = both.iter().map(|row| row.0).collect();
    let champion_scores: Vec<f64> = both.iter().map(|row| row.1).collect();
    let labels: Vec<bool> = both.iter().map(|row| row.2).collect();
    let decisions = if rows.scores.is_empty() {
        None
    } else {
        let top = top_of_window(&rows.scores, kpi.budget);
        let as_served = kpi.decisions(rows, &rows.alerted)?;
        Some(ByDecision { as_served, top_of_window: kpi.decisions(rows, &top)? })
    };
    Ok(Performance {
        champion,
        why_absent,
        shadow: binary_report(&shadow_scores, &labels, kpi.budget, SEED).ok(),
        versus_shadow: paired_auc(&shadow_scores, &champion_scores, &labels).ok(),
        decisions,
    })
}

/// Flags the best-scored share of the rows; of equal scores the earlier row, so the budget is kept exactly.
fn top_of_window(scores: &[f64], share: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    let mut flagged = vec![false; scores.len()];
    for row in order.into_iter().take(budget::alerts(scores.len(), share)) {
        flagged[row] = true;
    }
    flagged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kpi() -> KpiValue {
        let value = "case when alerted and outcome then 3 when alerted then -1 else 0 end".to_owned();
        KpiValue::new(&Kpi { name: "net".into(), value, unit: "points".into(), budget: 0.2 }).unwrap()
    }

    /// Ten rows, the champion ordering them perfectly, the shadow the wrong way round.
    fn rows() -> WindowRows {
        let scores: Vec<f64> = (0..10).map(|i| f64::from(i) / 10.0).collect();
        WindowRows {
            predictions: 10,
            labels: (0..10).map(|i| i >= 7).collect(),
            alerted: (0..10).map(|i| i >= 5).collect(),
            shadow_scores: scores.iter().map(|s| Some(1.0 - s)).collect(),
            scores,
            ..WindowRows::default()
        }
    }

    #[test]
    fn decisions_are_counted_as_served_and_at_the_budget() {
        let measured = measure(&rows(), &kpi()).unwrap();
        let decisions = measured.decisions.unwrap();
        // Served: five alerts, three caught: 3·3 − 2·1 = 7. Budget: two alerts, both caught: 6.
        assert_eq!((decisions.as_served.alerts, decisions.as_served.caught), (5, 3));
        assert_eq!(decisions.as_served.kpi.unwrap().value, 7.0);
        assert_eq!((decisions.top_of_window.alerts, decisions.top_of_window.caught), (2, 2));
        assert_eq!(decisions.top_of_window.kpi.unwrap().value, 6.0);
        assert_eq!(decisions.top_of_window.recall.unwrap().value, 2.0 / 3.0);
    }

    #[test]
    fn the_difference_to_the_shadow_is_champion_minus_shadow() {
        let measured = measure(&rows(), &kpi()).unwrap();
        assert_eq!(measured.champion.unwrap().roc_auc.value, 1.0);
        assert_eq!(measured.shadow.unwrap().roc_auc.value, 0.0);
        assert_eq!(measured.versus_shadow.unwrap().difference.value, 1.0);
    }

    #[test]
    fn a_window_of_one_class_says_why_it_has_no_metrics() {
        let one_class = WindowRows { labels: vec![false; 10], ..rows() };
        let measured = measure(&one_class, &kpi()).unwrap();
        assert!(measured.champion.is_none() && measured.why_absent.unwrap().contains("one class"));
        assert_eq!(measured.decisions.unwrap().as_served.kpi.unwrap().value, -5.0);
        let empty = measure(&WindowRows::default(), &kpi()).unwrap();
        assert!(empty.decisions.is_none() && empty.champion.is_none());
    }

    #[test]
    fn equal_scores_do_not_break_the_budget() {
        assert_eq!(top_of_window(&[0.5; 10], 0.2).iter().filter(|f| **f).count(), 2);
    }
}
