//! Learners against scikit-learn, XGBoost and LightGBM (values by `infra/golden/learn.py`).
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{assert_close, data_set, floats};
use serde_json::{Value, json};
use tidemill_learn::{Model, Params, TrainData, learner};
use tidemill_metrics::roc_auc;

const MIXED: [&str; 6] = ["fare", "constant", "large", "stops", "direct", "city"];
const NUMBERS: [&str; 5] = ["x0", "x1", "x2", "x3", "x4"];

fn params(value: Value) -> Params {
    serde_json::from_value(value).unwrap()
}

fn boosted_data() -> Value {
    serde_json::from_str(include_str!("golden/boosted_data.json")).unwrap()
}

#[test]
fn logistic_regression_equals_scikit_learns() {
    let golden: Value = serde_json::from_str(include_str!("golden/logistic.json")).unwrap();
    let (batch, labels, split) = data_set(&golden, &MIXED);
    let data = TrainData { batch: &batch, labels: &labels, rows: split.train(), valid: None };
    for case in golden["cases"].as_array().unwrap() {
        let params = params(json!({"c": case["c"], "rare_share": golden["rare_share"]}));
        let fitted = learner("logistic").unwrap().fit(&data, &params, 0).unwrap();
        let Model::Logistic(model) = &fitted.model else { panic!("not a logistic model") };
        let coefficients: Vec<f64> = model.coefficients().into_iter().map(|(_, value)| value).collect();
        assert_close(&coefficients, &floats(&case["coefficients"]), 1e-6);
        assert_close(&[model.intercept()], &[case["intercept"].as_f64().unwrap()], 1e-6);
        assert_close(&fitted.model.predict(&batch).unwrap(), &floats(&case["probabilities"]), 1e-7);
    }
}

/// The settings of `examples/export_trees.rs`.
fn export_params() -> Params {
    params(json!({"rounds": 12, "max_leaves": 7, "learning_rate": 0.2, "subsample": 0.8}))
}

#[test]
fn exported_trees_predict_the_same_in_upstream_xgboost() {
    let golden = boosted_data();
    let (batch, labels, split) = data_set(&golden, &NUMBERS);
    let upstream: Value = serde_json::from_str(include_str!("golden/exported_predictions.json")).unwrap();
    let data = TrainData { batch: &batch, labels: &labels, rows: split.train(), valid: None };
    let fitted = learner("boosted").unwrap().fit(&data, &export_params(), 1).unwrap();
    assert_close(&fitted.model.predict(&batch).unwrap(), &floats(&upstream), 1e-6);
}

/// A saved model whose trees are replaced by XGBoost's own file, without the native one.
#[test]
fn trees_of_upstream_xgboost_predict_the_same_here() {
    let golden = boosted_data();
    let (batch, labels, split) = data_set(&golden, &NUMBERS);
    let data = TrainData { batch: &batch, labels: &labels, rows: split.train(), valid: None };
    let fitted = learner("boosted").unwrap().fit(&data, &params(json!({"rounds": 8})), 1).unwrap();
    let mut files = fitted.model.save().unwrap();
    files.retain(|(name, _)| name != "trees.hbm");
    let trees = files.iter_mut().find(|(name, _)| name == "trees.xgboost.json").unwrap();
    trees.1 = include_bytes!("golden/upstream_trees.xgboost.json").to_vec();
    let model = Model::load(&files).unwrap();
    let upstream: Value = serde_json::from_str(include_str!("golden/upstream_predictions.json")).unwrap();
    assert_close(&model.predict(&batch).unwrap(), &floats(&upstream), 1e-6);
}

#[test]
fn boosting_ranks_as_well_as_lightgbm() {
    let golden = boosted_data();
    let (batch, labels, split) = data_set(&golden, &NUMBERS);
    let data = TrainData { batch: &batch, labels: &labels, rows: split.train(), valid: None };
    let params = params(json!({"rounds": 40, "max_leaves": 7, "learning_rate": 0.1, "colsample": 1.0}));
    let fitted = learner("boosted").unwrap().fit(&data, &params, 1).unwrap();
    let scores = fitted.model.predict(&batch).unwrap();
    let from = split.train().len();
    let auc = roc_auc(&scores[from..], &labels[from..]).unwrap();
    let lightgbm = golden["lightgbm_auc"].as_f64().unwrap();
    assert!(auc > lightgbm - 0.01, "{auc} against LightGBM's {lightgbm}");
}
