//! The static protocol: one model of default parameters, trained until one instant and tested after another.
//!
//! It is the yardstick that published numbers are compared with; no gate, no bundle, no registry.

use crate::domain::fit::{BASELINES, final_params, fit_baseline, fit_before, run_trial, with_text_keys};
use crate::domain::rows::Rows;
use crate::domain::windows::Windows;
use crate::error::TrainingError;
use crate::store::{blocking, load_rows};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidemill_features::Plan;
use tidemill_learn::{Model, Params};
use tidemill_metrics::{BinaryReport, binary_report};
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tidemill_types::Millis;

/// What one model reached on the test rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StaticScores {
    /// Area under the ROC curve.
    pub auc: f64,
    /// Brier score.
    pub brier: f64,
    /// Share of positives among the rows flagged at the budget of the spec.
    pub precision_at_budget: f64,
    /// Mean log loss in nats.
    pub log_loss: f64,
}

/// Result of the static protocol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StaticReport {
    /// The boosted model.
    pub model: StaticScores,
    /// The baselines by name: `majority`, `rule`, `logistic`.
    pub baselines: BTreeMap<String, StaticScores>,
    /// Rows fitted on.
    pub train_rows: u64,
    /// Rows tested on.
    pub rows: u64,
    /// Positive ones among them.
    pub positives: u64,
    /// Boosting rounds, found on the last validation window before `train_until`.
    pub rounds: Option<usize>,
}

/// Trains boosted trees of default parameters and the baselines on rows before `train_until` and tests them on rows
/// from `test_from` on. Excluded rows take no part. Rounds are found on the spec's validation window at the end of
/// the training rows; the last fit then uses all of them.
///
/// # Errors
/// A training set that lacks columns or rows, a plan that does not compile, a learner that refuses.
pub async fn static_protocol(
    storage: &Storage,
    spec: &Spec,
    training_set_path: &str,
    train_until: Millis,
    test_from: Millis,
) -> Result<StaticReport, TrainingError> {
    let plan = Plan::compile(spec)?;
    let rows = load_rows(storage, training_set_path, plan.schema(), Millis::MAX).await?;
    let spec = Arc::new(spec.clone());
    blocking(move || measure(&rows, &spec, train_until, test_from)).await
}

fn measure(rows: &Rows, spec: &Spec, train_until: Millis, test_from: Millis) -> Result<StaticReport, TrainingError> {
    let seed = spec.train.search.seed;
    let valid_from = Millis(train_until.0 - spec.split.validation.millis());
    let windows = Windows {
        train_until: Millis(valid_from.0 - spec.split.embargo.millis()),
        valid_from,
        valid_until: train_until,
        test_from,
        test_until: Millis::MAX,
    };
    let budget = spec.kpi.budget;
    let before = rows.between(Millis::MIN, train_until);
    let test = rows.between(test_from, Millis::MAX);
    let trial = run_trial(&before, &windows, "boosted", &Params::new(), budget, seed)?;
    let fitted = fit_before(&before, train_until, "boosted", &final_params("boosted", &trial), seed)?;
    let keys = &spec.train.baselines.rule.rates_by;
    let mut baselines = BTreeMap::new();
    for name in BASELINES {
        let model = fit_baseline(&before, train_until, name, keys, seed)?.model;
        let report = report(&model, &test, keys, budget, seed)?;
        baselines.insert(name.to_owned(), scores(&report));
    }
    let report = report(&fitted.model, &test, keys, budget, seed)?;
    Ok(StaticReport {
        model: scores(&report),
        baselines,
        train_rows: before.len() as u64,
        rows: report.n,
        positives: report.positives,
        rounds: trial.rounds,
    })
}

fn report(model: &Model, test: &Rows, keys: &[String], budget: f64, seed: u64) -> Result<BinaryReport, TrainingError> {
    let predicted = match model {
        Model::RateTable(_) => model.predict(&with_text_keys(&test.features, keys)?)?,
        _ => model.predict(&test.features)?,
    };
    Ok(binary_report(&predicted, &test.labels, budget, seed)?)
}

fn scores(report: &BinaryReport) -> StaticScores {
    StaticScores {
        auc: report.roc_auc.value,
        brier: report.brier.value,
        precision_at_budget: report.precision_at_budget.value,
        log_loss: report.log_loss.value,
    }
}
