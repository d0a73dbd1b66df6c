//! Logistic regression with an L2 penalty, by Newton's method.
//!
//! Minimises `½ wᵀw + C Σ log(1 + exp(−yᵢ (xᵢᵀw + b)))` as scikit-learn's `LogisticRegression(C)`; the intercept
//! is not penalised. Features go through [`LinearMatrix`] first.

use crate::error::{Error, Result};
use crate::learner::{FitReport, FittedModel, Learner, TrainData, two_class_view};
use crate::linear::{SparseRows, dot, solve_spd};
use crate::model::Model;
use crate::params::{ParamReader, Params};
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};
use tidemill_transform::{LinearMatrix, LinearOptions};

/// Rows transformed at a time: the dense matrix of all rows would be mostly zeros and very large.
const SLICE: usize = 4096;

/// Learner `logistic`; parameters `c` (inverse penalty, default 1), `rare_share` (see
/// [`LinearOptions::rare_share`]), `max_iter` (100), `tolerance` (of the mean gradient, 1e-9).
#[derive(Clone, Copy, Debug)]
pub struct Logistic;

/// Coefficients over standardised features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogisticModel {
    pub(crate) transform: LinearMatrix,
    pub(crate) intercept: f64,
    pub(crate) coefficients: Vec<f64>,
}

impl LogisticModel {
    pub(crate) fn predict(&self, batch: &RecordBatch) -> Result<Vec<f64>> {
        let mut scores = Vec::with_capacity(batch.num_rows());
        for from in (0..batch.num_rows()).step_by(SLICE) {
            let matrix = self.transform.apply(&batch.slice(from, SLICE.min(batch.num_rows() - from)))?;
            let score = |row| sigmoid(self.intercept + dot(matrix.row(row), &self.coefficients));
            scores.extend((0..matrix.rows()).map(score));
        }
        Ok(scores)
    }

    /// Log odds of a row whose transformed features are all 0.
    #[must_use]
    pub fn intercept(&self) -> f64 {
        self.intercept
    }

    /// Names of the transformed features with their coefficients (log odds per standard deviation).
    #[must_use]
    pub fn coefficients(&self) -> Vec<(String, f64)> {
        self.transform.output_names().into_iter().zip(self.coefficients.iter().copied()).collect()
    }

    /// True when there is one coefficient per transformed feature; checked after loading.
    pub(crate) fn is_complete(&self) -> bool {
        self.transform.width() == self.coefficients.len()
    }
}

impl Learner for Logistic {
    fn name(&self) -> &'static str {
        "logistic"
    }

    fn fit(&self, data: &TrainData<'_>, params: &Params, seed: u64) -> Result<FittedModel> {
        let mut reader = ParamReader::new(self.name(), params);
        let c = reader.float("c", 1.0, "> 0", |v| v > 0.0)?;
        let rare_share = reader
            .float("rare_share", LinearOptions::default().rare_share, "0 ≤ share < 1", |v| (0.0..1.0).contains(&v))?;
        let max_iter = reader.int("max_iter", 100, (1, 100_000), "1 to 100000")?;
        let tolerance = reader.float("tolerance", 1e-9, "> 0", |v| v > 0.0)?;
        let params = reader.finish()?;

        let view = two_class_view(self.name(), data)?;
        let transform = LinearMatrix::fit(&view, LinearOptions { rare_share })?;
        let problem = Problem::new(&transform, view.batch(), view.labels(), c)?;
        let (solution, iterations) = problem.minimise(view.base_rate(), max_iter, tolerance)?;
        let (intercept, coefficients) = match solution.split_first() {
            Some((intercept, coefficients)) => (*intercept, coefficients.to_vec()),
            None => (0.0, Vec::new()),
        };
        let report = FitReport {
            learner: self.name().to_owned(),
            params,
            seed,
            train_rows: view.len(),
            valid_rows: 0,
            base_rate: view.base_rate(),
            rounds: Some(iterations),
            valid_log_loss: None,
        };
        Ok(FittedModel { model: Model::Logistic(LogisticModel { transform, intercept, coefficients }), report })
    }
}

/// The penalised sum of log losses; the first column of `x` is 1 for the intercept.
struct Problem<'a> {
    x: SparseRows,
    labels: &'a [bool],
    c: f64,
}

/// Value, gradient and the weights of the Hessian at a point.
struct Point {
    value: f64,
    gradient: Vec<f64>,
    weights: Vec<f64>,
}

impl<'a> Problem<'a> {
    fn new(transform: &LinearMatrix, batch: &RecordBatch, labels: &'a [bool], c: f64) -> Result<Self> {
        let mut x = SparseRows::new(transform.width() + 1);
        for from in (0..batch.num_rows()).step_by(SLICE) {
            let matrix = transform.apply(&batch.slice(from, SLICE.min(batch.num_rows() - from)))?;
            (0..matrix.rows()).for_each(|row| x.push(std::iter::once(1.0).chain(matrix.row(row).iter().copied())));
        }
        Ok(Self { x, labels, c })
    }

    fn at(&self, w: &[f64]) -> Point {
        let mut value = 0.0;
        let mut gradient = vec![0.0; w.len()];
        let mut weights = Vec::with_capacity(self.labels.len());
        for (row, &label) in self.labels.iter().enumerate() {
            let z = self.x.dot(row, w);
            let p = sigmoid(z);
            value += softplus(if label { -z } else { z });
            self.x.add_to(row, p - f64::from(u8::from(label)), &mut gradient);
            weights.push(self.c * p * (1.0 - p));
        }
        let penalised = &w[1..];
        gradient.iter_mut().for_each(|g| *g *= self.c);
        gradient[1..].iter_mut().zip(penalised).for_each(|(g, w)| *g += w);
        Point { value: self.c * value + 0.5 * dot(penalised, penalised), gradient, weights }
    }

    fn minimise(&self, base_rate: f64, max_iter: usize, tolerance: f64) -> Result<(Vec<f64>, usize)> {
        let wanted = tolerance * self.c * self.labels.len() as f64;
        let d = self.x.columns();
        let mut w = vec![0.0; d];
        w[0] = (base_rate / (1.0 - base_rate)).ln();
        let mut point = self.at(&w);
        for iteration in 0..max_iter {
            if largest(&point.gradient) <= wanted {
                return Ok((w, iteration));
            }
            let mut hessian = self.x.weighted_gram(&point.weights);
            for i in 1..d {
                hessian[i * d + i] += 1.0;
            }
            // Separable data can drive all weights of the intercept to 0; the sum stays solvable with this.
            hessian[0] += 1e-12;
            let Some(step) = solve_spd(&hessian, &point.gradient) else { break };
            let slope = dot(&step, &point.gradient);
            let mut length = 1.0;
            let moved = loop {
                let candidate: Vec<f64> = w.iter().zip(&step).map(|(w, s)| w - length * s).collect();
                let next = self.at(&candidate);
                // Armijo's rule; the last term admits the rounding of a value that no longer changes.
                if next.value <= point.value - 1e-4 * length * slope + 1e-14 * point.value.abs() {
                    break Some((candidate, next));
                }
                length *= 0.5;
                if length < 1e-10 {
                    break None;
                }
            };
            let Some((candidate, next)) = moved else { break };
            (w, point) = (candidate, next);
        }
        let gradient = largest(&point.gradient);
        if gradient <= wanted {
            return Ok((w, max_iter));
        }
        Err(Error::NotConverged { learner: "logistic", iterations: max_iter, gradient, wanted })
    }
}

fn largest(gradient: &[f64]) -> f64 {
    gradient.iter().fold(0.0, |most, g| g.abs().max(most))
}

/// `1 / (1 + exp(−z))` without overflow.
pub(crate) fn sigmoid(z: f64) -> f64 {
    if z >= 0.0 {
        1.0 / (1.0 + (-z).exp())
    } else {
        let e = z.exp();
        e / (1.0 + e)
    }
}

/// `log(1 + exp(z))` without overflow.
fn softplus(z: f64) -> f64 {
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Float64Array};
    use std::sync::Arc;
    use tidemill_transform::Split;

    #[test]
    fn separable_data_converge_because_of_the_penalty() {
        let x: ArrayRef = Arc::new(Float64Array::from_iter_values((0..100).map(f64::from)));
        let batch = RecordBatch::try_from_iter([("x", x)]).unwrap();
        let labels: Vec<bool> = (0..100).map(|i| i >= 50).collect();
        let split = Split::all_training(100).unwrap();
        let data = TrainData { batch: &batch, labels: &labels, rows: split.train(), valid: None };
        let fitted = Logistic.fit(&data, &Params::new(), 0).unwrap();
        let scores = fitted.model.predict(&batch).unwrap();
        assert!(scores[0] < 0.01 && scores[99] > 0.99);
        let one_class = TrainData { labels: &[true; 100], ..data };
        assert!(matches!(Logistic.fit(&one_class, &Params::new(), 0), Err(Error::SingleClass { .. })));
    }
}
