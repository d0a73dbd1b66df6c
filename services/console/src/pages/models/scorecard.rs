//! A scorecard as evaluation writes it: the fields that pages show.

use crate::app::App;
use crate::error::{Error, Result};
use crate::format;
use crate::layout::{State, badge};
use maud::{Markup, html};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use tidemill_types::{ErrorKind, Millis};

/// A number that JSON writes as `null` when it is none.
pub(crate) fn lenient<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// A metric with its interval.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Estimate {
    #[serde(deserialize_with = "lenient")]
    pub(crate) value: f64,
    #[serde(deserialize_with = "lenient")]
    pub(crate) low: f64,
    #[serde(deserialize_with = "lenient")]
    pub(crate) high: f64,
    pub(crate) method: String,
    pub(crate) n: u64,
}

impl Estimate {
    /// The value with its interval behind it.
    pub(crate) fn show(&self, decimals: usize) -> Markup {
        html! { (format::fixed(self.value, decimals)) " " span.muted { (self.interval(decimals)) } }
    }

    /// The interval alone.
    pub(crate) fn interval(&self, decimals: usize) -> String {
        format!("[{}, {}]", format::fixed(self.low, decimals), format::fixed(self.high, decimals))
    }
}

/// One metric of two models on the same rows; the difference is this one less the other.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Difference {
    /// The other model's value.
    #[serde(deserialize_with = "lenient")]
    pub(crate) champion: f64,
    /// This model's value.
    #[serde(deserialize_with = "lenient")]
    pub(crate) challenger: f64,
    pub(crate) difference: Estimate,
    #[serde(deserialize_with = "lenient")]
    pub(crate) p: f64,
}

/// A p-value as people read it.
pub(crate) fn p_value(p: f64) -> String {
    if !p.is_finite() {
        return format::ABSENT.to_owned();
    }
    if p < 0.001 { "< 0.001".to_owned() } else { format::fixed(p, 3) }
}

/// What is known of the candidate.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Subject {
    pub(crate) cycle: String,
    pub(crate) model_digest: String,
    pub(crate) learner: String,
    pub(crate) params: BTreeMap<String, serde_json::Value>,
    pub(crate) as_of: Millis,
    pub(crate) test_from: Millis,
    pub(crate) test_until: Millis,
    pub(crate) threshold: f64,
    pub(crate) importance: Vec<(String, f64)>,
    pub(crate) leaks: Vec<LeakNote>,
    pub(crate) training_set: (String, String),
    /// Quality of the data behind the training set, by source.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) quality: BTreeMap<String, DataQuality>,
    pub(crate) spec_digest: String,
    pub(crate) champion: Option<String>,
    pub(crate) opening: String,
}

/// Quality of the rows of one source, from 0 to 100; none where nothing is known.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct DataQuality {
    pub(crate) accuracy: Option<f64>,
    pub(crate) completeness: Option<f64>,
    pub(crate) consistency: Option<f64>,
    pub(crate) timeliness: Option<f64>,
    pub(crate) total: Option<f64>,
    pub(crate) formula: String,
    pub(crate) rows: u64,
}

/// A finding of the leak checks.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct LeakNote {
    pub(crate) column: String,
    pub(crate) role: String,
    pub(crate) kind: String,
    pub(crate) support: u64,
    pub(crate) verdict: String,
}

/// Rows that fit and test share.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Twins {
    pub(crate) fitted_rows: u64,
    pub(crate) test_rows: u64,
    pub(crate) same_features: u64,
    pub(crate) same_outcome: u64,
    pub(crate) same_key: u64,
    pub(crate) roc_auc_without: Option<Estimate>,
    pub(crate) verdict: String,
}

impl Twins {
    /// An entity on both sides is a fault of the split; equal features may be chance.
    pub(crate) fn badge(&self) -> Markup {
        match (self.same_key, self.same_features) {
            (0, 0) => badge(State::Good, "no twins"),
            (0, _) => badge(State::Warn, "twins"),
            _ => badge(State::Bad, "shared entities"),
        }
    }
}

/// One bin of the reliability diagram.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Bin {
    pub(crate) count: u64,
    #[serde(deserialize_with = "lenient")]
    pub(crate) mean_score: f64,
    #[serde(deserialize_with = "lenient")]
    pub(crate) positive_share: f64,
    #[serde(deserialize_with = "lenient")]
    pub(crate) share_low: f64,
    #[serde(deserialize_with = "lenient")]
    pub(crate) share_high: f64,
}

/// Every metric on the sealed test.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Report {
    pub(crate) n: u64,
    pub(crate) positives: u64,
    pub(crate) prevalence: Estimate,
    pub(crate) roc_auc: Estimate,
    pub(crate) pr_auc: Estimate,
    pub(crate) log_loss: Estimate,
    pub(crate) brier: Estimate,
    pub(crate) ece: Estimate,
    pub(crate) precision_at_budget: Estimate,
    pub(crate) recall_at_budget: Estimate,
    pub(crate) lift_at_budget: Estimate,
    pub(crate) calibration: Vec<Bin>,
}

/// The decision at the model's own threshold.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct AtThreshold {
    pub(crate) true_positives: u64,
    pub(crate) false_positives: u64,
    pub(crate) true_negatives: u64,
    pub(crate) false_negatives: u64,
    #[serde(deserialize_with = "lenient")]
    pub(crate) precision: f64,
    #[serde(deserialize_with = "lenient")]
    pub(crate) recall: f64,
}

/// The business measure.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Kpi {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) at_budget: Estimate,
    pub(crate) at_threshold: Estimate,
    #[serde(deserialize_with = "lenient")]
    pub(crate) alerted_share: f64,
}

/// All metrics against one other model.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Paired {
    pub(crate) n: u64,
    pub(crate) roc_auc: Difference,
    pub(crate) log_loss: Difference,
    pub(crate) brier: Difference,
    pub(crate) precision_at_budget: Difference,
}

/// The comparison with one other model on the same rows.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Comparison {
    pub(crate) against: String,
    pub(crate) digest: Option<String>,
    pub(crate) metrics: Paired,
    pub(crate) kpi: Difference,
}

/// A model that could not be compared.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct NotCompared {
    pub(crate) against: String,
    pub(crate) reason: String,
}

/// Quality within one slice.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Slice {
    pub(crate) feature: String,
    pub(crate) value: String,
    pub(crate) rows: u64,
    pub(crate) prevalence: Estimate,
    pub(crate) roc_auc: Option<Estimate>,
    pub(crate) bias: Estimate,
    #[serde(deserialize_with = "lenient")]
    pub(crate) q_value: f64,
    pub(crate) flagged: bool,
}

/// A gate's word.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Gate {
    pub(crate) gate: String,
    pub(crate) passed: bool,
    pub(crate) sentence: String,
}

/// Everything that was measured, and the verdict.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Scorecard {
    pub(crate) subject: Subject,
    pub(crate) report: Report,
    pub(crate) at_threshold: AtThreshold,
    pub(crate) kpi: Kpi,
    pub(crate) comparisons: Vec<Comparison>,
    #[serde(default)]
    pub(crate) not_compared: Vec<NotCompared>,
    #[serde(default)]
    pub(crate) slices: Vec<Slice>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) twins: Option<Twins>,
    pub(crate) gates: Vec<Gate>,
    pub(crate) passed: bool,
    pub(crate) verdict: String,
}

impl Scorecard {
    /// The metrics that pages name, in their order, with whether more is better.
    pub(crate) fn metrics(&self) -> [(&'static str, &Estimate, Better); 9] {
        let report = &self.report;
        [
            ("ROC AUC", &report.roc_auc, Better::More),
            ("Average precision", &report.pr_auc, Better::More),
            ("Log loss", &report.log_loss, Better::Less),
            ("Brier score", &report.brier, Better::Less),
            ("Calibration error", &report.ece, Better::Less),
            ("Precision at the budget", &report.precision_at_budget, Better::More),
            ("Recall at the budget", &report.recall_at_budget, Better::More),
            ("Lift at the budget", &report.lift_at_budget, Better::More),
            ("Share of positives", &report.prevalence, Better::Neither),
        ]
    }
}

/// Which way a metric is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
    Neither,
}

impl Better {
    /// As a mark behind the name.
    pub(crate) fn arrow(self) -> &'static str {
        match self {
            Self::More => " ↑",
            Self::Less => " ↓",
            Self::Neither => "",
        }
    }
}

/// The scorecard of a model; `None` when it was not judged.
pub(crate) async fn scorecard(app: &App, digest: &str) -> Result<Option<Scorecard>> {
    match app.scorecard(digest).await {
        Ok(answer) => read(&answer["scorecard"]).map(Some),
        Err(Error::Service { kind: ErrorKind::NotFound, .. }) => Ok(None),
        Err(other) => Err(other),
    }
}

fn read(value: &serde_json::Value) -> Result<Scorecard> {
    Scorecard::deserialize(value).map_err(|e| Error::Answer { service: "evaluation", reason: e.to_string() })
}
