//! The sampled rows as exploration sees them: numbers, categories, instants, each with its missing cells.

use crate::error::Result;
use arrow::array::{Array as _, ArrayRef, RecordBatch};
use std::collections::HashMap;
use tidemill_stats::Kind;

/// Different values up to which whole numbers may be read as categories.
const DISCRETE: usize = 20;
/// Code of a missing category.
pub const MISSING: u32 = u32::MAX;

/// One column of the sample.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// How it was read.
    pub kind: Kind,
    /// Whether a cell is missing: null or NaN.
    pub missing: Vec<bool>,
    /// Numbers (instants in milliseconds), NaN where missing; empty for texts.
    pub numbers: Vec<f64>,
    /// Codes of categories, for texts, booleans and whole numbers of few values.
    pub categories: Option<Categories>,
}

/// A column as codes.
#[derive(Clone, Debug, Default)]
pub struct Categories {
    /// A code a row, [`MISSING`] where there is none.
    pub codes: Vec<u32>,
    /// Value of each code, from the most frequent down.
    pub names: Vec<String>,
    /// Rows of each code.
    pub counts: Vec<u64>,
}

impl Column {
    /// Reads a column.
    ///
    /// # Errors
    /// Values that are neither numbers nor texts nor anything of the kind.
    pub fn of(name: &str, array: &ArrayRef) -> Result<Self> {
        let kind = Kind::of(array.data_type());
        let mut missing: Vec<bool> = match array.logical_nulls() {
            Some(nulls) => nulls.iter().map(|valid| !valid).collect(),
            None => vec![false; array.len()],
        };
        let (mut numbers, mut categories) = (Vec::new(), None);
        match kind {
            Kind::Numeric | Kind::Instant => {
                let values = tidemill_stats::floats(array)?;
                numbers = values.iter().map(|value| value.unwrap_or(f64::NAN)).collect();
                missing.iter_mut().zip(&numbers).for_each(|(missing, value)| *missing |= value.is_nan());
                if kind == Kind::Numeric {
                    categories = discrete(&numbers);
                }
            }
            Kind::Text | Kind::Boolean => {
                let texts = tidemill_stats::texts(array)?;
                categories = Some(Categories::of(texts.iter()));
            }
            Kind::Other => {}
        }
        Ok(Self { name: name.to_owned(), kind, missing, numbers, categories })
    }

    /// Rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.missing.len()
    }

    /// Missing cells.
    #[must_use]
    pub fn missing_count(&self) -> usize {
        self.missing.iter().filter(|missing| **missing).count()
    }

    /// Whether it has an order and a distance.
    #[must_use]
    pub fn is_number(&self) -> bool {
        self.kind.is_numeric()
    }

    /// Its finite numbers.
    #[must_use]
    pub fn finite(&self) -> Vec<f64> {
        self.numbers.iter().copied().filter(|v| v.is_finite()).collect()
    }

    /// Its categories when they can make groups: at least two and few enough to compare.
    #[must_use]
    pub fn groups(&self, most: usize) -> Option<&Categories> {
        self.categories.as_ref().filter(|c| (2..=most).contains(&c.names.len()))
    }
}

/// Whole numbers of few values, as categories.
fn discrete(numbers: &[f64]) -> Option<Categories> {
    let mut seen: Vec<f64> = Vec::new();
    for value in numbers.iter().filter(|v| !v.is_nan()) {
        if !seen.contains(value) {
            if seen.len() == DISCRETE || value.fract() != 0.0 {
                return None;
            }
            seen.push(*value);
        }
    }
    let texts: Vec<Option<String>> = numbers.iter().map(|v| (!v.is_nan()).then(|| v.to_string())).collect();
    Some(Categories::of(texts.iter().map(Option::as_deref)))
}

impl Categories {
    /// Codes of texts, the most frequent one first.
    pub fn of<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> Self {
        let mut known: HashMap<&str, u32> = HashMap::new();
        let (mut codes, mut names, mut counts) = (Vec::new(), Vec::<&str>::new(), Vec::<u64>::new());
        for text in texts {
            let Some(text) = text else {
                codes.push(MISSING);
                continue;
            };
            let code = *known.entry(text).or_insert_with(|| {
                names.push(text);
                counts.push(0);
                names.len() as u32 - 1
            });
            counts[code as usize] += 1;
            codes.push(code);
        }
        let mut order: Vec<usize> = (0..names.len()).collect();
        order.sort_by(|a, b| counts[*b].cmp(&counts[*a]).then_with(|| names[*a].cmp(names[*b])));
        let mut place = vec![0_u32; names.len()];
        order.iter().enumerate().for_each(|(to, from)| place[*from] = to as u32);
        codes.iter_mut().filter(|code| **code != MISSING).for_each(|code| *code = place[*code as usize]);
        Self {
            codes,
            names: order.iter().map(|at| names[*at].to_owned()).collect(),
            counts: order.iter().map(|at| counts[*at]).collect(),
        }
    }

    /// The codes with everything after the first `most` values in one last code.
    #[must_use]
    pub fn capped(&self, most: usize) -> (Vec<u32>, usize) {
        if self.names.len() <= most {
            return (self.codes.clone(), self.names.len());
        }
        let last = most as u32 - 1;
        (self.codes.iter().map(|code| if *code == MISSING { MISSING } else { (*code).min(last) }).collect(), most)
    }
}

/// All columns of a sample.
///
/// # Errors
/// As [`Column::of`].
pub fn columns(sample: &RecordBatch) -> Result<Vec<Column>> {
    let schema = sample.schema();
    let fields = schema.fields().iter().zip(sample.columns());
    fields.map(|(field, array)| Column::of(field.name(), array)).collect()
}
