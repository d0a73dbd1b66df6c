//! The boosted learner beside LightGBM, on the same matrix with the same settings.

use crate::flights::{Flights, Labelled};
use anyhow::{Context as _, Result, ensure};
use arrow::array::{ArrayRef, BooleanArray, Float32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidemill_dataset::write_parquet;
use tidemill_learn::{ParamValue, Params, TrainData, learner};
use tidemill_testkit::Store;
use tidemill_tests::python;
use tidemill_transform::{CategoryEncoding, FitView, Split, TreeMatrix};
use tidemill_types::Millis;

/// 2013-04-01T00:00:00Z: a quarter of flights.
const UNTIL: Millis = Millis(1_364_774_400_000);
const ROUNDS: i64 = 200;
const LEAVES: i64 = 31;
const BINS: i64 = 255;
const LEARNING_RATE: f64 = 0.08;
const CHILD_WEIGHT: f64 = 5.0;
const L2: f64 = 1.0;
/// Best of so many fits each.
const RUNS: usize = 2;

/// The features as numbers alone, so that both learners see the very same values; NaN is missing.
fn numbers(data: &Labelled, split: &Split) -> Result<RecordBatch> {
    let view = FitView::new(&data.features, &data.labels, split.train())?;
    let (_, matrix) = TreeMatrix::fit(&view, CategoryEncoding::Target { smoothing: 20.0, folds: 5 })?;
    let column = |at: usize| -> ArrayRef {
        let values = matrix.values().iter().skip(at).step_by(matrix.columns()).copied();
        Arc::new(Float32Array::from_iter_values(values))
    };
    let names = data.features.schema();
    let fields: Vec<Field> = names.fields().iter().map(|f| Field::new(f.name(), DataType::Float32, false)).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), (0..matrix.columns()).map(column).collect())?)
}

fn log_loss(labels: &[bool], scores: &[f64]) -> f64 {
    let loss = |(label, p): (&bool, &f64)| {
        let p = p.clamp(1e-15, 1.0 - 1e-15);
        if *label { -p.ln() } else { -(1.0 - p).ln() }
    };
    labels.iter().zip(scores).map(loss).sum::<f64>() / labels.len() as f64
}

/// Seconds of the best fit and the log loss of its rows.
fn ours(batch: &RecordBatch, labels: &[bool], split: &Split) -> Result<(f64, f64)> {
    let settings: [(&str, ParamValue); 8] = [
        ("rounds", ROUNDS.into()),
        ("max_leaves", LEAVES.into()),
        ("max_bin", BINS.into()),
        ("learning_rate", LEARNING_RATE.into()),
        ("min_child_weight", CHILD_WEIGHT.into()),
        ("l2", L2.into()),
        ("colsample", 1.0.into()),
        ("early_stopping_rounds", 0.into()),
    ];
    let params: Params = settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let data = TrainData { batch, labels, rows: split.train(), valid: None };
    let (mut best, mut loss) = (Duration::MAX, f64::NAN);
    for _ in 0..RUNS {
        let begin = Instant::now();
        let model = learner("boosted")?.fit(&data, &params, 7)?.model;
        best = best.min(begin.elapsed());
        loss = log_loss(labels, &model.predict(batch)?);
    }
    Ok((best.as_secs_f64(), loss))
}

/// As [`ours`], by LightGBM.
fn theirs(matrix: &Path) -> Result<(f64, f64)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("load");
    let python = python::environment("lightgbm", &folder.join("lightgbm.requirements.txt"))?;
    let parameters = serde_json::json!({
        "objective": "binary", "num_leaves": LEAVES, "max_bin": BINS, "learning_rate": LEARNING_RATE,
        "min_sum_hessian_in_leaf": CHILD_WEIGHT, "min_data_in_leaf": 1, "lambda_l2": L2, "verbosity": -1,
    });
    let mut best = (f64::INFINITY, f64::NAN);
    for _ in 0..RUNS {
        let mut fit = Command::new(&python);
        fit.arg(folder.join("lightgbm_fit.py")).arg(matrix).args([parameters.to_string(), ROUNDS.to_string()]);
        let output = fit.output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let number = |name: &str| answer[name].as_f64().with_context(|| format!("no {name} in {answer}"));
        let (seconds, loss) = (number("seconds")?, number("log_loss")?);
        if seconds < best.0 {
            best = (seconds, loss);
        }
    }
    Ok(best)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "benchmark"]
async fn training_of_boosted_trees() -> Result<()> {
    let flights = Flights::load(UNTIL).await?;
    let data = tokio::task::block_in_place(|| flights.labelled())?;
    let split = Split::all_training(data.labels.len())?;
    let batch = numbers(&data, &split)?;
    let store = Store::local()?;
    let label: ArrayRef = Arc::new(BooleanArray::from(data.labels.clone()));
    let mut fields: Vec<Field> = batch.schema().fields().iter().map(|f| f.as_ref().clone()).collect();
    fields.push(Field::new("label", DataType::Boolean, false));
    let stored: Vec<ArrayRef> = batch.columns().iter().cloned().chain([label]).collect();
    let stored = RecordBatch::try_new(Arc::new(Schema::new(fields)), stored)?;
    write_parquet(store.storage(), "matrix.parquet", &[stored]).await?;
    let matrix = store.dir().join("matrix.parquet");
    let (seconds, loss) = tokio::task::block_in_place(|| ours(&batch, &data.labels, &split))?;
    let (their_seconds, their_loss) = tokio::task::block_in_place(|| theirs(&matrix))?;
    println!(
        "training of {ROUNDS} rounds of {LEAVES} leaves on {} × {}: {seconds:.2} s (log loss {loss:.4}); \
         LightGBM: {their_seconds:.2} s (log loss {their_loss:.4}); ratio {:.2}",
        batch.num_rows(),
        batch.num_columns(),
        their_seconds / seconds,
    );
    Ok(())
}
