//! Answers of other services, as far as pages read them. Fields that a service adds later are left out here.

use crate::error::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use tidemill_types::Millis;

/// A value with its interval; what could not be computed is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Estimate {
    /// The point.
    pub(crate) value: Option<f64>,
    /// Lower end.
    #[serde(default)]
    pub(crate) low: Option<f64>,
    /// Upper end.
    #[serde(default)]
    pub(crate) high: Option<f64>,
}

impl Estimate {
    /// The point, not a number when absent.
    #[must_use]
    pub(crate) fn point(self) -> f64 {
        self.value.unwrap_or(f64::NAN)
    }

    /// Both ends, when known.
    #[must_use]
    pub(crate) fn ends(self) -> Option<(f64, f64)> {
        self.low.zip(self.high)
    }
}

/// Monitoring's report on one window of event time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Window {
    /// First instant.
    pub(crate) start: Millis,
    /// First instant after it.
    pub(crate) end: Millis,
    /// First day.
    pub(crate) start_date: String,
    /// Whether late rows no longer count.
    pub(crate) closed: bool,
    /// Predictions logged.
    pub(crate) predictions: u64,
    /// Predictions without a score.
    pub(crate) unscored: u64,
    /// Predictions whose outcome is known.
    pub(crate) outcomes: u64,
    /// Share of predictions whose outcome is known.
    pub(crate) coverage: f64,
    /// Positive outcomes.
    pub(crate) positives: u64,
    /// The model that made most predictions.
    pub(crate) main_model: Option<String>,
    /// What that model reached before it was promoted.
    pub(crate) auc_reference: Option<AucReference>,
    /// Unit of the KPI.
    pub(crate) kpi_unit: String,
    /// The KPI as served.
    pub(crate) kpi: Option<Estimate>,
    /// Quality.
    pub(crate) performance: Performance,
    /// Drift in short.
    pub(crate) drift: Option<DriftSummary>,
}

/// AUC of a model before it was promoted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AucReference {
    /// The point.
    pub(crate) value: f64,
    /// Lower end of its interval.
    pub(crate) low: f64,
}

/// Quality of one window.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Performance {
    /// The model that answered.
    pub(crate) champion: Option<Quality>,
    /// Why there is none.
    pub(crate) why_absent: Option<String>,
    /// The first champion, in the shadow.
    pub(crate) shadow: Option<Quality>,
    /// What the decisions came to.
    pub(crate) decisions: Option<Decisions>,
}

/// Metrics of a model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Quality {
    /// Area under the ROC curve.
    pub(crate) roc_auc: Estimate,
    /// Brier score.
    pub(crate) brier: Estimate,
    /// Expected calibration error.
    pub(crate) ece: Estimate,
    /// Share of right alerts when the budget is spent on the highest scores.
    pub(crate) precision_at_budget: Estimate,
}

/// What decisions came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Decisions {
    /// As answered at the time.
    pub(crate) as_served: AsServed,
}

/// Decisions as they were made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AsServed {
    /// Predictions acted on.
    pub(crate) alerts: u64,
    /// Positives among them.
    pub(crate) caught: u64,
    /// Share of alerts that were right.
    pub(crate) precision: Option<Estimate>,
    /// Share of positives that were caught.
    pub(crate) recall: Option<Estimate>,
}

/// Drift of a window in short.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DriftSummary {
    /// Share of compared features that drifted.
    pub(crate) drifted_share: f64,
    /// Features whose shift is real.
    pub(crate) drifted: Vec<String>,
    /// Those among them whose shift is large.
    pub(crate) actionable: Vec<String>,
    /// PSI of the scores.
    pub(crate) score_psi: Option<f64>,
}

/// Drift of one window, feature by feature.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DriftWindow {
    /// First instant.
    pub(crate) start: Millis,
    /// First day.
    pub(crate) start_date: String,
    /// PSI of the scores.
    #[serde(default)]
    pub(crate) score_psi: Option<f64>,
    /// Verdicts; absent while the model has no reference.
    pub(crate) drift: Option<WindowDrift>,
}

/// Verdicts on the features of one window.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WindowDrift {
    /// Digest of the model whose training is the reference.
    pub(crate) reference_model: String,
    /// Share of features wrongly called drifted that is accepted.
    pub(crate) fdr: f64,
    /// One verdict per feature, the largest PSI first.
    pub(crate) features: Vec<FeatureVerdict>,
    /// Features that could not be compared, with the reason.
    #[serde(default)]
    pub(crate) not_compared: Vec<String>,
}

/// The verdict on one feature.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FeatureVerdict {
    /// What was measured.
    pub(crate) drift: FeatureDrift,
    /// The p-value after adjustment over all features.
    pub(crate) q_value: f64,
    /// Whether the shift is real.
    pub(crate) drifted: bool,
    /// Whether it is real and large.
    pub(crate) actionable: bool,
}

/// How far a feature is from its reference.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FeatureDrift {
    /// The feature.
    pub(crate) name: String,
    /// Population stability index.
    pub(crate) psi: f64,
    /// The PSI exceeded in 5 % of windows of this size without any drift.
    pub(crate) psi_critical: f64,
    /// Chance of such a difference without drift.
    pub(crate) p_value: f64,
    /// `ks` or `chi2`.
    pub(crate) test: String,
    /// Its statistic.
    pub(crate) statistic: f64,
    /// Categories that the reference never saw.
    #[serde(default)]
    pub(crate) new_categories: Vec<String>,
    /// Share of missing values in the reference.
    pub(crate) reference_null_share: f64,
    /// Share of missing values now.
    pub(crate) null_share: f64,
    /// Rows of the reference.
    pub(crate) reference_rows: u64,
    /// Rows now.
    pub(crate) rows: u64,
    /// Both sides bin by bin; only in stored reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) distribution: Option<tidemill_stats::Distribution>,
}

/// An alert.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Alert {
    /// Name of the rule.
    pub(crate) rule: String,
    /// `warn`, `error` or `page`.
    pub(crate) severity: String,
    /// What was found and what is suspected.
    pub(crate) text: String,
    /// Numbers behind it.
    pub(crate) evidence: BTreeMap<String, Value>,
    /// Kind of its window.
    pub(crate) kind: String,
    /// Start of its window.
    pub(crate) start: Millis,
    /// Instant of event time at which it could be known; of a silent source, the clock's.
    pub(crate) raised_at: Millis,
    /// The source that it is about, such as a silent one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resolved_at: Option<Millis>,
    /// Whether another role than monitoring raised it, at an instant of the clock.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) elsewhere: bool,
}

/// What monitoring has seen.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Predictions in the table.
    pub(crate) predictions: u64,
    /// Rows of the source of outcomes.
    pub(crate) outcomes: u64,
    /// Predictions whose outcome is known.
    pub(crate) joined: u64,
    /// Alerts, in the order of their windows.
    pub(crate) alerts: Vec<Alert>,
}

/// A training run in short.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    /// Its name.
    pub(crate) cycle: String,
    /// `running`, `failed` or `done`.
    pub(crate) state: String,
    /// Why it was asked for.
    pub(crate) reason: String,
    /// Nothing learned later was used.
    pub(crate) as_of: Millis,
    /// Digest of its model.
    pub(crate) model_digest: Option<String>,
}

/// What the online feature service knows of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FeatureState {
    /// Knowledge instant up to which every source is complete.
    pub(crate) watermark_ms: Millis,
    /// Names of features.
    pub(crate) features: Vec<String>,
}

/// The verdict on a candidate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Verdict {
    /// Whether every gate said yes.
    pub(crate) passed: bool,
    /// Metrics on the sealed test.
    pub(crate) report: TestReport,
}

/// Metrics on the sealed test.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TestReport {
    /// Area under the ROC curve.
    pub(crate) roc_auc: Estimate,
}

/// Reads the fields of an answer.
///
/// # Errors
/// The service answered in another form.
pub(crate) fn read<T: DeserializeOwned>(service: &'static str, answer: &Value) -> Result<T> {
    T::deserialize(answer).map_err(|e| Error::Answer { service, reason: e.to_string() })
}
