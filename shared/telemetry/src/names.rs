//! Every metric that a Tidemill process may show. A name is a promise to users: add, never rename or reuse.
//!
//! Form: `tidemill_<service>_<noun>_<unit>`; counters end in `_total`. Labels carry names from the spec
//! (project, source, deployment) or from a small closed set (a verdict, a status, the short digest of a model), never
//! ids of single events and never text from outside.

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
    /// Names of its labels, all of them on each sample.
    pub labels: &'static [&'static str],
    /// One statement, without a full stop.
    pub help: &'static str,
}

/// A metric that is a counter.
#[derive(Clone, Copy, Debug)]
pub struct CounterName(pub(crate) Metric);
/// A counter of time, in seconds and parts of them.
#[derive(Clone, Copy, Debug)]
pub struct SecondsName(pub(crate) Metric);
/// A metric that is a gauge.
#[derive(Clone, Copy, Debug)]
pub struct GaugeName(pub(crate) Metric);
/// A metric that is a histogram.
#[derive(Clone, Copy, Debug)]
pub struct HistogramName(pub(crate) Metric);

impl HistogramName {
    /// Name as users see it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0.name
    }
}

macro_rules! metrics {
    ($($kind:ident $type:ident $constant:ident = $name:literal, $unit:literal, [$($label:literal)*], $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: $type =
                $type(Metric { name: $name, kind: Kind::$kind, unit: $unit, labels: &[$($label),*], help: $help });
        )*
        /// The whole list.
        pub const ALL: &[Metric] = &[$($constant.0),*];
    };
}

metrics! {
    Counter CounterName INGESTION_ROWS = "tidemill_ingestion_rows_total", "rows", ["source"], "Rows committed to raw tables";
    Counter CounterName INGESTION_DEAD_LETTERS = "tidemill_ingestion_dead_letters_total", "events", ["source"], "Events and rows that could not be conformed and were kept as dead letters";
    Counter CounterName INGESTION_DUPLICATES = "tidemill_ingestion_duplicates_total", "events", ["source"], "Events dropped because their id was seen inside the dedupe window";
    Counter CounterName INGESTION_COMMITS = "tidemill_ingestion_commits_total", "commits", ["source"], "Commits to raw tables";
    Histogram HistogramName INGESTION_COMMIT_SECONDS = "tidemill_ingestion_commit_seconds", "seconds", ["source"], "Time from the first message of a commit to a raw table until it stands";
    Gauge GaugeName INGESTION_LAG_MESSAGES = "tidemill_ingestion_lag_messages", "messages", ["source"], "Messages in the stream behind the last committed one";
    Gauge GaugeName INGESTION_HALTED = "tidemill_ingestion_halted_sources", "sources", ["source"], "1 while a source is not read because its stream and its table disagree";
    Counter CounterName INGESTION_FETCHED_ROWS = "tidemill_ingestion_fetched_rows_total", "rows", ["source"], "Rows fetched from files, interfaces and databases and published";
    Counter CounterName INGESTION_FETCHED_MESSAGES = "tidemill_ingestion_fetched_messages_total", "messages", ["source"], "Messages that fetched rows were published in";
    Counter CounterName INGESTION_REFUSED_OBJECTS = "tidemill_ingestion_refused_objects_total", "objects", ["source" "code"], "Files and bodies that were refused as a whole, by error code";
    Counter CounterName INGESTION_FETCH_FAILURES = "tidemill_ingestion_fetch_failures_total", "failures", ["source" "code"], "Looks and polls that failed and were repeated, by error code";
    Histogram HistogramName INGESTION_FETCH_SECONDS = "tidemill_ingestion_fetch_seconds", "seconds", ["source"], "Duration of one look at files or one poll";
    Counter CounterName INGESTION_PUSHES = "tidemill_ingestion_pushes_total", "requests", ["source" "code"], "Requests that brought events over HTTP, by error code or 202";
    Counter CounterName VALIDATION_ROWS = "tidemill_validation_rows_total", "rows", ["source"], "Rows checked";
    Counter CounterName VALIDATION_QUARANTINED = "tidemill_validation_quarantined_rows_total", "rows", ["source"], "Rows moved to quarantine";
    Counter CounterName VALIDATION_COMMITS = "tidemill_validation_commits_total", "commits", ["source"], "Commits to clean tables";
    Histogram HistogramName VALIDATION_COMMIT_SECONDS = "tidemill_validation_commit_seconds", "seconds", ["source"], "Time to check some raw versions and commit them to a clean table";
    Gauge GaugeName VALIDATION_LAG_VERSIONS = "tidemill_validation_lag_versions", "versions", ["source"], "Raw versions that the clean table does not cover yet";
    Counter CounterName FEATURE_EVENTS_APPLIED = "tidemill_feature_applied_events_total", "events", ["source"], "Events applied to online feature state";
    Counter CounterName FEATURE_READS = "tidemill_feature_reads_total", "rows", ["status"], "Feature vectors read online, by status of the read";
    Histogram HistogramName FEATURE_READ_SECONDS = "tidemill_feature_read_seconds", "seconds", [], "Duration of one online read request";
    Counter CounterName FEATURE_LATE_EVENTS = "tidemill_feature_late_events_total", "events", ["source"], "Events that came after the watermark had passed their instant";
    Gauge GaugeName FEATURE_WATERMARK_LAG_SECONDS = "tidemill_feature_watermark_lag_seconds", "seconds", ["source"], "Distance between the newest event and the watermark";
    Counter CounterName FEATURE_RETRACTED = "tidemill_feature_retracted_rows_total", "rows", ["source"], "Rows taken back from online feature state because they do not stand in the clean table";
    Counter CounterName FEATURE_SET_BACKS = "tidemill_feature_set_backs_total", "set_backs", ["source" "cause"], "Times that online feature state was set back to where the clean table of a source is, by cause";
    Histogram HistogramName FEATURE_TRAINING_SET_SECONDS = "tidemill_feature_training_set_seconds", "seconds", [], "Duration of building one training set";
    Counter CounterName TRAINING_RUNS = "tidemill_training_runs_total", "runs", ["project" "outcome"], "Training runs that ended, by outcome";
    Histogram HistogramName TRAINING_SECONDS = "tidemill_training_run_seconds", "seconds", ["project"], "Duration of one training run";
    Counter CounterName TRAINING_TRIALS = "tidemill_training_trials_total", "trials", ["learner" "outcome"], "Trials that ended, by learner and outcome";
    Histogram HistogramName TRAINING_TRIAL_SECONDS = "tidemill_training_trial_seconds", "seconds", ["learner"], "Duration of one trial";
    Counter CounterName EVALUATION_VERDICTS = "tidemill_evaluation_verdicts_total", "verdicts", ["project" "verdict"], "Verdicts on candidates, by verdict";
    Histogram HistogramName EVALUATION_SECONDS = "tidemill_evaluation_judgement_seconds", "seconds", ["project"], "Duration of judging one candidate";
    Counter CounterName SERVING_REQUESTS = "tidemill_serving_requests_total", "requests", ["deployment" "version"], "Prediction requests answered";
    Histogram HistogramName SERVING_REQUEST_SECONDS = "tidemill_serving_request_seconds", "seconds", ["deployment" "version"], "Duration of one prediction request";
    Counter CounterName SERVING_ERRORS = "tidemill_serving_errors_total", "requests", ["deployment" "code"], "Prediction requests that failed, by error code";
    Counter CounterName SERVING_PREDICTIONS = "tidemill_serving_predictions_total", "rows", ["deployment" "version" "status"], "Predictions answered, by short digest of the model and status of the feature read";
    Counter CounterName SERVING_ALERTED = "tidemill_serving_alerted_predictions_total", "rows", ["deployment" "version"], "Predictions whose score reached the threshold of the model";
    Histogram HistogramName SERVING_SCORE = "tidemill_serving_score_probability", "probability", ["deployment" "version"], "Scores answered";
    Gauge GaugeName SERVING_CHAMPION_SINCE = "tidemill_serving_champion_since_seconds", "seconds since 1970", ["deployment"], "Instant from which the model in service has been champion";
    Counter CounterName SERVING_MODEL_LOADS = "tidemill_serving_model_loads_total", "loads", ["deployment" "alias" "outcome"], "Models that an alias led to, by whether they were loaded or refused";
    Gauge GaugeName SERVING_LOG_BUFFERED = "tidemill_serving_log_buffered_rows", "rows", ["deployment"], "Predictions waiting in memory to be logged";
    Gauge GaugeName SERVING_LOG_SPOOLED = "tidemill_serving_log_spooled_rows", "rows", ["deployment"], "Predictions waiting on disk to be logged";
    Counter CounterName MONITORING_LOGGED = "tidemill_monitoring_logged_predictions_total", "rows", ["deployment"], "Predictions committed to the table of the prediction log";
    Counter CounterName MONITORING_DEAD_LETTERS = "tidemill_monitoring_dead_letters_total", "rows", ["deployment"], "Logged predictions that could not be conformed and were kept as dead letters";
    Counter CounterName MONITORING_OUTCOMES_JOINED = "tidemill_monitoring_joined_outcomes_total", "outcomes", ["deployment"], "Outcomes joined to their prediction";
    Counter CounterName MONITORING_ALERTS = "tidemill_monitoring_alerts_total", "alerts", ["monitor"], "Alerts raised, by monitor";
    Counter CounterName MONITORING_RETRAINS = "tidemill_monitoring_retrain_requests_total", "requests", ["deployment"], "Retrainings asked for";
    Gauge GaugeName MONITORING_SOURCE_LAG_SECONDS = "tidemill_monitoring_source_lag_seconds", "seconds", ["source"], "Time for which a source that promises to be fresh has brought nothing new; 0 while it brings history";
    Gauge GaugeName MONITORING_LATE_SOURCES = "tidemill_monitoring_late_sources", "sources", ["source"], "1 while a source is about to break its promise to be fresh";
    Gauge GaugeName MONITORING_STALE_SOURCES = "tidemill_monitoring_stale_sources", "sources", ["source"], "1 while a source has been silent for longer than it promised";
    Counter CounterName MONITORING_LINEAGE_POSTS = "tidemill_monitoring_lineage_posts_total", "posts", ["outcome"], "Attempts to tell a server outside of a run: taken, refused for good, or failed and repeated";
    Gauge GaugeName MONITORING_WINDOW_END = "tidemill_monitoring_window_end_seconds", "seconds since 1970", ["deployment" "window"], "End, in event time, of the newest reported window";
    Gauge GaugeName MONITORING_ROC_AUC = "tidemill_monitoring_roc_auc_ratio", "ratio", ["deployment" "window"], "Area under the ROC curve in the newest reported window";
    Gauge GaugeName MONITORING_ROC_AUC_REFERENCE = "tidemill_monitoring_roc_auc_reference_ratio", "ratio", ["deployment" "window"], "The same area as the main model of that window reached it before promotion";
    Gauge GaugeName MONITORING_KPI = "tidemill_monitoring_kpi_units", "units of the KPI", ["deployment" "window"], "KPI as served in the newest reported window";
    Gauge GaugeName MONITORING_COVERAGE = "tidemill_monitoring_outcome_coverage_ratio", "ratio", ["deployment" "window"], "Share of predictions of the newest reported window whose outcome is known";
    Gauge GaugeName MONITORING_DRIFTED = "tidemill_monitoring_drifted_features_ratio", "ratio", ["deployment" "window"], "Share of features that drifted in the newest reported window";
    Gauge GaugeName MONITORING_SCORE_PSI = "tidemill_monitoring_score_psi_ratio", "ratio", ["deployment" "window"], "Population stability index of the scores in the newest reported window";
    Gauge GaugeName PROCESS_RESIDENT_BYTES = "tidemill_process_resident_bytes", "bytes", [], "Resident memory of this process";
    Counter SecondsName PROCESS_CPU_SECONDS = "tidemill_process_cpu_seconds_total", "seconds", [], "Processor time used by this process";
    Gauge GaugeName PROCESS_OPEN_FILES = "tidemill_process_open_files", "files", [], "Open file descriptors of this process";
    Gauge GaugeName PROCESS_THREADS = "tidemill_process_threads", "threads", [], "Threads of this process";
    Gauge GaugeName PROCESS_UPTIME_SECONDS = "tidemill_process_uptime_seconds", "seconds", [], "Time since this process set up its metrics";
}
