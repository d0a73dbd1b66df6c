//! Trains on a golden data set and writes the trees as XGBoost JSON: `export_trees DATA.json OUT.json`.
//!
//! Used by `infra/golden/learn.py`; the settings are those of `tests/golden.rs`.

use arrow::array::{ArrayRef, Float64Array};
use arrow::record_batch::RecordBatch;
use serde_json::{Value, json};
use std::error::Error;
use std::sync::Arc;
use tidemill_learn::{TrainData, learner};
use tidemill_transform::{Split, SplitSpec};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(data), Some(out)) = (arguments.next(), arguments.next()) else {
        return Err("usage: export_trees DATA.json OUT.json".into());
    };
    let golden: Value = serde_json::from_slice(&std::fs::read(data)?)?;
    let column = |name: &str| -> Option<ArrayRef> {
        let values = golden["columns"][name].as_array()?;
        Some(Arc::new(values.iter().map(Value::as_f64).collect::<Float64Array>()))
    };
    let names = ["x0", "x1", "x2", "x3", "x4"];
    let columns: Option<Vec<_>> = names.iter().map(|name| Some((*name, column(name)?))).collect();
    let batch = RecordBatch::try_from_iter(columns.ok_or("a column is missing")?)?;
    let labels: Option<Vec<bool>> =
        golden["labels"].as_array().ok_or("no labels")?.iter().map(Value::as_bool).collect();
    let times: Vec<i64> = (0..i64::try_from(batch.num_rows())?).collect();
    let train_until = golden["train_rows"].as_i64().ok_or("no train_rows")?;
    let split = Split::by_time(&times, SplitSpec { train_until, gap: 0, valid_until: train_until })?;
    let labels = labels.ok_or("a label is no boolean")?;
    let data = TrainData { batch: &batch, labels: &labels, rows: split.train(), valid: None };
    let params =
        serde_json::from_value(json!({"rounds": 12, "max_leaves": 7, "learning_rate": 0.2, "subsample": 0.8}))?;
    let files = learner("boosted")?.fit(&data, &params, 1)?.model.save()?;
    let (_, trees) = files.iter().find(|(name, _)| name == "trees.xgboost.json").ok_or("no trees")?;
    std::fs::write(out, trees)?;
    Ok(())
}
