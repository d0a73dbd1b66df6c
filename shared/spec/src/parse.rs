//! From text to a checked spec, with positions in errors.

use crate::error::{SpecError, SpecProblem};
use crate::model::{FeatureKind, Spec, Split};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tidemill_types::Digest;

/// Largest accepted spec, in bytes.
const MAX_BYTES: usize = 1 << 20;

impl Spec {
    /// Reads and checks a spec.
    ///
    /// # Errors
    /// [`SpecError::Syntax`] for the first unreadable key, [`SpecError::Meaning`] with everything that does
    /// not make sense.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        if text.len() > MAX_BYTES {
            return Err(SpecError::Syntax(SpecProblem {
                path: String::new(),
                line: None,
                column: None,
                message: format!("text of {} bytes is longer than {MAX_BYTES}", text.len()),
                mend: None,
            }));
        }
        let mut spec: Self = serde_saphyr::from_str(text).map_err(|e| SpecError::Syntax(syntax_problem(text, &e)))?;
        spec.fill_in();
        let mut problems = spec.problems();
        if problems.is_empty() {
            return Ok(spec);
        }
        for problem in &mut problems {
            if let Some((line, column)) = locate(text, &problem.path) {
                problem.line = Some(line);
                problem.column = Some(column);
            }
        }
        Err(SpecError::Meaning(problems))
    }

    /// Defaults that follow from other keys.
    fn fill_in(&mut self) {
        if self.split.embargo == Split::UNWRITTEN {
            self.split.embargo = self.features.label.matures_within;
        }
        let rates_by = &mut self.train.baselines.rule.rates_by;
        if rates_by.is_empty() {
            let categories = self.features.define.iter().filter(|(_, d)| d.kind() == FeatureKind::Category);
            rates_by.extend(categories.take(2).map(|(name, _)| name.clone()));
        }
    }

    /// Digest of the meaning: equal for specs that differ only in layout, comments or defaults written out.
    #[must_use]
    pub fn digest(&self) -> Digest {
        // Every map of the model is ordered, so the JSON text is canonical.
        Digest::of(serde_json::to_string(self).unwrap_or_default().as_bytes())
    }
}

/// Reads a part of a spec, or any other small YAML document.
///
/// # Errors
/// [`SpecError::Syntax`] for the first thing that cannot be read.
pub fn read_yaml<T: DeserializeOwned>(text: &str) -> Result<T, SpecError> {
    serde_saphyr::from_str(text).map_err(|e| SpecError::Syntax(syntax_problem(text, &e)))
}

/// Writes a value as YAML.
///
/// # Errors
/// A value that YAML cannot express.
pub fn write_yaml(value: &impl Serialize) -> Result<String, SpecError> {
    serde_saphyr::to_string(value).map_err(|e| {
        let message = e.to_string();
        SpecError::Syntax(SpecProblem { path: String::new(), line: None, column: None, message, mend: None })
    })
}

fn syntax_problem(text: &str, error: &serde_saphyr::Error) -> SpecProblem {
    let location = error.location();
    let line = location.and_then(|l| usize::try_from(l.line()).ok());
    let column = location.and_then(|l| usize::try_from(l.column()).ok());
    let full = error.to_string();
    // The library's rendering goes on with a snippet; the first line says what is wrong.
    let first = full.lines().next().unwrap_or_default().trim_start_matches("error: ");
    // The position is told apart from the message.
    let message =
        first.split_once(": ").filter(|(at, _)| at.starts_with("line ")).map_or(first, |(_, rest)| rest).to_owned();
    let path = line.map(|l| path_at(text, l)).unwrap_or_default();
    SpecProblem { path, line, column, mend: suggestion(&full), message }
}

/// For "unknown field `x`, expected one of a, b": the nearest of those expected.
fn suggestion(message: &str) -> Option<String> {
    if !message.contains("unknown field") && !message.contains("unknown variant") {
        return None;
    }
    let wrong = message.split('`').nth(1)?;
    let (_, expected) = message.split_once("expected ")?;
    let expected = expected.trim_start_matches("one of ").lines().next()?;
    nearest(wrong, expected.split(", ").map(|name| name.trim_matches(['`', ' '])))
}

/// "did you mean …" when one of the names is close.
pub(crate) fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    names
        .map(|name| (strsim::jaro_winkler(wrong, name), name))
        .filter(|(score, _)| *score > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| format!("did you mean \"{name}\"?"))
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn key_of(line: &str) -> Option<&str> {
    let key = line.trim_start().split(':').next()?.trim_start_matches("- ").trim();
    let plain = !key.is_empty() && !key.starts_with('#') && line.contains(':') && !key.contains(['{', ' ', '"']);
    plain.then_some(key)
}

/// Dotted path of the key on a line, from the indentation of the lines above it.
fn path_at(text: &str, line: usize) -> String {
    let lines: Vec<&str> = text.lines().take(line).collect();
    let mut path = Vec::new();
    let mut limit = usize::MAX;
    for candidate in lines.iter().rev() {
        let indent = indent_of(candidate);
        if indent >= limit {
            continue;
        }
        if let Some(key) = key_of(candidate) {
            path.push(key);
            limit = indent;
        }
        if limit == 0 {
            break;
        }
    }
    path.reverse();
    path.join(".")
}

/// Line and column of the deepest key of a dotted path that stands in the text.
#[must_use]
pub fn locate(text: &str, path: &str) -> Option<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found: Option<(usize, usize)> = None;
    let mut start = 0;
    let mut parent_indent: Option<usize> = None;
    for segment in path.split('.') {
        let hit = lines
            .iter()
            .enumerate()
            .skip(start)
            .find(|(_, line)| key_of(line) == Some(segment) && parent_indent.is_none_or(|p| indent_of(line) > p));
        if let Some((index, line)) = hit.filter(|(_, line)| parent_indent.is_some() || indent_of(line) == 0) {
            found = Some((index + 1, indent_of(line) + 1));
            parent_indent = Some(indent_of(line));
            start = index + 1;
            continue;
        }
        // The rest stands in flow style on the line found last, or in a list.
        let (line, _) = found?;
        let rest = lines.get(line - 1)?;
        let column = rest.find(&format!("{segment}:")).map(|c| c + 1);
        return Some((line, column.unwrap_or(indent_of(rest) + 1)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const PENGUINS: &str = include_str!("../../../infra/examples/penguins/project.yaml");
    const FLIGHTS: &str = include_str!("../../../infra/examples/flights/project.yaml");

    #[test]
    fn the_flights_project_is_a_valid_spec() {
        let spec = Spec::parse(FLIGHTS).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(spec.project.as_str(), "flights");
        assert!(spec.features.define.len() >= 39);
    }

    #[test]
    fn what_a_short_spec_leaves_out_is_filled_in() {
        let spec = Spec::parse(PENGUINS).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(spec.split.embargo, spec.features.label.matures_within);
        assert_eq!(spec.train.baselines.rule.rates_by, ["island", "species"]);
        assert_eq!((spec.evaluate.gates.keeps_up_with_logistic.by, spec.train.candidates.len()), (-0.02, 2));
        // A default written out means the same.
        let split = PENGUINS.replace("split: {", "split: {embargo: 0d, ");
        assert_eq!(Spec::parse(&split).unwrap().digest(), spec.digest());
    }

    #[test]
    fn a_rule_without_anything_to_look_up_is_refused() {
        let text = PENGUINS.replace("{expr: island, kind: category}", "length(island)");
        let text = text.replace("{expr: species, kind: category}", "length(species)");
        let error = Spec::parse(&text).unwrap_err();
        assert_eq!(error.problems()[0].path, "train.baselines.rule.rates_by", "{error}");
    }

    #[test]
    fn layout_and_comments_do_not_change_the_digest() {
        let other = format!("# another comment\n{FLIGHTS}\n");
        assert_eq!(Spec::parse(FLIGHTS).unwrap().digest(), Spec::parse(&other).unwrap().digest());
        let changed = FLIGHTS.replace("budget: 0.10", "budget: 0.11");
        assert_ne!(Spec::parse(FLIGHTS).unwrap().digest(), Spec::parse(&changed).unwrap().digest());
    }

    #[test]
    fn an_unknown_key_is_refused_with_path_position_and_suggestion() {
        let text = FLIGHTS.replace("  embargo: 36h", "  embargoo: 36h");
        let error = Spec::parse(&text).unwrap_err();
        let problem = &error.problems()[0];
        assert_eq!(problem.path, "split.embargoo", "{problem}");
        assert!(problem.line.is_some_and(|l| text.lines().nth(l - 1).unwrap().contains("embargoo")), "{problem}");
        assert_eq!(problem.mend.as_deref(), Some("did you mean \"embargo\"?"), "{problem}");
    }

    #[test]
    fn names_that_point_nowhere_are_all_listed() {
        let text = FLIGHTS
            .replace("origin, carrier]\n  min_support", "orign, carrier]\n  min_support")
            .replace("key: flight_id\n    value", "key: flightid\n    value");
        let error = Spec::parse(&text).unwrap_err();
        let paths: Vec<_> = error.problems().iter().map(|p| p.path.as_str()).collect();
        assert_eq!(paths, ["features.label.key", "evaluate.slices"], "{error}");
        assert!(error.problems().iter().all(|p| p.line.is_some() && p.mend.is_some()), "{error}");
    }
}
