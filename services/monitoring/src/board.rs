//! What is shown to those who ask: the written reports and alerts, and counts.

use crate::domain::alerts::Alert;
use crate::domain::calendar::CalendarWindow;
use crate::domain::heard::Heard;
use crate::domain::report::WindowReport;
use crate::domain::told::Told;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidemill_contracts::events::notice::Fact;
use tidemill_types::Millis;
use tokio::sync::RwLock;

/// Rows seen by this role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RowCounts {
    /// Predictions in the table.
    pub(crate) predictions: u64,
    /// Rows of the source of outcomes.
    pub(crate) outcomes: u64,
    /// Predictions whose outcome is known.
    pub(crate) joined: u64,
}

/// A report and what it tells.
#[derive(Clone, Debug)]
pub(crate) struct Posted {
    pub(crate) report: Arc<WindowReport>,
    pub(crate) told: Told,
}

impl Posted {
    fn of(report: WindowReport) -> (CalendarWindow, Self) {
        (report.window, Self { told: Told::of(&report), report: Arc::new(report) })
    }
}

/// The state behind the board.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    pub(crate) reports: BTreeMap<CalendarWindow, Posted>,
    pub(crate) alerts: Vec<Alert>,
    /// What other roles told.
    pub(crate) heard: Heard,
    pub(crate) counts: RowCounts,
}

impl Shown {
    /// Alerts of all roles, oldest first.
    pub(crate) fn all_alerts(&self) -> Vec<&Alert> {
        let mut all: Vec<&Alert> = self.alerts.iter().chain(self.heard.alerts()).collect();
        all.sort_by_key(|alert| alert.raised_at);
        all
    }
}

/// Shared between the monitor, which writes, and the API, which reads. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board {
    pub(crate) shown: Arc<RwLock<Shown>>,
}

impl Board {
    /// Replaces everything by what is stored; what others told is heard again.
    pub(crate) async fn reset(&self, reports: Vec<WindowReport>, alerts: Vec<Alert>) {
        let mut shown = self.shown.write().await;
        shown.reports = reports.into_iter().map(Posted::of).collect();
        shown.alerts = alerts;
        shown.heard = Heard::default();
    }

    /// Takes in what another role told at an instant.
    pub(crate) async fn hear(&self, fact: &Fact, at: Millis) {
        self.shown.write().await.heard.take(fact, at);
    }

    pub(crate) async fn report(&self, window: CalendarWindow) -> Option<Arc<WindowReport>> {
        self.shown.read().await.reports.get(&window).map(|posted| Arc::clone(&posted.report))
    }

    pub(crate) async fn reports(&self) -> Vec<Arc<WindowReport>> {
        self.shown.read().await.reports.values().map(|posted| Arc::clone(&posted.report)).collect()
    }

    pub(crate) async fn put_report(&self, report: WindowReport) {
        let (window, posted) = Posted::of(report);
        self.shown.write().await.reports.insert(window, posted);
    }

    pub(crate) async fn put_alert(&self, alert: Alert) {
        self.shown.write().await.alerts.push(alert);
    }

    /// The alerts of this role.
    pub(crate) async fn alerts(&self) -> Vec<Alert> {
        self.shown.read().await.alerts.clone()
    }

    /// Puts an alert in the place of what was said of it before.
    pub(crate) async fn settle_alert(&self, alert: Alert) {
        let mut shown = self.shown.write().await;
        for known in shown.alerts.iter_mut().filter(|known| known.id() == alert.id()) {
            known.clone_from(&alert);
        }
    }

    pub(crate) async fn put_counts(&self, counts: RowCounts) {
        self.shown.write().await.counts = counts;
    }
}
