//! gRPC in: performance, drift, status.

use crate::board::Board;
use crate::domain::told::Told;
use crate::error::MonitoringError;
use serde::Serialize;
use tidemill_contracts::monitoring::monitoring_service_server::MonitoringService;
use tidemill_contracts::monitoring::{
    DriftRequest, DriftResponse, PerformanceRequest, PerformanceResponse, StatusRequest, StatusResponse,
};
use tidemill_runtime::to_status;
use tidemill_types::ProjectName;
use tonic::{Request, Response, Status};

/// The service.
pub(crate) struct Api {
    pub(crate) project: ProjectName,
    pub(crate) board: Board,
}

#[tonic::async_trait]
impl MonitoringService for Api {
    async fn performance(&self, request: Request<PerformanceRequest>) -> Result<Response<PerformanceResponse>, Status> {
        let PerformanceRequest { project, window } = request.into_inner();
        let windows_json = self.windows(&project, &window, |report| &report.performance).await;
        let windows_json = windows_json.map_err(|e| to_status(&e))?;
        Ok(Response::new(PerformanceResponse { windows_json }))
    }

    async fn drift(&self, request: Request<DriftRequest>) -> Result<Response<DriftResponse>, Status> {
        let DriftRequest { project, window } = request.into_inner();
        let windows_json = self.windows(&project, &window, |report| &report.drift).await;
        let windows_json = windows_json.map_err(|e| to_status(&e))?;
        Ok(Response::new(DriftResponse { windows_json }))
    }

    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        self.check(&request.into_inner().project).map_err(|e| to_status(&e))?;
        let shown = self.board.shown.read().await;
        Ok(Response::new(StatusResponse {
            predictions: shown.counts.predictions,
            outcomes: shown.counts.outcomes,
            joined: shown.counts.joined,
            alerts_json: shown.all_alerts().into_iter().map(text).collect(),
        }))
    }
}

impl Api {
    fn check(&self, project: &str) -> Result<(), MonitoringError> {
        if project == self.project.as_str() {
            return Ok(());
        }
        Err(MonitoringError::Request(format!("this service watches project {}, not \"{project}\"", self.project)))
    }

    /// One text per report of the kind asked for (empty: all), in the order of time.
    async fn windows(
        &self,
        project: &str,
        kind: &str,
        view: fn(&Told) -> &String,
    ) -> Result<Vec<String>, MonitoringError> {
        self.check(project)?;
        if !matches!(kind, "" | "week" | "month") {
            return Err(MonitoringError::Request(format!("window \"{kind}\" is neither week nor month")));
        }
        let shown = self.board.shown.read().await;
        let wanted = shown.reports.iter().filter(|(window, _)| kind.is_empty() || window.kind_name() == kind);
        Ok(wanted.map(|(_, report)| view(&report.told).clone()).collect())
    }
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::report::samples::report;

    #[tokio::test]
    async fn reports_are_shown_by_kind_and_foreign_projects_are_refused() {
        let board = Board::default();
        board.put_report(report()).await;
        let api = Api { project: "flights".parse().unwrap(), board };
        let ask = |project: &str, window: &str| {
            Request::new(PerformanceRequest { project: project.into(), window: window.into() })
        };
        let months = api.performance(ask("flights", "month")).await.unwrap().into_inner().windows_json;
        let month: serde_json::Value = serde_json::from_str(&months[0]).unwrap();
        assert_eq!((month["start_date"].as_str(), month["outcomes"].as_u64()), (Some("2013-02-01"), Some(30)));
        assert!(api.performance(ask("flights", "week")).await.unwrap().into_inner().windows_json.is_empty());
        assert_eq!(api.performance(ask("flights", "year")).await.unwrap_err().code(), tonic::Code::InvalidArgument);
        assert!(api.performance(ask("other", "")).await.is_err());
        let status = api.status(Request::new(StatusRequest { project: "flights".into() })).await.unwrap().into_inner();
        assert_eq!((status.joined, status.alerts_json.len()), (0, 0));
    }
}
