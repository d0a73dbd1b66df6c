//! What happens when a window ends: report, alerts, rules; and when its grace is over.

use crate::domain::alerts::alerts;
use crate::domain::calendar::CalendarWindow;
use crate::domain::join::WindowRows;
use crate::domain::performance::measure;
use crate::domain::report::{ModelFacts, WindowReport, main_model};
use crate::domain::{drift, maturity};
use crate::error::MonitoringError;
use crate::models::Training;
use crate::monitor::Monitor;
use crate::rows::with_features;
use std::sync::Arc;
use tidemill_contracts::prediction_log;
use tidemill_dataset::Between;
use tidemill_telemetry::{Metrics, names};
use tidemill_types::Millis;
use tracing::{Instrument, info, info_span};

/// Status of rows whose features were found, as serving logs it.
const PRESENT: &str = "present";

/// Concludes every window that the outcomes' `watermark` allows; predictions are in the table up to `complete`.
pub(crate) async fn conclude(
    monitor: &mut Monitor,
    watermark: Millis,
    complete: Millis,
) -> Result<(), MonitoringError> {
    let matures = monitor.matures_within();
    for window in monitor.open_windows() {
        let known = monitor.board.report(window).await;
        match maturity::next(window, watermark, complete, matures, known.as_deref().map(|r| r.closed)) {
            maturity::Step::Wait => {}
            maturity::Step::Report { closed } => {
                let span = info_span!("report window", monitor.window = window.kind_name());
                first_report(monitor, window, closed).instrument(span).await?;
            }
            maturity::Step::Close => {
                if let Some(known) = known {
                    close(monitor, window, &known).await?;
                }
            }
        }
    }
    let mut oldest_open = Vec::new();
    for window in monitor.open_windows() {
        let closed = monitor.board.report(window).await.is_some_and(|report| report.closed);
        if !closed {
            oldest_open.push(window);
        }
    }
    for kind in monitor.deps.spec.monitor.windows.clone() {
        let open = oldest_open.iter().filter(|w| w.kind == kind).map(|w| w.start).min();
        let over = Millis(watermark.0.saturating_sub(2 * matures));
        monitor.join.close(kind, open.map_or(over, |start| start.min(over)));
    }
    Ok(())
}

/// Alerts and orders come before the report, which says that they were given: after a crash they are tried again,
/// and recognised.
async fn first_report(monitor: &mut Monitor, window: CalendarWindow, closed: bool) -> Result<(), MonitoringError> {
    let report = WindowReport { closed, ..build(monitor, window).await? };
    let possible_at = Millis(window.end().0.saturating_add(monitor.matures_within()));
    let calibration = monitor.deps.spec.evaluate.gates.calibration.clone();
    for alert in alerts(&report, calibration.as_ref(), possible_at) {
        monitor.raise(alert).await?;
    }
    if let Some(order) = monitor.trigger.by_rule(&report, possible_at)? {
        monitor.give(order).await?;
    }
    write(monitor, report).await
}

/// The last word on a window: late rows are counted in, then they no longer count.
async fn close(monitor: &mut Monitor, window: CalendarWindow, known: &WindowReport) -> Result<(), MonitoringError> {
    let mut last = known.clone();
    if monitor.join.take_touched(window) {
        let revised = build(monitor, window).await?;
        if !revised.says_the_same(known) {
            last = WindowReport { revision: known.revision + 1, ..revised };
        }
    }
    write(monitor, WindowReport { closed: true, ..last }).await
}

async fn write(monitor: &mut Monitor, report: WindowReport) -> Result<(), MonitoringError> {
    monitor.store.put_report(&report).await?;
    gauges(&monitor.deps.metrics, &report);
    let (late_predictions, late_outcomes) = monitor.join.late();
    info!(
        window = %report.window,
        revision = report.revision,
        closed = report.closed,
        predictions = report.predictions,
        outcomes = report.outcomes,
        late_predictions,
        late_outcomes,
        "window reported"
    );
    monitor.board.put_report(report).await;
    Ok(())
}

/// Shows the newest report of each kind of window; what a window cannot tell keeps its last value.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn gauges(metrics: &Metrics, report: &WindowReport) {
    let labels = [("deployment", report.deployment.as_str()), ("window", report.window.kind_name())];
    let end = metrics.gauge(names::MONITORING_WINDOW_END).with(&labels);
    let ended = report.end.0 as f64 / 1_000.0;
    if end.get() > ended {
        return;
    }
    end.set(ended);
    let drift = report.drift.as_ref();
    for (name, value) in [
        (names::MONITORING_ROC_AUC, report.performance.champion.as_ref().map(|champion| champion.roc_auc.value)),
        (names::MONITORING_ROC_AUC_REFERENCE, report.auc_reference.map(|reference| reference.value)),
        (names::MONITORING_KPI, report.kpi.as_ref().map(|kpi| kpi.value)),
        (names::MONITORING_COVERAGE, Some(report.coverage)),
        (names::MONITORING_DRIFTED, drift.map(|drift| drift.drifted_share)),
        (names::MONITORING_SCORE_PSI, drift.and_then(crate::domain::drift::WindowDrift::score_psi)),
    ] {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            metrics.gauge(name).set(&labels, value);
        }
    }
}

async fn build(monitor: &mut Monitor, window: CalendarWindow) -> Result<WindowReport, MonitoringError> {
    monitor.join.take_touched(window);
    let rows = Arc::new(monitor.join.rows(window));
    let facts = facts(monitor, window, &rows).await?;
    let (kpi, counted) = (monitor.kpi.clone(), Arc::clone(&rows));
    let performance = blocking(move || measure(&counted, &kpi)).await?;
    let spec = &monitor.deps.spec;
    Ok(WindowReport::new((&spec.project, &spec.serve.deployment), window, &rows, performance, &spec.kpi, facts))
}

/// The AUC and drift reference of the model that served most of the window.
async fn facts(
    monitor: &mut Monitor,
    window: CalendarWindow,
    rows: &WindowRows,
) -> Result<ModelFacts, MonitoringError> {
    let Some(model) = main_model(&rows.models).map(str::to_owned) else { return Ok(ModelFacts::default()) };
    let training = monitor.models.training(&model).await?;
    let drift = if training.references.is_empty() {
        None
    } else {
        Some(drifted(monitor, window, training.clone(), model).await?)
    };
    Ok(ModelFacts { auc: training.auc, drift })
}

async fn drifted(
    monitor: &Monitor,
    window: CalendarWindow,
    training: Arc<Training>,
    model: String,
) -> Result<drift::WindowDrift, MonitoringError> {
    let followed = &monitor.predictions;
    let schema = followed.table.schema();
    let wanted = training.references.iter().map(|reference| reference.name.as_str());
    let mut names: Vec<&str> = wanted.filter(|name| schema.column_with_name(name).is_some()).collect();
    names.push(prediction_log::STATUS);
    let between = Between { column: prediction_log::AS_OF.to_owned(), from: window.start, to: window.end() };
    let mut scan = followed.table.scan(&followed.snapshot, Some(&names), Some(between));
    let mut batches = Vec::new();
    while let Some(batch) = scan.next().await? {
        batches.push(with_features(&batch, PRESENT)?);
    }
    let fdr = monitor.deps.spec.monitor.drift.fdr;
    let masks = monitor.deps.spec.feature_masks();
    blocking(move || drift::compare(&batches, &training.references, &model, fdr, &masks)).await
}

/// Computes on a thread where that hurts nobody.
async fn blocking<T, F>(work: F) -> Result<T, MonitoringError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, MonitoringError> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(MonitoringError::Task(e.to_string())))
}
