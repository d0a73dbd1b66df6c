//! Whether what a source says of personal data can be true of the types of its columns.

use crate::column::ColumnType;
use crate::model::{Column, Source};
use tidemill_privacy::{Declaration, PiiClass};

/// Path below the source, message, mend.
pub(crate) type Problem = (String, String, Option<String>);

/// Classes that a column of a type cannot have.
pub(crate) fn problems(source: &Source) -> Vec<Problem> {
    let wrong = |(name, column): (&String, &Column)| {
        let class = column.pii.and_then(Declaration::class)?;
        let (kind, fit) = (column.kind, fits(class, column.kind));
        let path = format!("columns.{name}.pii");
        let message = format!("a column of type {} cannot hold class \"{class}\"", kind.as_str());
        (!fit).then(|| (path, message, Some("declare its class, none, or another type".to_owned())))
    };
    source.columns.iter().filter_map(wrong).collect()
}

fn fits(class: PiiClass, kind: ColumnType) -> bool {
    match kind {
        ColumnType::String => true,
        ColumnType::Boolean | ColumnType::Int8 => false,
        ColumnType::Float32 | ColumnType::Float64 => class == PiiClass::Location,
        ColumnType::Timestamp => class == PiiClass::BirthDate,
        ColumnType::Int16 | ColumnType::Int32 | ColumnType::Int64 => !matches!(
            class,
            PiiClass::Email
                | PiiClass::Iban
                | PiiClass::Bic
                | PiiClass::MacAddress
                | PiiClass::PersonName
                | PiiClass::FreeText
        ),
    }
}

impl Column {
    /// The column's line of a project file, with `pii` as given.
    #[must_use]
    pub fn line(&self, name: &str, pii: Declaration) -> String {
        let nullable = if self.nullable { ", nullable: true" } else { "" };
        let sensitive = if self.sensitive { ", sensitive: true" } else { "" };
        format!("{name}: {{type: {}{nullable}{sensitive}, pii: {}}}", self.kind.as_str(), pii.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use crate::Spec;
    use tidemill_conform::Values;

    const PENGUINS: &str = include_str!("../../../infra/examples/penguins/project.yaml");

    fn with(column: &str) -> String {
        PENGUINS.replace("      species: {type: string}", column)
    }

    #[test]
    fn columns_say_what_they_are_and_which_are_masked() {
        let text = with("      species: {type: string, pii: person_name}").replace(
            "sex: {type: string, nullable: true}",
            "sex: {type: string, nullable: true, pii: none, sensitive: true}",
        );
        let spec = Spec::parse(&text).unwrap_or_else(|e| panic!("{e}"));
        let source = spec.sources.values().next().unwrap();
        assert_eq!(source.masks().columns().collect::<Vec<_>>(), ["species"]);
        assert!(source.columns["sex"].sensitive && source.columns["sex"].pii.is_some());
        let values = |name: &str| source.columns[name].values();
        assert_eq!((values("species"), values("sex")), (Values::Personal, Values::Personal), "neither is quoted");
        // Saying nothing is what it was before these keys existed.
        let json = serde_json::to_string(&Spec::parse(PENGUINS).unwrap()).unwrap();
        assert!(!json.contains("\"pii\"") && !json.contains("\"sensitive\""), "{json}");
    }

    #[test]
    fn an_unknown_class_is_refused_with_path_and_suggestion() {
        let error = Spec::parse(&with("      species: {type: string, pii: persn_name}")).unwrap_err();
        let problem = &error.problems()[0];
        assert!(problem.path.ends_with("columns.species"), "{problem}");
        assert_eq!(problem.mend.as_deref(), Some("did you mean \"person_name\"?"), "{problem}");
        assert!(problem.line.is_some());
    }

    #[test]
    fn a_class_that_the_type_cannot_hold_is_refused() {
        let error = Spec::parse(&with("      species: {type: float64, pii: email}")).unwrap_err();
        let found = error.problems().iter().find(|problem| problem.path.ends_with("columns.species.pii")).unwrap();
        assert!(found.message.contains("float64") && found.mend.is_some() && found.line.is_some(), "{error}");
        assert!(Spec::parse(&with("      species: {type: string, pii: email, pi: x}")).is_err());
    }
}
