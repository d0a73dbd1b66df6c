//! Sensitive attributes: they name nobody, but must not decide about anybody unseen. They never block a source.

use crate::words::NameWords;
use serde::Serialize;

/// An attribute that law protects: Article 9 GDPR, and the grounds of Article 21 of the EU Charter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Attribute {
    /// Sex or gender.
    Sex,
    /// Race or ethnic origin.
    Race,
    /// Age.
    Age,
    /// Nationality or country of origin.
    Nationality,
    /// Marital or family status.
    MaritalStatus,
    /// Religion or belief.
    Religion,
    /// Health or disability.
    Health,
    /// Sexual orientation.
    Orientation,
    /// Political opinion or membership of a trade union.
    Politics,
    /// Language.
    Language,
}

/// Names of each attribute.
const PHRASES: &[(Attribute, &[&str])] = &[
    (Attribute::Sex, &["sex", "gender", "geschlecht", "sexe", "sexo", "sesso", "geslacht", "plec", "kon", "genero"]),
    (
        Attribute::Race,
        &["race", "ethnicity", "ethnic", "ethnic group", "ethnie", "raza", "etnia", "skin colour", "skin color"],
    ),
    (Attribute::Age, &["age", "alter", "edad", "eta", "leeftijd", "wiek", "idade", "age group", "age band"]),
    (
        Attribute::Nationality,
        &[
            "nationality",
            "native country",
            "citizenship",
            "country of birth",
            "birth country",
            "nationalitat",
            "nationalite",
            "staatsangehorigkeit",
            "nacionalidad",
            "immigration status",
        ],
    ),
    (
        Attribute::MaritalStatus,
        &[
            "marital status",
            "marriage",
            "marital",
            "familienstand",
            "relationship",
            "etat civil",
            "estado civil",
            "civil status",
        ],
    ),
    (Attribute::Religion, &["religion", "faith", "belief", "konfession", "confession", "denomination"]),
    (
        Attribute::Health,
        &[
            "health",
            "disability",
            "diagnosis",
            "disabled",
            "pregnant",
            "hiv",
            "blood type",
            "medical condition",
            "icd",
            "behinderung",
            "handicap",
            "medication",
        ],
    ),
    (Attribute::Orientation, &["sexual orientation", "orientation sexuelle"]),
    (Attribute::Politics, &["political party", "party membership", "trade union", "union member", "political opinion"]),
    (Attribute::Language, &["native language", "mother tongue", "muttersprache"]),
];

/// The attribute that the name of a column says.
#[must_use]
pub fn attribute(column: &str) -> Option<Attribute> {
    let name = NameWords::of(column);
    // The most particular phrase comes last in the list and wins: "sexual orientation" is not "sex".
    PHRASES.iter().rev().find(|(_, phrases)| name.first(phrases).is_some()).map(|(attribute, _)| *attribute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sensitive_columns_of_adult_are_named_and_no_others() {
        let columns = [
            "age",
            "workclass",
            "fnlwgt",
            "education",
            "marital_status",
            "occupation",
            "relationship",
            "race",
            "sex",
            "capital_gain",
            "hours_per_week",
            "native_country",
            "stage",
            "package",
            "average",
        ];
        let found: Vec<&str> = columns.into_iter().filter(|column| attribute(column).is_some()).collect();
        assert_eq!(found, ["age", "marital_status", "relationship", "race", "sex", "native_country"]);
        assert_eq!(attribute("sexual_orientation"), Some(Attribute::Orientation));
    }
}
