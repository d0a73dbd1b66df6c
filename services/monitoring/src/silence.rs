//! The watch over sources that fall silent: what came goes in, alerts and gauges come out. Each round of the monitor is
//! a tick, whether anything came or not.

use crate::domain::rhythm;
use crate::domain::silence::{Change, News, Silences, Standing};
use crate::error::MonitoringError;
use crate::follow::{Followed, Said};
use crate::monitor::Monitor;
use crate::publish;
use std::time::{SystemTime, UNIX_EPOCH};
use tidemill_telemetry::names;
use tidemill_types::{Millis, SourceName};
use tracing::{info, warn};

/// Takes in what a table says of the past: its rows were seen when they were committed.
pub(crate) async fn remember(silences: &mut Silences, source: &SourceName, followed: &Followed) {
    if !silences.watches(source) {
        return;
    }
    for said in followed.arrivals(rhythm::KEPT).await {
        if let Some((newest, committed)) = said.newest.zip(said.committed) {
            silences.take(source, News { newest, committed, seen: committed.min(now()) });
        }
    }
}

/// Takes in what came just now.
pub(crate) fn heard(silences: &mut Silences, source: &SourceName, said: Said) {
    if let Some((newest, committed)) = said.newest.zip(said.committed) {
        silences.take(source, News { newest, committed, seen: now() });
    }
}

/// Looks at every source with a promise and tells what changed.
pub(crate) async fn watch(monitor: &mut Monitor) -> Result<(), MonitoringError> {
    let now = now();
    for change in monitor.silences.step(now) {
        match change {
            Change::Raise(alert) => {
                warn!(rule = alert.rule, "{}", alert.text);
                monitor.raise(alert).await?;
            }
            Change::Resolve(alert) => {
                publish::resolved(&monitor.deps, &alert).await?;
                monitor.store.settle_alert(&alert).await?;
                info!(rule = alert.rule, "the alert is over");
                monitor.board.settle_alert(alert).await;
            }
        }
    }
    gauges(monitor, now);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn gauges(monitor: &Monitor, now: Millis) {
    let metrics = &monitor.deps.metrics;
    for (source, standing, silence_ms) in monitor.silences.standings(now) {
        let labels = [("source", source.as_str())];
        let is = |wanted: Standing| f64::from(u8::from(standing == wanted));
        metrics.gauge(names::MONITORING_SOURCE_LAG_SECONDS).set(&labels, silence_ms as f64 / 1_000.0);
        metrics.gauge(names::MONITORING_LATE_SOURCES).set(&labels, is(Standing::Late));
        metrics.gauge(names::MONITORING_STALE_SOURCES).set(&labels, is(Standing::Stale));
    }
}

fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
