//! How long data are kept: by class of source, with legal hold.

use crate::Span;
use crate::error::SpecProblem;
use crate::parse::nearest;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tidemill_types::SourceName;

/// How long rows and versions of tables are kept. Nothing is dropped by itself: `tidemill dataset vacuum` plans by this
/// section, and acts when told to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Classes by name. The class `default` is that of every source that names none; without it, rows are kept for
    /// good and superseded versions for a week.
    #[serde(default)]
    pub classes: BTreeMap<String, RetentionClass>,
    /// Class of each source that has another than `default`.
    #[serde(default)]
    pub sources: BTreeMap<SourceName, String>,
    /// Sources of which nothing is dropped while the entry stands.
    #[serde(default)]
    pub hold: Vec<Hold>,
}

/// What one class promises.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionClass {
    /// Age at which rows are dropped, back from the newest one that is not dated in the future; absent: never. Of clean
    /// rows by event time, of raw ones and those set aside by when they became known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<Span>,
    /// How long a version stays readable after a newer one superseded it.
    #[serde(default = "week")]
    pub versions: Span,
}

impl Default for RetentionClass {
    fn default() -> Self {
        Self { rows: None, versions: week() }
    }
}

fn week() -> Span {
    Span::hours(7 * 24)
}

/// A legal hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// The source.
    pub source: SourceName,
    /// Why, for instance the number of a case.
    pub reason: String,
    /// Who ordered it.
    pub by: String,
}

impl Retention {
    /// Name of the class of sources that name none.
    pub const DEFAULT: &str = "default";

    /// Whether the section says nothing, so that it need not stand in the file.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        *self == Self::default()
    }

    /// What holds for a source, with the name of its class.
    #[must_use]
    pub fn of(&self, source: &SourceName) -> (&str, RetentionClass) {
        let name = self.sources.get(source).map_or(Self::DEFAULT, String::as_str);
        (name, self.classes.get(name).cloned().unwrap_or_default())
    }

    /// The holds on a source.
    pub fn holds(&self, source: &SourceName) -> impl Iterator<Item = &Hold> {
        self.hold.iter().filter(move |hold| hold.source == *source)
    }

    /// What does not make sense, given the sources there are.
    pub(crate) fn problems(&self, sources: &BTreeSet<&str>) -> Vec<SpecProblem> {
        let mut found = Vec::new();
        let mut add = |path: String, message: String, mend: Option<String>| {
            found.push(SpecProblem { path, line: None, column: None, message, mend });
        };
        let named = self.sources.keys().map(|source| (format!("retention.sources.{source}"), source));
        let held = self.hold.iter().enumerate().map(|(i, hold)| (format!("retention.hold.{i}.source"), &hold.source));
        for (path, source) in named.chain(held) {
            if !sources.contains(source.as_str()) {
                let mend = nearest(source.as_str(), sources.iter().copied());
                add(path, format!("there is no source \"{source}\""), mend);
            }
        }
        for (source, class) in &self.sources {
            if class != Self::DEFAULT && !self.classes.contains_key(class) {
                let mend = nearest(class, self.classes.keys().map(String::as_str));
                add(format!("retention.sources.{source}"), format!("there is no class \"{class}\""), mend);
            }
        }
        for (name, class) in &self.classes {
            if class.rows.is_some_and(|span| span.millis() == 0) {
                add(format!("retention.classes.{name}.rows"), "must be longer than zero".to_owned(), None);
            }
        }
        for (i, hold) in self.hold.iter().enumerate() {
            if hold.reason.trim().is_empty() || hold.by.trim().is_empty() {
                add(format!("retention.hold.{i}"), "a hold says why and by whom".to_owned(), None);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn parse(json: serde_json::Value) -> Retention {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_source_has_its_class_or_the_default_one() {
        let retention = parse(serde_json::json!({
            "classes": {"default": {"rows": "400d"}, "short": {"rows": "30d", "versions": "1d"}},
            "sources": {"clicks": "short"},
            "hold": [{"source": "orders", "reason": "case 17", "by": "legal"}]
        }));
        let (clicks, orders) = ("clicks".parse().unwrap(), "orders".parse().unwrap());
        assert_eq!(retention.of(&clicks).0, "short");
        assert_eq!(retention.of(&clicks).1.versions, Span::hours(24));
        assert_eq!(retention.of(&orders).1, RetentionClass { rows: Some(Span::hours(9_600)), versions: week() });
        assert_eq!((retention.holds(&orders).count(), retention.holds(&clicks).count()), (1, 0));
        assert!(retention.problems(&BTreeSet::from(["clicks", "orders"])).is_empty());
        assert!(Retention::default().is_silent());
        assert_eq!(Retention::default().of(&clicks), ("default", RetentionClass::default()));
    }

    #[test]
    fn names_that_point_nowhere_and_empty_reasons_are_problems() {
        let retention = parse(serde_json::json!({
            "classes": {"short": {"rows": "0s"}},
            "sources": {"clicks": "shrt", "none": "short"},
            "hold": [{"source": "cliks", "reason": " ", "by": "legal"}]
        }));
        let paths: Vec<String> =
            retention.problems(&BTreeSet::from(["clicks"])).into_iter().map(|problem| problem.path).collect();
        let expected = [
            "retention.sources.none",
            "retention.hold.0.source",
            "retention.sources.clicks",
            "retention.classes.short.rows",
            "retention.hold.0",
        ];
        assert_eq!(paths, expected);
        assert!(serde_json::from_value::<Retention>(serde_json::json!({"hodl": []})).is_err());
    }
}
