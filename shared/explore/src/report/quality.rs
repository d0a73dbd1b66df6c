//! Results of rules with failing samples, masked, and the score over time.

use super::part;
use super::text::cut;
use crate::warnings::count;
use maud::{Markup, html};
use serde::Serialize;
use serde_json::Value;
use tidemill_plot::{Labels, Series, TimeSeries, time_series};
use tidemill_privacy::HIDDEN;
use tidemill_quality::RuleResult;

/// Samples of one rule.
const SAMPLES: usize = 3;
/// Rules that are shown.
const RULES: usize = 80;
/// Rules with samples that are shown.
const SAMPLED: usize = 20;

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RuleFacts {
    /// Its id.
    pub id: String,
    /// What it does on failure: warn, quarantine or block.
    pub severity: String,
    /// Rows it looked at.
    pub checked: u64,
    /// Rows that failed.
    pub failed: u64,
    /// Failing rows, masked.
    pub samples: Vec<String>,
}

/// The score of one commit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ScoreAt {
    /// Newest instant of the commit, in milliseconds since 1970-01-01T00:00:00Z.
    pub at: i64,
    /// From 0 to 100.
    pub score: f64,
}

/// What is known about quality.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct QualityFacts {
    /// Rules, in the order of the project file.
    pub rules: Vec<RuleFacts>,
    /// Scores over time.
    pub scores: Vec<ScoreAt>,
}

impl From<&RuleResult> for RuleFacts {
    fn from(result: &RuleResult) -> Self {
        Self {
            id: result.id.clone(),
            severity: format!("{:?}", result.severity).to_lowercase(),
            checked: result.checked,
            failed: result.failed,
            samples: result.samples.iter().map(|sample| masked(sample)).collect(),
        }
    }
}

/// A failing row as JSON with all its texts hidden, personal or not: a report is handed on.
///
/// Numbers, booleans and instants stay, since a rule can hardly be understood without them; text that is no JSON object
/// is hidden whole.
fn masked(sample: &str) -> String {
    match serde_json::from_str::<serde_json::Map<String, Value>>(sample) {
        Ok(mut row) => {
            row.retain(|name, _| !name.starts_with(tidemill_types::columns::PREFIX));
            row.values_mut().for_each(mask);
            Value::Object(row).to_string()
        }
        Err(_) => HIDDEN.to_owned(),
    }
}

fn mask(value: &mut Value) {
    match value {
        Value::String(text) if tidemill_types::Millis::parse(text).is_none() => HIDDEN.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::Object(fields) => fields.values_mut().for_each(mask),
        _ => {}
    }
}

/// Rules and scores.
pub(super) fn quality(facts: &QualityFacts) -> Markup {
    let points = facts.scores.iter().map(|score| (score.at, score.score)).collect();
    let series = Series { name: "score".to_owned(), points, band: Vec::new(), dashed: false };
    let body = html! {
        @if facts.scores.len() > 1 {
            (time_series(Labels { title: "Quality score over time", x: "", y: "of 100" }, &TimeSeries { series: vec![series], ..TimeSeries::default() }))
        }
        @if facts.rules.is_empty() { p.muted { "No rule has a result." } } @else {
            div.scroll tabindex="0" { table {
                thead { tr { th { "Rule" } th { "On failure" } th.num { "Checked" } th.num { "Failed" } th { "State" } } }
                tbody { @for rule in facts.rules.iter().take(RULES) {
                    tr {
                        td { (cut(&rule.id, 60)) } td { (rule.severity) } td.num { (count(rule.checked)) } td.num { (count(rule.failed)) }
                        td { @if rule.failed == 0 { "● passed" } @else { "▲ failing rows" } }
                    }
                } }
            } }
            @for rule in facts.rules.iter().filter(|rule| !rule.samples.is_empty()).take(SAMPLED) {
                details {
                    summary { "Failing rows of " (cut(&rule.id, 60)) ", texts masked" }
                    @for sample in rule.samples.iter().take(SAMPLES) { pre tabindex="0" { (cut(sample, 500)) } }
                }
            }
        }
    };
    part("rules", "Rules", "", &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_keep_no_text() {
        let shown =
            masked(r#"{"name":"Ada Lovelace","age":36,"at":"2013-01-01T00:00:00Z","tm_seq":1,"tags":["x","secret"]}"#);
        assert!(!shown.contains("Ada") && !shown.contains("ecret") && !shown.contains("tm_seq"), "{shown}");
        assert!(shown.contains("36") && shown.contains("2013-01-01"), "{shown}");
        assert_eq!(masked("no json"), HIDDEN);
    }
}
