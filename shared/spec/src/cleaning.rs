//! Cleaning decisions: what is mended in the rows of a source before its rules judge them, by whom and why.
//!
//! A decision stands in the project file like everything else, so it is reviewed, versioned and undone with it. What it
//! does to rows is the business of `shared/quality`.

use crate::model::Source;
use crate::parse::nearest;
use crate::units::{UNITS, Unit};
use arrow::datatypes::DataType;
use chrono::format::{Item, StrftimeItems};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tidemill_expr::Compiled;

/// One decision about one column: exactly one of `merge`, `text`, `date`, `unit` and `to_null`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Name of the decision in the log.
    pub id: String,
    /// The column that is mended.
    pub column: String,
    /// Texts that mean the same: the one that is kept, and those that become it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<BTreeMap<String, Vec<String>>>,
    /// Steps of tidying a text, in this order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Vec<TextStep>>,
    /// Dates in texts, brought into one form; a text in none of the forms stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<DateForms>,
    /// Numbers in one unit, turned into another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<UnitChange>,
    /// Values that mean "not known" become null: where this expression over the row is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_null: Option<String>,
    /// Only rows for which this expression is true are mended.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Why.
    pub reason: String,
    /// Who decided.
    pub by: String,
}

/// A step of tidying a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextStep {
    /// No white space at the ends.
    Trim,
    /// One space where there is white space.
    Squeeze,
    /// Small letters.
    Lower,
    /// Capital letters.
    Upper,
}

/// Forms of dates, as `strftime` writes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DateForms {
    /// Forms that occur; the first that a text has decides.
    pub from: Vec<String>,
    /// The form that is kept; absent: `%Y-%m-%d`.
    #[serde(default = "iso")]
    pub to: String,
}

fn iso() -> String {
    "%Y-%m-%d".to_owned()
}

/// From one unit to another; `tidemill cleaning units` lists them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitChange {
    /// The unit in which values come.
    pub from: String,
    /// The unit in which they are kept.
    pub to: String,
}

/// What a decision does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action<'a> {
    /// Texts that mean the same.
    Merge(&'a BTreeMap<String, Vec<String>>),
    /// Steps of tidying.
    Text(&'a [TextStep]),
    /// Dates in one form.
    Date(&'a DateForms),
    /// Another unit.
    Unit(&'a UnitChange),
    /// Values that mean "not known".
    ToNull(&'a str),
}

impl Decision {
    /// What it does; `None` unless it says exactly one thing.
    #[must_use]
    pub fn action(&self) -> Option<Action<'_>> {
        let said = [
            self.merge.as_ref().map(Action::Merge),
            self.text.as_deref().map(Action::Text),
            self.date.as_ref().map(Action::Date),
            self.unit.as_ref().map(Action::Unit),
            self.to_null.as_deref().map(Action::ToNull),
        ];
        let mut said = said.into_iter().flatten();
        said.next().filter(|_| said.next().is_none())
    }

    /// What it does, in words.
    #[must_use]
    pub fn says(&self) -> String {
        let what = match self.action() {
            Some(Action::Merge(merge)) => {
                let pair = |(kept, others): (&String, &Vec<String>)| format!("{} → {kept}", others.join(", "));
                merge.iter().map(pair).collect::<Vec<_>>().join("; ")
            }
            Some(Action::Text(steps)) => {
                let steps: Vec<String> = steps.iter().map(|step| format!("{step:?}").to_lowercase()).collect();
                steps.join(", ")
            }
            Some(Action::Date(forms)) => format!("{} → {}", forms.from.join(", "), forms.to),
            Some(Action::Unit(change)) => format!("{} → {}", change.from, change.to),
            Some(Action::ToNull(condition)) => format!("null where {condition}"),
            None => String::new(),
        };
        match &self.filter {
            Some(filter) => format!("{what} (where {filter})"),
            None => what,
        }
    }

    /// What does not make sense about it in a source, each with a mend when there is one.
    #[must_use]
    pub fn problems(&self, source: &Source) -> Vec<(String, Option<String>)> {
        let mut found = Vec::new();
        let mut require = |holds: bool, message: &str| {
            if !holds {
                found.push((message.to_owned(), None));
            }
        };
        require(!self.id.is_empty(), "the id must not be empty");
        require(!self.reason.trim().is_empty(), "a reason must be given, for those who read the log");
        require(!self.by.trim().is_empty(), "who decided must be named");
        let Some(column) = source.columns.get(&self.column) else {
            let known = source.columns.keys().map(String::as_str);
            found.push((format!("there is no column \"{}\"", self.column), nearest(&self.column, known)));
            return found;
        };
        let schema = source.declared_schema();
        for text in self.filter.iter().chain(&self.to_null) {
            match Compiled::new(text, &schema) {
                Err(error) => found.push((error.to_string(), None)),
                Ok(expr) if matches!(expr.data_type(), DataType::Boolean | DataType::Null) => {}
                Ok(expr) => found.push((format!("\"{text}\" is {}, not a boolean", expr.data_type()), None)),
            }
        }
        let (kind, name) = (column.kind.arrow(), column.kind.as_str());
        let needs = |holds: bool, what: &str| (!holds).then(|| (format!("a column of type {name} {what}"), None));
        match self.action() {
            None => found.push(("say exactly one of merge, text, date, unit and to_null".to_owned(), None)),
            Some(Action::Merge(merge)) => {
                found.extend(needs(kind == DataType::Utf8, "holds no texts to merge"));
                found.extend(merge_problems(merge));
            }
            Some(Action::Text(steps)) => {
                found.extend(needs(kind == DataType::Utf8, "holds no texts to tidy"));
                if steps.is_empty() {
                    found.push(("no step is named: trim, squeeze, lower, upper".to_owned(), None));
                }
            }
            Some(Action::Date(forms)) => {
                found.extend(needs(kind == DataType::Utf8, "holds no texts with dates; it needs no form"));
                for form in forms.from.iter().chain([&forms.to]).filter(|form| !is_form(form)) {
                    found.push((format!("\"{form}\" is no form of a date: write one such as %d.%m.%Y"), None));
                }
            }
            Some(Action::Unit(change)) => {
                found.extend(needs(kind.is_floating(), "cannot hold what comes out: declare it float64"));
                found.extend(unit_problems(change));
            }
            Some(Action::ToNull(_)) => {
                found.extend(needs(column.nullable, "that is not nullable cannot become null: add nullable: true"));
            }
        }
        found
    }
}

fn merge_problems(merge: &BTreeMap<String, Vec<String>>) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for (kept, others) in merge {
        if others.is_empty() {
            found.push((format!("nothing becomes \"{kept}\""), None));
        }
        for other in others {
            if merge.contains_key(other) {
                found.push((format!("\"{other}\" is kept, and so cannot become \"{kept}\""), None));
            } else if !seen.insert(other) {
                found.push((format!("\"{other}\" cannot become two texts"), None));
            }
        }
    }
    found
}

fn unit_problems(change: &UnitChange) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    for name in [&change.from, &change.to] {
        if Unit::named(name).is_none() {
            let mend = nearest(name, UNITS.iter().map(|unit| unit.name));
            found.push((
                format!("there is no unit \"{name}\""),
                mend.or(Some("see: tidemill cleaning units".to_owned())),
            ));
        }
    }
    if let (Some(from), Some(to)) = (Unit::named(&change.from), Unit::named(&change.to))
        && from.quantity != to.quantity
    {
        found.push((format!("{} measures {}, {} measures {}", from.name, from.quantity, to.name, to.quantity), None));
    }
    found
}

fn is_form(text: &str) -> bool {
    let mut items = StrftimeItems::new(text).peekable();
    let any = items.peek().is_some();
    any && items.all(|item| item != Item::Error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use crate::Spec;

    const PENGUINS: &str = include_str!("../../../infra/examples/penguins/project.yaml");

    /// Problems of a decision about the penguins, by what the file then says.
    fn problems(decision: &str) -> Vec<String> {
        let source = PENGUINS.lines().skip_while(|line| *line != "sources:").nth(1).unwrap();
        let name = source.trim().trim_end_matches(':');
        let text = format!("{PENGUINS}\ncleaning:\n  {name}:\n    - {decision}\n");
        match Spec::parse(&text) {
            Ok(_) => Vec::new(),
            Err(error) => error.problems().iter().map(|problem| format!("{problem:?}")).collect(),
        }
    }

    #[test]
    fn a_decision_says_one_thing_that_its_column_can_do() {
        let about = |what: &str| problems(&format!("{{id: a, {what}, reason: r, by: me}}"));
        assert_eq!(about("column: species, merge: {Adelie: [adelie, ADELIE]}"), Vec::<String>::new());
        assert_eq!(about("column: species, text: [trim, lower]"), Vec::<String>::new());
        for (what, wrong) in [
            ("column: specis, text: [trim]", "did you mean"),
            ("column: species, text: [trim], to_null: \"true\"", "exactly one of"),
            ("column: species", "exactly one of"),
            ("column: species, merge: {a: [b], c: [b]}", "cannot become two texts"),
            ("column: species, merge: {a: [b], b: [c]}", "is kept"),
            ("column: species, unit: {from: m, to: kg}", "declare it float64"),
            ("column: species, unit: {from: m, to: kg}", "measures"),
            ("column: species, unit: {from: meter, to: km}", "there is no unit"),
            ("column: species, date: {from: [\"%Q\"]}", "no form of a date"),
            ("column: species, text: [trim], where: \"species\"", "not a boolean"),
            ("column: species, tidy: [trim]", "unknown field"),
        ] {
            let found = about(what).join("\n");
            assert!(found.contains(wrong), "{what}: {found}");
        }
        assert!(problems("{id: a, column: species, text: [trim], reason: \" \", by: me}").join("").contains("reason"));
    }
}
