//! The rule baseline: rates of positive labels looked up by a list of columns.
//!
//! Level 0 is the overall rate, level k the rate by the first k columns, each shrunk to the level above:
//! `(positives + smoothing · rate above) / (rows + smoothing)`. A row gets its deepest level that was seen, so an
//! unseen combination backs off column by column. Put the coarsest column first.

use crate::error::{Error, Result};
use crate::learner::{FitReport, FittedModel, Learner, TrainData};
use crate::model::Model;
use crate::params::{ParamReader, Params};
use arrow::array::{Array, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use tidemill_transform::{Column, FeatureKind, FeatureSpec, features_of, read_column};
use tidemill_types::pseudonym;

/// Learner `rate_table`; parameters `keys` (columns, coarsest first), `smoothing` (rows, default 20).
#[derive(Clone, Copy, Debug)]
pub struct RateTable;

/// Rates by the values of some columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateTableModel {
    keys: Vec<FeatureSpec>,
    overall: f64,
    /// Per level, the rate of each combination of values.
    levels: Vec<Rates>,
    /// Columns whose values go by pseudonyms, with the salt of those.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    salts: BTreeMap<String, String>,
}

/// Printed in sorted order, so that equal models give equal bytes.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, f64>", into = "BTreeMap<String, f64>")]
struct Rates(HashMap<String, f64>);

impl From<BTreeMap<String, f64>> for Rates {
    fn from(sorted: BTreeMap<String, f64>) -> Self {
        Self(sorted.into_iter().collect())
    }
}

impl From<Rates> for BTreeMap<String, f64> {
    fn from(rates: Rates) -> Self {
        rates.0.into_iter().collect()
    }
}

impl RateTableModel {
    pub(crate) fn predict(&self, batch: &RecordBatch) -> Result<Vec<f64>> {
        let keys = KeyColumns::read(batch, &self.keys)?.under(&self.keys, &self.salts);
        let mut key = String::new();
        Ok((0..batch.num_rows()).map(|row| self.lookup(&keys, row, &mut key)).collect())
    }

    fn lookup(&self, keys: &KeyColumns, row: usize, key: &mut String) -> f64 {
        key.clear();
        let mut rate = self.overall;
        for (level, rates) in self.levels.iter().enumerate() {
            keys.append(level, row, key);
            let Some(found) = rates.0.get(key.as_str()) else { break };
            rate = *found;
        }
        rate
    }

    pub(crate) fn pseudonymise(&mut self, salt: &str, is_personal: &dyn Fn(&str) -> bool) {
        let new = |key: &FeatureSpec| is_personal(&key.name) && !self.salts.contains_key(&key.name);
        let chosen: Vec<bool> = self.keys.iter().map(new).collect();
        let names: Vec<&str> = self.keys.iter().map(|key| key.name.as_str()).collect();
        let renamed = |key: String| {
            let values = values_of(&key).into_iter().zip(names.iter().zip(&chosen));
            values.fold(String::new(), |mut made, (value, (name, chosen))| {
                match value {
                    Some(value) if *chosen => push(&mut made, Some(&pseudonym(salt, name, &value))),
                    value => push(&mut made, value.as_deref()),
                }
                made
            })
        };
        for rates in &mut self.levels {
            rates.0 = std::mem::take(&mut rates.0).into_iter().map(|(key, rate)| (renamed(key), rate)).collect();
        }
        let chosen = names.iter().zip(&chosen).filter(|(_, chosen)| **chosen);
        self.salts.extend(chosen.map(|(name, _)| ((*name).to_owned(), salt.to_owned())));
    }

    /// Columns looked up, coarsest first.
    #[must_use]
    pub fn keys(&self) -> &[FeatureSpec] {
        &self.keys
    }
}

impl Learner for RateTable {
    fn name(&self) -> &'static str {
        "rate_table"
    }

    fn fit(&self, data: &TrainData<'_>, params: &Params, seed: u64) -> Result<FittedModel> {
        let mut reader = ParamReader::new(self.name(), params);
        let names = reader.list("keys", "a list of whole-number, boolean or text columns")?;
        let smoothing = reader.float("smoothing", 20.0, "a number of rows ≥ 0", |v| v >= 0.0)?;
        let params = reader.finish()?;

        let view = data.view()?;
        let features = features_of(view.batch())?;
        let keys: Vec<FeatureSpec> =
            names.into_iter().map(|name| key_column(&features, name)).collect::<Result<_>>()?;
        let columns = KeyColumns::read(view.batch(), &keys)?;
        let overall = view.base_rate();
        let mut levels: Vec<Rates> = Vec::with_capacity(keys.len());
        let mut prefixes = vec![String::new(); view.len()];
        for level in 0..keys.len() {
            // Counts and the rate above, by combination of values.
            let mut counts: HashMap<String, (f64, f64, f64)> = HashMap::new();
            for (row, prefix) in prefixes.iter_mut().enumerate() {
                let above = levels.last().and_then(|rates| rates.0.get(prefix.as_str())).copied().unwrap_or(overall);
                columns.append(level, row, prefix);
                let label = f64::from(u8::from(view.labels()[row]));
                match counts.get_mut(prefix.as_str()) {
                    Some((rows, positives, _)) => {
                        *rows += 1.0;
                        *positives += label;
                    }
                    None => {
                        counts.insert(prefix.clone(), (1.0, label, above));
                    }
                }
            }
            let rate = |(key, (rows, positives, above))| (key, (positives + smoothing * above) / (rows + smoothing));
            levels.push(Rates(counts.into_iter().map(rate).collect()));
        }

        let report = FitReport {
            learner: self.name().to_owned(),
            params,
            seed,
            train_rows: view.len(),
            valid_rows: 0,
            base_rate: overall,
            rounds: None,
            valid_log_loss: None,
        };
        Ok(FittedModel {
            model: Model::RateTable(RateTableModel { keys, overall, levels, salts: BTreeMap::new() }),
            report,
        })
    }
}

fn key_column(features: &[FeatureSpec], name: String) -> Result<FeatureSpec> {
    let Some(feature) = features.iter().find(|feature| feature.name == name) else {
        return Err(tidemill_transform::Error::MissingColumn { column: name }.into());
    };
    if feature.kind == FeatureKind::Number {
        let expected = "whole-number, boolean or text columns";
        return Err(Error::Param { name: "keys".to_owned(), value: name, expected });
    }
    Ok(feature.clone())
}

/// Key columns as text.
struct KeyColumns(Vec<StringArray>);

impl KeyColumns {
    fn read(batch: &RecordBatch, keys: &[FeatureSpec]) -> Result<Self> {
        let text = |(at, spec): (usize, &FeatureSpec)| {
            let array = match read_column(batch, spec, at)? {
                Column::Number(a) => cast(&a, &DataType::Utf8),
                Column::Integer(a) => cast(&a, &DataType::Utf8),
                Column::Flag(a) => cast(&a, &DataType::Utf8),
                Column::Category(a) => return Ok(a),
            };
            Ok(array.map_err(tidemill_transform::Error::from)?.as_string::<i32>().clone())
        };
        Ok(Self(keys.iter().enumerate().map(text).collect::<Result<_>>()?))
    }

    /// The columns by the names that a table with such salts knows.
    fn under(self, keys: &[FeatureSpec], salts: &BTreeMap<String, String>) -> Self {
        let column = |(key, texts): (&FeatureSpec, StringArray)| match salts.get(&key.name) {
            Some(salt) => texts.iter().map(|text| Some(pseudonym(salt, &key.name, text?))).collect(),
            None => texts,
        };
        Self(keys.iter().zip(self.0).map(column).collect())
    }

    /// Adds one value to a key.
    fn append(&self, level: usize, row: usize, key: &mut String) {
        let column = &self.0[level];
        push(key, column.is_valid(row).then(|| column.value(row)));
    }
}

/// Adds one value to a key. Texts are escaped, so that values never run into each other; null differs from every text.
fn push(key: &mut String, value: Option<&str>) {
    let Some(value) = value else {
        key.push_str("|\\0");
        return;
    };
    key.push('|');
    for c in value.chars() {
        if c == '|' || c == '\\' {
            key.push('\\');
        }
        key.push(c);
    }
}

/// The values that were pushed to a key.
fn values_of(key: &str) -> Vec<Option<String>> {
    let mut values: Vec<Option<String>> = Vec::new();
    let mut chars = key.chars();
    while let Some(c) = chars.next() {
        match c {
            '|' => values.push(Some(String::new())),
            '\\' => match (chars.next(), values.last_mut()) {
                // No text has it escaped, so it is the mark of null.
                (Some('0'), Some(last)) => *last = None,
                (Some(c), Some(Some(text))) => text.push(c),
                _ => {}
            },
            c => {
                if let Some(Some(text)) = values.last_mut() {
                    text.push(c);
                }
            }
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array};
    use std::sync::Arc;
    use tidemill_transform::Split;

    fn batch(rows: &[(Option<&str>, i64)]) -> RecordBatch {
        let carrier: ArrayRef = Arc::new(rows.iter().map(|row| row.0).collect::<StringArray>());
        let hour: ArrayRef = Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>());
        RecordBatch::try_from_iter([("carrier", carrier), ("hour", hour)]).unwrap()
    }

    #[test]
    fn an_unseen_combination_backs_off() {
        let train = batch(&[(Some("UA"), 6), (Some("UA"), 6), (Some("UA"), 7), (Some("AA"), 6), (None, 6)]);
        let labels = [true, true, false, false, false];
        let split = Split::all_training(5).unwrap();
        let data = TrainData { batch: &train, labels: &labels, rows: split.train(), valid: None };
        let params: Params = serde_json::from_str(r#"{"keys": ["carrier", "hour"], "smoothing": 1}"#).unwrap();
        let fitted = RateTable.fit(&data, &params, 0).unwrap();
        let asked = batch(&[(Some("UA"), 6), (Some("UA"), 9), (Some("ZZ"), 6), (None, 6)]);
        let ua = (2.0 + 0.4) / 4.0;
        let expected = [(2.0 + ua) / 3.0, ua, 0.4, (0.4 / 2.0) / 2.0];
        for (got, want) in fitted.model.predict(&asked).unwrap().iter().zip(expected) {
            assert!((got - want).abs() < 1e-15, "{got} {want}");
        }
        let loaded = Model::load(&fitted.model.save().unwrap()).unwrap();
        assert_eq!(loaded.predict(&asked).unwrap(), fitted.model.predict(&asked).unwrap());
    }

    #[test]
    fn pseudonyms_stand_for_values_and_no_row_is_rated_otherwise() {
        let rows = [(Some("U|\\A0"), 6), (Some("\\0"), 6), (None, 7), (Some(""), 6), (Some("AA"), 6)];
        let train = batch(&rows);
        let split = Split::all_training(5).unwrap();
        let data =
            TrainData { batch: &train, labels: &[true, true, false, false, true], rows: split.train(), valid: None };
        let params: Params = serde_json::from_str(r#"{"keys": ["carrier", "hour"], "smoothing": 1}"#).unwrap();
        let plain = RateTable.fit(&data, &params, 0).unwrap().model;
        let mut hidden = plain.clone();
        hidden.pseudonymise("salt", &|column| column == "carrier");
        let stored = hidden.save().unwrap();
        assert!(!String::from_utf8_lossy(&stored[0].1).contains("AA"));
        assert!(String::from_utf8_lossy(&stored[0].1).contains("|6\""), "hours are nobody's");
        let asked = batch(&[rows.as_slice(), &[(Some("ZZ"), 6), (None, 6), (Some("AA"), 9)]].concat());
        assert_eq!(Model::load(&stored).unwrap().predict(&asked).unwrap(), plain.predict(&asked).unwrap());
    }

    #[test]
    fn a_key_that_is_no_column_is_refused() {
        let train = batch(&[(Some("UA"), 6)]);
        let split = Split::all_training(1).unwrap();
        let data = TrainData { batch: &train, labels: &[true], rows: split.train(), valid: None };
        let params: Params = serde_json::from_str(r#"{"keys": ["origin"]}"#).unwrap();
        assert!(RateTable.fit(&data, &params, 0).is_err());
        assert!(RateTable.fit(&data, &Params::new(), 0).is_err());
    }
}
