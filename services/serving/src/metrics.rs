//! Metrics of the service, by deployment and model version.

use std::collections::BTreeMap;
use std::time::Duration;
use tidemill_telemetry::{Counters, Gauges, Histograms, Metrics, names};
use tidemill_types::{Code, Millis};

use crate::infer::Response;
use crate::log::PredictionLog;
use std::sync::atomic::Ordering;

/// Handles to the metrics of serving.
#[derive(Clone, Debug)]
pub(crate) struct ServingMetrics {
    requests: Counters,
    seconds: Histograms,
    predictions: Counters,
    alerted: Counters,
    scores: Histograms,
    champion: Gauges,
    loads: Counters,
    errors: Counters,
    buffered: Gauges,
    spooled: Gauges,
}

impl ServingMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            requests: metrics.counter(names::SERVING_REQUESTS),
            seconds: metrics.histogram(names::SERVING_REQUEST_SECONDS),
            predictions: metrics.counter(names::SERVING_PREDICTIONS),
            alerted: metrics.counter(names::SERVING_ALERTED),
            scores: metrics.histogram(names::SERVING_SCORE),
            champion: metrics.gauge(names::SERVING_CHAMPION_SINCE),
            loads: metrics.counter(names::SERVING_MODEL_LOADS),
            errors: metrics.counter(names::SERVING_ERRORS),
            buffered: metrics.gauge(names::SERVING_LOG_BUFFERED),
            spooled: metrics.gauge(names::SERVING_LOG_SPOOLED),
        }
    }

    pub(crate) fn answered(&self, deployment: &str, response: &Response, took: Duration) {
        let (answer, version) = (&response.answer, ("version", response.version()));
        let labels = [("deployment", deployment), version];
        self.requests.add(&labels, 1);
        self.seconds.observe(&labels, took.as_secs_f64());
        self.alerted.add(&labels, answer.alerted.iter().filter(|alerted| **alerted).count() as u64);
        let scores = self.scores.with(&labels);
        for score in answer.scores.iter().flatten() {
            scores.observe(*score);
        }
        let mut statuses = BTreeMap::new();
        for status in &answer.statuses {
            *statuses.entry(known_status(status)).or_insert(0) += 1;
        }
        for (status, rows) in statuses {
            self.predictions.add(&[("deployment", deployment), version, ("status", status)], rows);
        }
    }

    /// An alias led to a model; without an instant since when, to one that was refused.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    pub(crate) fn loaded(&self, deployment: &str, alias: &str, since: Option<Millis>) {
        let outcome = if since.is_some() { "loaded" } else { "refused" };
        let labels = [("deployment", deployment), ("alias", alias), ("outcome", outcome)];
        self.loads.add(&labels, 1);
        if let (Some(since), "champion") = (since, alias) {
            self.champion.set(&[("deployment", deployment)], since.0 as f64 / 1_000.0);
        }
    }

    /// The deployment is one that exists, or empty: a label must not come from a request.
    pub(crate) fn failed(&self, deployment: &str, code: Code) {
        self.errors.add(&[("deployment", deployment), ("code", &code.to_string())], 1);
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    pub(crate) fn log(&self, deployment: &str, log: &PredictionLog) {
        let labels = [("deployment", deployment)];
        self.buffered.set(&labels, log.counters().buffered.load(Ordering::Acquire) as f64);
        self.spooled.set(&labels, log.counters().spooled.load(Ordering::Acquire) as f64);
    }
}

/// A status that may be a label: the feature service is another process and could say anything.
fn known_status(status: &str) -> &'static str {
    ["present", "unknown_entity", "outside_lookback"].into_iter().find(|known| *known == status).unwrap_or("other")
}
