//! Metrics against scikit-learn, scipy and a rank-free DeLong (infra/golden/metrics.py).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::Value;
use tidemill_metrics::{
    at_budget, auc_interval, bins, brier, confusion, delong, ece, log_loss, mae, mean, paired, paired_auc, pr_auc, r2,
    rmse, roc_auc, wilson,
};

fn document() -> Value {
    serde_json::from_str(include_str!("golden/metrics.json")).unwrap()
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn flags(v: &Value) -> Vec<bool> {
    v.as_array().unwrap().iter().map(|x| x.as_bool().unwrap()).collect()
}

#[track_caller]
fn close(ours: f64, theirs: &Value, what: &str) {
    let theirs = theirs.as_f64().unwrap();
    assert!((ours - theirs).abs() <= 1e-9 * theirs.abs().max(1.0), "{what}: ours {ours}, reference {theirs}");
}

#[test]
fn binary_metrics_equal_scikit_learn() {
    for case in document()["binary"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let (scores, labels) = (numbers(&case["scores"]), flags(&case["labels"]));
        close(roc_auc(&scores, &labels).unwrap(), &case["roc_auc"], name);
        close(pr_auc(&scores, &labels).unwrap(), &case["pr_auc"], name);
        close(log_loss(&scores, &labels).unwrap(), &case["log_loss"], name);
        close(brier(&scores, &labels).unwrap(), &case["brier"], name);
        close(ece(&scores, &labels, 10).unwrap(), &case["ece"], name);
        let counts = confusion(&scores, &labels, case["threshold"].as_f64().unwrap()).unwrap();
        close(counts.precision(), &case["precision"], name);
        close(counts.recall(), &case["recall"], name);
        close(counts.f1(), &case["f1"], name);
        close(counts.mcc(), &case["mcc"], name);
        close(counts.accuracy(), &case["accuracy"], name);
        let top = at_budget(&scores, &labels, case["budget"].as_f64().unwrap()).unwrap();
        assert_eq!(top.alerts as u64, case["alerts"].as_u64().unwrap(), "{name}");
        assert_eq!(top.caught as u64, case["caught"].as_u64().unwrap(), "{name}");
    }
}

#[test]
fn reliability_bins_equal_scikit_learn() {
    for case in document()["binary"].as_array().unwrap() {
        let filled: Vec<_> = bins(&numbers(&case["scores"]), &flags(&case["labels"]), 10)
            .unwrap()
            .into_iter()
            .filter(|b| b.count > 0)
            .collect();
        let truth = case["curve_truth"].as_array().unwrap();
        assert_eq!(filled.len(), truth.len());
        for ((bin, truth), score) in filled.iter().zip(truth).zip(case["curve_score"].as_array().unwrap()) {
            close(bin.positive_share, truth, "share");
            close(bin.mean_score, score, "score");
        }
    }
}

#[test]
fn delong_equals_the_definition() {
    for case in document()["binary"].as_array().unwrap() {
        let (a, b, labels) = (numbers(&case["scores"]), numbers(&case["second"]), flags(&case["labels"]));
        close(delong::auc_variance(&a, &labels).unwrap().1, &case["auc_variance"], "variance");
        let test = paired_auc(&a, &b, &labels).unwrap();
        close(test.difference.value, &case["auc_difference"], "difference");
        close(test.se, &case["auc_difference_se"], "se");
        close(test.p, &case["auc_difference_p"], "p");
        assert!(auc_interval(&a, &labels).unwrap().contains(roc_auc(&a, &labels).unwrap()));
    }
}

#[test]
fn paired_row_losses_equal_a_t_test() {
    for case in document()["binary"].as_array().unwrap() {
        let labels = flags(&case["labels"]);
        let errors = |key: &str| -> Vec<f64> {
            numbers(&case[key]).iter().zip(&labels).map(|(s, l)| (s - f64::from(u8::from(*l))).powi(2)).collect()
        };
        let (a, b) = (errors("scores"), errors("second"));
        close(paired::paired_mean(&a, &b).unwrap().p, &case["brier_gap_p"], "p");
        close(mean(&a).unwrap().low, &case["brier_low"], "low");
    }
}

#[test]
fn regression_and_closed_intervals_equal_the_references() {
    let doc = document();
    let case = &doc["regression"];
    let (targets, predictions) = (numbers(&case["targets"]), numbers(&case["predictions"]));
    close(rmse(&predictions, &targets).unwrap(), &case["rmse"], "rmse");
    close(mae(&predictions, &targets).unwrap(), &case["mae"], "mae");
    close(r2(&predictions, &targets).unwrap(), &case["r2"], "r2");
    for case in doc["wilson"].as_array().unwrap() {
        let ours = wilson(case["k"].as_u64().unwrap(), case["n"].as_u64().unwrap()).unwrap();
        close(ours.low, &case["low"], "low");
        close(ours.high, &case["high"], "high");
    }
    let ours = mean(&numbers(&doc["mean"]["values"])).unwrap();
    close(ours.value, &doc["mean"]["mean"], "mean");
    close(ours.low, &doc["mean"]["low"], "low");
    close(ours.high, &doc["mean"]["high"], "high");
}
