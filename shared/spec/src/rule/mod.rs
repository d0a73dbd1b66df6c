//! Quality rules as they are written: `{id: …, <kind>: …, when: …, mostly: …, on_fail: …}`.
//!
//! [`kinds`] is the one table of kinds, from which the type, the reader, the manual and the tests are made;
//! [`params`] is what stands behind each key. What a rule does to rows is the business of `shared/quality`.

mod kinds;
mod params;
mod read;
mod words;

pub use kinds::{Check, KINDS, Kind, Scope};
pub use params::*;
pub use words::flow;

use serde::{Deserialize, Serialize};

/// What happens when a rule fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Counted and shown; rows go on.
    #[default]
    Warn,
    /// Failing rows go to the quarantine table; with a rule on the commit as a whole, all of its rows.
    Quarantine,
    /// The whole commit goes to the quarantine table and an alert is raised.
    Block,
}

/// The side of quality that a rule speaks about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Values are possible.
    #[default]
    Accuracy,
    /// Values and rows are there.
    Completeness,
    /// Values agree with each other.
    Consistency,
    /// Rows come in time.
    Timeliness,
}

/// One quality rule: exactly one kind, named by its key.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rule {
    /// Name of the rule in results.
    pub id: String,
    /// What is asked, under the key of its kind.
    #[serde(flatten)]
    pub check: Check,
    /// Only rows for which this expression is true are looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Share of the commit's rows that must pass, in (0, 1]; as long as it is reached, failing rows are only counted,
    /// below it the rule fails for the commit as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mostly: Option<f64>,
    /// What happens when it fails.
    pub on_fail: Severity,
}

impl Rule {
    /// A rule for every row, which only counts.
    #[must_use]
    pub fn new(id: impl Into<String>, check: Check) -> Self {
        Self { id: id.into(), check, when: None, mostly: None, on_fail: Severity::Warn }
    }

    /// Columns the rule names outside expressions.
    #[must_use]
    pub fn columns(&self) -> Vec<&str> {
        self.check.columns()
    }

    /// Expressions of the rule; all must be true or false.
    #[must_use]
    pub fn conditions(&self) -> Vec<&str> {
        let own = match &self.check {
            Check::Expr(text) => Some(text),
            Check::NullOnlyWhen(rule) => Some(&rule.condition),
            _ => None,
        };
        own.into_iter().chain(&self.when).map(String::as_str).collect()
    }
}
