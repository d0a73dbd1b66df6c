//! How well the other columns tell where a column is missing.
//!
//! For each column with gaps a logistic regression (the learner `logistic`, as scikit-learn's with C = 1 over imputed,
//! standardised and one-hot columns) is fitted to "is missing" on every second row and scored on the others, and the
//! other way round; the score is the AUC over all rows. 0.5: the gaps look random; above 0.6: they do not.

use crate::table::{Column, MISSING};
use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use serde::Serialize;
use std::sync::Arc;
use tidemill_learn::{Params, TrainData, learner};
use tidemill_stats::Kind;
use tidemill_transform::Split;

/// Columns with gaps that are scored.
const SCORED: usize = 12;
/// Rows looked at.
const ROWS: usize = 4_000;
/// Rows that must lack the value, and rows that must have it.
const LEAST: usize = 20;
/// Columns that predict.
const PREDICTORS: usize = 30;
/// Different values of a text column that predicts.
const CATEGORIES: usize = 50;

/// The score of one column.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Predictability {
    /// Column with gaps.
    pub column: String,
    /// Share of the rows that lack it.
    pub share: f64,
    /// AUC of "is missing", predicted from the other columns on rows not fitted on.
    pub auc: f64,
    /// The column that tells most alone: its name and the AUC of its values (or of its own gaps).
    pub strongest: Option<(String, f64)>,
}

/// Scores the columns with gaps. A column without enough gaps or values, or whose fit does not converge, is left out.
#[must_use]
pub fn predictability(columns: &[Column], gappy: &[&Column], seed: u64) -> Vec<Predictability> {
    let rows = columns.first().map_or(0, Column::rows);
    let step = rows.div_ceil(ROWS).max(1);
    let picked: Vec<usize> = (0..rows).step_by(step).collect();
    let usable: Vec<&Column> = columns.iter().filter(|column| can_predict(column)).collect();
    let scored = gappy.iter().take(SCORED).filter_map(|column| {
        let labels: Vec<bool> = picked.iter().map(|row| column.missing[*row]).collect();
        let positives = labels.iter().filter(|label| **label).count();
        if positives < LEAST || labels.len() - positives < LEAST {
            return None;
        }
        let others: Vec<&Column> =
            usable.iter().copied().filter(|other| other.name != column.name).take(PREDICTORS).collect();
        let auc = out_of_fold(&others, &picked, &labels, seed)?;
        let alone = others.iter().filter_map(|other| Some((other.name.clone(), alone(other, &picked, &labels)?)));
        let strongest = alone.max_by(|a, b| a.1.total_cmp(&b.1));
        let share = positives as f64 / labels.len() as f64;
        Some(Predictability { column: column.name.clone(), share, auc, strongest })
    });
    scored.collect()
}

fn can_predict(column: &Column) -> bool {
    match column.kind {
        Kind::Numeric | Kind::Instant => column.numbers.iter().any(|v| v.is_finite()),
        Kind::Text | Kind::Boolean => column.groups(CATEGORIES).is_some(),
        Kind::Other => false,
    }
}

/// Two halves, each scored by the model of the other.
fn out_of_fold(others: &[&Column], picked: &[usize], labels: &[bool], seed: u64) -> Option<f64> {
    if others.is_empty() {
        return None;
    }
    let mut scores = vec![0.0; labels.len()];
    for half in 0..2 {
        let fitted: Vec<usize> = (0..labels.len()).filter(|at| at % 2 != half).collect();
        let scored: Vec<usize> = (0..labels.len()).filter(|at| at % 2 == half).collect();
        let of = |which: &[usize]| batch(others, &which.iter().map(|at| picked[*at]).collect::<Vec<_>>());
        let train: Vec<bool> = fitted.iter().map(|at| labels[*at]).collect();
        let (rows, held_out) = (of(&fitted)?, of(&scored)?);
        let split = Split::all_training(train.len()).ok()?;
        let data = TrainData { batch: &rows, labels: &train, rows: split.train(), valid: None };
        let model = learner("logistic").ok()?.fit(&data, &Params::new(), seed).ok()?.model;
        let predicted = model.predict(&held_out).ok()?;
        scored.iter().zip(predicted).for_each(|(at, score)| scores[*at] = score);
    }
    tidemill_metrics::roc_auc(&scores, labels).ok()
}

fn batch(columns: &[&Column], rows: &[usize]) -> Option<RecordBatch> {
    let array = |column: &&Column| -> ArrayRef {
        if column.is_number() {
            let finite = |row: &usize| Some(column.numbers[*row]).filter(|v| v.is_finite());
            return Arc::new(Float64Array::from_iter(rows.iter().map(finite)));
        }
        let name = |row: &usize| {
            let categories = column.categories.as_ref()?;
            categories.names.get(categories.codes[*row] as usize).map(String::as_str)
        };
        Arc::new(StringArray::from_iter(rows.iter().map(name)))
    };
    RecordBatch::try_from_iter(columns.iter().map(|column| (column.name.clone(), array(column)))).ok()
}

/// AUC of one column alone, whichever way it points: of its values in order, of the rates of its categories, or of its
/// own gaps.
fn alone(column: &Column, picked: &[usize], labels: &[bool]) -> Option<f64> {
    let either = |auc: f64| auc.max(1.0 - auc);
    let gaps: Vec<f64> = picked.iter().map(|row| f64::from(u8::from(column.missing[*row]))).collect();
    let by_gaps = tidemill_metrics::roc_auc(&gaps, labels).ok().map(either);
    let by_values = if column.is_number() {
        let known: Vec<(f64, bool)> = picked
            .iter()
            .zip(labels)
            .map(|(row, label)| (column.numbers[*row], *label))
            .filter(|(value, _)| value.is_finite())
            .collect();
        let (scores, labels): (Vec<f64>, Vec<bool>) = known.into_iter().unzip();
        tidemill_metrics::roc_auc(&scores, &labels).ok().map(either)
    } else {
        rates(column, picked, labels)
    };
    [by_gaps, by_values].into_iter().flatten().max_by(f64::total_cmp)
}

fn rates(column: &Column, picked: &[usize], labels: &[bool]) -> Option<f64> {
    let categories = column.categories.as_ref()?;
    let slot = |row: usize| match categories.codes[row] {
        MISSING => categories.names.len(),
        code => code as usize,
    };
    let mut seen = vec![(0.0, 0.0); categories.names.len() + 1];
    for (row, label) in picked.iter().zip(labels) {
        let (hits, all) = &mut seen[slot(*row)];
        *hits += f64::from(u8::from(*label));
        *all += 1.0;
    }
    let scores: Vec<f64> = picked.iter().map(|row| seen[slot(*row)].0 / seen[slot(*row)].1).collect();
    tidemill_metrics::roc_auc(&scores, labels).ok()
}
