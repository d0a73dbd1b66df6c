//! What every learner promises: determinism, saving, prediction by name, refusal of the wrong columns.
#![allow(clippy::unwrap_used, reason = "tests")]

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use std::sync::Arc;
use tidemill_learn::{Error, Model, Params, TrainData, learner, learner_names};
use tidemill_metrics::roc_auc;
use tidemill_transform::{Split, SplitSpec};

const ROWS: usize = 6000;

/// Rows whose label depends on a number, a category and their interaction.
fn data(seed: u64) -> (RecordBatch, Vec<bool>, Split) {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let (mut x, mut carrier, mut hour, mut flag, mut labels) = (vec![], vec![], vec![], vec![], vec![]);
    for _ in 0..ROWS {
        let (value, name, at) = (rng.random_range(-2.0..2.0), rng.random_range(0..30_u32), rng.random_range(0..24_i64));
        let late = value + if name < 6 { 1.0 } else { -0.5 } + if at > 17 && value > 0.0 { 1.5 } else { 0.0 };
        labels.push(rng.random_range(0.0..1.0) < 1.0 / (1.0 + f64::exp(-late)));
        x.push((!rng.random_bool(0.1)).then_some(value));
        carrier.push((!rng.random_bool(0.02)).then(|| format!("carrier{name}")));
        hour.push(at);
        flag.push(rng.random_bool(0.5));
    }
    let columns: [(&str, ArrayRef); 4] = [
        ("x", Arc::new(Float64Array::from(x))),
        ("carrier", Arc::new(StringArray::from(carrier))),
        ("hour", Arc::new(Int64Array::from(hour))),
        ("flag", Arc::new(BooleanArray::from(flag))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let times: Vec<i64> = (0..6000).collect();
    let split = Split::by_time(&times, SplitSpec { train_until: 4000, gap: 500, valid_until: 6000 }).unwrap();
    (batch, labels, split)
}

fn params(name: &str) -> Params {
    let text = match name {
        "rate_table" => r#"{"keys": ["carrier", "hour"]}"#,
        "boosted" => r#"{"rounds": 200, "max_leaves": 15, "subsample": 0.8, "early_stopping_rounds": 10}"#,
        _ => "{}",
    };
    serde_json::from_str(text).unwrap()
}

fn valid_auc(scores: &[f64], labels: &[bool]) -> f64 {
    roc_auc(&scores[4500..], &labels[4500..]).unwrap()
}

#[test]
fn each_learner_beats_the_simpler_one_and_survives_saving() {
    let (batch, labels, split) = data(3);
    let data = TrainData { batch: &batch, labels: &labels, rows: split.train(), valid: Some(split.valid()) };
    let mut last = 0.0;
    for name in learner_names() {
        let fitted = learner(name).unwrap().fit(&data, &params(name), 11).unwrap();
        let scores = fitted.model.predict(&batch).unwrap();
        assert!(scores.iter().all(|p| (0.0..=1.0).contains(p)), "{name}");
        let auc = valid_auc(&scores, &labels);
        assert!(auc > last, "{name}: {auc} after {last}");
        last = auc;

        let files = fitted.model.save().unwrap();
        let loaded = Model::load(&files).unwrap();
        assert_eq!(loaded.learner(), name);
        assert_eq!(loaded.predict(&batch).unwrap(), scores, "{name}");
        assert_eq!(loaded.save().unwrap(), files, "{name}");
        assert_eq!(loaded.predict(&batch.slice(17, 1)).unwrap(), scores[17..18], "{name}: one row differs from many");
        assert_eq!(loaded.predict(&batch.slice(0, 0)).unwrap(), Vec::<f64>::new());
    }
    assert!(last > 0.75, "boosting reaches only {last}");
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let (batch, labels, split) = data(5);
    let data = TrainData { batch: &batch, labels: &labels, rows: split.train(), valid: Some(split.valid()) };
    let fit = |seed, threads: i64| {
        let mut params = params("boosted");
        params.insert("threads".to_owned(), threads.into());
        learner("boosted").unwrap().fit(&data, &params, seed).unwrap().model.save().unwrap()
    };
    let first = fit(1, 0);
    for threads in [1, 2, 5] {
        assert_eq!(fit(1, threads), first, "{threads} threads");
    }
    assert_ne!(fit(2, 0), first);
}

#[test]
fn boosting_stops_early_and_says_what_it_used() {
    let (batch, labels, split) = data(7);
    let data = TrainData { batch: &batch, labels: &labels, rows: split.train(), valid: Some(split.valid()) };
    let fitted = learner("boosted").unwrap().fit(&data, &params("boosted"), 1).unwrap();
    let rounds = fitted.report.rounds.unwrap();
    assert!(rounds < 200, "{rounds}");
    assert!((0.3..0.69).contains(&fitted.report.valid_log_loss.unwrap()), "{:?}", fitted.report);
    assert_eq!(fitted.report.params["learning_rate"].to_string(), "0.08");
    let importance = fitted.model.importance();
    assert_eq!(importance[0].0, "x");
    assert!((importance.iter().map(|(_, share)| share).sum::<f64>() - 1.0).abs() < 1e-12);
}

#[test]
fn wrong_columns_and_damaged_files_are_named() {
    let (batch, labels, split) = data(9);
    let data = TrainData { batch: &batch, labels: &labels, rows: split.train(), valid: None };
    for name in ["rate_table", "logistic", "boosted"] {
        let fitted = learner(name).unwrap().fit(&data, &params(name), 1).unwrap();
        let short = batch.project(&[0, 2, 3]).unwrap();
        assert_eq!(fitted.model.predict(&short).unwrap_err().to_string(), "column \"carrier\" is missing");
        let shuffled = batch.project(&[3, 2, 1, 0]).unwrap();
        assert_eq!(fitted.model.predict(&shuffled).unwrap(), fitted.model.predict(&batch).unwrap());
        for at in 0..fitted.model.save().unwrap().len() {
            let mut files = fitted.model.save().unwrap();
            if files[at].0 == "trees.xgboost.json" {
                continue;
            }
            files[at].1.truncate(40);
            assert!(matches!(Model::load(&files), Err(Error::DamagedFile { .. })), "{name}: {}", files[at].0);
        }
        assert!(matches!(Model::load(&[]), Err(Error::MissingFile { .. })));
    }
}
