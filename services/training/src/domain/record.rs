//! What is kept of a run: `runs/<project>/<cycle>.json`.

use crate::domain::fit::TrialScore;
use crate::domain::leaks::LeakFinding;
use crate::domain::windows::Windows;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidemill_learn::Params;
use tidemill_registry::DataQuality;
use tidemill_types::Millis;

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Under way.
    Running,
    /// Ended without a candidate.
    Failed,
    /// Ended with a candidate.
    Done,
}

/// The training set a run was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRef {
    /// Path in the object store.
    pub path: String,
    /// SHA-256 of the file.
    pub digest: String,
    /// Digest of the feature plan.
    pub plan_digest: String,
    /// Rows in the file.
    pub rows: u64,
    /// Rows with a label.
    pub labelled: u64,
    /// Versions of the clean tables it was made from.
    pub table_versions: BTreeMap<String, i64>,
}

/// Rows of one window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowRows {
    /// Rows.
    pub rows: usize,
    /// Share of positive labels.
    pub positive_rate: f64,
}

/// The sealed test: where it lies, not what is in it. Training has never read its labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Training set that holds its rows.
    pub path: String,
    /// Digest of that file.
    pub digest: String,
    /// First instant of its rows.
    pub from: Millis,
    /// First instant after its rows.
    pub until: Millis,
}

/// One trial as stored under `runs/<project>/<cycle>/trials/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialRecord {
    /// Name of the learner.
    pub learner: String,
    /// Number of the trial; 0 has the default parameters.
    pub index: u32,
    /// What it found, or why it failed.
    pub outcome: TrialOutcome,
    /// Seconds it took.
    pub seconds: f64,
}

/// What a trial came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialOutcome {
    /// It was scored.
    Scored(Box<TrialScore>),
    /// The learner refused.
    Failed(Failure),
}

/// Why something failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// `TMnnnn`.
    pub code: String,
    /// In words.
    pub text: String,
}

/// One trial in a run record: its metrics without the distributions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialSummary {
    /// Name of the learner.
    pub learner: String,
    /// Number of the trial.
    pub index: u32,
    /// Parameters in force.
    pub params: Params,
    /// AUC on the validation rows.
    pub roc_auc: Option<f64>,
    /// Log loss on the validation rows.
    pub log_loss: Option<f64>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Seconds it took.
    pub seconds: f64,
}

impl From<&TrialRecord> for TrialSummary {
    fn from(trial: &TrialRecord) -> Self {
        let (params, roc_auc, log_loss, failure) = match &trial.outcome {
            TrialOutcome::Scored(score) => {
                (score.params.clone(), Some(score.roc_auc.value), Some(score.log_loss), None)
            }
            TrialOutcome::Failed(failure) => (Params::new(), None, None, Some(failure.clone())),
        };
        Self {
            learner: trial.learner.clone(),
            index: trial.index,
            params,
            roc_auc,
            log_loss,
            failure,
            seconds: trial.seconds,
        }
    }
}

/// The model a run chose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chosen {
    /// Name of the learner.
    pub learner: String,
    /// Number of its trial.
    pub trial: u32,
    /// Parameters of the last fit.
    pub params: Params,
    /// Score from which a prediction alerts, from the validation rows.
    pub threshold: f64,
    /// Metrics on the validation rows.
    pub validation: BTreeMap<String, f64>,
    /// Rows of the last fit: training and validation, never the test.
    pub fitted_on: WindowRows,
    /// What the model depends on, largest first.
    pub importance: Vec<(String, f64)>,
}

/// A run, as readers see it. Grows while the run is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Project.
    pub project: String,
    /// Turn of the loop; also the run's id.
    pub cycle: String,
    /// How far it is.
    pub state: RunState,
    /// Why it was asked for.
    pub reason: String,
    /// Nothing learned later was used.
    pub as_of: Millis,
    /// Digest of the spec.
    pub spec_digest: String,
    /// Version of the code.
    pub code: String,
    /// Seed of everything random.
    pub seed: u64,
    /// The training set.
    pub training_set: Option<SetRef>,
    /// Quality of the data behind the training set, by source.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub quality: BTreeMap<String, DataQuality>,
    /// The cuts in time.
    pub windows: Option<Windows>,
    /// Rows of `train` and `validation`.
    pub rows: BTreeMap<String, WindowRows>,
    /// The sealed test.
    pub sealed: Option<Sealed>,
    /// Columns that give the outcome away.
    pub leaks: Vec<LeakFinding>,
    /// Every trial.
    pub trials: Vec<TrialSummary>,
    /// What was chosen.
    pub chosen: Option<Chosen>,
    /// Digest of the candidate's bundle.
    pub model_digest: Option<String>,
    /// Folders of the baselines' model files, by name.
    pub baselines: BTreeMap<String, String>,
    /// Columns the rule baseline looks up.
    pub rates_by: Vec<String>,
    /// Seconds by stage.
    pub seconds: BTreeMap<String, f64>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Trace of the cycle.
    pub trace_id: Option<String>,
}

/// The trial with the smallest log loss on the validation rows; the earlier one where two are equal.
#[must_use]
pub(crate) fn best(trials: &[TrialRecord]) -> Option<(&TrialRecord, &TrialScore)> {
    let scored = trials.iter().filter_map(|trial| match &trial.outcome {
        TrialOutcome::Scored(score) => Some((trial, score.as_ref())),
        TrialOutcome::Failed(_) => None,
    });
    scored.min_by(|a, b| a.1.log_loss.total_cmp(&b.1.log_loss))
}
