//! Which reports are worth waking somebody, and what they are told.

use super::calendar::CalendarWindow;
use super::report::WindowReport;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tidemill_metrics::wilson;
use tidemill_spec::BoundGate;
use tidemill_stats::Verdict;
use tidemill_types::{Millis, SourceName};

/// Share of features with large and real drift from which an alert is a page: no longer single feeds.
const PAGE_SHARE: f64 = 0.5;
/// Share of predictions that should have an outcome once the window is mature.
const WANTED_COVERAGE: f64 = 0.9;
/// Features named in the text of an alert.
const NAMED: usize = 5;
/// Rise of the share of missing values that points to a broken feed.
const FEED_GAP: f64 = 0.2;

/// How urgent an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertSeverity {
    /// To be looked at in working hours.
    Warn,
    /// Something failed, and is not tried again by itself.
    Error,
    /// To be looked at now.
    Page,
}

impl AlertSeverity {
    /// Name in notices.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Page => "page",
        }
    }

    /// The urgency of a notice; what is not known is to be looked at in working hours.
    #[must_use]
    pub fn told(name: &str) -> Self {
        [Self::Page, Self::Error].into_iter().find(|severity| severity.as_str() == name).unwrap_or(Self::Warn)
    }
}

/// One alert, stored under its window and rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Name of the rule.
    pub rule: String,
    /// Urgency.
    pub severity: AlertSeverity,
    /// What was found and what is suspected, for people.
    pub text: String,
    /// Numbers behind it.
    pub evidence: serde_json::Value,
    /// Window.
    #[serde(flatten)]
    pub window: CalendarWindow,
    /// Instant of event time at which it could be known; of a silent source, the clock's.
    pub raised_at: Millis,
    /// The source that it is about while it is not over, such as a silent one; absent: it is about the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceName>,
    /// The commit after which the source was silent, by its instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Millis>,
    /// When it was over; absent: it is not, or it is about a window, which stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Millis>,
    /// Whether another role raised it, at an instant of the clock.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub elsewhere: bool,
}

impl Alert {
    /// What makes it one alert, as a name of objects: its window and rule, and the silence if it is about one.
    #[must_use]
    pub fn id(&self) -> String {
        match self.since {
            Some(since) => format!("{}-{}-{}", self.window, self.rule, since.0),
            None => format!("{}-{}", self.window, self.rule),
        }
    }
}

/// The alerts of a window's first report, none twice. `calibration` is the gate of the spec.
#[must_use]
pub fn alerts(report: &WindowReport, calibration: Option<&BoundGate>, raised_at: Millis) -> Vec<Alert> {
    let found = [
        drift(report),
        auc_below_reference(report),
        shadow_better(report),
        badly_calibrated(report, calibration),
        outcomes_missing(report),
    ];
    let alert = |(rule, severity, text, evidence): Found| Alert {
        rule: rule.to_owned(),
        severity,
        text,
        evidence,
        window: report.window,
        raised_at,
        source: None,
        since: None,
        resolved_at: None,
        elsewhere: false,
    };
    found.into_iter().flatten().map(alert).collect()
}

type Found = (&'static str, AlertSeverity, String, serde_json::Value);

/// Real (after adjustment over the family) and large shifts. Under no drift at all this is wrong in at most `fdr`
/// of the windows.
fn drift(report: &WindowReport) -> Option<Found> {
    let drift = report.drift.as_ref()?;
    let large: Vec<&Verdict> = drift.features.iter().filter(|v| v.actionable).collect();
    if large.is_empty() {
        return None;
    }
    let share = large.len() as f64 / drift.features.len() as f64;
    let severity = if share >= PAGE_SHARE { AlertSeverity::Page } else { AlertSeverity::Warn };
    let named: Vec<String> =
        large.iter().take(NAMED).map(|v| format!("{} (PSI {:.2})", v.drift.name, v.drift.psi)).collect();
    let text = format!(
        "{}: {} of {} features moved far from training, most of all {}. {}",
        report.window,
        large.len(),
        drift.features.len(),
        named.join(", "),
        suspected(&large)
    );
    let evidence = json!({
        "actionable": drift.actionable,
        "drifted_share": drift.drifted_share,
        "fdr": drift.fdr,
        "reference_model": drift.reference_model,
        "score_psi": drift.score_psi(),
    });
    Some(("drift", severity, text, evidence))
}

fn suspected(large: &[&Verdict]) -> String {
    let gaps = large.iter().filter(|v| v.drift.null_share - v.drift.reference_null_share >= FEED_GAP);
    let gaps: Vec<&str> = gaps.take(NAMED).map(|v| v.drift.name.as_str()).collect();
    if !gaps.is_empty() {
        return format!("Suspected: a feed went missing, since {} have many more missing values.", gaps.join(", "));
    }
    let new: Vec<&str> =
        large.iter().filter(|v| !v.drift.new_categories.is_empty()).map(|v| v.drift.name.as_str()).collect();
    if !new.is_empty() {
        return format!("Suspected: new categories in {}.", new.join(", "));
    }
    "Suspected: the world changed, since values are present and known but distributed otherwise.".to_owned()
}

fn auc_below_reference(report: &WindowReport) -> Option<Found> {
    let auc = &report.performance.champion.as_ref()?.roc_auc;
    let reference = report.auc_reference?;
    if auc.high >= reference.low {
        return None;
    }
    let text = format!(
        "{}: AUC {:.3} ({:.3} to {:.3}) is below what the model reached before it was promoted, {:.3} (from {:.3}). \
         Suspected: the model has aged.",
        report.window, auc.value, auc.low, auc.high, reference.value, reference.low
    );
    Some(("auc-below-reference", AlertSeverity::Page, text, json!({"auc": auc, "reference": reference})))
}

fn shadow_better(report: &WindowReport) -> Option<Found> {
    let versus = report.performance.versus_shadow.as_ref()?;
    if versus.difference.high >= 0.0 {
        return None;
    }
    let text = format!(
        "{}: the first champion, still asked in the shadow, orders better than the model in service: AUC {:.3} \
         against {:.3}. Suspected: a retraining made the model worse.",
        report.window, versus.first, versus.second
    );
    Some(("shadow-better", AlertSeverity::Page, text, json!({"difference": versus})))
}

fn badly_calibrated(report: &WindowReport, gate: Option<&BoundGate>) -> Option<Found> {
    use tidemill_spec::GateMetric;
    let champion = report.performance.champion.as_ref()?;
    let gate = gate?;
    let (name, estimate) = match gate.metric {
        GateMetric::Ece => ("ECE", &champion.ece),
        GateMetric::Brier => ("Brier score", &champion.brier),
        GateMetric::LogLoss => ("log loss", &champion.log_loss),
        GateMetric::RocAuc => return None,
    };
    if estimate.low <= gate.at_most {
        return None;
    }
    let text = format!(
        "{}: {name} {:.3} (from {:.3}) is above the bound {} that candidates must keep.",
        report.window, estimate.value, estimate.low, gate.at_most
    );
    Some(("calibration", AlertSeverity::Warn, text, json!({"metric": name, "estimate": estimate})))
}

fn outcomes_missing(report: &WindowReport) -> Option<Found> {
    let counted = report.predictions - report.superseded - report.unscored;
    let coverage = wilson(report.outcomes.min(counted), counted).ok()?;
    if coverage.high >= WANTED_COVERAGE {
        return None;
    }
    let text = format!(
        "{}: only {} of {counted} scored predictions have an outcome although the window is mature. Suspected: the \
         source of outcomes is late or lost rows; all other numbers of this window may be biased.",
        report.window, report.outcomes
    );
    Some(("outcomes-missing", AlertSeverity::Warn, text, json!({"coverage": coverage})))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::report::AucReference;
    use crate::domain::report::samples::report;

    fn rules(report: &WindowReport) -> Vec<String> {
        alerts(report, None, Millis(0)).into_iter().map(|a| a.rule).collect()
    }

    #[test]
    fn bounds_decide_not_points() {
        let mut window = report();
        window.predictions = 30;
        assert_eq!(rules(&window), Vec::<String>::new());
        let auc = window.performance.champion.as_ref().map(|c| c.roc_auc.clone());
        let high = auc.map(|a| a.high).unwrap_or_default();
        window.auc_reference = Some(AucReference { value: high + 0.02, low: high - 0.01 });
        assert_eq!(rules(&window), Vec::<String>::new(), "the intervals still meet");
        window.auc_reference = Some(AucReference { value: high + 0.02, low: high + 0.01 });
        assert_eq!(rules(&window), ["auc-below-reference"]);
    }

    #[test]
    fn missing_outcomes_are_an_alert_of_their_own() {
        let window = WindowReport { predictions: 400, ..report() };
        assert_eq!(rules(&window), ["outcomes-missing"]);
    }

    #[test]
    fn the_calibration_gate_of_the_spec_is_watched_by_its_lower_bound() {
        let window = WindowReport { predictions: 30, ..report() };
        let gate = |at_most| BoundGate { metric: tidemill_spec::GateMetric::Ece, at_most };
        assert_eq!(alerts(&window, Some(&gate(0.0)), Millis(7)).first().map(|a| a.raised_at), Some(Millis(7)));
        assert!(alerts(&window, Some(&gate(1.0)), Millis(7)).is_empty());
    }
}
