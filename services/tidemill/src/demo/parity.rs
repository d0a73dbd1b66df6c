//! Online equals offline: what was served against what a replay of the clean tables gives, bit for bit.

use crate::up::Running;
use anyhow::{Context, Result};
use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{cast, concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use serde::Serialize;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use tidemill_contracts::{prediction_log, training_set};
use tidemill_dataset::{Between, Table};
use tidemill_learn::Model;
use tidemill_registry::TrustedKeys;
use tidemill_types::{Digest, Millis};

/// What the comparison found.
#[derive(Debug, Default, Serialize)]
pub(super) struct Parity {
    /// Predictions whose feature vectors were compared.
    pub(super) vectors_compared: u64,
    /// Of these, how many differ in any bit.
    pub(super) vectors_different: u64,
    /// Predictions whose score was computed again from the replayed vector.
    pub(super) scores_compared: u64,
    /// Of these, how many differ in any bit.
    pub(super) scores_different: u64,
    /// Rows that were taken in online and taken back, because validation did not let them into the clean tables. Vectors
    /// that were served in between were made with them and differ for that reason.
    pub(super) rows_retracted: u64,
}

/// Compares every prediction answered for an instant in `[from, to)` with the replayed feature rows.
pub(super) async fn compare(running: &Running, data_dir: &Path, from: Millis, to: Millis) -> Result<Parity> {
    let spec = &running.spec;
    let served =
        Table::open(&running.storage, &format!("predictions/{}/{}", spec.project, spec.serve.deployment)).await?;
    let replayed = Table::open(&running.storage, &format!("features/{}/rows", spec.features.set)).await?;
    let features: Vec<String> = spec.features.define.keys().cloned().collect();
    let trusted = TrustedKeys::load(&data_dir.join("keys").join("signing.key.pub"))?;
    let mut models = HashMap::new();
    let mut parity = Parity::default();
    // A month at a time, so that memory does not grow with the year.
    let step = 31 * 86_400_000;
    let mut at = from.0;
    while at < to.0 {
        let end = (at + step).min(to.0);
        let online = rows(&served, prediction_log::AS_OF, at, end).await?;
        let offline = rows(&replayed, training_set::AS_OF, at, end).await?;
        for row in distinct(&online, prediction_log::MODEL)? {
            if let Entry::Vacant(place) = models.entry(row.clone()) {
                let digest = Digest::parse(&row).with_context(|| format!("{row} is no digest"))?;
                let bundle = tidemill_registry::load(&running.storage, &digest, &trusted).await?;
                place.insert(Model::load(&bundle.model_files())?);
            }
        }
        let found = tokio::task::block_in_place(|| compare_rows(&online, &offline, &features, &models))?;
        parity.vectors_compared += found.vectors_compared;
        parity.vectors_different += found.vectors_different;
        parity.scores_compared += found.scores_compared;
        parity.scores_different += found.scores_different;
        at = end;
    }
    Ok(parity)
}

async fn rows(table: &Table, column: &str, from: i64, to: i64) -> Result<RecordBatch> {
    let snapshot = table.load().await?;
    let between = Between { column: column.to_owned(), from: Millis(from), to: Millis(to) };
    let batches = table.scan(&snapshot, None, Some(between)).collect().await?;
    Ok(concat_batches(&table.schema(), &batches)?)
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a arrow::array::ArrayRef> {
    batch.column_by_name(name).with_context(|| format!("column {name} is missing"))
}

fn distinct(batch: &RecordBatch, name: &str) -> Result<Vec<String>> {
    let values = cast(column(batch, name)?, &DataType::Utf8)?;
    let mut all: Vec<String> = values.as_string::<i32>().iter().flatten().map(str::to_owned).collect();
    all.sort();
    all.dedup();
    Ok(all)
}

fn keys(batch: &RecordBatch, name: &str) -> Result<Vec<i64>> {
    Ok(cast(column(batch, name)?, &DataType::Int64)?.as_primitive::<Int64Type>().values().to_vec())
}

fn compare_rows(
    online: &RecordBatch,
    offline: &RecordBatch,
    features: &[String],
    models: &HashMap<String, Model>,
) -> Result<Parity> {
    let place: HashMap<i64, u32> = keys(offline, training_set::KEY)?.into_iter().zip(0_u32..).collect();
    let served_keys = keys(online, prediction_log::KEY)?;
    // A prediction without a replayed row counts as different, not as absent.
    let pairs: Vec<(u32, u32)> = (0_u32..).zip(&served_keys).filter_map(|(i, k)| Some((i, *place.get(k)?))).collect();
    let unmatched = (served_keys.len() - pairs.len()) as u64;
    let ours = take_record_batch(online, &UInt32Array::from_iter_values(pairs.iter().map(|p| p.0)))?;
    let theirs = take_record_batch(offline, &UInt32Array::from_iter_values(pairs.iter().map(|p| p.1)))?;
    let mut different = vec![false; pairs.len()];
    for name in features {
        let (a, b) = (column(&ours, name)?, column(&theirs, name)?);
        if a.to_data() == b.to_data() {
            continue;
        }
        for (row, flag) in different.iter_mut().enumerate() {
            *flag |= a.slice(row, 1).to_data() != b.slice(row, 1).to_data();
        }
    }
    let mut found = Parity {
        vectors_compared: served_keys.len() as u64,
        vectors_different: unmatched + different.iter().filter(|d| **d).count() as u64,
        ..Parity::default()
    };
    let answered_by = cast(column(&ours, prediction_log::MODEL)?, &DataType::Utf8)?;
    let answered_by = answered_by.as_string::<i32>();
    for (digest, model) in models {
        let chosen = UInt32Array::from_iter_values(
            (0_u32..).zip(answered_by).filter(|(_, m)| *m == Some(digest)).map(|(i, _)| i),
        );
        if chosen.is_empty() {
            continue;
        }
        let replayed = take_record_batch(&theirs, &chosen)?;
        let served = take_record_batch(&ours, &chosen)?;
        let served = column(&served, prediction_log::SCORE)?.as_primitive::<Float64Type>().clone();
        let again = model.predict(&replayed)?;
        found.scores_compared += again.len() as u64;
        found.scores_different +=
            again.iter().zip(served.iter()).filter(|(a, s)| Some(a.to_bits()) != s.map(f64::to_bits)).count() as u64;
    }
    Ok(found)
}
