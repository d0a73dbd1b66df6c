//! What a candidate keeps of personal features: enough to predict and to compare as before, no value that can be read.

use crate::error::TrainingError;
use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::FieldRef;
use tidemill_learn::Model;
use tidemill_privacy::Masks;
use tidemill_stats::Reference;

/// The personal features of a project, and the salt of one training.
#[derive(Clone, Debug)]
pub(crate) struct Personal {
    features: Masks,
    /// The digest of the training set: the same run gives the same bundle, and no two trainings have names in common.
    salt: String,
}

impl Personal {
    /// Of a training on the set with such a digest.
    pub(crate) fn new(features: Masks, set_digest: &str) -> Self {
        Self { features, salt: set_digest.to_owned() }
    }

    /// Pseudonyms in the place of the categories that a model looks up.
    pub(crate) fn hide_in(&self, model: &mut Model) {
        model.pseudonymise(&self.salt, &|feature| self.features.covers(feature));
    }

    /// References with pseudonyms in the place of categories.
    pub(crate) fn hidden(&self, references: Vec<Reference>) -> Vec<Reference> {
        let hidden = |reference: Reference| match self.features.covers(&reference.name) {
            true => reference.pseudonymous(&self.salt),
            false => reference,
        };
        references.into_iter().map(hidden).collect()
    }

    /// Masks values in the names of what a model depends on: a linear one has a weight for each category.
    pub(crate) fn hide_values(&self, weights: &mut [(String, f64)]) {
        let shown = self.features.pairs(weights.iter().map(|(name, _)| name.as_str()));
        weights.iter_mut().zip(shown).for_each(|((name, _), shown)| *name = shown);
    }

    /// Rows with nothing in their personal columns. Examples prove that a model was read back as it was written, and it
    /// reads missing values as any others.
    pub(crate) fn without_values(&self, rows: RecordBatch) -> Result<RecordBatch, TrainingError> {
        let schema = rows.schema();
        let column = |(field, column): (&FieldRef, &ArrayRef)| match self.features.covers(field.name()) {
            true => new_null_array(field.data_type(), rows.num_rows()),
            false => column.clone(),
        };
        let columns = schema.fields().iter().zip(rows.columns()).map(column).collect();
        Ok(RecordBatch::try_new(schema, columns)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use arrow::array::{Array as _, Float64Array, StringArray};
    use std::sync::Arc;
    use tidemill_privacy::PiiClass;

    #[test]
    fn nothing_of_a_personal_feature_can_be_read_and_the_others_stay() {
        let features = [("doctor".to_owned(), PiiClass::PersonName)].into_iter().collect();
        let personal = Personal::new(features, "s");
        let doctor: ArrayRef = Arc::new(StringArray::from(vec!["SECRET-1", "SECRET-2"]));
        let ward: ArrayRef = Arc::new(StringArray::from(vec!["north", "south"]));
        let age: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0]));
        let columns = [("doctor", doctor, true), ("ward", ward, true), ("age", age, true)];
        let rows = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let shown = personal.without_values(rows.clone()).unwrap();
        assert_eq!((shown.column(0).null_count(), shown.columns()[1..] == rows.columns()[1..]), (2, true));

        let of = |(field, column): (&FieldRef, &ArrayRef)| Reference::of(field.name(), column).unwrap();
        let references = rows.schema().fields().iter().zip(rows.columns()).map(of).collect();
        let stored = serde_json::to_string(&personal.hidden(references)).unwrap();
        assert!(!stored.contains("SECRET") && stored.contains("north"), "{stored}");

        let mut weights = [("doctor=SECRET-1", 2.0), ("ward=north", 1.0), ("doctor=SECRET-2", 0.5), ("age", 0.1)]
            .map(|(name, weight)| (name.to_owned(), weight));
        personal.hide_values(&mut weights);
        let names = weights.map(|(name, _)| name);
        assert_eq!(names, ["doctor=S***", "ward=north", "doctor=S*** (2)", "age"]);
    }
}
