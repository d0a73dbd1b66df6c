//! What a report tells those who ask: its performance and its drift as JSON. Pure.
//!
//! A page asks for a year of windows at once, and a report changes seldom: it is written out when it is made.

use super::report::WindowReport;
use serde_json::{Value, json};

/// The texts of a report.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// The report with a summary of drift in place of all verdicts.
    pub(crate) performance: String,
    /// All verdicts of the window. Distributions stay in the stored report, where a page reads those of one window.
    pub(crate) drift: String,
}

impl Told {
    /// Writes a report out.
    pub(crate) fn of(report: &WindowReport) -> Self {
        Self { performance: performance(report).to_string(), drift: drift(report).to_string() }
    }
}

fn performance(report: &WindowReport) -> Value {
    // The verdicts are most of a report: they are not written out to be left out.
    let slim = WindowReport { drift: None, ..report.clone() };
    let mut whole = serde_json::to_value(&slim).unwrap_or_default();
    if let (Some(fields), Some(drift)) = (whole.as_object_mut(), &report.drift) {
        let summary = json!({
            "drifted_share": drift.drifted_share,
            "drifted": drift.drifted,
            "actionable": drift.actionable,
            "score_psi": drift.score_psi(),
        });
        fields.insert("drift".to_owned(), summary);
    }
    whole
}

fn drift(report: &WindowReport) -> Value {
    let mut verdicts = report.drift.clone();
    for drift in verdicts.iter_mut().flat_map(|v| v.features.iter_mut().map(|f| &mut f.drift).chain(&mut v.score)) {
        drift.distribution = None;
    }
    json!({
        "project": report.project,
        "deployment": report.deployment,
        "kind": report.window.kind_name(),
        "start": report.window.start,
        "end": report.end,
        "start_date": report.start_date,
        "models": report.models,
        "score_psi": report.drift.as_ref().and_then(super::drift::WindowDrift::score_psi),
        "drift": verdicts,
    })
}
