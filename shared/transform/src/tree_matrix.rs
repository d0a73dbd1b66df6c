//! The matrix that tree learners read: numbers as they are, missing as NaN, categories as numbers.

use crate::column::{Column, FeatureKind, FeatureSpec, features_of, known_as, read_column};
use crate::error::{Error, Result};
use crate::matrix::MatrixF32;
use crate::target_encoding::{Lookup, TargetTable};
use crate::view::FitView;
use arrow::array::StringArray;
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use tidemill_types::pseudonym;

/// How categories become numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CategoryEncoding {
    /// Code by training frequency, the most frequent is 0 (ties by name); unseen counts as rarer than all.
    Ordinal,
    /// Smoothed rate of positive labels, out of fold on the training rows; unseen gets the overall rate.
    Target {
        /// Weight of the overall rate, in rows.
        smoothing: f64,
        /// Number of folds, at least 2.
        folds: usize,
    },
}

impl Default for CategoryEncoding {
    fn default() -> Self {
        Self::Target { smoothing: 20.0, folds: 5 }
    }
}

/// A fitted tree matrix: one output column per input column, same order, same names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeMatrix {
    columns: Vec<TreeColumn>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TreeColumn {
    input: FeatureSpec,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    table: Option<CategoryTable>,
    /// Set where the table goes by pseudonyms of the categories.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    salt: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CategoryTable {
    Ordinal(Lookup),
    Target(TargetTable),
}

impl CategoryTable {
    fn get(&self, category: &str) -> f64 {
        match self {
            Self::Ordinal(codes) => codes.0.get(category).copied().unwrap_or(codes.0.len() as f64),
            Self::Target(table) => table.get(category),
        }
    }
}

impl TreeMatrix {
    /// Fits on training rows and returns the transform with the matrix of those rows. With
    /// [`CategoryEncoding::Target`] that matrix holds out-of-fold values, which [`Self::apply`] on the same rows
    /// would not give: train on this one.
    ///
    /// # Errors
    /// [`Error::ColumnType`] for a column that is no feature, [`Error::Option`] for bad options.
    pub fn fit(view: &FitView, encoding: CategoryEncoding) -> Result<(Self, MatrixF32)> {
        check(encoding)?;
        let inputs = features_of(view.batch())?;
        let mut matrix = MatrixF32::filled(view.len(), inputs.len(), f32::NAN);
        let mut columns = Vec::with_capacity(inputs.len());
        for (at, input) in inputs.into_iter().enumerate() {
            let column = read_column(view.batch(), &input, at)?;
            let table = match (&column, encoding) {
                (Column::Category(texts), CategoryEncoding::Ordinal) => {
                    let table = CategoryTable::Ordinal(frequency_codes(texts));
                    matrix.set_column(at, texts.iter().map(|text| cell(text.map(|text| table.get(text)))));
                    Some(table)
                }
                (Column::Category(texts), CategoryEncoding::Target { smoothing, folds }) => {
                    let (table, out_of_fold) =
                        TargetTable::fit(texts, view.labels(), view.row_keys(), smoothing, folds);
                    matrix.set_column(at, out_of_fold.into_iter().map(cell));
                    Some(CategoryTable::Target(table))
                }
                (numbers, _) => {
                    matrix.set_column(at, (0..numbers.len()).map(|row| cell(numbers.number(row))));
                    None
                }
            };
            columns.push(TreeColumn { input, table, salt: None });
        }
        Ok((Self { columns }, matrix))
    }

    /// The matrix of any rows.
    ///
    /// # Errors
    /// [`Error::MissingColumn`], [`Error::ColumnType`].
    pub fn apply(&self, batch: &RecordBatch) -> Result<MatrixF32> {
        let mut matrix = MatrixF32::filled(batch.num_rows(), self.columns.len(), f32::NAN);
        for (at, fitted) in self.columns.iter().enumerate() {
            match (read_column(batch, &fitted.input, at)?, &fitted.table) {
                (Column::Category(texts), Some(table)) => {
                    let name = &fitted.input.name;
                    let value = |text: &str| table.get(&known_as(fitted.salt.as_deref(), name, text));
                    matrix.set_column(at, texts.iter().map(|text| cell(text.map(value))));
                }
                (numbers, _) => matrix.set_column(at, (0..numbers.len()).map(|row| cell(numbers.number(row)))),
            }
        }
        Ok(matrix)
    }

    /// Keeps pseudonyms in the place of the categories of some columns. Rows give the same matrix as before.
    pub fn pseudonymise(&mut self, salt: &str, is_personal: &dyn Fn(&str) -> bool) {
        for column in self.columns.iter_mut().filter(|column| is_personal(&column.input.name)) {
            let lookup = match (&mut column.table, &column.salt) {
                (Some(CategoryTable::Ordinal(codes)), None) => codes,
                (Some(CategoryTable::Target(table)), None) => table.lookup_mut(),
                _ => continue,
            };
            lookup.rename(|category| pseudonym(salt, &column.input.name, category));
            column.salt = Some(salt.to_owned());
        }
    }

    /// Input columns, in order; the output columns have the same names.
    pub fn inputs(&self) -> impl ExactSizeIterator<Item = &FeatureSpec> {
        self.columns.iter().map(|column| &column.input)
    }

    /// True when a category column has its table, as every fitted transform has; checked after loading.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.columns.iter().all(|column| (column.input.kind == FeatureKind::Category) == column.table.is_some())
    }
}

fn check(encoding: CategoryEncoding) -> Result<()> {
    let CategoryEncoding::Target { smoothing, folds } = encoding else { return Ok(()) };
    if !(smoothing.is_finite() && smoothing >= 0.0) {
        return Err(Error::Option { option: "smoothing", value: smoothing.to_string(), range: "≥ 0" });
    }
    if !(2..=1000).contains(&folds) {
        return Err(Error::Option { option: "folds", value: folds.to_string(), range: "2 to 1000" });
    }
    Ok(())
}

/// Missing is NaN; numbers beyond `f32` are clamped, which keeps their order and so every split of a tree.
fn cell(value: Option<f64>) -> f32 {
    value.map_or(f32::NAN, |value| value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32)
}

fn frequency_codes(texts: &StringArray) -> Lookup {
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for text in texts.iter().flatten() {
        *counts.entry(text).or_default() += 1;
    }
    let mut order: Vec<(&str, u64)> = counts.into_iter().collect();
    order.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    Lookup(order.into_iter().enumerate().map(|(code, (text, _))| (text.to_owned(), code as f64)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::Split;
    use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array};
    use std::sync::Arc;

    fn batch() -> RecordBatch {
        let number: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.5), None, Some(1e300), Some(f64::NAN)]));
        let whole: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3, 4]));
        let flag: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, Some(true)]));
        let text: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), Some("y"), Some("y"), None]));
        RecordBatch::try_from_iter([("number", number), ("whole", whole), ("flag", flag), ("text", text)]).unwrap()
    }

    fn fit(encoding: CategoryEncoding) -> (TreeMatrix, MatrixF32) {
        let split = Split::all_training(4).unwrap();
        let view = FitView::new(&batch(), &[true, false, true, false], split.train()).unwrap();
        TreeMatrix::fit(&view, encoding).unwrap()
    }

    #[test]
    fn missing_is_nan_and_codes_follow_frequency() {
        let (fitted, matrix) = fit(CategoryEncoding::Ordinal);
        assert_eq!(matrix.row(0), [1.5, 1.0, 1.0, 1.0]);
        assert!(matrix.row(1)[0].is_nan() && matrix.row(3)[0].is_nan() && matrix.row(2)[2].is_nan());
        assert_eq!(matrix.row(2)[0], f32::MAX);
        assert_eq!(matrix.row(1)[3], 0.0);
        assert!(matrix.row(3)[3].is_nan());
        let applied = fitted.apply(&batch()).unwrap();
        assert_eq!(format!("{applied:?}"), format!("{matrix:?}"));
        assert!(fitted.is_complete());
    }

    #[test]
    fn an_unseen_category_gets_the_overall_rate_and_a_missing_column_is_named() {
        let (fitted, _) = fit(CategoryEncoding::default());
        let text: ArrayRef = Arc::new(StringArray::from(vec!["new"]));
        let mut columns: Vec<(String, ArrayRef)> = Vec::new();
        for name in ["text", "flag", "whole"] {
            let array = batch().column_by_name(name).unwrap().slice(0, 1);
            columns.push((name.into(), if name == "text" { text.clone() } else { array }));
        }
        let short = RecordBatch::try_from_iter(columns.clone()).unwrap();
        assert_eq!(fitted.apply(&short).unwrap_err().to_string(), "column \"number\" is missing");
        columns.push(("number".into(), Arc::new(Float64Array::from(vec![2.0]))));
        let shuffled = RecordBatch::try_from_iter(columns).unwrap();
        assert_eq!(fitted.apply(&shuffled).unwrap().values(), [2.0, 1.0, 1.0, 0.5]);
    }

    #[test]
    fn a_saved_transform_is_the_same_transform() {
        for encoding in [CategoryEncoding::Ordinal, CategoryEncoding::default()] {
            let (fitted, _) = fit(encoding);
            let text = serde_json::to_string(&fitted).unwrap();
            let loaded: TreeMatrix = serde_json::from_str(&text).unwrap();
            assert_eq!(loaded, fitted);
            assert_eq!(serde_json::to_string(&loaded).unwrap(), text);
        }
        assert!(check(CategoryEncoding::Target { smoothing: -1.0, folds: 5 }).is_err());
        assert!(check(CategoryEncoding::Target { smoothing: 1.0, folds: 1 }).is_err());
    }

    #[test]
    fn pseudonyms_stand_for_categories_and_no_row_is_read_otherwise() {
        for encoding in [CategoryEncoding::Ordinal, CategoryEncoding::default()] {
            let (plain, _) = fit(encoding);
            let mut hidden = plain.clone();
            hidden.pseudonymise("salt", &|column| column == "text");
            hidden.pseudonymise("salt", &|column| column == "text");
            let stored = serde_json::to_string(&hidden).unwrap();
            assert!(!stored.contains("\"x\"") && !stored.contains("\"y\""), "{stored}");
            let loaded: TreeMatrix = serde_json::from_str(&stored).unwrap();
            assert_eq!(
                format!("{:?}", loaded.apply(&batch()).unwrap()),
                format!("{:?}", plain.apply(&batch()).unwrap())
            );
        }
    }
}
