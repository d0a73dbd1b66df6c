//! Every metric that a Tidemill process may show. A name is a promise to users: add, never rename or reuse.
//!
//! Form: `tidemill_<service>_<noun>_<unit>`; counters end in `_total`. Labels carry names from the spec
//! (project, source, deployment), never ids of single events.

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution in cumulative buckets.
    Histogram,
}

/// One line of the list.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Name as users see it.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// What one unit is.
    pub unit: &'static str,
    /// One statement, without a full stop.
    pub help: &'static str,
}

/// A metric that is a counter.
#[derive(Clone, Copy, Debug)]
pub struct CounterName(pub(crate) Metric);
/// A metric that is a gauge.
#[derive(Clone, Copy, Debug)]
pub struct GaugeName(pub(crate) Metric);
/// A metric that is a histogram.
#[derive(Clone, Copy, Debug)]
pub struct HistogramName(pub(crate) Metric);

macro_rules! metrics {
    ($($kind:ident $type:ident $constant:ident = $name:literal, $unit:literal, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: $type = $type(Metric { name: $name, kind: Kind::$kind, unit: $unit, help: $help });
        )*
        /// The whole list.
        pub const ALL: &[Metric] = &[$($constant.0),*];
    };
}

metrics! {
    Counter CounterName INGESTION_ROWS = "tidemill_ingestion_rows_total", "rows", "Rows committed to raw tables";
    Counter CounterName INGESTION_DEAD_LETTERS = "tidemill_ingestion_dead_letters_total", "events", "Events and rows that could not be conformed and were kept as dead letters";
    Counter CounterName INGESTION_DUPLICATES = "tidemill_ingestion_duplicates_total", "events", "Events dropped because their id was seen inside the dedupe window";
    Counter CounterName INGESTION_COMMITS = "tidemill_ingestion_commits_total", "commits", "Commits to raw tables";
    Histogram HistogramName INGESTION_COMMIT_SECONDS = "tidemill_ingestion_commit_seconds", "seconds", "Duration of one commit to a raw table";
    Gauge GaugeName INGESTION_LAG_MESSAGES = "tidemill_ingestion_lag_messages", "messages", "Messages in the stream behind the last committed one";
    Counter CounterName VALIDATION_ROWS = "tidemill_validation_rows_total", "rows", "Rows checked";
    Counter CounterName VALIDATION_QUARANTINED = "tidemill_validation_quarantined_rows_total", "rows", "Rows moved to quarantine";
    Counter CounterName VALIDATION_COMMITS = "tidemill_validation_commits_total", "commits", "Commits to clean tables";
    Counter CounterName FEATURE_EVENTS_APPLIED = "tidemill_feature_applied_events_total", "events", "Events applied to online feature state";
    Counter CounterName FEATURE_READS = "tidemill_feature_reads_total", "rows", "Feature vectors read online";
    Histogram HistogramName FEATURE_READ_SECONDS = "tidemill_feature_read_seconds", "seconds", "Duration of one online read request";
    Counter CounterName FEATURE_LATE_EVENTS = "tidemill_feature_late_events_total", "events", "Events that came after the watermark had passed their instant";
    Gauge GaugeName FEATURE_WATERMARK_LAG_SECONDS = "tidemill_feature_watermark_lag_seconds", "seconds", "Distance between the newest event and the watermark";
    Counter CounterName TRAINING_RUNS = "tidemill_training_runs_total", "runs", "Training runs that ended, by outcome";
    Histogram HistogramName TRAINING_SECONDS = "tidemill_training_run_seconds", "seconds", "Duration of one training run";
    Counter CounterName EVALUATION_VERDICTS = "tidemill_evaluation_verdicts_total", "verdicts", "Verdicts on candidates, by verdict";
    Counter CounterName SERVING_REQUESTS = "tidemill_serving_requests_total", "requests", "Prediction requests answered";
    Histogram HistogramName SERVING_REQUEST_SECONDS = "tidemill_serving_request_seconds", "seconds", "Duration of one prediction request";
    Counter CounterName SERVING_ERRORS = "tidemill_serving_errors_total", "requests", "Prediction requests that failed, by error code";
    Gauge GaugeName SERVING_LOG_BUFFERED = "tidemill_serving_log_buffered_rows", "rows", "Predictions waiting in memory to be logged";
    Gauge GaugeName SERVING_LOG_SPOOLED = "tidemill_serving_log_spooled_rows", "rows", "Predictions waiting on disk to be logged";
    Counter CounterName MONITORING_OUTCOMES_JOINED = "tidemill_monitoring_joined_outcomes_total", "outcomes", "Outcomes joined to their prediction";
    Counter CounterName MONITORING_ALERTS = "tidemill_monitoring_alerts_total", "alerts", "Alerts raised, by monitor";
    Gauge GaugeName PROCESS_RESIDENT_BYTES = "tidemill_process_resident_bytes", "bytes", "Resident memory of this process";
    Gauge GaugeName PROCESS_UPTIME_SECONDS = "tidemill_process_uptime_seconds", "seconds", "Time since this process set up its metrics";
}
