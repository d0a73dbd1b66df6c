//! What a project says of personal data, as those need it who show rows, reasons and results.

use crate::model::{Column, Definition, FeatureKind, Input, Source, Spec};
use crate::rule::Rule;
use arrow::array::RecordBatch;
use std::collections::BTreeMap;
use tidemill_conform::Values;
use tidemill_expr::columns_of;
use tidemill_privacy::{Declaration, Masks, PrivacyError};
use tidemill_types::SourceName;

impl Source {
    /// The columns that the project calls personal data: masked wherever rows are shown.
    #[must_use]
    pub fn masks(&self) -> Masks {
        Masks::declared(&self.declarations())
    }

    /// What the project says of personal data, by column; nothing of those about which it says nothing.
    #[must_use]
    pub fn declarations(&self) -> BTreeMap<String, Declaration> {
        self.columns.iter().filter_map(|(name, column)| Some((name.clone(), column.pii?))).collect()
    }

    /// The columns that are masked in some rows: those that the project calls personal, and those that look so and
    /// about which it says nothing.
    ///
    /// # Errors
    /// Values of a column cannot be looked at.
    pub fn masks_in(&self, rows: &RecordBatch) -> Result<Masks, PrivacyError> {
        Masks::of_columns(&self.declarations(), rows)
    }
}

impl Column {
    /// Its class, where the project calls it personal.
    fn class(&self) -> Option<Declaration> {
        self.pii?.class().map(Declaration::Class)
    }

    /// What reasons for refusals may tell of the values: nothing of those that the project calls personal or sensitive.
    #[must_use]
    pub fn values(&self) -> Values {
        match self.pii {
            Some(Declaration::Class(_)) => Values::Personal,
            _ if self.sensitive => Values::Personal,
            Some(Declaration::None) => Values::Plain,
            None => Values::Unclassified,
        }
    }
}

impl Spec {
    /// What is said of personal data in features, by their names, and in the key of the entity: a text that is made of
    /// personal columns is as personal as they are, and so is a number that is one of them.
    #[must_use]
    pub fn feature_declarations(&self) -> BTreeMap<String, Declaration> {
        let key = &self.features.entity.key;
        let of_key = self.class(&self.features.entity.source, key).map(|class| (key.clone(), class));
        let of = |(name, definition): (&String, &Definition)| Some((name.clone(), self.passed_on(definition)?));
        of_key.into_iter().chain(self.features.define.iter().filter_map(of)).collect()
    }

    /// The features that are masked wherever their values are shown, and the key of the entity.
    #[must_use]
    pub fn feature_masks(&self) -> Masks {
        Masks::declared(&self.feature_declarations())
    }

    /// The features whose values are masked where quality is told by them. A feature of personal columns that all are
    /// declared an attribute which law protects (`sensitive: true`) is named: `evaluate.slices` asks how the model
    /// treats those groups, and nobody could tell from names without a meaning.
    #[must_use]
    pub fn slice_masks(&self) -> Masks {
        let is_protected = |feature: &str| {
            let definition = self.features.define.get(feature);
            definition.is_some_and(|definition| self.personal_columns(definition).all(|column| column.sensitive))
        };
        self.feature_masks().of(|feature| !is_protected(feature))
    }

    /// What is masked of a training set: features, and the columns of entity and outcome that stand beside them under
    /// these prefixes.
    #[must_use]
    pub fn training_masks(&self, entity: &str, outcome: &str) -> Masks {
        let beside = [(entity, &self.features.entity.source), (outcome, &self.features.label.source)];
        let mut masks = self.feature_masks();
        for (prefix, source) in beside {
            let declared = self.sources.get(source).map(Source::declarations).unwrap_or_default();
            let named = |(name, said): (String, Declaration)| Some((format!("{prefix}{name}"), said.class()?));
            masks.extend(declared.into_iter().filter_map(named).collect());
        }
        masks
    }

    fn column(&self, source: &SourceName, column: &str) -> Option<&Column> {
        let column = self.sources.get(source)?.columns.get(column)?;
        column.class().is_some().then_some(column)
    }

    fn class(&self, source: &SourceName, column: &str) -> Option<Declaration> {
        self.column(source, column)?.class()
    }

    /// The class of the values that a feature passes on.
    fn passed_on(&self, definition: &Definition) -> Option<Declaration> {
        self.personal_columns(definition).find_map(Column::class)
    }

    /// The personal columns whose values a feature passes on.
    fn personal_columns(&self, definition: &Definition) -> impl Iterator<Item = &Column> {
        let (expr, kind) = (definition.expr().trim().to_owned(), definition.kind());
        let read = columns_of(&expr).unwrap_or_default();
        let passed = read.into_iter().filter(move |name| kind == FeatureKind::Category || expr == *name);
        passed.flat_map(move |name| self.of_name(&name, kind))
    }

    /// The personal ones of the columns that a name in an expression stands for: a column of the entity, or those behind
    /// an output of an operator.
    fn of_name(&self, name: &str, kind: FeatureKind) -> Vec<&Column> {
        let operator =
            name.split_once('.').and_then(|(input, output)| Some((self.features.inputs.get(input)?, output)));
        let Some((input, output)) = operator else {
            return self.column(&self.features.entity.source, name).into_iter().collect();
        };
        values_of(input, output, kind).iter().filter_map(|column| self.column(&input.from, column)).collect()
    }
}

/// Columns whose values an output of an operator may have: those of one row, not what is counted over many.
fn values_of(input: &Input, output: &str, kind: FeatureKind) -> Vec<String> {
    let of_a_row = |text: &str| {
        let (name, rest) = text.split_once('(')?;
        matches!(name.trim(), "last" | "min" | "max").then(|| rest.trim_end().trim_end_matches(')').trim().to_owned())
    };
    let expr = input.last.get(output).cloned().or_else(|| of_a_row(input.values.get(output)?));
    let expr = expr.unwrap_or_default();
    let read = columns_of(&expr).unwrap_or_default();
    read.into_iter().filter(|name| kind == FeatureKind::Category || expr.trim() == name).collect()
}

impl Rule {
    /// Whether the rule speaks of a masked column, so that what it has seen is not told either.
    #[must_use]
    pub fn is_about(&self, masks: &Masks) -> bool {
        masks.columns().any(|column| self.concerns(column))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "tests")]
    use super::*;
    use crate::Span;
    use crate::rule::{Check, Season, SeasonalRule};
    use tidemill_privacy::PiiClass;

    const PROJECT: &str = include_str!("../../../infra/examples/penguins/project.yaml");

    #[test]
    fn features_are_as_personal_as_the_columns_whose_values_they_pass_on() {
        let text = PROJECT
            .replace("penguin: {type: int32}", "penguin: {type: int32, pii: national_id}")
            .replace("species: {type: string}", "species: {type: string, pii: person_name}")
            .replace("island: {type: string}", "island: {type: string, pii: none}")
            .replace("bill_length_mm: {type: float64, nullable: true}", "bill_length_mm: {type: float64, pii: location}")
            .replace(
                "  define: #",
                "  inputs:\n    \
                   newest: {from: penguins, by: [island], last: {who: species, when: measured_at}}\n    \
                   past: {from: penguins, by: [island], window: 7d, values: {most: max(bill_length_mm), mean: mean(bill_length_mm)}}\n  \
                   define: #",
            )
            .replace(
                "    island: {expr: island",
                "    before: {expr: newest.who, kind: category}\n    \
                     initial: {expr: \"case when species = 'x' then species else 'y' end\", kind: category}\n    \
                     most: past.most\n    mean: past.mean\n    island: {expr: island",
            );
        let spec = Spec::parse(&text).unwrap_or_else(|e| panic!("{e}"));
        let masks = spec.feature_masks();
        let masked: Vec<&str> = masks.columns().collect();
        assert_eq!(masked, ["before", "bill_length_mm", "initial", "most", "penguin", "species"]);
        assert_eq!(masks.class("before"), Some(PiiClass::PersonName));
    }

    #[test]
    fn groups_that_law_protects_are_named_where_quality_is_told_by_them() {
        let text = PROJECT
            .replace("species: {type: string}", "species: {type: string, pii: birth_date, sensitive: true}")
            .replace("island: {type: string}", "island: {type: string, pii: address}")
            .replace(
                "    island: {expr: island",
                "    both: {expr: \"concat(species, island)\", kind: category}\n    island: {expr: island",
            );
        let spec = Spec::parse(&text).unwrap_or_else(|e| panic!("{e}"));
        let names = |masks: &Masks| masks.columns().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(names(&spec.feature_masks()), ["both", "island", "species"]);
        assert_eq!(names(&spec.slice_masks()), ["both", "island"], "a part of it is no protected group");
        let beside = names(&spec.training_masks("entity.", "outcome."));
        assert!(["entity.island", "entity.species", "species"].iter().all(|name| beside.contains(&(*name).to_owned())));
    }

    #[test]
    fn a_rule_is_about_its_columns_its_segments_and_what_its_conditions_name() {
        let masks: Masks = [("doctor".to_owned(), PiiClass::PersonName)].into_iter().collect();
        let by = |by: &str| SeasonalRule {
            column: None,
            by: Some(by.to_owned()),
            season: Season::DayOfWeek,
            deviation: 6.0,
            cycles: 8,
            lateness: Span::default(),
        };
        let when = Rule { when: Some("doctor = 'x'".to_owned()), ..Rule::new("r", Check::NotNull("n".to_owned())) };
        assert!(when.is_about(&masks) && Rule::new("r", Check::Seasonal(by("doctor"))).is_about(&masks));
        assert!(!Rule::new("r", Check::Seasonal(by("doctors"))).is_about(&masks));
    }
}
