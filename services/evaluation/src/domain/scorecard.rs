//! The scorecard: everything that was measured on the sealed test, and the verdict.

use crate::domain::gates::{Champion, GateVerdict, judge};
use crate::domain::kpi::{KpiResult, Measure};
use crate::domain::slices::{Slice, slices};
use crate::domain::twins::{Seen, Twins};
use crate::error::EvaluationError;
use arrow::array::RecordBatch;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidemill_metrics::{BinaryReport, Difference, PairedReport, binary_report, confusion, paired_report, paired_sum};
use tidemill_registry::DataQuality;
use tidemill_spec::Spec;
use tidemill_types::Millis;

/// The rows of a sealed test after it was opened.
#[derive(Clone, Debug)]
pub(crate) struct TestRows {
    /// Features, in the order of the plan.
    pub features: RecordBatch,
    /// One label per row.
    pub labels: Vec<bool>,
    /// Which of them the fit has seen.
    pub seen: Seen,
}

/// Another model that the candidate is compared with, scored on the same rows.
#[derive(Clone, Debug)]
pub(crate) struct Opponent {
    /// `majority`, `rule`, `logistic`, or `champion`.
    pub name: String,
    /// Digest, for a registered model.
    pub digest: Option<String>,
    /// One probability per row, or why there are none.
    pub scores: Result<Vec<f64>, String>,
}

/// The comparison of the candidate with one other model; differences are candidate minus the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// `majority`, `rule`, `logistic`, or `champion`.
    pub against: String,
    /// Digest, for a registered model.
    pub digest: Option<String>,
    /// Every metric, paired.
    pub metrics: PairedReport,
    /// The business measure at the budget, paired.
    pub kpi: Difference,
}

/// A model that could not be compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotCompared {
    /// Which.
    pub against: String,
    /// Why.
    pub reason: String,
}

/// The decision at the model's own threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AtThreshold {
    /// The threshold, fixed on validation rows.
    pub threshold: f64,
    /// Alerts that were right.
    pub true_positives: u64,
    /// Alerts that were wrong.
    pub false_positives: u64,
    /// Rows rightly left alone.
    pub true_negatives: u64,
    /// Positives missed.
    pub false_negatives: u64,
    /// Share of alerts that were right.
    pub precision: f64,
    /// Share of positives caught.
    pub recall: f64,
}

/// What is known of the candidate before it is judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// Project.
    pub project: String,
    /// Turn of the loop; also the run's id.
    pub cycle: String,
    /// Digest of its bundle.
    pub model_digest: String,
    /// Name of the learner.
    pub learner: String,
    /// Parameters in force.
    pub params: serde_json::Value,
    /// Nothing learned later was used in training.
    pub as_of: Millis,
    /// Start of the test window.
    pub test_from: Millis,
    /// End of the test window.
    pub test_until: Millis,
    /// Score from which it alerts.
    pub threshold: f64,
    /// Metrics on the validation rows, by name.
    pub validation: BTreeMap<String, f64>,
    /// What the model depends on, largest first.
    pub importance: Vec<(String, f64)>,
    /// Findings of the leak checks, as training wrote them.
    pub leaks: Vec<LeakNote>,
    /// Training set: path and digest.
    pub training_set: (String, String),
    /// Quality of the data behind the training set, by source; empty: it was not measured.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub quality: BTreeMap<String, DataQuality>,
    /// Digest of the spec.
    pub spec_digest: String,
    /// Champion at the time of the judgement.
    pub champion: Option<String>,
    /// Record of the opening of the test.
    pub opening: String,
}

/// A finding of the leak checks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeakNote {
    /// Name of the column.
    pub column: String,
    /// `feature`, `entity` or `outcome`.
    pub role: String,
    /// `auc`, `null_purity` or `value_purity`.
    pub kind: String,
    /// Rows behind it.
    pub support: u64,
    /// The finding in one sentence.
    pub verdict: String,
}

/// Everything that was measured, and the verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scorecard {
    /// The candidate.
    pub subject: Subject,
    /// Every metric on the test.
    pub report: BinaryReport,
    /// The decision at its threshold.
    pub at_threshold: AtThreshold,
    /// The business measure.
    pub kpi: KpiResult,
    /// Comparisons on the same rows.
    pub comparisons: Vec<Comparison>,
    /// Models that could not be compared.
    pub not_compared: Vec<NotCompared>,
    /// Quality by slices.
    pub slices: Vec<Slice>,
    /// Rows that fit and test share; absent on cards of before this was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twins: Option<Twins>,
    /// Gates.
    pub gates: Vec<GateVerdict>,
    /// Whether every gate said yes.
    pub passed: bool,
    /// The verdict in one sentence.
    pub verdict: String,
}

/// Judges a candidate by its scores on the test rows.
///
/// # Errors
/// Too few rows of a class, scores that are no probabilities, an expression that fails.
pub(crate) fn judge_candidate(
    spec: &Spec,
    subject: Subject,
    rows: &TestRows,
    scores: &[f64],
    opponents: &[Opponent],
) -> Result<Scorecard, EvaluationError> {
    let (labels, budget, seed) = (&rows.labels, spec.kpi.budget, spec.train.search.seed);
    let positives = labels.iter().filter(|label| **label).count();
    if positives < 2 || labels.len() < positives + 2 {
        return Err(EvaluationError::TooFewRows { cycle: subject.cycle, rows: labels.len(), positives });
    }
    let report = binary_report(scores, labels, budget, seed)?;
    let measure = Measure::new(&spec.kpi)?;
    let ours = measure.at_budget(labels, scores)?;
    let (mut comparisons, mut not_compared) = (Vec::new(), Vec::new());
    for opponent in opponents {
        match &opponent.scores {
            Ok(theirs) => comparisons.push(Comparison {
                against: opponent.name.clone(),
                digest: opponent.digest.clone(),
                metrics: paired_report(theirs, scores, labels, budget, seed)?,
                kpi: paired_sum(&measure.at_budget(labels, theirs)?, &ours)?,
            }),
            Err(reason) => {
                not_compared.push(NotCompared { against: opponent.name.clone(), reason: reason.clone() });
            }
        }
    }
    let baselines: Vec<(String, PairedReport)> =
        comparisons.iter().filter(|c| c.against != CHAMPION).map(|c| (c.against.clone(), c.metrics.clone())).collect();
    let champion =
        match (comparisons.iter().find(|c| c.against == CHAMPION), not_compared.iter().find(|c| c.against == CHAMPION))
        {
            (Some(compared), _) => Champion::Compared(&compared.metrics),
            (None, Some(refused)) => Champion::Incomparable(&refused.reason),
            (None, None) => Champion::Absent,
        };
    let gates = judge(&spec.evaluate.gates, &report, &baselines, &champion, &subject.quality);
    let passed = gates.iter().all(|gate| gate.passed);
    let counts = confusion(scores, labels, subject.threshold)?;
    let twins = Twins::of(&rows.seen, scores, labels, report.roc_auc.value)?;
    Ok(Scorecard {
        twins: Some(twins),
        at_threshold: AtThreshold {
            threshold: subject.threshold,
            true_positives: counts.true_positives,
            false_positives: counts.false_positives,
            true_negatives: counts.true_negatives,
            false_negatives: counts.false_negatives,
            precision: counts.precision(),
            recall: counts.recall(),
        },
        kpi: measure.of(labels, scores, subject.threshold)?,
        slices: slices(
            &rows.features,
            &spec.evaluate.slices,
            scores,
            labels,
            (spec.evaluate.min_support, spec.monitor.drift.fdr),
            &spec.slice_masks(),
        )?,
        verdict: verdict(&gates),
        subject,
        report,
        comparisons,
        not_compared,
        gates,
        passed,
    })
}

/// Name of the model in service among the opponents.
pub(crate) const CHAMPION: &str = "champion";

fn verdict(gates: &[GateVerdict]) -> String {
    let failed: Vec<&str> = gates.iter().filter(|gate| !gate.passed).map(|gate| gate.sentence.as_str()).collect();
    match failed.as_slice() {
        [] => format!("All {} gates passed.", gates.len()),
        some => format!("{} of {} gates said no: {}.", some.len(), gates.len(), some.join("; ")),
    }
}
