//! How people write what they ask about.

use tidemill_types::ProjectName;

/// A dataset as it was written, with a version or column behind it: `clean/flights/weather@12`,
/// `clean/flights/weather.temp`. The version may stand behind the dataset or behind the column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written<'w> {
    name: &'w str,
    column: Option<&'w str>,
    /// The version; of events, the sequence.
    pub version: Option<u64>,
}

impl<'w> Written<'w> {
    /// Takes it apart; `None` when what stands behind `@` is no number.
    #[must_use]
    pub fn of(what: &'w str) -> Option<Self> {
        let Some((name, behind)) = what.split_once('@') else {
            return Some(Self { name: what, column: None, version: None });
        };
        let (version, column) = match behind.split_once('.') {
            Some((version, column)) => (version, Some(column)),
            None => (behind, None),
        };
        Some(Self { name, column, version: Some(version.parse().ok()?) })
    }

    /// The dataset, when no column is meant.
    #[must_use]
    pub fn dataset(&self, project: &ProjectName) -> String {
        full(project, self.name)
    }

    /// The dataset and column that it may mean.
    #[must_use]
    pub fn column(&self, project: &ProjectName) -> Option<(String, &'w str)> {
        let (name, column) = match self.column {
            Some(column) => (self.name, column),
            None => self.name.rsplit_once('.').filter(|(_, column)| !column.contains('/'))?,
        };
        Some((full(project, name), column))
    }
}

/// The events of a source need not name the project.
fn full(project: &ProjectName, name: &str) -> String {
    match name.strip_prefix("events/") {
        Some(source) if !source.contains('/') => format!("events/{project}/{source}"),
        _ => name.to_owned(),
    }
}

/// Whether a text is the id of a prediction.
#[must_use]
pub fn is_prediction_id(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn prediction_ids_are_told_from_other_names() {
        assert!(is_prediction_id("0198c9d2-7b1e-7c3a-9f00-0123456789ab"));
        for other in ["champion", "clean/flights/weather", "3f9a2c", "0198c9d2-7b1e-7c3a-9f00", "w-x-y-z-a"] {
            assert!(!is_prediction_id(other), "{other}");
        }
    }

    #[test]
    fn a_version_stands_behind_the_dataset_or_the_column() {
        let project = "flights".parse().unwrap();
        let of = |what| Written::of(what).map(|written| (written.column(&project), written.version));
        let column = || Some(("clean/flights/weather".to_owned(), "temp"));
        assert_eq!(of("clean/flights/weather.temp"), Some((column(), None)));
        assert_eq!(of("clean/flights/weather.temp@12"), Some((column(), Some(12))));
        assert_eq!(of("clean/flights/weather@12.temp"), Some((column(), Some(12))));
        assert_eq!(of("clean/flights/weather@12"), Some((None, Some(12))));
        assert_eq!(of("clean/flights/weather@new"), None);
        assert_eq!(Written::of("events/weather@7").unwrap().dataset(&project), "events/flights/weather");
    }
}
