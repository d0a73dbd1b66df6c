//! Metrics of the service, by deployment and model version.

use std::time::Duration;
use tidemill_telemetry::{Counters, Gauges, Histograms, Metrics, names};
use tidemill_types::Code;

use crate::log::PredictionLog;
use std::sync::atomic::Ordering;

/// Handles to the metrics of serving.
#[derive(Clone, Debug)]
pub(crate) struct ServingMetrics {
    requests: Counters,
    seconds: Histograms,
    errors: Counters,
    buffered: Gauges,
    spooled: Gauges,
}

impl ServingMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            requests: metrics.counter(names::SERVING_REQUESTS),
            seconds: metrics.histogram(names::SERVING_REQUEST_SECONDS),
            errors: metrics.counter(names::SERVING_ERRORS),
            buffered: metrics.gauge(names::SERVING_LOG_BUFFERED),
            spooled: metrics.gauge(names::SERVING_LOG_SPOOLED),
        }
    }

    pub(crate) fn answered(&self, deployment: &str, version: &str, took: Duration) {
        let labels = [("deployment", deployment), ("version", version)];
        self.requests.add(&labels, 1);
        self.seconds.observe(&labels, took.as_secs_f64());
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
