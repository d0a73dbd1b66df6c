//! What a source says of itself: who answers for it, how often it brings rows, who may use it. Nothing is decided by it.

use crate::model::Source;

/// Longest text; more belongs into a document.
const MOST_CHARACTERS: usize = 1_000;

impl Source {
    /// What is said, each with its key, in the order of the manual.
    #[must_use]
    pub fn about(&self) -> Vec<(&'static str, String)> {
        let cadence = self.cadence.map(|cadence| cadence.to_string());
        let said = [
            ("owner", self.owner.clone()),
            ("cadence", cadence),
            ("access", self.access.clone()),
            ("licence", self.licence.clone()),
            ("description", self.description.clone()),
        ];
        said.into_iter().filter_map(|(key, text)| Some((key, text?))).collect()
    }
}

/// Keys that say nothing, or too much, each with the message.
pub(crate) fn problems(source: &Source) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for (key, text) in source.about() {
        if text.trim().is_empty() {
            found.push((key, "says nothing; leave it out".to_owned()));
        }
        if text.chars().count() > MOST_CHARACTERS {
            found.push((key, format!("is longer than {MOST_CHARACTERS} characters")));
        }
    }
    if source.cadence.is_some_and(|cadence| cadence.millis() <= 0) {
        found.push(("cadence", "must be above zero".to_owned()));
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use crate::Spec;

    const METERS: &str = include_str!("../../../tests/data/meters.yaml");

    fn with(more: &str) -> String {
        METERS.replacen("    event_time: at\n", &format!("    event_time: at\n{more}"), 1)
    }

    #[test]
    fn a_source_tells_of_itself_and_one_that_does_not_is_written_as_before() {
        let silent = Spec::parse(METERS).unwrap();
        let text = serde_json::to_string(&silent).unwrap();
        for key in ["owner", "cadence", "access", "licence", "description"] {
            assert!(!text.contains(&format!("\"{key}\":")), "{key}");
        }
        let spec = Spec::parse(&with("    owner: grid\n    cadence: 15m\n    licence: CC-BY-4.0\n")).unwrap();
        let source = spec.sources.values().next().unwrap();
        let told = [("owner", "grid"), ("cadence", "15m"), ("licence", "CC-BY-4.0")];
        assert_eq!(source.about(), told.map(|(key, text)| (key, text.to_owned())));
        assert_ne!(spec.digest(), silent.digest());
    }

    #[test]
    fn what_says_nothing_and_what_is_not_known_is_refused() {
        for (more, told) in [
            ("    owner: ''\n", "sources.readings.owner"),
            ("    cadence: 0s\n", "sources.readings.cadence"),
            ("    license: MIT\n", "license"),
        ] {
            let refused = Spec::parse(&with(more)).unwrap_err().to_string();
            assert!(refused.contains(told), "{more}: {refused}");
        }
    }
}
