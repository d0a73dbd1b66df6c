//! A run as training writes it: the fields that pages show.

use crate::app::App;
use crate::error::{Error, Result};
use crate::format;
use crate::layout::{State, badge};
use crate::pages::models::Estimate;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use tidemill_types::Millis;

/// A run.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Run {
    pub(crate) cycle: String,
    pub(crate) state: String,
    pub(crate) reason: String,
    pub(crate) as_of: Millis,
    pub(crate) spec_digest: String,
    pub(crate) code: String,
    pub(crate) seed: u64,
    pub(crate) training_set: Option<TrainingSet>,
    pub(crate) windows: Option<Windows>,
    #[serde(default)]
    pub(crate) rows: BTreeMap<String, WindowRows>,
    #[serde(default)]
    pub(crate) leaks: Vec<Leak>,
    #[serde(default)]
    pub(crate) trials: Vec<Trial>,
    pub(crate) chosen: Option<Chosen>,
    pub(crate) model_digest: Option<String>,
    #[serde(default)]
    pub(crate) seconds: BTreeMap<String, f64>,
    pub(crate) failure: Option<Failure>,
    pub(crate) trace_id: Option<String>,
}

/// What a run was made from.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct TrainingSet {
    pub(crate) path: String,
    pub(crate) digest: String,
    pub(crate) rows: u64,
    pub(crate) labelled: u64,
    pub(crate) table_versions: BTreeMap<String, i64>,
}

/// The cuts in time.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Windows {
    pub(crate) train_until: Millis,
    pub(crate) valid_from: Millis,
    pub(crate) valid_until: Millis,
    pub(crate) test_from: Millis,
    pub(crate) test_until: Millis,
}

/// Rows of one window.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct WindowRows {
    pub(crate) rows: u64,
    pub(crate) positive_rate: f64,
}

/// A column that gives the outcome away.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Leak {
    pub(crate) column: String,
    pub(crate) role: String,
    pub(crate) kind: String,
    pub(crate) value: Estimate,
    pub(crate) support: u64,
    pub(crate) verdict: String,
}

/// One trial of the search.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Trial {
    pub(crate) learner: String,
    pub(crate) index: u32,
    pub(crate) params: BTreeMap<String, Value>,
    pub(crate) roc_auc: Option<f64>,
    pub(crate) log_loss: Option<f64>,
    pub(crate) failure: Option<Failure>,
    pub(crate) seconds: f64,
}

/// The model of a run.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Chosen {
    pub(crate) learner: String,
    pub(crate) trial: u32,
    pub(crate) params: BTreeMap<String, Value>,
    pub(crate) threshold: f64,
    #[serde(default)]
    pub(crate) validation: BTreeMap<String, f64>,
    pub(crate) fitted_on: WindowRows,
    #[serde(default)]
    pub(crate) importance: Vec<(String, f64)>,
}

/// Why something failed.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Failure {
    pub(crate) code: String,
    pub(crate) text: String,
}

impl Run {
    /// Reads a run out of an answer of the training service.
    pub(crate) fn read(value: &Value) -> Result<Self> {
        Self::deserialize(value).map_err(|e| Error::Answer { service: "training", reason: e.to_string() })
    }

    /// Every run that the training service lists, the newest first.
    pub(crate) async fn all(app: &App) -> Result<Vec<Self>> {
        let answer = app.runs().await?;
        let listed = answer.as_array().map(Vec::as_slice).unwrap_or_default();
        let mut runs = listed.iter().map(Self::read).collect::<Result<Vec<_>>>()?;
        runs.sort_by(|a, b| (b.as_of, &b.cycle).cmp(&(a.as_of, &a.cycle)));
        Ok(runs)
    }

    /// Name of the learner that was chosen.
    pub(crate) fn learner(&self) -> Option<&str> {
        self.chosen.as_ref().map(|chosen| chosen.learner.as_str())
    }

    /// AUC on the validation rows with its interval.
    pub(crate) fn validation_auc(&self) -> Option<(f64, Option<(f64, f64)>)> {
        let metrics = &self.chosen.as_ref()?.validation;
        let ends = metrics.get("roc_auc_low").copied().zip(metrics.get("roc_auc_high").copied());
        Some((*metrics.get("roc_auc")?, ends))
    }

    /// Seconds from begin to end.
    pub(crate) fn total_seconds(&self) -> Option<f64> {
        self.seconds.get("total").copied()
    }

    /// The state with its colour and shape.
    pub(crate) fn badge(&self) -> Markup {
        let state = match self.state.as_str() {
            "done" => State::Good,
            "failed" => State::Bad,
            _ => State::Warn,
        };
        badge(state, &self.state)
    }
}

/// A value of a parameter as people read it.
pub(crate) fn parameter(value: &Value) -> String {
    match value {
        Value::Number(number) if number.is_f64() => number.as_f64().map_or_else(|| number.to_string(), format::number),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Some parameters in one line.
pub(crate) fn parameters(params: &BTreeMap<String, Value>, shown: impl Fn(&str) -> bool) -> Markup {
    let shown = params.iter().filter(|(name, _)| shown(name.as_str()));
    let pairs: Vec<String> = shown.map(|(name, value)| format!("{name} = {}", parameter(value))).collect();
    html! { (pairs.join(", ")) }
}
