//! The matrix that linear learners read: imputed, standardised, one-hot encoded.
//!
//! Numbers as scikit-learn's `SimpleImputer(strategy = "median", add_indicator = True)` then `StandardScaler()`;
//! categories as [`crate::one_hot`] says. A column that is constant in training is 0 everywhere.

use crate::column::{Column, FeatureSpec, features_of, known_as, read_column};
use crate::error::{Error, Result};
use crate::matrix::MatrixF64;
use crate::one_hot::OneHot;
use crate::view::FitView;
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};
use tidemill_types::pseudonym;

/// Options of [`LinearMatrix::fit`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearOptions {
    /// A category with a smaller share of the training rows goes to `__other__`; 0 keeps all.
    pub rare_share: f64,
}

impl Default for LinearOptions {
    fn default() -> Self {
        Self { rare_share: 0.002 }
    }
}

/// A fitted linear matrix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearMatrix {
    columns: Vec<LinearColumn>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LinearColumn {
    input: FeatureSpec,
    encoding: Encoding,
    /// Set where the encoding goes by pseudonyms of the categories.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    salt: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Encoding {
    Number {
        /// Stands in for missing values.
        median: f64,
        scaler: Scaler,
        /// Present when training had missing values: a second column, 1 where missing, standardised too.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        indicator: Option<Scaler>,
    },
    OneHot(OneHot),
}

/// `(x − mean) / sd`, with the population standard deviation (ddof 0).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scaler {
    mean: f64,
    /// 0 when the column was constant; its output is 0 then.
    sd: f64,
}

impl Scaler {
    fn fit(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        // Two passes, with the correction for the rounding of the mean (Chan, Golub, LeVeque 1983).
        let (mut squares, mut drift) = (0.0, 0.0);
        for value in values {
            let d = value - mean;
            squares += d * d;
            drift += d;
        }
        let variance = ((squares - drift * drift / n) / n).max(0.0);
        // Rounding alone can leave this much variance in a constant column; scikit-learn has the same bound.
        let noise = n * f64::EPSILON * variance + (n * mean * f64::EPSILON).powi(2);
        Self { mean, sd: if variance <= noise { 0.0 } else { variance.sqrt() } }
    }

    fn apply(self, value: f64) -> f64 {
        if self.sd == 0.0 { 0.0 } else { (value - self.mean) / self.sd }
    }
}

impl Encoding {
    fn width(&self) -> usize {
        match self {
            Self::Number { indicator, .. } => 1 + usize::from(indicator.is_some()),
            Self::OneHot(one_hot) => one_hot.width(),
        }
    }

    fn fit(column: &Column, options: LinearOptions) -> Self {
        if let Column::Category(texts) = column {
            return Self::OneHot(OneHot::fit(texts, options.rare_share));
        }
        let values: Vec<Option<f64>> = (0..column.len()).map(|row| column.number(row)).collect();
        let median = median(values.iter().flatten().copied().collect());
        let imputed: Vec<f64> = values.iter().map(|value| value.unwrap_or(median)).collect();
        let missing: Vec<f64> = values.iter().map(|value| f64::from(u8::from(value.is_none()))).collect();
        let any_missing = values.iter().any(Option::is_none);
        let indicator = any_missing.then(|| Scaler::fit(&missing));
        Self::Number { median, scaler: Scaler::fit(&imputed), indicator }
    }

    fn write(&self, column: &Column, (salt, name): (Option<&str>, &str), at: usize, matrix: &mut MatrixF64) {
        match (self, column) {
            (Self::OneHot(one_hot), Column::Category(texts)) => {
                for (row, text) in texts.iter().enumerate() {
                    if let Some(slot) = one_hot.slot(text.map(|text| known_as(salt, name, text)).as_deref()) {
                        matrix.set(row, at + slot, 1.0);
                    }
                }
            }
            (Self::Number { median, scaler, indicator }, numbers) => {
                for row in 0..numbers.len() {
                    let value = numbers.number(row);
                    matrix.set(row, at, scaler.apply(value.unwrap_or(*median)));
                    if let Some(indicator) = indicator {
                        matrix.set(row, at + 1, indicator.apply(f64::from(u8::from(value.is_none()))));
                    }
                }
            }
            // `read_column` gave the fitted kind, so a one-hot column is a category column.
            (Self::OneHot(_), _) => {}
        }
    }
}

/// The middle value, or the mean of the two middle ones; 0 when every value is missing.
fn median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    let odd = values.len() % 2 == 1;
    let (below, &mut upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if odd {
        return upper;
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    f64::midpoint(lower, upper)
}

impl LinearMatrix {
    /// Fits on training rows.
    ///
    /// # Errors
    /// [`Error::ColumnType`] for a column that is no feature, [`Error::Option`] for bad options.
    pub fn fit(view: &FitView, options: LinearOptions) -> Result<Self> {
        if !(0.0..1.0).contains(&options.rare_share) {
            let value = options.rare_share.to_string();
            return Err(Error::Option { option: "rare_share", value, range: "0 ≤ share < 1" });
        }
        let fit_one = |(at, input): (usize, FeatureSpec)| {
            let encoding = Encoding::fit(&read_column(view.batch(), &input, at)?, options);
            Ok(LinearColumn { input, encoding, salt: None })
        };
        let columns = features_of(view.batch())?.into_iter().enumerate().map(fit_one).collect::<Result<_>>()?;
        Ok(Self { columns })
    }

    /// The matrix of any rows; never NaN.
    ///
    /// # Errors
    /// [`Error::MissingColumn`], [`Error::ColumnType`].
    pub fn apply(&self, batch: &RecordBatch) -> Result<MatrixF64> {
        let mut matrix = MatrixF64::filled(batch.num_rows(), self.width(), 0.0);
        let mut at = 0;
        for (position, fitted) in self.columns.iter().enumerate() {
            let names = (fitted.salt.as_deref(), fitted.input.name.as_str());
            fitted.encoding.write(&read_column(batch, &fitted.input, position)?, names, at, &mut matrix);
            at += fitted.encoding.width();
        }
        Ok(matrix)
    }

    /// Keeps pseudonyms in the place of the categories of some columns. Rows give the same matrix as before; of the
    /// output columns, those of such categories are named by the pseudonyms.
    pub fn pseudonymise(&mut self, salt: &str, is_personal: &dyn Fn(&str) -> bool) {
        for column in self.columns.iter_mut().filter(|column| is_personal(&column.input.name)) {
            if let (Encoding::OneHot(one_hot), None) = (&mut column.encoding, &column.salt) {
                one_hot.rename(|category| pseudonym(salt, &column.input.name, category));
                column.salt = Some(salt.to_owned());
            }
        }
    }

    /// Number of output columns.
    #[must_use]
    pub fn width(&self) -> usize {
        self.columns.iter().map(|column| column.encoding.width()).sum()
    }

    /// Input columns, in order.
    pub fn inputs(&self) -> impl ExactSizeIterator<Item = &FeatureSpec> {
        self.columns.iter().map(|column| &column.input)
    }

    /// Names of the output columns, for instance `age`, `age=__missing__`, `carrier=UA`.
    #[must_use]
    pub fn output_names(&self) -> Vec<String> {
        let names = |column: &LinearColumn| -> Vec<String> {
            let name = &column.input.name;
            match &column.encoding {
                Encoding::Number { indicator, .. } => {
                    let missing = indicator.map(|_| format!("{name}=__missing__"));
                    std::iter::once(name.clone()).chain(missing).collect()
                }
                Encoding::OneHot(one_hot) => one_hot.names(name).collect(),
            }
        };
        self.columns.iter().flat_map(names).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::{Split, SplitSpec};
    use arrow::array::{ArrayRef, Float64Array, StringArray};
    use std::sync::Arc;

    #[test]
    fn the_median_of_an_even_count_is_the_middle() {
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![]), 0.0);
    }

    #[test]
    fn what_lies_outside_the_training_rows_does_not_change_the_fit() {
        let column = |last: f64| -> RecordBatch {
            let x: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), None, Some(5.0), Some(last)]));
            let constant: ArrayRef = Arc::new(Float64Array::from(vec![0.1, 0.1, 0.1, last]));
            let text: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "a", "z"]));
            RecordBatch::try_from_iter([("x", x), ("constant", constant), ("text", text)]).unwrap()
        };
        let split = Split::by_time(&[0, 1, 2, 3], SplitSpec { train_until: 3, gap: 0, valid_until: 4 }).unwrap();
        let fit = |batch: &RecordBatch| {
            let view = FitView::new(batch, &[true, false, true, true], split.train()).unwrap();
            LinearMatrix::fit(&view, LinearOptions::default()).unwrap()
        };
        let fitted = fit(&column(7.0));
        assert_eq!(fitted, fit(&column(1e9)));
        assert_eq!(fitted.output_names(), ["x", "x=__missing__", "constant", "text=a", "text=b"]);
        let matrix = fitted.apply(&column(1e9)).unwrap();
        assert_eq!(matrix.row(3)[2..], [0.0, 0.0, 0.0]);
        assert!(matrix.values().iter().all(|value| value.is_finite()));
        let saved = serde_json::to_string(&fitted).unwrap();
        assert_eq!(serde_json::from_str::<LinearMatrix>(&saved).unwrap(), fitted);

        let mut hidden = fitted.clone();
        hidden.pseudonymise("salt", &|column| column == "text");
        let saved = serde_json::to_string(&hidden).unwrap();
        assert!(!saved.contains("\"a\"") && !hidden.output_names().contains(&"text=a".to_owned()));
        let loaded: LinearMatrix = serde_json::from_str(&saved).unwrap();
        assert_eq!(loaded.apply(&column(1e9)).unwrap(), matrix, "the pseudonyms set the columns that the values set");
    }
}
