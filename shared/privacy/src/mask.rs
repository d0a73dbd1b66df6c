//! How personal values are shown: enough to recognise a mistake, too little to recognise a person. The length of a
//! masked value says nothing about the length of the value.

use crate::class::PiiClass;
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// What stands for a value, or for the part of it that is hidden.
pub const HIDDEN: &str = "***";

/// A value of a class as it may be shown: `a***@***.com`, `***1111`, `DE***`, `M***`.
#[must_use]
pub fn mask(class: PiiClass, text: &str) -> String {
    let text = text.trim();
    let first = |count: usize| text.chars().take(count).collect::<String>();
    // What is short would be shown as a whole, or nearly.
    if text.chars().count() < 4 {
        return HIDDEN.to_owned();
    }
    match class {
        PiiClass::Email => {
            let top = text.rsplit_once('@').and_then(|(_, domain)| domain.rsplit_once('.')).map(|(_, top)| top);
            top.map_or_else(|| HIDDEN.to_owned(), |top| format!("{}{HIDDEN}@{HIDDEN}.{top}", first(1)))
        }
        // PCI DSS 4.0, requirement 3.4: the last four digits may be shown.
        PiiClass::Card => ending(text, 4),
        PiiClass::Phone => ending(text, 2),
        PiiClass::Iban | PiiClass::Bic => format!("{}{HIDDEN}", first(2)),
        PiiClass::PersonName | PiiClass::Address | PiiClass::Postcode => format!("{}{HIDDEN}", first(1)),
        PiiClass::NationalId
        | PiiClass::Document
        | PiiClass::IpAddress
        | PiiClass::MacAddress
        | PiiClass::BirthDate
        | PiiClass::Location
        | PiiClass::FreeText => HIDDEN.to_owned(),
    }
}

/// The name of the `count`th value that a mask makes alike; the first goes without a number.
#[must_use]
pub fn numbered(masked: &str, count: usize) -> String {
    if count < 2 { masked.to_owned() } else { format!("{masked} ({count})") }
}

/// What [`numbered`] made the name of.
fn without_number(text: &str) -> &str {
    let number = |rest: &str| rest.strip_suffix(')').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
    match text.rsplit_once(" (") {
        Some((masked, rest)) if masked.contains(HIDDEN) && number(rest) => masked,
        _ => text,
    }
}

fn ending(text: &str, count: usize) -> String {
    let digits: Vec<char> = text.chars().filter(char::is_ascii_digit).collect();
    if digits.len() < 2 * count {
        return HIDDEN.to_owned();
    }
    let end: String = digits.iter().skip(digits.len() - count).collect();
    format!("{HIDDEN}{end}")
}

/// The columns of a source that are masked wherever rows are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Masks(BTreeMap<String, PiiClass>);

impl FromIterator<(String, PiiClass)> for Masks {
    fn from_iter<I: IntoIterator<Item = (String, PiiClass)>>(columns: I) -> Self {
        Self(columns.into_iter().collect())
    }
}

impl Masks {
    /// Whether nothing is masked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a column is masked.
    #[must_use]
    pub fn covers(&self, column: &str) -> bool {
        self.0.contains_key(column)
    }

    /// Class of a masked column; `None` for one that is not masked.
    #[must_use]
    pub fn class(&self, column: &str) -> Option<PiiClass> {
        self.0.get(column).copied()
    }

    /// The masks of some columns, chosen by name.
    #[must_use]
    pub fn of(mut self, chosen: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|column, _| chosen(column));
        self
    }

    /// A value of a column as it may be shown.
    #[must_use]
    pub fn text(&self, column: &str, text: &str) -> String {
        self.class(column).map_or_else(|| text.to_owned(), |class| mask(class, text))
    }

    /// Values of one column as they may be shown beside each other: those that a mask makes alike are numbered in the order
    /// in which they come, so that each stays one of its own. Masked again they tell no more, and keep their numbers.
    #[must_use]
    pub fn texts<'a>(&self, column: &str, values: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let values = values.into_iter();
        let Some(class) = self.class(column) else { return values.map(str::to_owned).collect() };
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let shown = |value: &str| {
            let masked = mask(class, without_number(value));
            let count = seen.entry(masked.clone()).or_default();
            *count += 1;
            numbered(&masked, *count)
        };
        values.map(shown).collect()
    }

    /// Names that are made of a column and one of its values, `column=value`, as they may be shown beside each other. The
    /// names of what has no value (`column=__missing__`) stay.
    #[must_use]
    pub fn pairs<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let names: Vec<&str> = names.into_iter().collect();
        let mut shown: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        for column in self.columns() {
            let value = |name: &&'a str| {
                let value = name.strip_prefix(column)?.strip_prefix('=')?;
                (!value.starts_with("__")).then_some(value)
            };
            let at = names.iter().enumerate().filter_map(|(at, name)| Some((at, value(name)?)));
            let (places, values): (Vec<usize>, Vec<&str>) = at.unzip();
            for (at, masked) in places.into_iter().zip(self.texts(column, values)) {
                shown[at] = format!("{column}={masked}");
            }
        }
        shown
    }

    /// Names of the masked columns.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Adds the masks of another; its own classes win.
    pub fn extend(&mut self, other: Self) {
        for (column, class) in other.0 {
            self.0.entry(column).or_insert(class);
        }
    }

    /// Masks a row, or rows, in place. Text that is no row is hidden as a whole, as what it holds is not known.
    pub fn json(&self, value: &mut Value) {
        if self.is_empty() {
            return;
        }
        match value {
            Value::Object(row) => {
                for (column, cell) in row.iter_mut().filter(|(_, cell)| !cell.is_null()) {
                    if let Some(class) = self.0.get(column) {
                        let text = cell.as_str().map_or_else(|| cell.to_string(), str::to_owned);
                        *cell = Value::String(mask(*class, &text));
                    }
                }
            }
            Value::Array(rows) => rows.iter_mut().for_each(|row| self.json(row)),
            Value::String(text) => HIDDEN.clone_into(text),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// A row written as JSON, masked.
    #[must_use]
    pub fn line(&self, row: &str) -> String {
        if self.is_empty() {
            return row.to_owned();
        }
        match serde_json::from_str::<Value>(row) {
            Ok(mut value) => {
                self.json(&mut value);
                value.to_string()
            }
            Err(_) => HIDDEN.to_owned(),
        }
    }
}

/// A value that is not shown by accident: formatting and serialising it give [`HIDDEN`].
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Sensitive<T>(T);

impl<T> Sensitive<T> {
    /// Keeps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for those who need it; the call says so in the code.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The value itself.
    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Sensitive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl<T> fmt::Display for Sensitive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl<T> Serialize for Sensitive<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    #[test]
    fn masks_hide_the_value_and_its_length() {
        assert_eq!(mask(PiiClass::Email, "anna@example.com"), "a***@***.com");
        assert_eq!(mask(PiiClass::Email, "anna-maria.long@sub.example.com"), "a***@***.com");
        assert_eq!(mask(PiiClass::Card, "4111 1111 1111 1234"), "***1234");
        assert_eq!(mask(PiiClass::Phone, "+49 170 1234567"), "***67");
        assert_eq!(mask(PiiClass::Iban, "DE89370400440532013000"), "DE***");
        assert_eq!(mask(PiiClass::PersonName, "Müller"), "M***");
        for class in PiiClass::ALL {
            assert_eq!(mask(class, "Bo"), HIDDEN);
            assert!(mask(class, "1234567890123456").chars().filter(|c| *c != '*').count() <= 4, "{class}");
        }
    }

    #[test]
    fn rows_are_masked_in_their_classified_columns_only() {
        let masks: Masks =
            [("mail".to_owned(), PiiClass::Email), ("born".to_owned(), PiiClass::BirthDate)].into_iter().collect();
        let mut rows =
            json!([{"mail": "anna@example.com", "born": 19_151_111, "n": 1}, {"mail": null, "n": 2}, "raw text"]);
        masks.json(&mut rows);
        assert_eq!(rows, json!([{"mail": "a***@***.com", "born": "***", "n": 1}, {"mail": null, "n": 2}, "***"]));
        assert_eq!(masks.line(r#"{"mail":"anna@example.com"}"#), r#"{"mail":"a***@***.com"}"#);
        assert_eq!((masks.line("no row"), Masks::default().line("no row")), ("***".to_owned(), "no row".to_owned()));
    }

    #[test]
    fn values_beside_each_other_stay_apart() {
        let masks: Masks = [("name".to_owned(), PiiClass::PersonName)].into_iter().collect();
        let shown = masks.texts("name", ["Anna", "Berta", "Alma", "Bo", "A***", "Cy"]);
        assert_eq!(shown, ["A***", "B***", "A*** (2)", "***", "A*** (3)", "*** (2)"]);
        assert_eq!(masks.texts("name", shown.iter().map(String::as_str)), shown, "what is masked stays");
        assert_eq!(masks.texts("name", ["*** Anna (2)"]), ["****"], "what only looks masked is masked");
        assert_eq!(masks.texts("town", ["Anna", "Anna"]), ["Anna", "Anna"]);
        let named = ["name=Anna", "name", "name=__missing__", "named=Anna", "name=Alma", "town=Anna"];
        let shown = masks.pairs(named);
        assert_eq!(shown, ["name=A***", "name", "name=__missing__", "named=Anna", "name=A*** (2)", "town=Anna"]);
    }

    #[test]
    fn a_sensitive_value_is_not_shown_by_accident() {
        let value = Sensitive::new("anna@example.com".to_owned());
        assert_eq!(
            (format!("{value} {value:?}"), serde_json::to_string(&value).unwrap()),
            ("*** ***".into(), "\"***\"".into())
        );
        assert_eq!(value.expose(), "anna@example.com");
    }
}
