//! Where monitoring keeps what it writes.

use crate::domain::alerts::Alert;
use crate::domain::calendar::{CalendarWindow, compact};
use crate::domain::report::WindowReport;
use crate::domain::trigger::RetrainOrder;
use crate::error::MonitoringError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tidemill_storage::Storage;
use tidemill_types::{DeploymentName, ProjectName};

pub(crate) use tidemill_contracts::paths::clean_table as clean_table_path;
pub use tidemill_contracts::paths::{monitors as monitors_path, predictions_table as predictions_table_path};

/// Reports, alerts and orders of one deployment.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    storage: Storage,
    folder: String,
}

impl Store {
    pub(crate) fn new(storage: &Storage, project: &ProjectName, deployment: &DeploymentName) -> Self {
        Self { storage: storage.clone(), folder: monitors_path(project, deployment) }
    }

    fn report_path(&self, window: CalendarWindow) -> String {
        format!("{}/{}/{}.json", self.folder, window.kind_name(), window.start_date())
    }

    fn alert_path(&self, alert: &Alert) -> String {
        format!("{}/alerts/{}.json", self.folder, alert.id())
    }

    fn order_path(&self, order: &RetrainOrder) -> String {
        format!("{}/retrain/{}.json", self.folder, compact(order.as_of))
    }

    /// All reports, in the order of their paths.
    pub(crate) async fn reports(&self) -> Result<Vec<WindowReport>, MonitoringError> {
        let mut reports = self.read_all("week").await?;
        reports.extend(self.read_all("month").await?);
        Ok(reports)
    }

    /// Writes a report over the one before.
    pub(crate) async fn put_report(&self, report: &WindowReport) -> Result<(), MonitoringError> {
        let path = self.report_path(report.window);
        self.storage.put(&path, encode(&path, report)?).await?;
        Ok(())
    }

    /// All alerts, in the order of their paths.
    pub(crate) async fn alerts(&self) -> Result<Vec<Alert>, MonitoringError> {
        self.read_all("alerts").await
    }

    pub(crate) async fn has_alert(&self, alert: &Alert) -> Result<bool, MonitoringError> {
        Ok(self.storage.exists(&self.alert_path(alert)).await?)
    }

    /// Writes an alert once; false when it stands already.
    pub(crate) async fn put_alert(&self, alert: &Alert) -> Result<bool, MonitoringError> {
        self.create(&self.alert_path(alert), alert).await
    }

    /// Notes on an alert that it is over.
    pub(crate) async fn settle_alert(&self, alert: &Alert) -> Result<(), MonitoringError> {
        let path = self.alert_path(alert);
        self.storage.put(&path, encode(&path, alert)?).await?;
        Ok(())
    }

    /// All retraining orders, in the order of their instants.
    pub(crate) async fn orders(&self) -> Result<Vec<RetrainOrder>, MonitoringError> {
        self.read_all("retrain").await
    }

    pub(crate) async fn has_order(&self, order: &RetrainOrder) -> Result<bool, MonitoringError> {
        Ok(self.storage.exists(&self.order_path(order)).await?)
    }

    /// Writes an order once; false when it stands already.
    pub(crate) async fn put_order(&self, order: &RetrainOrder) -> Result<bool, MonitoringError> {
        self.create(&self.order_path(order), order).await
    }

    async fn create(&self, path: &str, value: &impl Serialize) -> Result<bool, MonitoringError> {
        Ok(self.storage.put_if_absent(path, encode(path, value)?).await?)
    }

    async fn read_all<T: DeserializeOwned>(&self, part: &str) -> Result<Vec<T>, MonitoringError> {
        let mut found = Vec::new();
        for object in self.storage.list(&format!("{}/{part}", self.folder)).await? {
            let bytes = self.storage.get(&object.path).await?;
            let damaged =
                |e: serde_json::Error| MonitoringError::Stored { path: object.path.clone(), reason: e.to_string() };
            found.push(serde_json::from_slice(&bytes).map_err(damaged)?);
        }
        Ok(found)
    }
}

fn encode(path: &str, value: &impl Serialize) -> Result<Vec<u8>, MonitoringError> {
    let failed = |e: serde_json::Error| MonitoringError::Stored { path: path.to_owned(), reason: e.to_string() };
    serde_json::to_vec(value).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::alerts::{AlertSeverity, alerts};
    use crate::domain::report::samples::report;
    use tidemill_storage::S3Options;
    use tidemill_types::Millis;

    #[tokio::test]
    async fn what_is_concluded_once_is_written_once_and_read_back() {
        let folder = std::env::temp_dir().join(format!("tidemill-monitoring-store-{}", std::process::id()));
        let storage = Storage::open(&format!("file://{}", folder.display()), &S3Options::default()).unwrap();
        let (project, deployment) = ("flights".parse().unwrap(), "disruption".parse().unwrap());
        let store = Store::new(&storage, &project, &deployment);
        assert!(store.reports().await.unwrap().is_empty());
        let report = report();
        store.put_report(&report).await.unwrap();
        assert!(storage.exists("monitors/flights/disruption/month/2013-02-01.json").await.unwrap());
        assert_eq!(store.reports().await.unwrap(), std::slice::from_ref(&report));
        let alert = alerts(&WindowReport { predictions: 400, ..report }, None, Millis(0)).remove(0);
        assert_eq!(alert.severity, AlertSeverity::Warn);
        assert!(store.put_alert(&alert).await.unwrap());
        assert!(!store.put_alert(&alert).await.unwrap());
        assert_eq!(store.alerts().await.unwrap(), [alert]);
        let order = RetrainOrder::new("schedule".into(), Millis(0), None).unwrap();
        assert!(store.put_order(&order).await.unwrap() && !store.put_order(&order).await.unwrap());
        assert!(store.has_order(&order).await.unwrap());
        assert_eq!(store.orders().await.unwrap(), [order]);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
