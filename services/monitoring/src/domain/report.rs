//! The report on one window: what is stored, shown and acted upon.

use super::calendar::CalendarWindow;
use super::drift::WindowDrift;
use super::join::WindowRows;
use super::performance::Performance;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidemill_metrics::Estimate;
use tidemill_spec::Kpi;
use tidemill_types::{DeploymentName, Millis, ProjectName};

/// The report on one window. `revision` grows when late rows change it; a closed report does not change any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowReport {
    /// Project.
    pub project: ProjectName,
    /// Deployment.
    pub deployment: DeploymentName,
    /// Kind and start.
    #[serde(flatten)]
    pub window: CalendarWindow,
    /// First instant after the window.
    pub end: Millis,
    /// First day.
    pub start_date: String,
    /// 1 for the first report on the window.
    pub revision: u32,
    /// Whether late rows no longer count.
    pub closed: bool,
    /// Predictions logged.
    pub predictions: u64,
    /// Predictions of an entity that was asked about again within the window; the latest counts.
    pub superseded: u64,
    /// Predictions without a score.
    pub unscored: u64,
    /// Scored predictions whose outcome is known.
    pub outcomes: u64,
    /// `outcomes / (predictions − superseded)`; zero without predictions.
    pub coverage: f64,
    /// Positive outcomes.
    pub positives: u64,
    /// Digest of the model → predictions.
    pub models: BTreeMap<String, u64>,
    /// The model that made most of the predictions.
    pub main_model: Option<String>,
    /// What the main model reached before it was promoted.
    pub auc_reference: Option<AucReference>,
    /// Name of the KPI.
    pub kpi_name: String,
    /// Unit of the KPI.
    pub kpi_unit: String,
    /// The KPI as served.
    pub kpi: Option<Estimate>,
    /// Quality.
    pub performance: Performance,
    /// Drift; absent while the main model has no reference.
    pub drift: Option<WindowDrift>,
}

/// AUC of a model on data that it was not fitted to, before it was promoted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AucReference {
    /// The point.
    pub value: f64,
    /// Lower end of its interval; equal to `value` when the bundle gives none.
    pub low: f64,
}

/// What is known about the model that served most of a window.
#[derive(Clone, Debug, Default)]
pub struct ModelFacts {
    /// AUC before promotion.
    pub auc: Option<AucReference>,
    /// Drift against its training.
    pub drift: Option<WindowDrift>,
}

/// The model with most predictions; of equals the first by digest.
#[must_use]
pub fn main_model(models: &BTreeMap<String, u64>) -> Option<&str> {
    let most = models.values().max()?;
    models.iter().find(|(_, count)| *count == most).map(|(digest, _)| digest.as_str())
}

impl WindowReport {
    /// Puts a report together.
    #[must_use]
    pub fn new(
        (project, deployment): (&ProjectName, &DeploymentName),
        window: CalendarWindow,
        rows: &WindowRows,
        performance: Performance,
        kpi: &Kpi,
        facts: ModelFacts,
    ) -> Self {
        let counted = rows.predictions - rows.superseded;
        let outcomes = rows.scores.len() as u64;
        Self {
            project: project.clone(),
            deployment: deployment.clone(),
            window,
            end: window.end(),
            start_date: window.start_date(),
            revision: 1,
            closed: false,
            predictions: rows.predictions,
            superseded: rows.superseded,
            unscored: rows.unscored,
            outcomes,
            coverage: if counted == 0 { 0.0 } else { outcomes as f64 / counted as f64 },
            positives: rows.labels.iter().filter(|label| **label).count() as u64,
            models: rows.models.clone(),
            main_model: main_model(&rows.models).map(str::to_owned),
            auc_reference: facts.auc,
            kpi_name: kpi.name.clone(),
            kpi_unit: kpi.unit.clone(),
            kpi: performance.decisions.as_ref().and_then(|d| d.as_served.kpi.clone()),
            performance,
            drift: facts.drift,
        }
    }

    /// Whether two reports say the same, whatever their revision and state.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        *self == Self { revision: self.revision, closed: self.closed, ..other.clone() }
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;
    use crate::domain::performance::{KpiValue, measure};
    use tidemill_spec::Window;

    /// A February of forty predictions, outcomes half positive, ordered by the champion with errors, ten without
    /// an outcome.
    pub(crate) fn report() -> WindowReport {
        let kpi = Kpi { name: "net".into(), value: "if(alerted, 1, 0)".into(), unit: "points".into(), budget: 0.1 };
        let scores: Vec<f64> = (0..30).map(|i| f64::from(i) / 30.0).collect();
        let rows = WindowRows {
            predictions: 40,
            models: BTreeMap::from([("a".to_owned(), 15), ("b".to_owned(), 25)]),
            labels: (0..30).map(|i| (i % 3 == 0) || i > 20).collect(),
            alerted: scores.iter().map(|s| *s > 0.8).collect(),
            shadow_scores: scores.iter().map(|s| Some(s * s)).collect(),
            scores,
            ..WindowRows::default()
        };
        let window = CalendarWindow::of(Window::Month, Millis::parse("2013-02-01T00:00:00Z").unwrap());
        let measured = measure(&rows, &KpiValue::new(&kpi).unwrap()).unwrap();
        let of = (&"flights".parse().unwrap(), &"disruption".parse().unwrap());
        WindowReport::new(of, window, &rows, measured, &kpi, ModelFacts::default())
    }

    #[test]
    fn a_report_counts_and_reads_back_as_written() {
        let report = report();
        assert_eq!((report.predictions, report.outcomes, report.coverage), (40, 30, 0.75));
        assert_eq!(report.main_model.as_deref(), Some("b"));
        let text = serde_json::to_string(&report).unwrap();
        assert!(text.contains(r#""kind":"month""#), "{text}");
        assert_eq!(serde_json::from_str::<WindowReport>(&text).unwrap(), report);
        let later = WindowReport { revision: 2, closed: true, ..report.clone() };
        assert!(report.says_the_same(&later));
        assert!(!report.says_the_same(&WindowReport { positives: 0, ..report.clone() }));
    }
}
